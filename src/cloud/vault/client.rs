//! Requests to one Vault server, and the token that they carry.

use super::errors::refusal;
use super::operations::{Operation, READ_KEY};
use super::settings::{Auth, Credential, Login, Settings};
use crate::cloud::failure::refused::{FailedAttempt, RetryPolicy};
use crate::cloud::failure::{Cause, Failure};
use crate::cloud::http::exchange::Reply;
use crate::cloud::http::network::Network;
use crate::cloud::http::{ClientPool, ServiceClient};
use crate::cloud::retry::{Call, TimeLimit};
use crate::cloud::secret::Secret;
use azure_core::http::Url;
use http::{HeaderValue, Method, header::CONTENT_TYPE};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{OnceCell, Semaphore};

/// The client of one process for one set of settings. It is used on the runtime only.
pub(crate) struct Clients {
    pub(crate) settings: Settings,
    http: Arc<ClientPool>,
    /// The time at which the token's cell was made, and the token.
    token: Mutex<(Instant, Arc<OnceCell<Token>>)>,
    /// Limits how many requests that load keys run at the same time.
    load_permits: Semaphore,
}

/// A token, and the time from which it is no longer used.
#[derive(Clone)]
struct Token {
    value: Secret,
    end: Option<Instant>,
}

/// A request, without its token.
pub(crate) struct Request<'a> {
    pub(crate) method: Method,
    /// The path after `/v1/`, as segments.
    pub(crate) path: &'a [&'a str],
    pub(crate) body: Option<Value>,
}

/// The reply to a login.
#[derive(Deserialize)]
struct LoginReply {
    auth: Authentication,
}

#[derive(Deserialize)]
struct Authentication {
    client_token: String,
    /// Seconds. 0 means that the token does not end.
    #[serde(default)]
    lease_duration: u64,
}

/// The reply to all other requests.
#[derive(Deserialize)]
struct DataReply<T> {
    data: T,
}

impl Clients {
    /// Creates the client. Makes no request and reads no file.
    pub(crate) fn new(settings: Settings) -> Self {
        let token = Mutex::new((Instant::now(), Arc::default()));
        Self { settings, http: ClientPool::shared(), token, load_permits: Semaphore::new(64) }
    }

    /// Makes a request, with retries, and returns `data` of the reply. Requests that load keys wait for their turn.
    ///
    /// # Errors
    /// As the server reports it.
    pub(crate) async fn call<T: DeserializeOwned>(
        &self,
        operation: &'static Operation,
        key: &str,
        request: &Request<'_>,
    ) -> Result<T, Failure> {
        let description = format!("{} {key} at {}", operation.name, self.settings.address);
        let call = Call {
            operation: operation.name,
            description: &description,
            network: &self.settings.network,
            time_limit: TimeLimit::Option,
            concurrency_limit: (operation.name == READ_KEY.name).then_some(&self.load_permits),
        };
        let attempt = async || {
            let token = self.token(operation).await?;
            let reply = self.send(operation, request, Some(&token)).await?;
            let parsed: Result<DataReply<T>, _> = serde_json::from_slice(&reply.body);
            // The error is not quoted, because the reply may contain a plaintext.
            let unreadable = |_| operation.failure(Cause::Malformed, "the reply is not one of Vault's Transit engine");
            Ok(parsed.map_err(unreadable)?.data)
        };
        call.run(attempt, |refused, since| self.discard_stale(refused, since)).await
    }

    /// Sends a request once. Returns the reply if the server has performed the request.
    async fn send(
        &self,
        operation: &'static Operation,
        request: &Request<'_>,
        token: Option<&Secret>,
    ) -> Result<Reply, FailedAttempt> {
        let (path, http) = (request.path.join("/"), self.connections(operation)?);
        let reply = http.exchange(operation.name, self.request(operation, request, token)?).await?;
        match reply.status {
            200..300 => Ok(reply),
            _ => Err(refusal(operation, &path, &reply)),
        }
    }

    fn connections(&self, operation: &Operation) -> Result<Arc<ServiceClient>, Failure> {
        self.http.get(&self.settings.network).map_err(|obstacle| obstacle.failure(operation.name))
    }

