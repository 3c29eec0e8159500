//! Cached public keys of mutable names: an alias, or a Key Vault key without its version, may mean another key by now.
//!
//! Such a public key is unconfirmed. It finds the private key by its names and begins a signature, which is requested by the
//! mutable name. If the signature verifies, the public key is still that of the key. Before anything else is done with an
//! unconfirmed public key, or shown of it, the service is asked.

use super::SlotKey;
use crate::cloud::{Failure, KeyDescription};
use crate::error::{Error, Result};
use crate::key::{Algorithm, Purpose, Scheme};
use crate::log_info;
use std::sync::atomic::Ordering;
use std::time::Instant;

const MU: Scheme = Algorithm::MlDsaMu.without_hash();

impl SlotKey {
    /// Returns what the cache contains about the key. With a mutable name, returns `None` unless the caller only signs.
    pub(super) fn cached_facts(&self, only_to_sign: bool) -> Option<KeyDescription> {
        let (backend, name) = (&self.common.backend, &self.key.name);
        let is_immutable = backend.is_immutable(name);
        let cache = self.common.cache.as_ref().filter(|_| is_immutable || only_to_sign && !self.is_discovered);
        let facts = cache.and_then(|cache| cache.get(backend, name)).and_then(|facts| match is_immutable {
            true => Some(facts),
            // Without its immutable id, the key signs by its name. Mu depends on the public key.
            false => Some(KeyDescription { immutable_id: None, ..facts })
                .filter(|facts| facts.permits(Purpose::Sign) && !facts.schemes.contains(&MU)),
        });
        self.facts_are_cached.store(facts.is_some(), Ordering::Relaxed);
        facts
    }

    /// Offers what the service reports to the cache. A key that a listing has found by a mutable name is not cached.
    pub(super) fn cache_facts(&self, facts: &KeyDescription) {
        let (backend, name) = (&self.common.backend, &self.key.name);
        if let Some(cache) = self.common.cache.as_ref().filter(|_| !self.is_discovered || backend.is_immutable(name)) {
            cache.insert(backend, name, facts);
        }
    }

    /// Whether the facts come from the cache and may be those of another key, because the name is mutable.
    pub(super) fn is_unconfirmed(&self) -> bool {
        self.facts_are_cached.load(Ordering::Acquire) && !self.common.backend.is_immutable(&self.key.name)
    }

    /// Asks the service about an unconfirmed public key. Returns whether it was unconfirmed.
    ///
    /// # Errors
    /// Those of the service.
    pub fn confirm(&self, deadline: Instant) -> Result<bool> {
        self.try_confirm(deadline, |_| ()).map_err(|failure| Error::from(failure).with_context(self))
    }

    /// Like [`SlotKey::confirm`]. Calls `failed` for a new failure.
    pub(super) fn try_confirm(
        &self,
        deadline: Instant,
        failed: impl FnOnce(&Failure),
    ) -> std::result::Result<bool, Failure> {
        if !self.is_unconfirmed() || !self.common.backend.is_ready() {
            return Ok(false);
        }
        let told = self.describe(deadline, failed)?;
        match self.facts.value() {
            Some(facts) => drop(self.adopt_description(&told, &facts)),
            None => self.replace_facts(&told),
        }
        Ok(true)
    }

    /// Called when a signature that was requested by the mutable name verifies under the public key of `facts`.
    pub(super) fn set_confirmed(&self, facts: &KeyDescription) {
        if self.is_unconfirmed() && self.facts.value().is_some_and(|own| *own == *facts) {
            self.facts_are_cached.store(false, Ordering::Release);
        }
    }

    /// Replaces the cached public key by that of `told`, to which the name refers now.
    pub(super) fn replace_cached_facts(&self, told: &KeyDescription) {
        log_info!(
            "{self}: the cached public key belongs to another key; the name means a key of kind {} now",
            told.kind.name()
        );
        if let Some(cache) = &self.common.cache {
            cache.remove(&self.common.backend, &self.key.name);
        }
        self.cache_facts(told);
    }
}
