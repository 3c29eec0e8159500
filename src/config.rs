//! The configuration: what the rest of the module sees of it.

use crate::backend::{KeyName, aws, azure};
use crate::certificate::Certificate;
use crate::logging::Level;
use std::path::PathBuf;

/// All that was configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// The slots, in their order; a slot's id is its position.
    pub slots: Vec<Slot>,
    /// Services that are to be listed at the first C_GetSlotList, one slot per key, after `slots` (legacy mode only).
    pub listed: Vec<Service>,
    /// The level of the log; None means the default.
    pub log_level: Option<Level>,
    /// A file that the log is appended to instead of standard error.
    pub log_file: Option<PathBuf>,
}

/// One slot with its token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The token's label in full; CK_TOKEN_INFO cuts it to 32 bytes.
    pub label: String,
    /// Where its keys live.
    pub service: Service,
    /// Its keys.
    pub keys: Keys,
    /// Names of key kinds that the token does not show: "secp256k1", "rsa2048", ... as [`crate::key::Kind::name`] gives them.
    pub hide_keys: Vec<String>,
    /// CKM_RSA_PKCS given a bare digest of 32, 48 or 64 bytes signs it as SHA-256, SHA-384 or SHA-512.
    pub accept_bare_digest: bool,
}

/// The keys of a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keys {
    /// Those that the configuration names.
    Named(Vec<Key>),
    /// Every usable key that the service lists.
    Discover,
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

impl Config {
    /// Reads the configuration from where the environment and the platform's conventions put it.
    pub fn load() -> Result<Config, crate::error::Error> {
        todo!()
    }
}

impl Service {
    /// How to reach it.
    pub fn network(&self) -> &crate::backend::Network {
        match self {
            Service::Aws(settings) => &settings.network,
            Service::Azure(settings) => &settings.network,
        }
    }

    /// The backend for these settings: no request, no file read.
    pub fn open(&self) -> crate::backend::SharedBackend {
        match self {
            Service::Aws(settings) => aws::open(settings.clone()),
            Service::Azure(settings) => azure::open(settings.clone()),
        }
    }
}
