//! Keys that were deleted and can be recovered (Key Vault REST API, "Deleted keys"; vaults with soft-delete, as all are).

use crate::azure::vault::{Call, VaultError};
use crate::state::azure::vaults::{Deleted, Version};
use serde_json::{Value, json};

/// How long a deleted key can be recovered.
pub(crate) const RECOVERABLE_DAYS: i64 = 7;

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

    /// Refuses to make something under the name of a deleted key.
    pub(crate) fn check_not_deleted(&self, kind: &str, name: &str) -> Result<(), VaultError> {
        if self.deleted(name).is_err() {
            return Ok(());
        }
        let text = format!(
            "{kind} {name} is currently in a deleted but recoverable state, and its name cannot be reused; in this state, the {} can only be recovered or purged.",
            kind.to_ascii_lowercase()
        );
        let inner = Some("ObjectIsDeletedButRecoverable".to_owned());
        Err(VaultError { inner, ..VaultError::new(409, "Conflict", text) })
    }

    /// A deleted key and what was its current version.
    pub(crate) fn deleted(&self, name: &str) -> Result<(Deleted, Version), VaultError> {
        let vaults = self.state.vaults.vaults();
        let deleted = vaults.get(&self.vault).and_then(|vault| vault.deleted.get(&name.to_ascii_lowercase()));
        let found = deleted.and_then(|deleted| Some((deleted.clone(), deleted.versions.last()?.clone())));
        found.ok_or_else(|| VaultError::new(404, "KeyNotFound", format!("Deleted Key not found: {name}")))
    }

    pub(crate) fn with_dates(&self, collection: &str, name: &str, deleted: &Deleted, mut item: Value) -> Value {
        item["recoveryId"] = json!(self.id(collection, name, ""));
        item["deletedDate"] = json!(deleted.time);
        item["scheduledPurgeDate"] = json!(deleted.time + RECOVERABLE_DAYS * 86_400);
        item
    }
}
