//! Configured slots, their keys and their services.

use super::management::Management;
use super::quirks::Quirks;
use crate::certificate::Certificate;
use crate::cloud::{
    CertificateName, Diagnosis, KeyName, ListedKey, Secret, ServiceSettings, SharedBackend, aws, azure, google, vault,
};
use std::path::PathBuf;
use std::sync::Arc;

/// A slot and its token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The full label of the token. CK_TOKEN_INFO truncates it to 32 bytes.
    pub label: String,
    /// The service that holds the keys. Consecutive slots with the same service may share it.
    pub service: Arc<Service>,
    /// The keys of the token.
    pub keys: Keys,
    /// The kinds of keys that the token does not show, by the names that [`crate::key::Kind::name`] returns:
    /// "secp256k1", "rsa2048".
    pub hide_keys: Vec<String>,
    /// Deviations from the default behavior.
    pub quirks: Quirks,
    /// What programs may change in the service, and the certificate store; `None` if the slot has neither.
    pub management: Option<Arc<Management>>,
}

/// The keys of a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keys {
    /// The keys that the configuration names.
    Named(Vec<Key>),
    /// Every usable key that the service lists.
    Discovered,
    /// Keys that the service has already listed (legacy mode only).
    Listed(Vec<ListedKey>),
}

/// A configured key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The name of the key in the service. The bytes of the name's id are CKA_ID.
    pub name: KeyName,
    /// CKA_LABEL of the key's objects.
    pub label: String,
    /// Where the key's certificate comes from.
    pub certificate: CertificateSource,
}

impl Key {
    /// Returns a key that a service has listed. The id in `name` is also its label.
    pub fn listed(name: KeyName) -> Self {
        Self { label: name.id.clone(), name, certificate: CertificateSource::Service }
    }
}

/// Where a key's certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateSource {
    /// The service, if it stores certificates: Key Vault does, KMS does not. Otherwise the key has no certificate.
    Service,
    /// The configuration: the key's certificate, followed by its certificate chain.
    Inline(Vec<Certificate>),
    /// A PEM, DER or PKCS#7 file, which is read when the certificate is first needed.
    File(PathBuf),
    /// A service of certificates, which is asked when the certificate is first needed (AWS).
    Named(CertificateName),
}

/// A cloud key service and its settings. Slots with equal services share one client, unless they have logins.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    /// AWS KMS.
    Aws(aws::Settings),
    /// Azure Key Vault or Managed HSM.
    Azure(azure::Settings),
    /// HashiCorp Vault or OpenBao.
    Vault(vault::Settings),
    /// Google Cloud KMS.
    Google(google::Settings),
}

impl Service {
    /// Returns the settings of the service, whichever cloud it belongs to.
    pub fn settings(&self) -> &dyn ServiceSettings {
        match self {
            Service::Aws(settings) => settings,
            Service::Azure(settings) => settings,
            Service::Vault(settings) => settings,
            Service::Google(settings) => settings,
        }
    }

    /// Opens a backend for the service. Returns `None` if this build does not support its cloud; the readers of the
    /// configuration have refused such a service.
    pub fn open(&self) -> Option<SharedBackend> {
        match self {
            #[cfg(feature = "aws")]
            Service::Aws(settings) => Some(settings.open()),
            #[cfg(feature = "azure")]
            Service::Azure(settings) => Some(settings.open()),
            #[cfg(feature = "vault")]
            Service::Vault(settings) => Some(settings.open()),
            #[cfg(feature = "google")]
            Service::Google(settings) => Some(settings.open()),
            #[allow(unreachable_patterns, reason = "without one of the features")]
            _ => None,
        }
    }

    /// Opens a backend that can also tell why its keys do or do not work. See [`Self::open`].
    pub fn diagnosis(&self) -> Option<Arc<dyn Diagnosis>> {
        match self {
            #[cfg(feature = "aws")]
            Service::Aws(settings) => Some(settings.diagnosis()),
            #[cfg(feature = "azure")]
            Service::Azure(settings) => Some(settings.diagnosis()),
            #[cfg(feature = "vault")]
            Service::Vault(settings) => Some(settings.diagnosis()),
            #[cfg(feature = "google")]
            Service::Google(settings) => Some(settings.diagnosis()),
            #[allow(unreachable_patterns, reason = "without one of the features")]
            _ => None,
        }
    }

    /// Returns whether the settings contain a secret: a credential or the password of a proxy.
    pub(crate) fn contains_secret(&self) -> bool {
        let has_password = |proxy: &Secret| proxy.expose().contains('@');
        self.settings().contains_credential() || self.settings().network().proxy.as_ref().is_some_and(has_password)
    }
}
