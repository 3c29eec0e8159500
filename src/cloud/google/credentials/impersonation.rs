//! Tokens of a service account that other credentials may impersonate.
//!
//! "Method: projects.serviceAccounts.generateAccessToken" of the IAM Service Account Credentials API.

use super::access_token::{DEFAULT_LIFETIME, IssuedToken};
use super::token_error::NO_ADVICE;
use super::token_server::Context;
use crate::cloud::failure::refused::FailedAttempt;
use crate::cloud::secret::Secret;
use http::HeaderValue;
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;
use zeroize::Zeroizing;

/// A service account that is impersonated.
#[derive(Clone, Debug)]
pub(crate) struct Impersonated {
    /// The URL of the method, and the member of the file or the option that names it.
    pub(crate) url: String,
    pub(crate) named_by: &'static str,
    /// The chain of service accounts of which each may impersonate the next one.
    pub(crate) delegates: Vec<String>,
    pub(crate) lifetime: Duration,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GeneratedToken {
    access_token: Zeroizing<String>,
}

impl Impersonated {
    /// Returns the service account with this email address.
    ///
    /// # Errors
    /// Fails if this can't be an address.
    pub(crate) fn by_email(email: &str, universe: &str) -> Result<Self, String> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"@.-_+:".contains(&byte);
        if email.is_empty() || !email.bytes().all(is_plain) {
            return Err(format!(
                "the option \"{OPTION}\" is {email:?}, which is not the email address of a service account"
            ));
        }
        let account = format!("projects/-/serviceAccounts/{email}");
        Ok(Self {
            url: format!("https://iamcredentials.{universe}/v1/{account}:generateAccessToken"),
            named_by: OPTION,
            delegates: Vec::new(),
            lifetime: DEFAULT_LIFETIME,
        })
    }

    /// Returns the email address of the service account, for messages.
    pub(crate) fn email(&self) -> &str {
        let last = self.url.rsplit('/').next().unwrap_or_default();
        last.trim_end_matches(":generateAccessToken")
    }

    /// Requests a token of the service account with the token of the credentials that impersonate it.
    pub(crate) async fn token(
        &self,
        context: &Context<'_>,
        source: &Secret,
        scope: &str,
    ) -> Result<IssuedToken, FailedAttempt> {
        let url = context.token_url(&self.url, self.named_by)?;
        let mut body = json!({ "scope": [scope], "lifetime": format!("{}s", self.lifetime.as_secs()) });
        if !self.delegates.is_empty() {
            body["delegates"] = json!(self.delegates);
        }
        let value = Zeroizing::new(format!("Bearer {}", source.expose()));
        let authorization = HeaderValue::from_str(&value);
        let authorization = authorization.map_err(|_| context.bad_credentials("the token is not one of Google"))?;
        let reply: GeneratedToken = context.post_json(url, &body, authorization, &NO_ADVICE).await?;
        // The end in the reply is not used, because it would be compared with the clock of this machine.
        context.issued(&reply.access_token, self.lifetime)
    }
}

const OPTION: &str = "google_impersonate_service_account";
