//! What a configuration says: slots, their keys and their services.

use super::management::Management;
use super::quirks::Manner;
use crate::certificate::Certificate;
use crate::cloud::{KeyName, ListedKey, Secret, aws, azure};
use std::path::PathBuf;
use std::sync::Arc;

/// One slot with its token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The token's label in full; CK_TOKEN_INFO cuts it to 32 bytes.
    pub label: String,
    /// Where its keys live: slots that follow each other share it.
    pub service: Arc<Service>,
    /// Its keys.
    pub keys: Keys,
    /// Names of key kinds that the token does not show: "secp256k1", "rsa2048", ... as [`crate::key::Kind::name`] gives them.
    pub hide_keys: Vec<String>,
    /// What it does otherwise than others.
    pub manner: Manner,
    /// What programs may change in the service; None where that is nothing.
    pub management: Option<Arc<Management>>,
}

/// The keys of a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keys {
    /// Those that the configuration names.
    Named(Vec<Key>),
    /// Every usable key that the service lists.
    Discover,
    /// Some that the service has listed (legacy mode only).
    Listed(Vec<ListedKey>),
}

/// A configured key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its name for the service; the id's bytes are CKA_ID.
    pub name: KeyName,
    /// CKA_LABEL of its objects.
    pub label: String,
    /// Where its certificate comes from.
    pub certificate: CertificateSource,
}

impl Key {
    /// A key that a service has listed: its name is its label, too.
    pub fn listed(name: KeyName) -> Self {
        Self { label: name.id.clone(), name, certificate: CertificateSource::Service }
    }
}

/// Where a key's certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateSource {
    /// The service, where it keeps certificates (Key Vault does, KMS does not); else there is none.
    Service,
    /// It stands in the configuration; its chain follows it.
    Inline(Vec<Certificate>),
    /// A PEM file, read when the certificate is first needed.
    File(PathBuf),
}

/// A cloud and its settings. Equal ones share one client.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    /// AWS KMS.
    Aws(aws::Settings),
    /// Azure Key Vault or Managed HSM.
    Azure(azure::Settings),
}

impl Service {
    /// How to reach it.
    pub fn network(&self) -> &crate::cloud::Network {
        match self {
            Service::Aws(settings) => &settings.network,
            Service::Azure(settings) => &settings.network,
        }
    }

    /// Whether there is a secret among its settings: an application's, or a proxy's password.
    pub(crate) fn holds_secret(&self) -> bool {
        let has_password = |proxy: &Secret| proxy.expose().contains('@');
        let secret = match self {
            Service::Aws(_) => None,
            Service::Azure(settings) => settings.client_secret.as_ref(),
        };
        secret.is_some() || self.network().proxy.as_ref().is_some_and(has_password)
    }

    /// Whether its credential comes by C_Login, which is each token's own matter.
    pub fn wants_login(&self) -> bool {
        match self {
            Service::Aws(settings) => settings.login.is_some(),
            Service::Azure(settings) => settings.credential == azure::Credential::Login,
        }
    }

    /// The backend for these settings: no request, no file read.
    pub fn open(&self) -> crate::cloud::SharedBackend {
        match self {
            Service::Aws(settings) => aws::open(settings.clone()),
            Service::Azure(settings) => azure::open(settings.clone()),
        }
    }
}
