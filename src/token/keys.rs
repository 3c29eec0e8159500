//! The keys of a token: those of the configuration or of the service's listing, with the changes since then.

use super::Token;
use super::changes::Changes;
use super::key::{Common, SlotKey, Wanted};
use super::token_keys::TokenKeys;
use crate::cloud::Failure;
use crate::config::{Keys, Management};
use crate::key::Kind;
use crate::log_error;
use crate::object::Object;
use std::sync::{Arc, MutexGuard};
use std::time::Instant;

impl Token {
    pub(super) fn known_keys(&self) -> Option<Arc<Vec<Arc<SlotKey>>>> {
        let mut keys = self.token_keys();
        let named = match &mut *keys {
            TokenKeys::Made(made) => return Some(made.clone()),
            TokenKeys::Configured(Keys::Discover) => return None,
            TokenKeys::Configured(Keys::Named(named)) => {
                std::mem::take(named).into_iter().map(|key| SlotKey::new(key, self.common.clone())).collect::<Vec<_>>()
            }
            TokenKeys::Configured(Keys::Listed(listed)) => {
                std::mem::take(listed).into_iter().map(|key| SlotKey::listed(key, self.common.clone())).collect()
            }
        };
        let made: Arc<Vec<_>> = Arc::new(named.into_iter().map(Arc::new).collect());
        *keys = TokenKeys::Made(made.clone());
        Some(made)
    }

    /// Returns the token's current keys. Lists the keys of a token that discovers them, if they are not listed
    /// yet.
    pub fn keys(&self, deadline: Instant) -> Arc<Vec<Arc<SlotKey>>> {
        let keys = self.known_or_listed(deadline);
        self.changes().applied(keys)
    }

    /// Returns the keys without the later changes. A token that discovers its keys lists them now, if they are not
    /// listed yet.
    fn known_or_listed(&self, deadline: Instant) -> Arc<Vec<Arc<SlotKey>>> {
        if let Some(keys) = self.known_keys() {
            return keys;
        }
        if !self.common.backend.is_ready() {
            return Arc::default();
        }
        self.listed.begin(|| self.common.backend.list(true));
        let told = |failure: &Failure| {
            log_error!(
                "token \"{}\": its keys in {} can't be listed: {failure}",
                self.common.label,
                self.common.backend.place()
            );
        };
        let Ok(listed) = self.listed.get(deadline, told) else { return Arc::default() };
        match &mut *self.token_keys() {
            TokenKeys::Made(made) => made.clone(),
            own => {
                let made = listed.iter().map(|key| Arc::new(SlotKey::listed(key.clone(), self.common.clone())));
                let made: Arc<Vec<_>> = Arc::new(made.collect());
                *own = TokenKeys::Made(made.clone());
                made
            }
        }
    }

    pub(super) fn token_keys(&self) -> MutexGuard<'_, TokenKeys> {
        self.keys.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub(super) fn changes(&self) -> MutexGuard<'_, Changes> {
        self.changes.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// What programs may change in the service, if anything.
    pub fn management(&self) -> Option<&Management> {
        self.common.management.as_deref()
    }

    /// Whether the configuration hides keys of this kind.
    pub fn hides(&self, kind: Kind) -> bool {
        self.common.hidden_kinds.contains(&kind.name())
    }

    /// Whether a configured or listed key has this name in the service.
    pub fn names(&self, name: &str) -> bool {
        self.known_keys().is_some_and(|keys| keys.iter().any(|key| key.name().id == name))
    }

    /// Adds a key to the token.
    pub fn adopt(&self, key: impl FnOnce(Arc<Common>) -> SlotKey) -> Arc<SlotKey> {
        let key = Arc::new(key(self.common.clone()));
        self.changes().add(key.clone());
        key
    }

    /// Removes a key from the token, together with its objects.
    pub fn expel(&self, key: &Arc<SlotKey>) {
        self.changes().remove(key);
        self.owners().retain(|_, owner| !Arc::ptr_eq(owner, key));
    }

    /// Loads the `wanted` objects of a key. Their handles are valid from now on.
    pub fn shown(&self, key: &Arc<SlotKey>, wanted: Wanted, deadline: Instant) -> Vec<Arc<Object>> {
        key.begin(wanted);
        let objects = key.objects(wanted, deadline);
        self.owners().extend(objects.iter().map(|object| (object.handle, key.clone())));
        objects
    }
}
