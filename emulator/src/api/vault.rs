//! The vaults of an emulator, for Rust tests: their keys and certificates.

use crate::azure::vault::{VaultCertificate, VaultError, VaultKey};
use crate::state::State;
use crate::state::azure::{HSM, NoSuchKey, Version};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io;

/// A version of a key, and of the certificate that comes with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VaultKeyId {
    /// The name.
    pub name: String,
    /// The version.
    pub version: String,
    /// `https://host/keys/name/version`, with the host under which the vault is reached.
    pub kid: String,
}

/// One vault or Managed HSM. The vault `default` is the one reached as `127.0.0.1` or `localhost`.
#[derive(Clone)]
pub struct Vault<'a> {
    pub(crate) state: &'a State,
    /// The name in the store.
    pub(crate) name: String,
}

impl Vault<'_> {
    /// Makes a key, or a new version of one.
    pub fn create_key(&self, name: &str, key: VaultKey) -> io::Result<VaultKeyId> {
        let version = key.make(self.state)?;
        Ok(self.insert(name, version))
    }

    /// A new version of the same type.
    pub fn rotate_key(&self, name: &str) -> io::Result<VaultKeyId> {
        let mut version = self.state.vaults.find(&self.name, name, "")?;
        version.material = self.state.materials.fresh(version.material.family)?;
        version.version = self.state.ids.hex();
        version.created = self.state.clock.now();
        (version.updated, version.certificate) = (version.created, None);
        Ok(self.insert(name, version))
    }

    /// Makes a certificate and its key, or a new version of both.
    pub fn create_certificate(&self, name: &str, certificate: VaultCertificate) -> io::Result<VaultKeyId> {
        let version = certificate.make(self.state, name)?;
        Ok(self.insert(name, version))
    }

    /// Enables or disables a version, or the current one if `version` is empty.
    pub fn set_enabled(&self, name: &str, version: &str, enabled: bool) -> io::Result<()> {
        Ok(self.state.vaults.change(&self.name, name, version, |key| key.enabled = enabled)?)
    }

    /// Sets the time before which and after which a version may not be used.
    pub fn set_validity(
        &self,
        name: &str,
        version: &str,
        not_before: Option<i64>,
        expires: Option<i64>,
    ) -> io::Result<()> {
        Ok(self.state.vaults.change(&self.name, name, version, |key| {
            (key.not_before, key.expires) = (not_before, expires);
        })?)
    }

    /// Deletes a key with all its versions; its certificate goes with it.
    pub fn delete_key(&self, name: &str) -> io::Result<()> {
        Ok(self.state.vaults.delete(&self.name, name, self.state.clock.now())?)
    }

    /// The current version of a key.
    pub fn current(&self, name: &str) -> io::Result<VaultKeyId> {
        let version = self.state.vaults.find(&self.name, name, "")?;
        Ok(self.id(name, version.version))
    }

    /// The tags of the current version of a key.
    pub fn tags(&self, name: &str) -> io::Result<BTreeMap<String, String>> {
        Ok(self.state.vaults.find(&self.name, name, "")?.tags)
    }

    /// The public key of a version in SubjectPublicKeyInfo; of the current one if `version` is empty.
    pub fn public_key_spki(&self, name: &str, version: &str) -> io::Result<Vec<u8>> {
        Ok(self.state.vaults.find(&self.name, name, version)?.material.spki.clone())
    }

    /// The certificate of a version in DER; of the current one if `version` is empty.
    pub fn certificate_der(&self, name: &str, version: &str) -> io::Result<Vec<u8>> {
        let found = self.state.vaults.find(&self.name, name, version)?;
        let missing = || io::Error::new(io::ErrorKind::NotFound, format!("{name} has no certificate"));
        found.certificate.map(|certificate| certificate.der).ok_or_else(missing)
    }

    /// Behaves as a Managed HSM also when reached as `127.0.0.1`, `localhost` or `NAME.localhost`.
    pub fn behave_as_hsm(&self, hsm: bool) {
        self.state.vaults.vaults().entry(self.name.clone()).or_default().hsm = hsm;
    }

    fn insert(&self, name: &str, version: Version) -> VaultKeyId {
        let id = self.id(name, version.version.clone());
        self.state.vaults.insert(&self.name, name, version);
        id
    }

    fn id(&self, name: &str, version: String) -> VaultKeyId {
        let host = match (self.name.as_str(), self.name.strip_suffix(HSM)) {
            ("default", _) => format!("127.0.0.1:{}", self.state.port),
            (_, Some(hsm)) => format!("{hsm}.managedhsm.azure.net"),
            (vault, None) => format!("{vault}.vault.azure.net"),
        };
        VaultKeyId { name: name.to_owned(), kid: format!("https://{host}/keys/{name}/{version}"), version }
    }
}

impl From<VaultError> for io::Error {
    fn from(error: VaultError) -> Self {
        let kind = if error.status == 404 { io::ErrorKind::NotFound } else { io::ErrorKind::InvalidInput };
        Self::new(kind, format!("{}: {}", error.code, error.message))
    }
}

impl From<NoSuchKey> for io::Error {
    fn from(error: NoSuchKey) -> Self {
        VaultError::from(error).into()
    }
}
