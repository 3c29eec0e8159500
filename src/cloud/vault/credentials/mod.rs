//! The token of a client: where it comes from, how it is renewed, and what a denial says about it.
//!
//! "Token auth method (API)" of Vault's documentation.

pub(crate) mod auth_methods;

use super::client::{Clients, Request};
use super::operations::{LOOKUP_TOKEN, Operation, RENEW_TOKEN};
use super::settings::Auth;
use super::token::{Token, authentication};
use crate::cloud::credentials::file;
use crate::cloud::failure::refused::{FailedAttempt, RetryPolicy};
use crate::cloud::failure::{Cause, Failure};
use crate::cloud::http::transport::json_body;
use crate::cloud::login::not_logged_in;
use crate::cloud::secret::Secret;
use crate::{log_debug, log_info};
use http::Method;
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// The age at which a token from the settings is renewed for the first time. Its lease is not known until then. A program
/// that ends earlier makes no request for that.
const FIRST_RENEWAL: Duration = Duration::from_secs(60);
/// The pause after a renewal that failed by accident.
const NEXT_RENEWAL: Duration = Duration::from_secs(30);

impl Clients {
    /// Returns the token. It is fetched at the first call and when it has ended. A renewal runs beside the call.
    pub(crate) async fn token(self: &Arc<Self>, operation: &Operation) -> Result<Arc<Token>, FailedAttempt> {
        let now = Instant::now();
        // Read before the lock of the token is taken.
        let file = self.file_version();
        let cell = self.tokens.cell(|token| token.has_ended(now) || token.is_of_older_file(file));
        // Boxed: otherwise the future of every call would contain this future, which is rarely used.
        let token = cell.get_or_try_init(|| Box::pin(self.fetch_token(operation))).await?;
        if token.take_renewal(now) {
            let (clients, token) = (self.clone(), token.clone());
            tokio::spawn(async move { clients.renew(&token).await });
        }
        Ok(token.clone())
    }

    async fn fetch_token(self: &Arc<Self>, operation: &Operation) -> Result<Arc<Token>, FailedAttempt> {
        let token = match &self.settings.auth {
            Auth::None if self.settings.login.is_some() => return Err(not_logged_in(operation.name).into()),
            Auth::None => {
                let message = format!("there is no token; {HOW_TO_GET_A_TOKEN}");
                return Err(operation.failure(Cause::Credentials, message).into());
            }
            Auth::Token(token) => Token::new(token.clone(), None, Some(Instant::now() + FIRST_RENEWAL)),
            Auth::TokenFile(path) => {
                let file_version = file::modified(path);
                let value = file::secret(path).map_err(|why| missing_file(operation, why))?;
                Token::new(value.to_string().into(), None, None).of_file(file_version)
            }
            Auth::Login(login) => self.log_in(operation, login).await?,
        };
        Ok(Arc::new(token))
    }

    /// Returns the time at which the token's file was last changed, if there is one.
    fn file_version(&self) -> Option<SystemTime> {
        match &self.settings.auth {
            Auth::TokenFile(path) => file::modified(path),
            _ => None,
        }
    }

    /// Renews the token. It stays in use if that fails.
    async fn renew(self: &Arc<Self>, token: &Arc<Token>) {
        let request =
            Request { method: Method::POST, path: &["auth", "token", "renew-self"], body: Some(json_body(&json!({}))) };
        let reply = self.send(&RENEW_TOKEN, &request, Some(&token.value)).await;
        match reply.map(|reply| authentication(&reply)) {
            Ok(Some(auth)) => {
                let new = Token::leased(auth);
                // There is no other token than that of the settings, so the server decides when it ends.
                let is_of_login = matches!(self.settings.auth, Auth::Login(_));
                self.tokens.replace(token, if is_of_login { new } else { new.without_end() });
            }
            Ok(None) => {}
            Err(refused) if refused.remedy == RetryPolicy::Never => {
                log_debug!("the token can't be renewed: {}", refused.failure);
            }
            Err(refused) => {
                log_info!("the token was not renewed, which is tried again: {}", refused.failure);
                token.renew_at(Instant::now() + NEXT_RENEWAL);
            }
        }
    }

    /// Returns what a denial means. A server denies a request with a token that has ended like a request that no policy
    /// permits, so the server is asked about the token.
    pub(crate) async fn denial(self: &Arc<Self>, token: &Arc<Token>, refused: FailedAttempt) -> FailedAttempt {
        let is_bad = match refused.failure.cause {
            Cause::Credentials => true,
            Cause::Denied => !token.is_confirmed() && Box::pin(self.rejects(token)).await,
            _ => false,
        };
        if !is_bad {
            return refused;
        }
        let failure = Failure { cause: Cause::Credentials, ..refused.failure };
        // Another token can be had by a login, or from a file that has changed.
        if matches!(self.settings.auth, Auth::Login(_)) || token.is_of_older_file(self.file_version()) {
            self.tokens.discard(token);
            return FailedAttempt { failure, remedy: RetryPolicy::OnceWithNewCredentials, ..refused };
        }
        let message = format!("{}; {BAD_TOKEN}", failure.message);
        Failure { message, ..failure }.into()
    }

    /// Returns whether the server rejects the token itself.
    async fn rejects(self: &Arc<Self>, token: &Arc<Token>) -> bool {
        match self.look_up(&token.value).await {
            Ok(()) => {
                token.confirm();
                false
            }
            Err(refused) => matches!(refused.failure.cause, Cause::Denied | Cause::Credentials),
        }
    }

    /// Asks the server about a token.
    pub(crate) async fn look_up(self: &Arc<Self>, token: &Secret) -> Result<(), FailedAttempt> {
        let request = Request { method: Method::GET, path: &["auth", "token", "lookup-self"], body: None };
        self.send(&LOOKUP_TOKEN, &request, Some(token)).await.map(drop)
    }
}

fn missing_file(operation: &Operation, why: String) -> Failure {
    operation.failure(Cause::Credentials, format!("there is no token: {why}; {HOW_TO_GET_A_TOKEN}"))
}

const HOW_TO_GET_A_TOKEN: &str =
    "set VAULT_TOKEN, run vault login, or configure \"vault_token_file\" or another \"vault_auth\"";
const BAD_TOKEN: &str = "the token is not valid, has ended, or may not look itself up; replace it, or configure a login \
     (\"vault_auth\"), which is repeated when its token ends";
