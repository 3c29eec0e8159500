//! The keys of a token: those of the configuration or of the service's listing, with the changes since then.

use super::Token;
use super::changes::Changes;
use super::key::{ObjectClasses, SlotContext, SlotKey};
use super::token_keys::TokenKeys;
use crate::cloud::Failure;
use crate::config::{Keys, Management};
use crate::key::Kind;
use crate::log_error;
use crate::object::Object;
use std::sync::{Arc, MutexGuard};
use std::time::Instant;

impl Token {
    pub(super) fn keys_if_known(&self) -> Option<Arc<Vec<Arc<SlotKey>>>> {
        let mut keys = self.token_keys();
        let named = match &mut *keys {
            TokenKeys::Created(made) => return Some(made.clone()),
            TokenKeys::Configured(Keys::Discovered) => return None,
            TokenKeys::Configured(Keys::Named(named)) => std::mem::take(named)
                .into_iter()
                .map(|key| SlotKey::new(key, self.slot_context.clone()))
                .collect::<Vec<_>>(),
            TokenKeys::Configured(Keys::Listed(listed)) => {
                std::mem::take(listed).into_iter().map(|key| SlotKey::listed(key, self.slot_context.clone())).collect()
            }
        };
        let made: Arc<Vec<_>> = Arc::new(named.into_iter().map(Arc::new).collect());
        *keys = TokenKeys::Created(made.clone());
        Some(made)
    }

    /// Returns the token's current keys. Lists the keys of a token that discovers them, if they are not listed
    /// yet.
    pub fn keys(&self, deadline: Instant) -> Arc<Vec<Arc<SlotKey>>> {
        let keys = self.known_or_listed(deadline);
        self.changes().apply_to(keys)
    }

    /// Returns the keys without the later changes. A token that discovers its keys lists them now, if they are not
    /// listed yet.
    fn known_or_listed(&self, deadline: Instant) -> Arc<Vec<Arc<SlotKey>>> {
        if let Some(keys) = self.keys_if_known() {
            return keys;
        }
        if !self.slot_context.backend.is_ready() {
            return Arc::default();
        }
        self.listing.start_loading(|| self.slot_context.backend.list(true));
        let log_failure = |failure: &Failure| {
            log_error!(
                "token \"{}\": the keys in {} can't be listed: {failure}",
                self.slot_context.label,
                self.slot_context.backend.place()
            );
        };
        let Ok(listed) = self.listing.get(deadline, log_failure) else { return Arc::default() };
        match &mut *self.token_keys() {
            TokenKeys::Created(made) => made.clone(),
            own => {
                let made = listed.iter().map(|key| Arc::new(SlotKey::listed(key.clone(), self.slot_context.clone())));
                let made: Arc<Vec<_>> = Arc::new(made.collect());
                *own = TokenKeys::Created(made.clone());
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
        self.slot_context.management.as_deref()
    }

    /// Whether the configuration hides keys of this kind.
    pub fn hides(&self, kind: Kind) -> bool {
        self.slot_context.hidden_kinds.contains(&kind.name())
    }

    /// Whether a configured or listed key has this name in the service.
    pub fn has_key_named(&self, name: &str) -> bool {
        self.keys_if_known().is_some_and(|keys| keys.iter().any(|key| key.name().id == name))
    }

    /// Adds a key to the token.
    pub fn add_key(&self, key: impl FnOnce(Arc<SlotContext>) -> SlotKey) -> Arc<SlotKey> {
        let key = Arc::new(key(self.slot_context.clone()));
        self.changes().add(key.clone());
        key
    }

    /// Removes a key from the token, together with its objects.
    pub fn remove_key(&self, key: &Arc<SlotKey>) {
        self.changes().remove(key);
        self.owners().retain(|_, owner| !Arc::ptr_eq(owner, key));
    }

    /// Loads the `wanted` objects of a key. Their handles are valid from now on.
    pub fn load_objects(&self, key: &Arc<SlotKey>, wanted: ObjectClasses, deadline: Instant) -> Vec<Arc<Object>> {
        key.start_loading(wanted);
        let objects = key.objects(wanted, deadline);
        self.owners().extend(objects.iter().map(|object| (object.handle, key.clone())));
        objects
    }
}
