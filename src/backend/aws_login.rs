//! Logins to AWS: the PIN is an OpenID Connect token that STS gives credentials for, or the name of a profile.
//!
//! API reference: AssumeRoleWithWebIdentity of the AWS Security Token Service API Reference.

use super::aws::Settings;
use super::aws_client::Clients;
use super::aws_errors::ADVICE;
use super::call::{Call, Refused};
use super::http::{causes, words_of};
use super::login::{Doors, LOGIN, Saying, Verdict, masked};
use super::obstacle::Obstacle;
use super::{Cause, Failure, Secret};
use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::{
    self, ProvideCredentials, SharedCredentialsProvider, error::CredentialsError, future,
};
use aws_sdk_sts::error::ProvideErrorMetadata;
use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityError;
use aws_types::os_shim_internal::{Env, Fs};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// What the PIN is; and the PIN, once there is one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Login {
    /// An OpenID Connect token, for the role of the settings.
    WebIdentityToken(Option<Secret>),
    /// A profile of the shared configuration and credentials files.
    Profile(Option<Secret>),
}

impl Login {
    /// What the PIN is, for messages.
    pub(super) fn words(&self) -> &'static str {
        match self {
            Login::WebIdentityToken(_) => "a web identity token (OpenID Connect) for the role in \"aws_role_arn\"",
            Login::Profile(_) => "the name of a profile of the shared AWS configuration and credentials files",
        }
    }

    pub(super) fn is_awaited(&self) -> bool {
        self.pin().is_none()
    }

    fn pin(&self) -> Option<&str> {
        let (Login::WebIdentityToken(pin) | Login::Profile(pin)) = self;
        pin.as_ref().map(Secret::expose)
    }
}

impl Settings {
    /// The profile, be it of the settings or of the login.
    pub(super) fn profile(&self) -> Option<&str> {
        match &self.login {
            Some(Login::Profile(name)) => name.as_ref().map(Secret::expose),
            _ => self.profile.as_deref(),
        }
    }
}

impl Doors for Clients {
    type Settings = Settings;

    fn made(settings: Settings) -> Self {
        Clients::new(settings)
    }

    fn with_pin(settings: &Settings, pin: Secret) -> Settings {
        let login = settings.login.as_ref().map(|login| match login {
            Login::WebIdentityToken(_) => Login::WebIdentityToken(Some(pin)),
            Login::Profile(_) => Login::Profile(Some(pin)),
        });
        Settings { login, ..settings.clone() }
    }

    /// Credentials are good enough: whether they let anybody use a key depends on the key.
    async fn check(self: Arc<Self>) -> Result<Verdict, Failure> {
        let what = format!("{LOGIN} to {}", self.place(self.settings.region.as_deref()));
        let call = Call { operation: LOGIN, what: &what, network: &self.settings.network, turns: None };
        // The credentials have repetitions of their own.
        call.made(async || self.verdict().await.map_err(|refused| self.of_login(refused)), |_, _| {}).await
    }
}

impl Clients {
    async fn verdict(&self) -> Result<Verdict, Refused> {
        if let Some(Login::Profile(Some(name))) = &self.settings.login
            && !is_profile(name.expose()).await?
        {
            return Ok(Verdict::Wrong(
                "the shared AWS configuration and credentials files have no such profile".into(),
            ));
        }
        let region = self.settings.region.as_deref();
        let provider = Box::pin(self.credentials(region)).await;
        let (_, provider) = provider.map_err(|obstacle| obstacle.failure(LOGIN))?;
        match provider.provide_credentials().await {
            Ok(credentials) => {
                self.first.keep(credentials);
                Ok(Verdict::Good)
            }
            Err(error) => self.refusal(&error).ok_or_else(|| match Obstacle::within(&error) {
                Some(obstacle) => obstacle.failure(LOGIN).into(),
                None => Failure::new(Cause::Credentials, LOGIN, words_of(&error)).into(),
            }),
        }
    }

