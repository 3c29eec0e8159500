//! Requests to one Vault server.

use super::batches::Batches;
use super::errors::{refusal, with_capability};
use super::operations::Operation;
use super::settings::{CLOUD, Settings};
use super::token::Tokens;
use crate::cloud::failure::refused::FailedAttempt;
use crate::cloud::failure::{Cause, Failure};
use crate::cloud::http::endpoint::url_without_credentials;
use crate::cloud::http::exchange::Reply;
use crate::cloud::http::transport::Transport;
use crate::cloud::management::without_retry;
use crate::cloud::retry::Call;
use crate::cloud::runtime::request_id;
use crate::cloud::secret::Secret;
use crate::log_info;
use bytes::Bytes;
use http::{HeaderValue, Method, header::CONTENT_TYPE};
use reqwest::Url;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{OnceCell, Semaphore};

/// The client of one process for one set of settings. It is used on the runtime only.
pub(crate) struct Clients {
    pub(crate) settings: Settings,
    transport: Transport,
    pub(crate) tokens: Tokens,
    /// The requests of [`Self::get`] that are under way, by their paths.
    reads: Mutex<HashMap<String, Arc<OnceCell<Arc<Value>>>>>,
    pub(crate) batches: Batches,
    /// Limits how many requests that load keys run at the same time.
    load_permits: Semaphore,
}

#[cfg(any(test, fuzzing))]
impl Clients {
    /// Creates clients whose requests take this way.
    pub(crate) fn with_transport(settings: Settings, transport: Transport) -> Arc<Self> {
        Arc::new(Self { transport, ..Self::new(settings) })
    }
}

/// A request, without its token.
pub(crate) struct Request<'a> {
    pub(crate) method: Method,
    /// The path after `/v1/`, as segments.
    pub(crate) path: &'a [&'a str],
    /// JSON, which is overwritten after the request.
    pub(crate) body: Option<Bytes>,
}

/// The reply to most requests.
#[derive(Deserialize)]
struct DataReply<T> {
    /// The id of the request, as in the server's audit log.
    request_id: Option<String>,
    data: T,
}