    fn request(
        &self,
        operation: &Operation,
        request: &Request<'_>,
        token: Option<&Secret>,
    ) -> Result<reqwest::Request, Failure> {
        let settings = |message: String| operation.failure(Cause::Settings, message);
        let address = &self.settings.address;
        let mut url = Url::parse(address).map_err(|error| settings(format!("{address:?} is not a URL: {error}")))?;
        // Each segment is encoded, so no name can change the path.
        url.path_segments_mut()
            .map_err(|()| settings(format!("{address:?} has no path")))?
            .pop_if_empty()
            .push("v1")
            .extend(request.path);
        let mut made = reqwest::Request::new(request.method.clone(), url);
        let headers = made.headers_mut();
        headers.insert("x-vault-request", HeaderValue::from_static("true"));
        if let Some(namespace) = &self.settings.namespace {
            let value = HeaderValue::from_str(namespace);
            headers
                .insert("x-vault-namespace", value.map_err(|_| settings(format!("{namespace:?} is not a namespace")))?);
        }
        if let Some(token) = token {
            let value = HeaderValue::from_str(token.expose());
            let mut value =
                value.map_err(|_| settings("the token contains characters that no token has".to_owned()))?;
            value.set_sensitive(true);
            headers.insert("x-vault-token", value);
        }
        if let Some(body) = &request.body {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            *made.body_mut() = Some(body.to_string().into());
        }
        Ok(made)
    }

    /// Returns the token. It is fetched at the first call, and again shortly before it ends.
    async fn token(&self, operation: &'static Operation) -> Result<Secret, FailedAttempt> {
        let cell = self.token_cell();
        // Boxed: otherwise the future of every call would contain this future, which is rarely used.
        let token = cell.get_or_try_init(|| Box::pin(self.fetch_token(operation))).await?;
        Ok(token.value.clone())
    }

    fn token_cell(&self) -> Arc<OnceCell<Token>> {
        let mut token = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        let has_ended = |token: &Token| token.end.is_some_and(|end| end <= Instant::now());
        if token.1.get().is_some_and(has_ended) {
            *token = (Instant::now(), Arc::default());
        }
        token.1.clone()
    }

    async fn fetch_token(&self, operation: &'static Operation) -> Result<Token, FailedAttempt> {
        match &self.settings.auth {
            Auth::Token(token) => Ok(Token { value: token.clone(), end: None }),
            Auth::TokenFile(file) => {
                let text = read_secret(operation, file)?;
                Ok(Token { value: text.expose().trim().to_owned().into(), end: None })
            }
            Auth::Login(login) => self.log_in(operation, login).await,
        }
    }

    async fn log_in(&self, operation: &'static Operation, login: &Login) -> Result<Token, FailedAttempt> {
        let body = match &login.credential {
            Credential::AppRole { role_id, secret_id } => {
                json!({ "role_id": role_id, "secret_id": secret_id.expose() })
            }
            Credential::Jwt { role, file } => {
                json!({ "role": role, "jwt": read_secret(operation, file)?.expose().trim() })
            }
        };
        let path: Vec<&str> = ["auth"].into_iter().chain(login.mount.split('/')).chain(["login"]).collect();
        let request = Request { method: Method::POST, path: &path, body: Some(body) };
        let reply = self.send(operation, &request, None).await.map_err(|refused| login_refusal(login, refused))?;
        let unreadable = |_| operation.failure(Cause::Malformed, "the reply to the login has no token");
        let auth = serde_json::from_slice::<LoginReply>(&reply.body).map_err(unreadable)?.auth;
        let lease = Duration::from_secs(auth.lease_duration);
        // A tenth of the time remains for the requests that are under way.
        let end = (!lease.is_zero()).then(|| Instant::now() + lease.mul_f64(0.9));
        Ok(Token { value: auth.client_token.into(), end })
    }

    /// Discards the token if the server has rejected it and another one can be had.
    fn discard_stale(&self, refused: &FailedAttempt, since: Instant) {
        match (refused.remedy, refused.failure.cause) {
            (RetryPolicy::OnceWithNewCredentials, _) => {
                let mut token = self.token.lock().unwrap_or_else(PoisonError::into_inner);
                if token.0 <= since {
                    *token = (Instant::now(), Arc::default());
                }
            }
            (_, Cause::TimedOut) => self.http.renew(self.network(), since),
            _ => {}
        }
    }

    fn network(&self) -> &Network {
        &self.settings.network
    }
}

/// The credentials of a login are wrong, so the login is not repeated.
fn login_refusal(login: &Login, mut refused: FailedAttempt) -> FailedAttempt {
    let failure = &mut refused.failure;
    if matches!(failure.cause, Cause::Rejected | Cause::Denied | Cause::Credentials | Cause::NotFound) {
        failure.cause = Cause::Credentials;
        refused.remedy = RetryPolicy::Never;
    }
    failure.message = format!("no token by the auth method at {:?}: {}", login.mount, failure.message);
    refused
}

fn read_secret(operation: &Operation, file: &Path) -> Result<Secret, Failure> {
    let unreadable = |error| operation.failure(Cause::Settings, format!("{}: {error}", file.display()));
    Ok(std::fs::read_to_string(file).map_err(unreadable)?.into())
}
