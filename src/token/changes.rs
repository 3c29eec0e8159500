//! Keys that came and went since a token's keys were configured or listed, and what of that is allowed.

use super::Token;
use crate::config::{Management, Right};
use crate::key::Kind;
use crate::mechanism::{GENERATIONS, Generation};
use crate::object::Object;
use crate::slot_key::{Common, SlotKey, Wanted};
use std::sync::Arc;
use std::time::Instant;

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

impl Token {
    /// The mechanisms that make keys, where the configuration allows that.
    pub fn generations(&self) -> impl Iterator<Item = &'static Generation> {
        let made: Vec<Kind> = match self.management().is_some_and(|own| own.allows(Right::Generate)) {
            true => Kind::all().filter(|kind| self.common.backend.makes(*kind)).collect(),
            false => Vec::new(),
        };
        GENERATIONS.iter().filter(move |row| made.iter().any(|kind| row.makes(*kind)))
    }

    /// What programs may change.
    pub fn management(&self) -> Option<&Management> {
        self.common.management.as_deref()
    }

    /// Whether the configuration hides keys of that kind.
    pub fn hides(&self, kind: Kind) -> bool {
        self.common.hidden_kinds.contains(&kind.name())
    }

    /// Whether the configuration names a key so.
    pub fn names(&self, name: &str) -> bool {
        self.known_keys().is_some_and(|keys| keys.iter().any(|key| key.name().id == name))
    }

    /// A key that is to be one of the token's.
    pub fn adopt(&self, key: impl FnOnce(Arc<Common>) -> SlotKey) -> Arc<SlotKey> {
        let key = Arc::new(key(self.common.clone()));
        self.changes().add(key.clone());
        key
    }

    /// A key that is one of the token's no more: its objects are gone.
    pub fn expel(&self, key: &Arc<SlotKey>) {
        self.changes().remove(key);
        self.owners().retain(|_, owner| !Arc::ptr_eq(owner, key));
    }

    /// Loads what is wanted of a key; its handles are good from now on.
    pub fn shown(&self, key: &Arc<SlotKey>, wanted: Wanted, deadline: Instant) -> Vec<Arc<Object>> {
        key.begin(wanted);
        let objects = key.objects(wanted, deadline);
        self.owners().extend(objects.iter().map(|object| (object.handle, key.clone())));
        objects
    }
}
