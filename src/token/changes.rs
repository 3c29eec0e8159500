//! Keys that came and went since a token's keys were configured or listed, and what of that is allowed.

use super::key::SlotKey;
use std::sync::Arc;

/// See the head of the file.
#[derive(Debug, Default)]
pub struct Changes {
    come: Vec<Arc<SlotKey>>,
    /// By their names, for a later listing may still know them.
    gone: Vec<String>,
}

impl Changes {
    /// What has become of these keys.
    pub fn applied(&self, keys: Arc<Vec<Arc<SlotKey>>>) -> Arc<Vec<Arc<SlotKey>>> {
        if self.come.is_empty() && self.gone.is_empty() {
            return keys;
        }
        let stays = |key: &&Arc<SlotKey>| {
            let name = &key.name().id;
            !self.gone.contains(name) && !self.come.iter().any(|own| own.name().id == *name)
        };
        Arc::new(keys.iter().filter(stays).chain(&self.come).cloned().collect())
    }

    /// A key has come.
    pub fn add(&mut self, key: Arc<SlotKey>) {
        self.gone.retain(|name| *name != key.name().id);
        self.come.push(key);
    }

    /// A key is gone.
    pub fn remove(&mut self, key: &Arc<SlotKey>) {
        self.come.retain(|own| !Arc::ptr_eq(own, key));
        self.gone.push(key.name().id.clone());
    }
}
