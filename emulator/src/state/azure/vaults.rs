//! The vaults, and in each the keys by name and version.

use crate::azure::vault::VaultError;
use crate::azure::vault::certificates::certificate::Certificate;
use crate::azure::vault::certificates::enrolment::Enrolment;
use crate::crypto::{Curve, Family, Material};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One version of a key.
#[derive(Clone)]
pub(crate) struct Version {
    pub(crate) version: String,
    /// `RSA`, `RSA-HSM`, `EC` or `EC-HSM`.
    pub(crate) kty: String,
    pub(crate) material: Arc<Material>,
    pub(crate) enabled: bool,
    pub(crate) not_before: Option<i64>,
    pub(crate) expires: Option<i64>,
    pub(crate) created: i64,
    pub(crate) updated: i64,
    pub(crate) operations: Vec<String>,
    pub(crate) tags: Tags,
    /// The certificate with the same name and version.
    pub(crate) certificate: Option<Certificate>,
}

pub(crate) type Tags = BTreeMap<String, String>;

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

#[derive(Default)]
pub(crate) struct Store {
    vaults: Mutex<Vaults>,
}

/// Behind the name of a Managed HSM.
pub(crate) const HSM: &str = ".managedhsm";

impl Store {
    pub(crate) fn vaults(&self) -> MutexGuard<'_, Vaults> {
        self.vaults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_hsm(&self, vault: &str) -> bool {
        self.vaults().get(vault).is_some_and(|vault| vault.hsm)
    }

    /// A version of a key, or the current one if `version` is empty.
    pub(crate) fn find(&self, vault: &str, name: &str, version: &str) -> Result<Version, VaultError> {
        let vaults = self.vaults();
        let versions = vaults.get(vault).and_then(|vault| vault.keys.get(&name.to_ascii_lowercase()));
        let found = versions.and_then(|versions| match version {
            "" => versions.last(),
            version => versions.iter().find(|known| known.version == version),
        });
        found.cloned().ok_or_else(|| not_found(name, version))
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
    ) -> Result<(), VaultError> {
        let mut vaults = self.vaults();
        let versions = vaults.get_mut(vault).and_then(|vault| vault.keys.get_mut(&name.to_ascii_lowercase()));
        let found = versions.and_then(|versions| match version {
            "" => versions.last_mut(),
            version => versions.iter_mut().find(|known| known.version == version),
        });
        change(found.ok_or_else(|| not_found(name, version))?);
        Ok(())
    }

    pub(crate) fn delete(&self, vault: &str, name: &str, time: i64) -> Result<(), VaultError> {
        let mut vaults = self.vaults();
        let vault = vaults.entry(vault.to_owned()).or_default();
        let versions = vault.keys.remove(&name.to_ascii_lowercase()).ok_or_else(|| not_found(name, ""))?;
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
}

fn not_found(name: &str, version: &str) -> VaultError {
    let id = if version.is_empty() { name.to_owned() } else { format!("{name}/{version}") };
    VaultError::new(
        404,
        "KeyNotFound",
        format!(
            "A key with (name/id) {id} was not found in this key vault. If you recently deleted this key you may be able to recover it using the correct recovery command. For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182"
        ),
    )
}

/// The names of the curves in a JWK.
pub(crate) static CURVES: [(&str, Curve); 4] =
    [("P-256", Curve::P256), ("P-384", Curve::P384), ("P-521", Curve::P521), ("P-256K", Curve::P256K)];

pub(crate) fn curve_name(family: Family) -> Option<&'static str> {
    let Family::Ec(curve) = family else { return None };
    CURVES.iter().find(|row| row.1 == curve).map(|row| row.0)
}