    /// What STS says of the token itself.
    fn refusal(&self, error: &CredentialsError) -> Option<Verdict> {
        let Some(Login::WebIdentityToken(Some(token))) = &self.settings.login else { return None };
        let refused = causes(error).find_map(|error| error.downcast_ref::<AssumeRoleWithWebIdentityError>())?;
        let code = refused.code()?;
        let (_, verdict) = VERDICTS.iter().find(|(known, _)| *known == code)?;
        let words = format!("STS: {code}: {}", refused.message().unwrap_or_default());
        Some(verdict(masked(&words, token.expose())))
    }

    /// A refusal never quotes the PIN, and says what helps where the credentials came by one.
    pub(super) fn of_login(&self, mut refused: Refused) -> Refused {
        let Some(pin) = self.settings.login.as_ref().and_then(Login::pin) else { return refused };
        let failure = &mut refused.failure;
        failure.message = masked(&failure.message, pin);
        if failure.cause == Cause::Credentials && failure.operation != LOGIN {
            let words = failure.message.strip_suffix(ADVICE).unwrap_or(&failure.message).trim_end_matches("; ");
            failure.message = format!("{words}; {AGAIN}");
        }
        refused
    }
}

/// Codes of AssumeRoleWithWebIdentity that are about the token. AccessDenied: the role is not for whom it names.
#[rustfmt::skip]
const VERDICTS: &[(&str, Saying)] = &[
    ("InvalidIdentityToken", Verdict::Wrong),
    ("IDPRejectedClaim", Verdict::Wrong),
    ("AccessDenied", Verdict::Wrong),
    ("ExpiredTokenException", Verdict::Expired),
    ("ExpiredToken", Verdict::Expired),
];

const AGAIN: &str =
    "the credentials are those of the login (C_Login): log out and in again with a PIN that is good now";

async fn is_profile(name: &str) -> Result<bool, Failure> {
    let own = Some(name.to_owned().into());
    let profiles = aws_config::profile::load(&Fs::real(), &Env::real(), &Default::default(), own).await;
    let profiles = profiles.map_err(|error| Failure::new(Cause::Settings, LOGIN, words_of(&error)))?;
    Ok(profiles.get_profile(name).is_some())
}

/// The role of the settings, for who has the token. STS is asked anew when the credentials expire, as long as the token
/// is good.
#[derive(Debug)]
pub(super) struct WebIdentity {
    sts: aws_sdk_sts::Client,
    role: String,
    token: Secret,
}

impl WebIdentity {
    pub(super) fn of(settings: &Settings, sdk: &SdkConfig) -> Option<Self> {
        let Some(Login::WebIdentityToken(Some(token))) = &settings.login else { return None };
        let role = settings.role_arn.clone().unwrap_or_default();
        Some(Self { sts: aws_sdk_sts::Client::new(sdk), role, token: token.clone() })
    }

    async fn credentials(&self) -> provider::Result {
        let request = self.sts.assume_role_with_web_identity().role_arn(&self.role);
        let request = request.role_session_name("cloud-kms-pkcs11").web_identity_token(self.token.expose());
        let reply = request.send().await.map_err(CredentialsError::provider_error)?;
        let own = reply.credentials.ok_or_else(|| CredentialsError::provider_error("the reply of STS holds none"))?;
        let expiry = SystemTime::try_from(own.expiration).ok();
        let (id, secret, token) = (own.access_key_id, own.secret_access_key, Some(own.session_token));
        Ok(Credentials::new(id, secret, token, expiry, "Login"))
    }
}

impl ProvideCredentials for WebIdentity {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.credentials())
    }
}

/// The credentials that a check has brought: they are used once, for the SDK keeps them then.
#[derive(Clone, Default)]
pub(super) struct First(Arc<Mutex<Option<Credentials>>>);

impl First {
    fn keep(&self, credentials: Credentials) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(credentials);
    }

    /// A provider that has these first, and then those of another.
    pub(super) fn before(&self, then: SharedCredentialsProvider) -> SharedCredentialsProvider {
        SharedCredentialsProvider::new(After { first: self.clone(), then })
    }
}

struct After {
    first: First,
    then: SharedCredentialsProvider,
}

impl ProvideCredentials for After {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let first = self.first.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        match first {
            Some(credentials) => future::ProvideCredentials::ready(Ok(credentials)),
            None => self.then.provide_credentials(),
        }
    }
}

impl fmt::Debug for After {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("After")
    }
}
