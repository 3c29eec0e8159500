//! Logins to Key Vault. The PIN is the application's client secret, for which Entra issues a token.
//!
//! "Microsoft Entra authentication and authorization error codes".

use super::client::Clients;
use super::environment::scope;
use super::errors::refusal;
use super::operations::TOKEN;
use super::settings::{CLOUD, Credential, Settings};
use crate::cloud::failure::error_chain::causes;
use crate::cloud::failure::refused::{FailedAttempt, RetryPolicy};
use crate::cloud::failure::{Cause, Failure};
use crate::cloud::login::{LOGIN, ParseVerdict, PinClients, Verdict, mask_pin};
use crate::cloud::retry::Call;
use crate::cloud::secret::Secret;
use azure_core::credentials::TokenCredential;
use std::sync::Arc;

impl PinClients for Clients {
    type Settings = Settings;

    fn new(settings: Settings) -> Self {
        Clients::new(settings)
    }

    fn pin_description(_settings: &Settings) -> &'static str {
        "the application's client secret"
    }

    fn with_pin(settings: &Settings, pin: Secret) -> Settings {
        Settings { client_secret: Some(pin), ..settings.clone() }
    }

    async fn check(self: Arc<Self>) -> Result<Verdict, Failure> {
        let what = format!("{LOGIN} at {}", self.settings.vault_url);
        let call = Call::new(CLOUD, LOGIN, &what, &self.settings.network);
        let attempt = async || {
            let vault = self.vault(LOGIN).await?;
            self.verdict(&*vault.tokens).await
        };
        call.run(attempt, |_, _| {}).await
    }
}

impl Clients {
    async fn verdict(&self, tokens: &dyn TokenCredential) -> Result<Verdict, FailedAttempt> {
        let Err(error) = tokens.get_token(&[&scope(&self.settings.vault_url)], None).await else {
            return Ok(Verdict::Good);
        };
        let words = causes(&error).map(ToString::to_string).collect::<Vec<_>>().join(": ");
        let known = VERDICTS.iter().find(|(code, _)| words.contains(code));
        // The request for a token has retries of its own.
        let refused = self.mask_pin(FailedAttempt { remedy: RetryPolicy::Never, ..refusal(&TOKEN, error) });
        known.map(|(_, verdict)| verdict(refused.failure.message.clone())).ok_or(refused)
    }

    /// Removes the PIN from the message of a refusal. Adds advice if the token is that of a login.
    pub(crate) fn mask_pin(&self, mut refused: FailedAttempt) -> FailedAttempt {
        let failure = &mut refused.failure;
        if let (Credential::Login, Some(pin)) = (self.settings.credential, &self.settings.client_secret) {
            failure.message = mask_pin(&failure.message, pin.expose());
            if failure.cause == Cause::Credentials && failure.operation != LOGIN {
                failure.message = format!("{}; {LOGIN_ADVICE}", failure.message);
            }
        }
        refused
    }
}

/// Codes of Entra that concern the secret itself.
#[rustfmt::skip]
const VERDICTS: &[(&str, ParseVerdict)] = &[
    ("AADSTS7000222:", Verdict::Expired),
    ("AADSTS7000215:", Verdict::Incorrect),
    ("AADSTS70002:", Verdict::Incorrect),
];

const LOGIN_ADVICE: &str = "the token comes from the login (C_Login); log out, then log in with a valid client secret";
