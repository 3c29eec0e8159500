//! All key rings of one emulator.

use super::key_ring::{CryptoKey, KeyRing};
use super::names::{crypto_key_of, ring_of};
use super::version::Version;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Key rings by their full names.
#[derive(Default)]
pub(crate) struct KeyStore {
    rings: Mutex<BTreeMap<String, KeyRing>>,
}

impl KeyStore {
    pub(crate) fn rings(&self) -> MutexGuard<'_, BTreeMap<String, KeyRing>> {
        self.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves all versions to the states that they have by now.
    pub(crate) fn sweep(&self, now: f64) {
        for version in
            self.rings().values_mut().flat_map(|ring| ring.keys.values_mut()).flat_map(|key| &mut key.versions)
        {
            version.sweep(now);
        }
    }

    /// The crypto key of that full name.
    pub(crate) fn key(&self, name: &str) -> Option<CryptoKey> {
        let (ring, id) = ring_of(name)?;
        self.rings().get(ring)?.keys.get(id).cloned()
    }

    /// Changes a crypto key; `None` if there is none.
    pub(crate) fn change_key<T>(&self, name: &str, change: impl FnOnce(&mut CryptoKey) -> T) -> Option<T> {
        let (ring, id) = ring_of(name)?;
        self.rings().get_mut(ring)?.keys.get_mut(id).map(change)
    }

    /// Adds a crypto key, to a ring that is made if it is missing.
    pub(crate) fn insert(&self, ring: &str, id: &str, key: CryptoKey) {
        let created = key.created;
        let mut rings = self.rings();
        let ring = rings.entry(ring.to_owned()).or_insert_with(|| KeyRing { created, keys: BTreeMap::new() });
        ring.keys.insert(id.to_owned(), key);
    }

    /// Takes a crypto key away; false if there is none.
    pub(crate) fn remove(&self, name: &str) -> bool {
        let Some((ring, id)) = ring_of(name) else { return false };
        self.rings().get_mut(ring).is_some_and(|ring| ring.keys.remove(id).is_some())
    }

    /// The version of that full name.
    pub(crate) fn version(&self, name: &str) -> Option<Version> {
        let (key, number) = crypto_key_of(name);
        let number: u32 = number?.parse().ok()?;
        self.key(key)?.versions.into_iter().find(|version| version.number == number)
    }

    /// Changes a version; `None` if there is none.
    pub(crate) fn change_version<T>(&self, name: &str, change: impl FnOnce(&mut Version) -> T) -> Option<T> {
        let (key, number) = crypto_key_of(name);
        let number: u32 = number?.parse().ok()?;
        self.change_key(key, |key| key.versions.iter_mut().find(|version| version.number == number).map(change))
            .flatten()
    }
}
