//! The operations that read and list certificates (Key Vault REST API, "Certificates").
//!
//! Each certificate has a key and a secret of the same name and version.

use crate::azure::vault::call::Call;
use crate::azure::vault::error::VaultError;
use serde_json::{Value, json};

impl Call<'_> {
    pub(crate) fn get_certificate(&self, name: &str, version: &str) -> Result<Value, VaultError> {
        let (key, certificate) = self.find_certificate(name, version)?;
        let mut reply = self.certificate_bundle(name, &key, &certificate);
        if version.is_empty() {
            reply["policy"] = self.policy(name, &key, &certificate);
            reply["pending"] = json!({ "id": self.id("certificates", name, "pending") });
        }
        Ok(reply)
    }

    pub(crate) fn list_certificates(&self) -> Result<Value, VaultError> {
        let current = self.state.vaults.current_versions(&self.vault);
        let items = current.into_iter().filter_map(|(name, key)| {
            let item = self.certificate_item(&name, "", &key, key.certificate.as_ref()?);
            Some((name, item))
        });
        self.page(items.collect())
    }

    pub(crate) fn certificate_versions(&self, name: &str) -> Result<Value, VaultError> {
        self.find_certificate(name, "")?;
        let mut versions = self.state.vaults.versions(&self.vault, name);
        versions.sort_by(|one, other| one.version.cmp(&other.version));
        let items = versions.iter().filter_map(|key| {
            Some((key.version.clone(), self.certificate_item(name, &key.version, key, key.certificate.as_ref()?)))
        });
        self.page(items.collect())
    }
}
