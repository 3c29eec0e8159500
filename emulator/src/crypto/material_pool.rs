//! Where key material comes from, so that a process full of tests does not generate RSA keys all day.
//!
//! RSA keys are kept for the life of the process: the n-th RSA-2048 key of one emulator is the n-th of every other.
//! Within one emulator no two keys share material unless asked to.

use super::family::Family;
use super::material::Material;
use super::unable::Unable;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// One emulator's claim on the process-wide pool.
#[derive(Debug, Default)]
pub(crate) struct MaterialPool {
    taken: Mutex<BTreeMap<Family, usize>>,
}

static POOL: Mutex<BTreeMap<Family, Vec<Arc<Material>>>> = Mutex::new(BTreeMap::new());
static SHARED: Mutex<BTreeMap<Family, Arc<Material>>> = Mutex::new(BTreeMap::new());

impl MaterialPool {
    /// Material that no other key of this emulator has.
    pub(crate) fn fresh(&self, family: Family) -> Result<Arc<Material>, Unable> {
        if !matches!(family, Family::Rsa(_)) {
            return Ok(Arc::new(Material::generate(family)?));
        }
        let position = {
            let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
            let next = taken.entry(family).or_default();
            *next += 1;
            *next - 1
        };
        let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
        let keys = pool.entry(family).or_default();
        while keys.len() <= position {
            keys.push(Arc::new(Material::generate(family)?));
        }
        keys.get(position).cloned().ok_or(Unable)
    }

    /// Material that every key made this way shares: for tests with thousands of keys.
    pub(crate) fn shared(&self, family: Family) -> Result<Arc<Material>, Unable> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = shared.get(&family) {
            return Ok(known.clone());
        }
        let made = Arc::new(Material::generate(family)?);
        shared.insert(family, made.clone());
        Ok(made)
    }

    /// An elliptic curve key of which one coordinate starts with a zero byte: about one in 128.
    pub(crate) fn short_coordinate(&self, family: Family) -> Result<Arc<Material>, Unable> {
        for _ in 0..100_000 {
            let made = Material::generate(family)?;
            let (x, y) = made.point().ok_or(Unable)?;
            if x.first() == Some(&0) || y.first() == Some(&0) {
                return Ok(Arc::new(made));
            }
        }
        Err(Unable)
    }
}
