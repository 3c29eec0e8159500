//! Tokens of a machine's own identity, from the endpoint that Azure's machines have.
//!
//! "Managed identities for Azure resources", its REST interface.

use super::context::{Context, NewCredential, env};
use super::token_error::{credential_error, message_of};
use crate::cloud::azure::settings::Credential;
use crate::cloud::failure::error_chain::causes;
use azure_core::error::Error;
use azure_core::http::{AsyncRawResponse, ClientOptions, HttpClient, Request, Transport, Url};
use azure_identity::{ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId};
use std::sync::Arc;
use std::time::Duration;

pub(crate) fn managed_identity(context: &Context) -> NewCredential {
    let retries = context.settings.network.retries;
    let user_assigned_id = context.client().ok().map(UserAssignedId::ClientId);
    let client = LinkLocal {
        client: context.link_local.clone(),
        host: env("AZURE_POD_IDENTITY_AUTHORITY_HOST").and_then(|host| Url::parse(&host).ok()),
        retries: if context.settings.credential == Credential::ManagedIdentity { retries } else { 0 },
    };
    let client_options = ClientOptions { transport: Some(Transport::new(Arc::new(client))), ..Default::default() };
    let options = ManagedIdentityCredentialOptions { user_assigned_id, client_options };
    Ok(ManagedIdentityCredential::new(Some(options)).map_err(|e| message_of(&e))?)
}

/// The HTTP client for the endpoint for managed identities. azure_identity has the address of IMDS as a constant
/// only.
#[derive(Debug)]
struct LinkLocal {
    client: reqwest::Client,
    /// Replaces the host of IMDS, if AZURE_POD_IDENTITY_AUTHORITY_HOST is set.
    host: Option<Url>,
    /// The number of retries if the machine seems to have no such endpoint. The SDK would retry for a minute.
    retries: u32,
}

#[async_trait::async_trait]
impl HttpClient for LinkLocal {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let mut request = request.clone();
        if let Some(host) = self.host.as_ref().filter(|_| request.url().host_str() == Some("169.254.169.254")) {
            let url = request.url_mut();
            let moved = url.set_scheme(host.scheme()).and_then(|()| url.set_port(host.port()));
            moved.map_err(|()| {
                credential_error("AZURE_POD_IDENTITY_AUTHORITY_HOST is not a URL; correct it, or unset it".into())
            })?;
            url.set_host(host.host_str())?;
        }
        let mut attempts = 0;
        loop {
            let error = match self.client.execute_request(&request).await {
                Ok(reply) => return Ok(reply),
                Err(error) => error,
            };
            match connect_failure(request.url(), &error) {
                None => return Err(error),
                Some(words) if attempts >= self.retries => return Err(credential_error(words)),
                Some(_) => attempts += 1,
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }
}

/// The pause between attempts to reach the endpoint for managed identities, which may become available a moment
/// later than the machine.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// Returns a message if there is no connection to the endpoint.
fn connect_failure(url: &Url, error: &Error) -> Option<String> {
    let is_connect = causes(error).filter_map(|e| e.downcast_ref::<reqwest::Error>()).any(|e| e.is_connect());
    let why = causes(error).last().map(ToString::to_string).unwrap_or_default();
    let (host, port) = (url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or(80));
    is_connect.then(|| format!("this machine has no managed identity: can't connect to {host}:{port} ({why})"))
}
