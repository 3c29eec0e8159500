//! The HTTPS client that all services of all clouds with the same network settings share, and the words of errors.

use super::resolver::Resolver;
use super::runtime::PerProcess;
use super::{Cause, Network, trust};
use azure_core::error::ErrorKind;
use azure_core::http::{AsyncRawResponse, HttpClient, Request, response::AsyncResponseBody};
use futures_util::Stream;
use reqwest::{Client, ClientBuilder, Proxy, redirect::Policy};
use rustls::RootCertStore;
use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// A client for each set of network settings: its connections are shared. The system's trust anchors are those of all.
#[derive(Default)]
pub(super) struct PerNetwork {
    clients: Mutex<HashMap<Network, Arc<Connections>>>,
    system: Arc<OnceLock<RootCertStore>>,
}

impl PerNetwork {
    /// The clients of this process. To be called from the host's threads only.
    pub(super) fn shared() -> Arc<Self> {
        static SHARED: PerProcess<PerNetwork> = PerProcess::new();
        SHARED.get(Self::default)
    }

    /// The client for these settings, made at the first call. To be called on the runtime.
    pub(super) fn get(&self, network: &Network) -> Result<Arc<Connections>, String> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(network) {
            return Ok(client.clone());
        }
        let current = Mutex::new((Instant::now(), client(network, &self.system)?));
        let made = Arc::new(Connections { current, system: self.system.clone() });
        clients.insert(network.clone(), made.clone());
        Ok(made)
    }

    /// Gives up the connections that were there at `since`: one of them has answered nothing since then, and a router
    /// that forgets one forgets all (each would take its own time to be found out).
    pub(super) fn renew(&self, network: &Network, since: Instant) {
        let client = self.clients.lock().unwrap_or_else(PoisonError::into_inner).get(network).cloned();
        if let Some(client) = client {
            client.renew(network, since);
        }
    }
}

/// A client with its connections, which can be given up for new ones.
pub(super) struct Connections {
    current: Mutex<(Instant, Client)>,
    system: Arc<OnceLock<RootCertStore>>,
}

impl Connections {
    pub(super) fn current(&self) -> Client {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).1.clone()
    }

    fn renew(&self, network: &Network, since: Instant) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        // Of many callers whose time is over, one makes the new client.
        if current.0 <= since
            && let Ok(new) = client(network, &self.system)
        {
            *current = (Instant::now(), new);
        }
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connections")
    }
}

/// More than any reply has: a page of a listing, a certificate with its chain.
pub(super) const LARGEST_REPLY: usize = 4 << 20;

pub(super) const TOO_LARGE: &str = "a reply of more than 4 MiB";

#[async_trait::async_trait]
impl HttpClient for Connections {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let (status, headers, body) = self.current().execute_request(request).await?.deconstruct();
        Ok(AsyncRawResponse::new(status, headers, Box::pin(Limited { body, left: LARGEST_REPLY })))
    }
}

/// A reply's body, up to [`LARGEST_REPLY`].
struct Limited {
    body: AsyncResponseBody,
    left: usize,
}

impl Stream for Limited {
    type Item = <AsyncResponseBody as Stream>::Item;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = Pin::new(&mut self.body).poll_next(context);
        if let Poll::Ready(Some(Ok(bytes))) = &next {
            match self.left.checked_sub(bytes.len()) {
                Some(left) => self.left = left,
                None => {
                    let error = azure_core::Error::with_message(ErrorKind::DataConversion, TOO_LARGE);
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
        next
    }
}

/// A client for a service that may be anywhere.
fn client(network: &Network, system: &OnceLock<RootCertStore>) -> Result<Client, String> {
    let builder = Client::builder()
        .redirect(Policy::none())
        .dns_resolver(Resolver)
        .tls_backend_preconfigured(trust::tls(system.get_or_init(trust::system).clone(), network)?)
        .connect_timeout(network.connect_timeout)
        // A server that accepts and says nothing gets a second chance within the call.
        .read_timeout(network.call_timeout / 2);
    with_proxy(builder, network)?.build().map_err(|e| words_of(&e))
}

/// For the metadata services of a machine: on its own link, where a proxy would be wrong, and near. They speak HTTP.
pub(super) fn link_local() -> Result<Client, String> {
    let builder = Client::builder()
        .no_proxy()
        .redirect(Policy::none())
        .dns_resolver(Resolver)
        .tls_certs_only([])
        .connect_timeout(Duration::from_secs(1));
    builder.build().map_err(|e| words_of(&e))
}

fn with_proxy(builder: ClientBuilder, network: &Network) -> Result<ClientBuilder, String> {
    match &network.proxy {
        // Without a setting, the client itself reads HTTPS_PROXY, HTTP_PROXY and NO_PROXY.
        None => Ok(builder),
        Some(url) => Ok(builder.proxy(Proxy::all(url.expose()).map_err(|e| format!("proxy: {}", words_of(&e)))?)),
    }
}

/// What may be in the way to a service, by the words of the HTTP clients, and what a person can do about it. The first
/// that is said counts: a proxy may have no address, either.
#[rustfmt::skip]
const OBSTACLES: &[(&str, Cause, &str)] = &[
    ("tunnel error", Cause::Proxy, "the proxy is that of the option \"proxy\", else of HTTPS_PROXY or HTTP_PROXY"),
    ("invalid peer certificate", Cause::Untrusted, "the certificate of an authority of your own goes into \"ca_bundle\""),
    ("dns error", Cause::Unresolved, "is the region, the vault's name or the endpoint right?"),
];

/// Why there is no connection: from the words of an error.
pub(super) fn unreachable(words: String) -> (Cause, String) {
    match OBSTACLES.iter().find(|(said, ..)| words.contains(said)) {
        Some((_, cause, advice)) => (*cause, format!("{words}; {advice}")),
        None => (Cause::Unreachable, words),
    }
}

/// Whether one of the client's own limits has ended it.
pub(super) fn is_timeout(error: &(dyn Error + 'static)) -> bool {
    causes(error).filter_map(|error| error.downcast_ref::<reqwest::Error>()).any(reqwest::Error::is_timeout)
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
