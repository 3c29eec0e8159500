//! Certificates that were deleted and can be recovered (Key Vault REST API, "Deleted certificates").

use crate::azure::vault::call::Call;
use crate::azure::vault::error::VaultError;
use serde_json::Value;

impl Call<'_> {
    /// The key and the secret of the same name go with it.
    pub(crate) fn delete_certificate(&self, name: &str) -> Result<Value, VaultError> {
        self.find_certificate(name, "")?;
        self.state.vaults.delete(&self.vault, name, self.now)?;
        self.state.vaults.forget_enrolment(&self.vault, name);
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
}
