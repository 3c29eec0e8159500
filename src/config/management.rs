//! Rights of programs to change a slot's service, the slot's certificate store, and its certificates.
//!
//! Nothing is allowed unless the configuration allows it. Destroying keys needs two options: `allow` and
//! `confirm_destroy`.

use crate::certificate::Certificate;
use std::path::PathBuf;

/// What programs may change in the service of a slot, where they may write certificates, and certificates for the slot as
/// a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Management {
    pub(crate) rights: Vec<Right>,
    /// The number of days for which a destroyed key can be restored, if the service lets its user choose it.
    pub destroy_days: u32,
    /// The directory of certificates that programs have written; `None` for no such store.
    pub certificate_store: Option<PathBuf>,
    /// Certificates of the configuration, each for the key that it certifies (libkmsp11's file only).
    pub certificates: Vec<Certificate>,
}

impl Management {
    /// Returns a value with these rights and no certificate store.
    #[cfg(any(test, fuzzing))]
    pub fn allowing(rights: &[Right]) -> Self {
        Self { rights: rights.to_vec(), ..Self::default() }
    }

    /// Returns whether programs have this right.
    pub fn allows(&self, right: Right) -> bool {
        self.rights.contains(&right)
    }

    /// Returns whether programs have any right.
    pub fn allows_anything(&self) -> bool {
        !self.rights.is_empty()
    }
}

/// A right to change something in a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// Generating keys.
    Generate,
    /// Destroying keys.
    Destroy,
    /// Writing and deleting certificates.
    Certificates,
    /// Changing the labels of keys that the service lists.
    Labels,
}

impl Right {
    /// The names of all rights, in the order of the variants.
    pub const NAMES: [&'static str; 4] = ["generate", "destroy", "certificates", "labels"];
    const ALL: [Right; 4] = [Right::Generate, Right::Destroy, Right::Certificates, Right::Labels];

    /// Returns the name of the right in the option `allow`.
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|right| right.name() == name)
    }
}
