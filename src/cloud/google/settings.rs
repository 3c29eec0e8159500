//! The Google settings of a slot.

use crate::cloud::backend::ServiceSettings;
use crate::cloud::http::network::Network;
use std::path::PathBuf;

/// The settings of a slot whose keys are in Google Cloud KMS. Slots with equal settings share one client.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Settings {
    /// The URL of another endpoint (regional, restricted, private), without a trailing slash. None means
    /// `https://cloudkms.` and the domain of the universe.
    pub endpoint_url: Option<String>,
    /// The domain of the universe. None means that of the credentials, which usually is `googleapis.com`.
    pub universe_domain: Option<String>,
    /// The key ring whose keys are listed, in which keys are created, and whose location generates random bytes:
    /// `projects/P/locations/L/keyRings/R`.
    pub key_ring: Option<String>,
    /// The versions that a listing has.
    pub versions: Versions,
    /// Whether a listing leaves out keys with the protection level SOFTWARE.
    pub hides_software_keys: bool,
    /// The protection level of created keys.
    pub protection_level: ProtectionLevel,
    /// Where access tokens come from.
    pub credentials: Credentials,
    /// The email address of a service account that is impersonated with these credentials.
    pub impersonated_account: Option<String>,
    /// The project that is charged, if it is not that of the credentials.
    pub quota_project: Option<String>,
    /// How to reach the service.
    pub network: Network,
}

/// The domain of Google's own universe.
pub(crate) const DEFAULT_UNIVERSE: &str = "googleapis.com";

/// The name of the cloud, as in the option `cloud`.
pub(crate) const CLOUD: &str = "google";

impl ServiceSettings for Settings {
    fn cloud_and_place(&self) -> (&'static str, String) {
        // The name of a key is the same at every endpoint.
        let universe = self.universe_domain.as_deref().filter(|domain| *domain != DEFAULT_UNIVERSE);
        (CLOUD, universe.unwrap_or_default().to_owned())
    }

    fn listing_scope(&self) -> String {
        self.key_ring.clone().unwrap_or_default()
    }

    fn network(&self) -> &Network {
        &self.network
    }

    fn contains_credential(&self) -> bool {
        false
    }

    fn needs_login(&self) -> bool {
        false
    }
}

/// The versions of a key that a listing has. Only enabled versions are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Versions {
    /// Every version is a key.
    #[default]
    All,
    /// The version with the highest number is a key.
    Newest,
}

/// ProtectionLevel of created keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ProtectionLevel {
    /// HSM.
    #[default]
    Hsm,
    /// SOFTWARE.
    Software,
}

/// Where access tokens come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Credentials {
    /// No credentials: requests have no token. For emulators.
    None,
    /// A file of one of the types of Application Default Credentials: `service_account`, `authorized_user`,
    /// `external_account`, `external_account_authorized_user`, `impersonated_service_account`.
    File(PathBuf),
    /// A file of that kind that `gcloud auth application-default login` writes, if it exists; otherwise the metadata
    /// server.
    FileOrMetadata(PathBuf),
    /// The metadata server of the machine.
    #[default]
    Metadata,
}
