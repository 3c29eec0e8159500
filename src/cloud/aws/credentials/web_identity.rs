//! Credentials for a web identity token that was passed to C_Login.
//!
//! API reference: AssumeRoleWithWebIdentity of the AWS Security Token Service API Reference.

use crate::cloud::aws::settings::{Login, Settings};
use crate::cloud::secret::Secret;
use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::{self, ProvideCredentials, error::CredentialsError, future};
use std::time::SystemTime;

/// Assumes the role of the settings with the token of the login. When the credentials expire, STS is asked for new
/// ones, as long as the token is valid.
#[derive(Debug)]
pub(crate) struct WebIdentity {
    sts: aws_sdk_sts::Client,
    role: String,
    token: Secret,
}

impl WebIdentity {
    /// Returns the provider after a login with a web identity token, and None in all other cases.
    pub(crate) fn of(settings: &Settings, sdk: &SdkConfig) -> Option<Self> {
        let Some(Login::WebIdentityToken(Some(token))) = &settings.login else { return None };
        let role = settings.role_arn.clone().unwrap_or_default();
        Some(Self { sts: aws_sdk_sts::Client::new(sdk), role, token: token.clone() })
    }

    async fn credentials(&self) -> provider::Result {
        let request = self.sts.assume_role_with_web_identity().role_arn(&self.role);
        let request = request.role_session_name("cloud-kms-pkcs11").web_identity_token(self.token.expose());
        let reply = request.send().await.map_err(CredentialsError::provider_error)?;
        let own = reply
            .credentials
            .ok_or_else(|| CredentialsError::provider_error("the reply of STS lacks the credentials"))?;
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
