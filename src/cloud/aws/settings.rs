//! The AWS settings of a slot.

use crate::cloud::backend::ServiceSettings;
use crate::cloud::http::network::Network;
use crate::cloud::secret::Secret;

/// The AWS settings of a slot. Slots with equal settings share one client.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Settings {
    /// The region. None means the region of the key's ARN, or else the region that the SDK finds.
    pub region: Option<String>,
    /// The regions with replicas of the multi-Region keys, in the order in which they are tried after the key's
    /// own region.
    pub failover_regions: Vec<String>,
    /// The name of a profile in the shared configuration and credentials files.
    pub profile: Option<String>,
    /// The ARN of a role. It is assumed with the credentials of the other settings, or with the token of a login.
    pub role_arn: Option<String>,
    /// The external ID that the trust policy of the role may require.
    pub external_id: Option<String>,
    /// The login that provides the credentials. None means that no login is necessary.
    pub login: Option<Login>,
    /// The URL of an endpoint to use instead of the region's endpoint.
    pub endpoint_url: Option<String>,
    /// Whether to use the region's FIPS endpoint. None means what the SDK finds.
    pub use_fips_endpoint: Option<bool>,
    /// Whether to use the region's dual-stack endpoint, which supports IPv6 as well. None means what the SDK
    /// finds.
    pub use_dualstack_endpoint: Option<bool>,
    /// How to reach the service.
    pub network: Network,
}

/// The name of the cloud, as in the option `cloud`.
pub(crate) const CLOUD: &str = "aws";

impl ServiceSettings for Settings {
    fn cloud_and_place(&self) -> (&'static str, String) {
        (CLOUD, self.region.clone().or_else(|| self.endpoint_url.clone()).unwrap_or_default())
    }

    fn network(&self) -> &Network {
        &self.network
    }

    fn contains_credential(&self) -> bool {
        false
    }

    fn needs_login(&self) -> bool {
        self.login.is_some()
    }
}

/// What the PIN is. The value is the PIN, or None before the login.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Login {
    /// An OpenID Connect token for the role of the settings.
    WebIdentityToken(Option<Secret>),
    /// The name of a profile in the shared configuration and credentials files.
    Profile(Option<Secret>),
}

impl Login {
    /// Returns what the PIN is, for messages.
    pub(crate) fn pin_description(&self) -> &'static str {
        match self {
            Login::WebIdentityToken(_) => "a web identity token (OpenID Connect) for the role in \"aws_role_arn\"",
            Login::Profile(_) => "the name of a profile of the shared AWS configuration and credentials files",
        }
    }

    /// Returns whether the PIN is not known yet.
    pub(crate) fn is_pin_missing(&self) -> bool {
        self.pin().is_none()
    }

    pub(super) fn pin(&self) -> Option<&str> {
        let (Login::WebIdentityToken(pin) | Login::Profile(pin)) = self;
        pin.as_ref().map(Secret::expose)
    }
}

impl Settings {
    /// Returns the profile of the settings or of the login.
    pub(crate) fn profile(&self) -> Option<&str> {
        match &self.login {
            Some(Login::Profile(name)) => name.as_ref().map(Secret::expose),
            _ => self.profile.as_deref(),
        }
    }

    /// Returns what selects the account and the region: settings and variables of the environment. Nothing of it is secret.
    pub(crate) fn account(&self) -> String {
        let variables = ACCOUNT_VARIABLES.map(|name| std::env::var(name).unwrap_or_default()).join("\0");
        let own = [self.profile(), self.role_arn.as_deref()].map(Option::unwrap_or_default).join("\0");
        format!("{own}\0{variables}")
    }
}

/// The variables that select an account or a region.
const ACCOUNT_VARIABLES: [&str; 8] = [
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_ACCESS_KEY_ID",
    "AWS_ROLE_ARN",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
];

/// Returns the service with its endpoint or region, for log lines.
pub(crate) fn service_description(settings: &Settings) -> String {
    match (&settings.endpoint_url, &settings.region) {
        (Some(url), _) => format!("AWS KMS at {}", crate::cloud::http::endpoint::url_without_credentials(url)),
        (None, Some(region)) => format!("AWS KMS in {region}"),
        (None, None) => "AWS KMS".to_owned(),
    }
}
