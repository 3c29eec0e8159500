//! Keys that were added to or removed from a token since its keys were configured or listed.

use super::key::SlotKey;
use std::sync::Arc;

/// The keys added and removed since the token's keys were configured or listed.
#[derive(Debug, Default)]
pub struct Changes {
    added: Vec<Arc<SlotKey>>,
    /// The names of removed keys. Names are kept because a later listing may still contain these keys.
    removed: Vec<String>,
}

impl Changes {
    /// Returns `keys` with the changes applied.
    pub fn apply_to(&self, keys: Arc<Vec<Arc<SlotKey>>>) -> Arc<Vec<Arc<SlotKey>>> {
        if self.added.is_empty() && self.removed.is_empty() {
            return keys;
        }
        let stays = |key: &&Arc<SlotKey>| {
            let name = &key.name().id;
            !self.removed.contains(name) && !self.added.iter().any(|own| own.name().id == *name)
        };
        Arc::new(keys.iter().filter(stays).chain(&self.added).cloned().collect())
    }

    /// Records a key that was added.
    pub fn add(&mut self, key: Arc<SlotKey>) {
        self.removed.retain(|name| *name != key.name().id);
        self.added.push(key);
    }

    /// Records that a key was removed.
    pub fn remove(&mut self, key: &Arc<SlotKey>) {
        self.added.retain(|own| !Arc::ptr_eq(own, key));
        self.removed.push(key.name().id.clone());
    }
}