impl Clients {
    /// Creates the client. Makes no request and reads no file.
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            settings,
            transport: Transport::shared(),
            tokens: Tokens::default(),
            reads: Mutex::default(),
            batches: Batches::default(),
            load_permits: Semaphore::new(64),
        }
    }

    /// Makes a request, with retries, and returns `data` of the reply.
    ///
    /// # Errors
    /// As the server reports it.
    pub(crate) async fn call<T: DeserializeOwned>(
        self: &Arc<Self>,
        operation: &'static Operation,
        key: &str,
        request: &Request<'_>,
    ) -> Result<T, Failure> {
        self.run(operation, key, None, async || self.data(operation, request).await).await
    }

    /// Makes a request once, and returns `data` of the reply.
    pub(crate) async fn data<T: DeserializeOwned>(
        self: &Arc<Self>,
        operation: &'static Operation,
        request: &Request<'_>,
    ) -> Result<T, FailedAttempt> {
        let reply = self.authorized(operation, request).await?;
        let parsed: Result<DataReply<T>, _> = serde_json::from_slice(&reply.body);
        // The error is not quoted, because the reply may contain a plaintext.
        let unreadable = |_| operation.failure(Cause::Malformed, "the reply is not one of Vault's Transit engine");
        let DataReply { request_id, data } = parsed.map_err(unreadable)?;
        request_id::remember(request_id);
        Ok(data)
    }

    /// Reads something, and returns `data` of the reply. Waits for its turn. Calls with the same path at the same time share
    /// a request.
    ///
    /// # Errors
    /// As the server reports it.
    pub(crate) async fn get(
        self: &Arc<Self>,
        operation: &'static Operation,
        key: &str,
        path: &[&str],
    ) -> Result<Arc<Value>, Failure> {
        let name = path.join("/");
        let cell = self.reads().entry(name.clone()).or_default().clone();
        let request = Request { method: Method::GET, path, body: None };
        let read = async || {
            let attempt = async || self.data(operation, &request).await;
            self.run(operation, key, Some(&self.load_permits), attempt).await.map(Arc::new)
        };
        let reply = cell.get_or_try_init(read).await.cloned();
        // The next call makes a new request.
        let mut reads = self.reads();
        if reads.get(&name).is_some_and(|current| Arc::ptr_eq(current, &cell)) {
            reads.remove(&name);
        }
        drop(reads);
        reply
    }

    fn reads(&self) -> MutexGuard<'_, HashMap<String, Arc<OnceCell<Arc<Value>>>>> {
        self.reads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a request that changes something. It is not repeated if it may have taken effect.
    ///
    /// # Errors
    /// As the server reports it.
    pub(crate) async fn change(
        self: &Arc<Self>,
        operation: &'static Operation,
        key: &str,
        request: &Request<'_>,
    ) -> Result<(), Failure> {
        let attempt = async || self.authorized(operation, request).await.map(drop).map_err(without_retry);
        self.run(operation, key, None, attempt).await
    }

    /// Returns the path of something in the Transit engine, as segments.
    pub(crate) fn path<'a>(&'a self, rest: &[&'a str]) -> Vec<&'a str> {
        self.settings.mount.split('/').chain(rest.iter().copied()).collect()
    }

    /// Makes attempts with the retries and the deadline of a call.
    pub(crate) async fn run<T, F>(
        &self,
        operation: &Operation,
        key: &str,
        concurrency_limit: Option<&Semaphore>,
        attempt: impl Fn() -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, FailedAttempt>>,
    {
        let name = if key.is_empty() { operation.name.to_owned() } else { format!("{} {key}", operation.name) };
        let description = format!("{name} at {}", url_without_credentials(&self.settings.address));
        let call = Call { concurrency_limit, ..Call::new(CLOUD, operation.name, &description, &self.settings.network) };
        let masked = || {
            let answer = attempt();
            async { answer.await.map_err(|refused| self.mask_pin(refused)) }
        };
        let network = &self.settings.network;
        // `denial` discards tokens.
        call.run(masked, |refused, since| self.transport.discard_stale(network, refused, since)).await
    }

    /// Sends a request once, with the token.
    pub(crate) async fn authorized(
        self: &Arc<Self>,
        operation: &Operation,
        request: &Request<'_>,
    ) -> Result<Reply, FailedAttempt> {
        let token = self.token(operation).await?;
        match self.send(operation, request, Some(&token.value)).await {
            Err(refused) => {
                let refused = self.denial(&token, refused).await;
                Err(with_capability(refused, operation, &request.path.join("/")))
            }
            answer => answer,
        }
    }

    /// Sends a request once. Returns the reply if the server has performed the request. A standby server that forwards no
    /// requests redirects them to the active server.
    pub(crate) async fn send(
        &self,
        operation: &Operation,
        request: &Request<'_>,
        token: Option<&Secret>,
    ) -> Result<Reply, FailedAttempt> {
        let url = self.url(operation, request)?;
        let exchange = async |url| {
            let request = self.http_request(operation, request, url, token)?;
            self.transport.exchange(operation.name, &self.settings.network, request).await
        };
        let reply = exchange(url.clone()).await?;
        let reply = match reply.status {
            301 | 302 | 307 | 308 => {
                let location = reply.header("location").unwrap_or_default();
                let active = active_server(&url, location).map_err(|why| operation.failure(Cause::Settings, why))?;
                log_info!("{} redirects to {}", origin(&url), origin(&active));
                exchange(active).await?
            }
            _ => reply,
        };
        match reply.status {
            200..300 => Ok(reply),
            _ => Err(refusal(operation, &reply)),
        }
    }

    fn url(&self, operation: &Operation, request: &Request<'_>) -> Result<Url, Failure> {
        let address = url_without_credentials(&self.settings.address);
        let wrong = |why: String| operation.failure(Cause::Settings, format!("the address {address:?} {why}"));
        let mut url = Url::parse(&self.settings.address).map_err(|error| wrong(format!("is not a URL: {error}")))?;
        // Each segment is encoded, and names of keys are checked, so no name can change the path.
        url.path_segments_mut()
            .map_err(|()| wrong("is not a URL with a host".to_owned()))?
            .pop_if_empty()
            .push("v1")
            .extend(request.path);
        Ok(url)
    }

    fn http_request(
        &self,
        operation: &Operation,
        request: &Request<'_>,
        url: Url,
        token: Option<&Secret>,
    ) -> Result<reqwest::Request, Failure> {
        let wrong = |message: String| move |_| operation.failure(Cause::Settings, message);
        let mut made = reqwest::Request::new(request.method.clone(), url);
        let headers = made.headers_mut();
        headers.insert("x-vault-request", HeaderValue::from_static("true"));
        if let Some(namespace) = &self.settings.namespace {
            let value = HeaderValue::from_str(namespace);
            headers.insert("x-vault-namespace", value.map_err(wrong(format!("{namespace:?} is not a namespace")))?);
        }
        if let Some(token) = token {
            let value = HeaderValue::from_str(token.expose());
            let mut value = value.map_err(wrong("the token contains characters that no token has".to_owned()))?;
            value.set_sensitive(true);
            headers.insert("x-vault-token", value);
        }
        if let Some(body) = &request.body {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            *made.body_mut() = Some(body.clone().into());
        }
        Ok(made)
    }
}

/// Returns the URL of the active server to which a standby server redirects a request. The token may go there, because the
/// standby server is trusted with it, too; but never unencrypted, and never with another request.
fn active_server(url: &Url, location: &str) -> Result<Url, String> {
    let wrong = |why: &str| format!("{} redirects to {location:?}, {why}; {NO_REDIRECT}", origin(url));
    let active = url.join(location).ok().filter(|_| !location.is_empty()).ok_or_else(|| wrong("which is not a URL"))?;
    let is_secure = active.scheme() == "https" || active.scheme() == url.scheme();
    match (is_secure, active.path() == url.path(), active.username().is_empty()) {
        (true, true, true) => Ok(active),
        (false, ..) => Err(wrong("which is not encrypted")),
        _ => Err(wrong("which is another request")),
    }
}

const NO_REDIRECT: &str = "set \"vault_address\" to the active server";

fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_goes_to_the_same_path_and_stays_encrypted() {
        let url = Url::parse("https://standby:8200/v1/transit/sign/k").unwrap();
        let to = |location: &str| active_server(&url, location).map(String::from);
        assert_eq!(to("https://active:8200/v1/transit/sign/k").unwrap(), "https://active:8200/v1/transit/sign/k");
        for (location, words) in [
            ("http://active:8200/v1/transit/sign/k", "not encrypted"),
            ("https://active:8200/v1/transit/sign/other", "another request"),
            ("https://active:8200/ui/", "another request"),
            ("https://user@active/v1/transit/sign/k", "another request"),
            ("", "not a URL"),
            ("https://[", "not a URL"),
        ] {
            let why = to(location).unwrap_err();
            assert!(why.contains(words) && why.starts_with("https://standby:8200 redirects"), "{why}");
        }
        let local = Url::parse("http://127.0.0.1:8200/v1/x").unwrap();
        assert!(active_server(&local, "http://127.0.0.1:8300/v1/x").is_ok());
    }
}
