//! Soft-delete: a deleted key keeps its name, and can be recovered for some days. All vaults have it.

use super::call::Call;
use super::error::VaultError;
use crate::state::azure::{Deleted, Version};
use serde_json::{Value, json};

/// How long a deleted key can be recovered.
pub(super) const RECOVERABLE_DAYS: i64 = 7;

impl Call<'_> {
    /// Refuses to make something under the name of a deleted key.
    pub(super) fn check_not_deleted(&self, kind: &str, name: &str) -> Result<(), VaultError> {
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
    pub(super) fn deleted(&self, name: &str) -> Result<(Deleted, Version), VaultError> {
        let vaults = self.state.vaults.vaults();
        let deleted = vaults.get(&self.vault).and_then(|vault| vault.deleted.get(&name.to_ascii_lowercase()));
        let found = deleted.and_then(|deleted| Some((deleted.clone(), deleted.versions.last()?.clone())));
        found.ok_or_else(|| VaultError::new(404, "KeyNotFound", format!("Deleted Key not found: {name}")))
    }

    pub(super) fn with_dates(&self, collection: &str, name: &str, deleted: &Deleted, mut item: Value) -> Value {
        item["recoveryId"] = json!(self.id(collection, name, ""));
        item["deletedDate"] = json!(deleted.time);
        item["scheduledPurgeDate"] = json!(deleted.time + RECOVERABLE_DAYS * 86_400);
        item
    }
}
