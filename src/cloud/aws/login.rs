//! Logins to AWS. The PIN is an OpenID Connect token, for which STS issues credentials, or the name of a profile.
//!
//! API reference: AssumeRoleWithWebIdentity of the AWS Security Token Service API Reference.

use super::client::Clients;
use super::errors::CREDENTIALS_ADVICE;
use super::settings::{CLOUD, Login, Settings};
use crate::cloud::failure::error_chain::{causes, message_of};
use crate::cloud::failure::obstacle::Obstacle;
use crate::cloud::failure::refused::FailedAttempt;
use crate::cloud::failure::{Cause, Failure};
use crate::cloud::login::{LOGIN, ParseVerdict, PinClients, Verdict, mask_pin};
use crate::cloud::retry::Call;
use crate::cloud::secret::Secret;
use aws_credential_types::provider::{ProvideCredentials, error::CredentialsError};
use aws_sdk_sts::error::ProvideErrorMetadata;
use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityError;
use aws_types::os_shim_internal::{Env, Fs};
use std::sync::Arc;

impl PinClients for Clients {
    type Settings = Settings;

    fn new(settings: Settings) -> Self {
        Clients::new(settings)
    }

    fn pin_description(settings: &Settings) -> &'static str {
        settings.login.as_ref().map_or("", Login::pin_description)
    }

    fn with_pin(settings: &Settings, pin: Secret) -> Settings {
        let login = settings.login.as_ref().map(|login| match login {
            Login::WebIdentityToken(_) => Login::WebIdentityToken(Some(pin)),
            Login::Profile(_) => Login::Profile(Some(pin)),
        });
        Settings { login, ..settings.clone() }
    }

    /// Checks that the login yields credentials. Whether the credentials permit the use of a key depends on the
    /// key.
    async fn check(self: Arc<Self>) -> Result<Verdict, Failure> {
        let what = format!("{LOGIN} to {}", self.place(self.settings.region.as_deref()));
        let call = Call::new(CLOUD, LOGIN, &what, &self.settings.network);
        // The requests for credentials have retries of their own.
        call.run(async || self.verdict().await.map_err(|refused| self.mask_pin(refused)), |_, _| {}).await
    }
}

impl Clients {
    async fn verdict(&self) -> Result<Verdict, FailedAttempt> {
        if let Some(Login::Profile(Some(name))) = &self.settings.login
            && !profile_exists(name.expose()).await?
        {
            return Ok(Verdict::Incorrect(
                "the shared AWS configuration and credentials files do not contain this profile".into(),
            ));
        }
        let region = self.settings.region.as_deref();
        let provider = Box::pin(self.credentials(region)).await;
        let (_, provider) = provider.map_err(|obstacle| obstacle.failure(LOGIN))?;
        match provider.provide_credentials().await {
            Ok(credentials) => {
                self.login_credentials.store(credentials);
                Ok(Verdict::Good)
            }
            Err(error) => self.token_verdict(&error).ok_or_else(|| match Obstacle::find_in(&error) {
                Some(obstacle) => obstacle.failure(LOGIN).into(),
                None => Failure::new(Cause::Credentials, LOGIN, message_of(&error)).into(),
            }),
        }
    }

    /// Returns the verdict of STS on the token itself, if there is one.
    fn token_verdict(&self, error: &CredentialsError) -> Option<Verdict> {
        let Some(Login::WebIdentityToken(Some(token))) = &self.settings.login else { return None };
        let refused = causes(error).find_map(|error| error.downcast_ref::<AssumeRoleWithWebIdentityError>())?;
        let code = refused.code()?;
        let (_, verdict) = VERDICTS.iter().find(|(known, _)| *known == code)?;
        let words = format!("STS: {code}: {}", refused.message().unwrap_or_default());
        Some(verdict(mask_pin(&words, token.expose())))
    }

    /// Removes the PIN from the message of a refusal. Adds advice if the credentials are those of a login.
    pub(crate) fn mask_pin(&self, mut refused: FailedAttempt) -> FailedAttempt {
        let Some(pin) = self.settings.login.as_ref().and_then(Login::pin) else { return refused };
        let failure = &mut refused.failure;
        failure.message = mask_pin(&failure.message, pin);
        if failure.cause == Cause::Credentials && failure.operation != LOGIN {
            let words =
                failure.message.strip_suffix(CREDENTIALS_ADVICE).unwrap_or(&failure.message).trim_end_matches("; ");
            failure.message = format!("{words}; {LOGIN_ADVICE}");
        }
        refused
    }
}

/// Codes of AssumeRoleWithWebIdentity that concern the token. AccessDenied: the role is not intended for the
/// identity that the token names.
#[rustfmt::skip]
const VERDICTS: &[(&str, ParseVerdict)] = &[
    ("InvalidIdentityToken", Verdict::Incorrect),
    ("IDPRejectedClaim", Verdict::Incorrect),
    ("AccessDenied", Verdict::Incorrect),
    ("ExpiredTokenException", Verdict::Expired),
    ("ExpiredToken", Verdict::Expired),
];

const LOGIN_ADVICE: &str = "these credentials come from the login (C_Login); log out, then log in with a valid PIN";

async fn profile_exists(name: &str) -> Result<bool, Failure> {
    let own = Some(name.to_owned().into());
    let profiles = aws_config::profile::load(&Fs::real(), &Env::real(), &Default::default(), own).await;
    let profiles = profiles.map_err(|error| Failure::new(Cause::Settings, LOGIN, message_of(&error)))?;
    Ok(profiles.get_profile(name).is_some())
}
