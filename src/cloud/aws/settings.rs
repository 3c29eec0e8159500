//! What a slot says about AWS.

use crate::cloud::http::network::Network;
use crate::cloud::secret::Secret;

/// What a slot says about AWS. Slots with equal settings share one client.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Settings {
    /// The region; None means that of the key's ARN, else what the SDK finds.
    pub region: Option<String>,
    /// A profile of the shared configuration and credentials files.
    pub profile: Option<String>,
    /// ARN of a role to assume with those credentials.
    pub role_arn: Option<String>,
    /// The external id that the role's trust policy may ask for.
    pub external_id: Option<String>,
    /// The login that the credentials come by.
    pub login: Option<Login>,
    /// Another endpoint than the region's.
    pub endpoint_url: Option<String>,
    /// The region's FIPS endpoint; None means what the SDK finds.
    pub use_fips_endpoint: Option<bool>,
    /// The region's endpoint for IPv6, too; None means what the SDK finds.
    pub use_dualstack_endpoint: Option<bool>,
    /// How to reach it.
    pub network: Network,
}

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
    pub(crate) fn words(&self) -> &'static str {
        match self {
            Login::WebIdentityToken(_) => "a web identity token (OpenID Connect) for the role in \"aws_role_arn\"",
            Login::Profile(_) => "the name of a profile of the shared AWS configuration and credentials files",
        }
    }

    pub(crate) fn is_awaited(&self) -> bool {
        self.pin().is_none()
    }

    pub(super) fn pin(&self) -> Option<&str> {
        let (Login::WebIdentityToken(pin) | Login::Profile(pin)) = self;
        pin.as_ref().map(Secret::expose)
    }
}

impl Settings {
    /// The profile, be it of the settings or of the login.
    pub(crate) fn profile(&self) -> Option<&str> {
        match &self.login {
            Some(Login::Profile(name)) => name.as_ref().map(Secret::expose),
            _ => self.profile.as_deref(),
        }
    }
}

pub(crate) fn place(settings: &Settings) -> String {
    match (&settings.endpoint_url, &settings.region) {
        (Some(url), _) => format!("AWS KMS at {}", crate::cloud::http::endpoint::shown_url(url)),
        (None, Some(region)) => format!("AWS KMS in {region}"),
        (None, None) => "AWS KMS".to_owned(),
    }
}
