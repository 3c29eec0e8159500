//! Requests to Cloud KMS.

use super::credentials::access_token::{AccessToken, DEFAULT_UNIVERSE};
use super::errors::refusal;
use super::operations::Operation;
use super::settings::{CLOUD, Settings};
use super::token::Tokens;
use crate::cloud::failure::refused::{FailedAttempt, RetryPolicy};
use crate::cloud::failure::{Cause, Failure};
use crate::cloud::http::endpoint::url_without_credentials;
use crate::cloud::http::exchange::Reply;
use crate::cloud::http::transport::{Transport, json_body};
use crate::cloud::management::without_retry;
use crate::cloud::retry::Call;
use crate::log_warn;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderName, HeaderValue, Method};
use reqwest::Url;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

/// The client of one process for one set of settings. It is used on the runtime only.
pub(crate) struct Clients {
    pub(crate) settings: Settings,
    transport: Transport,
    tokens: Tokens,
    /// Whether the connection for the first request was opened, while the request waits for its token.
    is_connected_ahead: AtomicBool,
    /// Limits how many requests that load keys run at the same time.
    load_permits: Semaphore,
}

#[cfg(any(test, fuzzing))]
impl Clients {
    /// Creates clients whose requests take this way, those for tokens as well.
    pub(crate) fn with_transport(settings: Settings, transport: Transport) -> Arc<Self> {
        Arc::new(Self { transport, ..Self::new(settings) })
    }
}

/// A request, without its token.
pub(crate) struct Request<'a> {
    pub(crate) method: Method,
    /// The name of a resource, with a custom method such as `:asymmetricSign` if there is one.
    pub(crate) path: String,
    pub(crate) query: &'a [(&'a str, &'a str)],
    /// JSON, which is overwritten after the request.
    pub(crate) body: Option<Bytes>,
}

impl Request<'_> {
    /// Returns a request that reads a resource.
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self { method: Method::GET, path: path.into(), query: &[], body: None }
    }

    /// Returns a request that calls a method of a resource.
    pub(crate) fn post(path: impl Into<String>, fields: &impl Serialize) -> Self {
        Self { method: Method::POST, path: path.into(), query: &[], body: Some(json_body(fields)) }
    }
}

const USER_AGENT_VALUE: &str = concat!("cloud-kms-pkcs11/", env!("CARGO_PKG_VERSION"));

