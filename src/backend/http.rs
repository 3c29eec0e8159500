//! The HTTPS client that all vaults and token services with the same network settings share, and the words of errors.

use super::Network;
use super::resolver::Resolver;
use reqwest::{Certificate, Client, ClientBuilder, Proxy, redirect::Policy};
use std::collections::HashMap;
use std::error::Error;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A client for each set of network settings: its trust anchors are parsed once, its connections shared.
pub(super) struct PerNetwork<T>(Mutex<HashMap<Network, T>>);

impl<T> Default for PerNetwork<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> PerNetwork<T> {
    /// The client for these settings, made at the first call. To be called on the runtime.
    pub(super) fn get(&self, network: &Network, make: fn(&Network) -> Result<T, String>) -> Result<T, String> {
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(network) {
            return Ok(client.clone());
        }
        let client = make(network)?;
        clients.insert(network.clone(), client.clone());
        Ok(client)
    }
}

/// A client for a service that may be anywhere.
pub(super) fn client(network: &Network) -> Result<Client, String> {
    let builder = Client::builder()
        .redirect(Policy::none())
        .dns_resolver(Resolver)
        .connect_timeout(network.connect_timeout)
        // A server that accepts and says nothing gets a second chance within the call.
        .read_timeout(network.call_timeout / 2);
    with_proxy(with_bundle(builder, network)?, network)?.build().map_err(|e| words_of(&e))
}

/// For the metadata services of a machine: on its own link, where a proxy would be wrong, and near.
pub(super) fn link_local() -> Result<Client, String> {
    let builder = Client::builder()
        .no_proxy()
        .redirect(Policy::none())
        .dns_resolver(Resolver)
        .connect_timeout(Duration::from_secs(1));
    builder.build().map_err(|e| words_of(&e))
}

fn with_bundle(builder: ClientBuilder, network: &Network) -> Result<ClientBuilder, String> {
    let Some(path) = &network.ca_bundle else { return Ok(builder) };
    let failed = |why: String| format!("ca_bundle {}: {why}", path.display());
    let pem = std::fs::read(path).map_err(|e| failed(e.to_string()))?;
    let bundle = Certificate::from_pem_bundle(&pem).map_err(|e| failed(words_of(&e)))?;
    if bundle.is_empty() {
        return Err(failed("no PEM block named CERTIFICATE".into()));
    }
    Ok(builder.tls_certs_merge(bundle))
}

fn with_proxy(builder: ClientBuilder, network: &Network) -> Result<ClientBuilder, String> {
    match &network.proxy {
        // Without a setting, the client itself reads HTTPS_PROXY, HTTP_PROXY and NO_PROXY.
        None => Ok(builder),
        Some(url) => Ok(builder.proxy(Proxy::all(url).map_err(|e| format!("proxy: {}", words_of(&e)))?)),
    }
}

/// The words of an error and of all that caused it, in one line. Never its Debug form, which may show a whole reply.
pub(super) fn words_of(error: &(dyn Error + 'static)) -> String {
    let mut words: Vec<String> = causes(error).map(|error| error.to_string().trim().replace('\n', " ")).collect();
    words.dedup();
    words.join(": ")
}

/// The error and all that caused it.
pub(super) fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| (*error).source())
}
