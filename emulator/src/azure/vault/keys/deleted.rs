//! Keys that were deleted and can be recovered (Key Vault REST API, "Deleted keys").

use crate::azure::vault::call::Call;
use crate::azure::vault::error::VaultError;
use serde_json::Value;

impl Call<'_> {
    pub(crate) fn delete_key(&self, name: &str) -> Result<Value, VaultError> {
        self.find(name, "")?;
        self.state.vaults.delete(&self.vault, name, self.now)?;
        self.get_deleted_key(name)
    }

    pub(crate) fn list_deleted_keys(&self) -> Result<Value, VaultError> {
        let deleted = {
            let vaults = self.state.vaults.vaults();
            vaults.get(&self.vault).map(|vault| vault.deleted.clone()).unwrap_or_default()
        };
        let items = deleted.into_iter().filter_map(|(name, deleted)| {
            let item = self.with_dates("deletedkeys", &name, &deleted, self.item(&name, "", deleted.versions.last()?));
            Some((name, item))
        });
        self.page(items.collect())
    }

    pub(crate) fn get_deleted_key(&self, name: &str) -> Result<Value, VaultError> {
        let (deleted, current) = self.deleted(name)?;
        Ok(self.with_dates("deletedkeys", name, &deleted, self.bundle(name, &current)))
    }

    pub(crate) fn recover_key(&self, name: &str) -> Result<Value, VaultError> {
        self.deleted(name)?;
        self.state.vaults.recover(&self.vault, name);
        self.get_key(name, "")
    }

    pub(crate) fn purge_key(&self, name: &str) -> Result<(), VaultError> {
        self.deleted(name)?;
        self.state.vaults.purge(&self.vault, name);
        Ok(())
    }
}
