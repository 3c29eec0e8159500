//! Access tokens, and what is known of them.

pub(crate) use crate::cloud::google::settings::DEFAULT_UNIVERSE;
use crate::cloud::secret::Secret;
use std::time::Duration;

/// What a request carries.
#[derive(Debug)]
pub(crate) struct AccessToken {
    /// The token of the header `Authorization: Bearer`. None if the settings want no credentials.
    pub(crate) token: Option<Secret>,
    /// The project of the header `x-goog-user-project`.
    pub(crate) quota_project: Option<String>,
    /// The domain of the universe to which the credentials belong.
    pub(crate) universe_domain: String,
    /// Whose token it is, and where its credentials are, for messages.
    pub(crate) origin: String,
}

/// A token that a source has just issued, and how long it is valid.
#[derive(Debug)]
pub(crate) struct IssuedToken {
    pub(crate) token: Secret,
    pub(crate) lifetime: Duration,
}

/// The scope of tokens for Cloud KMS. "OAuth 2.0 Scopes for Google APIs".
pub(crate) const KMS_SCOPE: &str = "https://www.googleapis.com/auth/cloudkms";

/// The scope of tokens that only serve to get the token of another account ("Method: generateAccessToken").
pub(crate) const PLATFORM_SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// The lifetime of tokens, if nothing else sets it.
pub(crate) const DEFAULT_LIFETIME: Duration = Duration::from_secs(3600);