impl Clients {
    /// Creates the client. Makes no request and reads no file.
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            settings,
            transport: Transport::shared(),
            tokens: Tokens::default(),
            is_connected_ahead: AtomicBool::default(),
            load_permits: Semaphore::new(64),
        }
    }

    /// Makes a request, with retries, and returns what `read` makes of the reply. An attempt whose reply `read` refuses may
    /// be repeated.
    ///
    /// # Errors
    /// As the service reports it, or as `read` does.
    pub(crate) async fn call<T: DeserializeOwned, R>(
        &self,
        operation: &'static Operation,
        key: &str,
        request: &Request<'_>,
        read: impl Fn(T) -> Result<R, FailedAttempt>,
    ) -> Result<R, Failure> {
        self.perform(operation, key, None, request, read).await
    }

    /// Like [`Self::call`], for requests that load keys. Waits for its turn.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub(crate) async fn load<T: DeserializeOwned, R>(
        &self,
        operation: &'static Operation,
        key: &str,
        request: &Request<'_>,
        read: impl Fn(T) -> Result<R, FailedAttempt>,
    ) -> Result<R, Failure> {
        self.perform(operation, key, Some(&self.load_permits), request, read).await
    }

    async fn perform<T: DeserializeOwned, R>(
        &self,
        operation: &'static Operation,
        key: &str,
        concurrency_limit: Option<&Semaphore>,
        request: &Request<'_>,
        read: impl Fn(T) -> Result<R, FailedAttempt>,
    ) -> Result<R, Failure> {
        let attempt = async || read(parse(operation, &self.authorized(operation, request).await?)?);
        self.run(operation, key, concurrency_limit, attempt).await
    }

    /// Makes a request that changes something. It is not repeated if it may have taken effect.
    ///
    /// # Errors
    /// As the service reports it.
    pub(crate) async fn change<T: DeserializeOwned>(
        &self,
        operation: &'static Operation,
        key: &str,
        request: &Request<'_>,
    ) -> Result<T, Failure> {
        let attempt = async || {
            let reply = self.authorized(operation, request).await.map_err(without_retry)?;
            parse(operation, &reply).map_err(FailedAttempt::from)
        };
        self.run(operation, key, None, attempt).await
    }

    /// Makes attempts with the retries and the deadline of a call.
    async fn run<T, F>(
        &self,
        operation: &'static Operation,
        key: &str,
        concurrency_limit: Option<&Semaphore>,
        attempt: impl Fn() -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, FailedAttempt>>,
    {
        let description = format!("{} {key} at {}", operation.name, url_without_credentials(&self.endpoint(None)));
        let call = Call { concurrency_limit, ..Call::new(CLOUD, operation.name, &description, &self.settings.network) };
        call.run(attempt, |refused, since| self.transport.discard_stale(&self.settings.network, refused, since)).await
    }

    /// Returns the token of the requests.
    ///
    /// # Errors
    /// As [`Tokens::get`].
    pub(crate) async fn token(&self, operation: &'static str) -> Result<Arc<AccessToken>, FailedAttempt> {
        self.tokens.get(operation, &self.settings, &self.transport).await
    }

    /// Sends a request once, with the token.
    async fn authorized(&self, operation: &'static Operation, request: &Request<'_>) -> Result<Reply, FailedAttempt> {
        let network = &self.settings.network;
        // The connection for the first request is opened while the request waits for its token.
        if !self.is_connected_ahead.swap(true, Ordering::Relaxed)
            && let Ok(url) = Url::parse(&self.endpoint(None))
        {
            self.transport.connect_ahead(operation.name, network, url)?;
        }
        let token = self.tokens.get(operation.name, &self.settings, &self.transport).await?;
        let made = self.http_request(operation, request, &token)?;
        let reply = self.transport.exchange(operation.name, network, made).await?;
        if (200..300).contains(&reply.status) {
            return Ok(reply);
        }
        let mut refused = refusal(operation, &reply);
        if refused.failure.cause == Cause::Credentials && token.token.is_some() {
            self.tokens.rejected(&token, reply.header("date"));
            refused.failure.message =
                format!("{} (the token is that of the {})", refused.failure.message, token.origin);
            refused.remedy = RetryPolicy::OnceWithNewCredentials;
        }
        Err(refused)
    }

    /// Returns the URL of the service, without a trailing slash.
    pub(crate) fn endpoint(&self, token: Option<&AccessToken>) -> String {
        let Settings { endpoint_url, universe_domain, .. } = &self.settings;
        let universe = universe_domain.as_deref().or(token.map(|token| token.universe_domain.as_str()));
        let default = || format!("https://cloudkms.{}", universe.unwrap_or(DEFAULT_UNIVERSE));
        endpoint_url.clone().unwrap_or_else(default)
    }

    fn http_request(
        &self,
        operation: &Operation,
        request: &Request<'_>,
        token: &AccessToken,
    ) -> Result<reqwest::Request, Failure> {
        let endpoint = self.endpoint(Some(token));
        let wrong = |why: String| operation.failure(Cause::Settings, why);
        // Names of resources are checked, so no name can change the path.
        let mut url = Url::parse(&format!("{endpoint}/v1/{}", request.path)).map_err(|error| {
            wrong(format!("{:?} is not the URL of a service: {error}", url_without_credentials(&endpoint)))
        })?;
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(request.query);
        }
        let mut made = reqwest::Request::new(request.method.clone(), url);
        let headers = made.headers_mut();
        headers.insert(USER_AGENT, HeaderValue::from_static(USER_AGENT_VALUE));
        if let Some(secret) = &token.token {
            let bearer = Zeroizing::new(format!("Bearer {}", secret.expose()));
            let mut value = HeaderValue::from_str(&bearer)
                .map_err(|_| wrong("the access token contains characters that no token has".to_owned()))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        if let Some(project) = &token.quota_project {
            let value = HeaderValue::from_str(project)
                .map_err(|_| wrong(format!("the quota project {project:?} is not the name of a project")))?;
            headers.insert(HeaderName::from_static("x-goog-user-project"), value);
        }
        if let Some(body) = &request.body {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            *made.body_mut() = Some(body.clone().into());
        }
        Ok(made)
    }
}

fn parse<T: DeserializeOwned>(operation: &Operation, reply: &Reply) -> Result<T, Failure> {
    // The error is not quoted, because the reply may contain a plaintext.
    let unreadable = |_| operation.failure(Cause::Malformed, "the reply is not one of Cloud KMS");
    serde_json::from_slice(&reply.body).map_err(unreadable)
}

/// Returns the failure of an attempt that was damaged on its way: a checksum does not match. The request may be repeated.
pub(crate) fn damaged(operation: &Operation, why: &str) -> FailedAttempt {
    log_warn!("{}: {why}; the data was changed between this machine and the service", operation.name);
    FailedAttempt { remedy: RetryPolicy::Limited, ..operation.failure(Cause::Malformed, why).into() }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
