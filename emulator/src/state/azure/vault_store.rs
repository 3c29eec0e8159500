//! The vaults, and in each the keys by name and version.

use super::enrolment::Enrolment;
use super::version::Version;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A key that was deleted and can be recovered.
#[derive(Clone)]
pub(crate) struct Deleted {
    pub(crate) versions: Vec<Version>,
    pub(crate) time: i64,
}

#[derive(Default)]
pub(crate) struct Vault {
    pub(crate) hsm: bool,
    /// The versions of each key; the last is the current one.
    pub(crate) keys: BTreeMap<String, Vec<Version>>,
    pub(crate) deleted: BTreeMap<String, Deleted>,
    pub(crate) enrolments: BTreeMap<String, Enrolment>,
}

pub(crate) type Vaults = BTreeMap<String, Vault>;

/// The name, or name and version, that no key of a vault has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NoSuchKey(pub(crate) String);

impl NoSuchKey {
    fn new(name: &str, version: &str) -> Self {
        Self(if version.is_empty() { name.to_owned() } else { format!("{name}/{version}") })
    }
}

#[derive(Default)]
pub(crate) struct VaultStore {
    vaults: Mutex<Vaults>,
}

/// Behind the name of a Managed HSM.
pub(crate) const HSM: &str = ".managedhsm";

impl VaultStore {
    pub(crate) fn vaults(&self) -> MutexGuard<'_, Vaults> {
        self.vaults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_hsm(&self, vault: &str) -> bool {
        self.vaults().get(vault).is_some_and(|vault| vault.hsm)
    }

    /// A version of a key, or the current one if `version` is empty.
    pub(crate) fn find(&self, vault: &str, name: &str, version: &str) -> Result<Version, NoSuchKey> {
        let vaults = self.vaults();
        let versions = vaults.get(vault).and_then(|vault| vault.keys.get(&name.to_ascii_lowercase()));
        let found = versions.and_then(|versions| match version {
            "" => versions.last(),
            version => versions.iter().find(|known| known.version == version),
        });
        found.cloned().ok_or_else(|| NoSuchKey::new(name, version))
    }

    /// All versions of a key, the oldest first.
    pub(crate) fn versions(&self, vault: &str, name: &str) -> Vec<Version> {
        let vaults = self.vaults();
        let versions = vaults.get(vault).and_then(|vault| vault.keys.get(&name.to_ascii_lowercase()));
        versions.cloned().unwrap_or_default()
    }

    /// The name and the current version of each key.
    pub(crate) fn current_versions(&self, vault: &str) -> Vec<(String, Version)> {
        let vaults = self.vaults();
        let keys = vaults.get(vault).into_iter().flat_map(|vault| &vault.keys);
        keys.filter_map(|(name, versions)| Some((name.clone(), versions.last()?.clone()))).collect()
    }

    /// Adds a version, which becomes the current one.
    pub(crate) fn insert(&self, vault: &str, name: &str, version: Version) {
        let mut vaults = self.vaults();
        let keys = &mut vaults.entry(vault.to_owned()).or_default().keys;
        keys.entry(name.to_ascii_lowercase()).or_default().push(version);
    }

    /// Changes one version, or the current one if `version` is empty.
    pub(crate) fn change(
        &self,
        vault: &str,
        name: &str,
        version: &str,
        change: impl FnOnce(&mut Version),
    ) -> Result<(), NoSuchKey> {
        let mut vaults = self.vaults();
        let versions = vaults.get_mut(vault).and_then(|vault| vault.keys.get_mut(&name.to_ascii_lowercase()));
        let found = versions.and_then(|versions| match version {
            "" => versions.last_mut(),
            version => versions.iter_mut().find(|known| known.version == version),
        });
        change(found.ok_or_else(|| NoSuchKey::new(name, version))?);
        Ok(())
    }

    pub(crate) fn delete(&self, vault: &str, name: &str, time: i64) -> Result<(), NoSuchKey> {
        let mut vaults = self.vaults();
        let vault = vaults.entry(vault.to_owned()).or_default();
        let versions = vault.keys.remove(&name.to_ascii_lowercase()).ok_or_else(|| NoSuchKey::new(name, ""))?;
        vault.deleted.insert(name.to_ascii_lowercase(), Deleted { versions, time });
        Ok(())
    }

    /// Takes a deletion back.
    pub(crate) fn recover(&self, vault: &str, name: &str) {
        let mut vaults = self.vaults();
        let Some(vault) = vaults.get_mut(vault) else { return };
        if let Some((name, deleted)) = vault.deleted.remove_entry(&name.to_ascii_lowercase()) {
            vault.keys.insert(name, deleted.versions);
        }
    }

    /// Forgets a deleted key for ever.
    pub(crate) fn purge(&self, vault: &str, name: &str) {
        if let Some(vault) = self.vaults().get_mut(vault) {
            vault.deleted.remove(&name.to_ascii_lowercase());
        }
    }

    pub(crate) fn enrolment(&self, vault: &str, name: &str) -> Option<Enrolment> {
        let vaults = self.vaults();
        vaults.get(vault).and_then(|vault| vault.enrolments.get(&name.to_ascii_lowercase()).cloned())
    }

    pub(crate) fn set_enrolment(&self, vault: &str, name: &str, enrolment: Enrolment) {
        let mut vaults = self.vaults();
        let vault = vaults.entry(vault.to_owned()).or_default();
        vault.enrolments.insert(name.to_ascii_lowercase(), enrolment);
    }

    pub(crate) fn forget_enrolment(&self, vault: &str, name: &str) {
        if let Some(vault) = self.vaults().get_mut(vault) {
            vault.enrolments.remove(&name.to_ascii_lowercase());
        }
    }
}
