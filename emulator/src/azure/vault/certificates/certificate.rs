//! Certificates of a vault: each has a key and a secret of the same name and version (Key Vault REST API, "Certificates").

use super::subject::Subject;
use crate::azure::vault::keys::new_key::VaultKey;
use crate::azure::vault::{Call, VaultError};
use crate::crypto::{Family, Hash};
use crate::encoding::{base64, base64url};
use crate::state::State;
use crate::state::azure::vaults::Version;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

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

/// A certificate of a version, and what its policy says of it.
#[derive(Clone, Debug)]
pub(crate) struct Certificate {
    pub(crate) der: Vec<u8>,
    /// `Self`, or `Unknown` for an authority that the vault has no contract with.
    pub(crate) issuer: &'static str,
    /// `CN=me`.
    pub(crate) subject: String,
    /// Of the secret with the same name.
    pub(crate) content_type: String,
}

impl Call<'_> {
    fn find_certificate(&self, name: &str, version: &str) -> Result<(Version, Certificate), VaultError> {
        let found = self.state.vaults.find(&self.vault, name, version).ok();
        let found = found.and_then(|version| version.certificate.clone().map(|certificate| (version, certificate)));
        found.ok_or_else(|| {
            let id = if version.is_empty() { name.to_owned() } else { format!("{name}/{version}") };
            VaultError::new(404, "CertificateNotFound", format!(
                "A certificate with (name/id) {id} was not found in this key vault. If you recently deleted this certificate you may be able to recover it using the correct recovery command. For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182"
            ))
        })
    }

    pub(crate) fn get_certificate(&self, name: &str, version: &str) -> Result<Value, VaultError> {
        let (key, certificate) = self.find_certificate(name, version)?;
        let mut reply = self.certificate_bundle(name, &key, &certificate);
        if version.is_empty() {
            reply["policy"] = self.policy(name, &key, &certificate);
            reply["pending"] = json!({ "id": self.id("certificates", name, "pending") });
        }
        Ok(reply)
    }

    fn certificate_bundle(&self, name: &str, key: &Version, certificate: &Certificate) -> Value {
        let mut bundle = self.certificate_item(name, &key.version, key, certificate);
        bundle["kid"] = json!(self.id("keys", name, &key.version));
        bundle["sid"] = json!(self.id("secrets", name, &key.version));
        bundle["cer"] = json!(base64(&certificate.der));
        bundle
    }

    /// The key and the secret of the same name go with it.
    pub(crate) fn delete_certificate(&self, name: &str) -> Result<Value, VaultError> {
        self.find_certificate(name, "")?;
        self.state.vaults.delete(&self.vault, name, self.now)?;
        self.forget_enrolment(name);
        self.get_deleted_certificate(name)
    }

    pub(crate) fn get_deleted_certificate(&self, name: &str) -> Result<Value, VaultError> {
        let missing = || {
            let text = format!("Deleted Certificate not found: {name}");
            VaultError::new(404, "CertificateNotFound", text)
        };
        let (deleted, key) = self.deleted(name).map_err(|_| missing())?;
        let certificate = key.certificate.as_ref().ok_or_else(missing)?;
        let mut bundle = self.certificate_bundle(name, &key, certificate);
        bundle["policy"] = self.policy(name, &key, certificate);
        Ok(self.with_dates("deletedcertificates", name, &deleted, bundle))
    }

    pub(crate) fn recover_certificate(&self, name: &str) -> Result<Value, VaultError> {
        self.get_deleted_certificate(name)?;
        self.recover_key(name)?;
        self.get_certificate(name, "")
    }

    pub(crate) fn purge_certificate(&self, name: &str) -> Result<(), VaultError> {
        self.get_deleted_certificate(name)?;
        self.purge_key(name)
    }

    fn policy(&self, name: &str, key: &Version, certificate: &Certificate) -> Value {
        let mut props = json!({ "exportable": false, "kty": key.kty, "reuse_key": false });
        match key.material.family {
            Family::Rsa(bits) => props["key_size"] = json!(bits),
            family => props["crv"] = json!(crate::state::azure::vaults::curve_name(family)),
        }
        json!({
            "id": self.id("certificates", name, "policy"),
            "key_props": props,
            "secret_props": { "contentType": certificate.content_type },
            "x509_props": {
                "subject": certificate.subject, "validity_months": 12, "basic_constraints": { "ca": false },
            },
            "issuer": { "name": certificate.issuer },
        })
    }

    fn certificate_item(&self, name: &str, version: &str, key: &Version, certificate: &Certificate) -> Value {
        let mut item = json!({
            "id": self.id("certificates", name, version),
            "x5t": base64url(&Hash::Sha1.of(&certificate.der)),
            "attributes": key.attributes(),
        });
        if !key.tags.is_empty() {
            item["tags"] = json!(key.tags);
        }
        item
    }

    pub(crate) fn list_certificates(&self) -> Result<Value, VaultError> {
        let found: Vec<(String, Version)> = {
            let vaults = self.state.vaults.vaults();
            let keys = vaults.get(&self.vault).map(|vault| vault.keys.iter());
            keys.into_iter()
                .flatten()
                .filter_map(|(name, versions)| Some((name.clone(), versions.last()?.clone())))
                .collect()
        };
        let items = found.into_iter().filter_map(|(name, key)| {
            let item = self.certificate_item(&name, "", &key, key.certificate.as_ref()?);
            Some((name, item))
        });
        self.page(items.collect())
    }

    pub(crate) fn certificate_versions(&self, name: &str) -> Result<Value, VaultError> {
        self.find_certificate(name, "")?;
        let versions = {
            let vaults = self.state.vaults.vaults();
            vaults.get(&self.vault).and_then(|vault| vault.keys.get(&name.to_ascii_lowercase()).cloned())
        };
        let mut versions = versions.unwrap_or_default();
        versions.sort_by(|one, other| one.version.cmp(&other.version));
        let items = versions.iter().filter_map(|key| {
            Some((key.version.clone(), self.certificate_item(name, &key.version, key, key.certificate.as_ref()?)))
        });
        self.page(items.collect())
    }
}
