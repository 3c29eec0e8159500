//! Logins to Vault. The PIN is a token, or the SecretID of an AppRole.
//!
//! "Token auth method (API), lookup a token (self)" and "AppRole auth method (API), login with AppRole" of Vault's
//! documentation.

use super::client::Clients;
use super::operations::Operation;
use super::settings::{Auth, Pin, Settings};
use crate::cloud::failure::refused::FailedAttempt;
use crate::cloud::failure::{Cause, Failure};
use crate::cloud::login::{LOGIN, PinClients, Verdict, mask_pin};
use crate::cloud::secret::Secret;
use std::sync::Arc;

/// The login, as an operation. Nobody needs a capability for it.
const LOG_IN: Operation = Operation { name: LOGIN, capability: "update" };

impl PinClients for Clients {
    type Settings = Settings;

    fn new(settings: Settings) -> Self {
        Clients::new(settings)
    }

    fn pin_description(settings: &Settings) -> &'static str {
        match settings.login {
            Some(Pin::SecretId { .. }) => "the SecretID of the AppRole",
            _ => "a token of Vault",
        }
    }

    fn with_pin(settings: &Settings, pin: Secret) -> Settings {
        let auth = settings.login.as_ref().map_or(Auth::None, |login| login.auth(pin));
        Settings { auth, ..settings.clone() }
    }

    async fn check(self: Arc<Self>) -> Result<Verdict, Failure> {
        self.run(&LOG_IN, "", None, async || self.verdict().await).await
    }
}

impl Clients {
    async fn verdict(self: &Arc<Self>) -> Result<Verdict, FailedAttempt> {
        let answer = match &self.settings.auth {
            Auth::Login(login) => self.log_in(&LOG_IN, login).await.map(|token| self.tokens.set(token)),
            Auth::Token(token) => self.look_up(token).await,
            Auth::None | Auth::TokenFile(_) => Ok(()),
        };
        match answer {
            Ok(()) => Ok(Verdict::Good),
            Err(refused) if matches!(refused.failure.cause, Cause::Denied | Cause::Credentials) => {
                Ok(Verdict::Incorrect(self.mask_pin(refused).failure.message))
            }
            Err(refused) => Err(refused),
        }
    }

    /// Removes the PIN from the message of a refusal. Adds advice if the token is that of a login.
    pub(crate) fn mask_pin(&self, mut refused: FailedAttempt) -> FailedAttempt {
        let failure = &mut refused.failure;
        if let (Some(_), Some(pin)) = (&self.settings.login, self.settings.auth.secret()) {
            failure.message = mask_pin(&failure.message, pin.expose());
            if failure.cause == Cause::Credentials && failure.operation != LOGIN {
                failure.message = format!("{}; {LOGIN_ADVICE}", failure.message);
            }
        }
        refused
    }
}

const LOGIN_ADVICE: &str = "the token comes from the login (C_Login); log out, then log in with a valid PIN";
