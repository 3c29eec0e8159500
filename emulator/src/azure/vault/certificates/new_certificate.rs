//! A certificate that is to be made.

use super::subject::Subject;
use crate::azure::vault::error::VaultError;
use crate::azure::vault::keys::VaultKey;
use crate::state::State;
use crate::state::azure::{Certificate, Version};
use serde::{Deserialize, Serialize};

/// A certificate that is to be made, with its key. As JSON: `{"key": {"kty": "RSA"}, "subject": "me", "issued": true}`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VaultCertificate {
    /// The key to make for it; P-256K has no certificates here.
    pub key: VaultKey,
    /// The common name: that of the certificate, unless said.
    #[serde(default)]
    pub subject: Option<String>,
    /// Issued by the emulator's own authority instead of self-signed.
    #[serde(default)]
    pub issued: bool,
}

impl VaultCertificate {
    /// A self-signed certificate for a new key.
    pub fn new(key: VaultKey) -> Self {
        Self { key, subject: None, issued: false }
    }

    /// Issued by the emulator's authority, whose certificate is [`crate::Emulator::ca_pem`].
    #[must_use]
    pub fn issued(mut self) -> Self {
        self.issued = true;
        self
    }

    /// With this common name.
    #[must_use]
    pub fn subject(mut self, name: &str) -> Self {
        self.subject = Some(name.to_owned());
        self
    }

    /// Makes the key and the certificate; the version is both.
    pub(crate) fn make(&self, state: &State, name: &str) -> Result<Version, VaultError> {
        let mut version = self.key.make(state)?;
        let name = format!("CN={}", self.subject.as_deref().unwrap_or(name));
        let subject = Subject { name: name.clone(), dns_names: Vec::new() };
        let der = subject.certify(state, &version, self.issued)?;
        let issuer = if self.issued { "Unknown" } else { "Self" };
        let content_type = "application/x-pkcs12".to_owned();
        version.certificate = Some(Certificate { der, issuer, subject: name, content_type });
        Ok(version)
    }
}
