//! What a slot allows programs to change in its service, and where it keeps certificates.
//!
//! Nothing is allowed unless the configuration says so, and destroying keys is asked for twice.

use std::path::PathBuf;

/// See the head of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Management {
    pub(crate) rights: Vec<Right>,
    /// For how many days a destroyed key can be brought back, where the service lets its user choose.
    pub destroy_days: u32,
    /// The folder of certificates that programs have written.
    pub certificate_store: Option<PathBuf>,
}

impl Management {
    /// With these rights and nothing else.
    #[cfg(any(test, fuzzing))]
    pub fn allowing(rights: &[Right]) -> Self {
        Self { rights: rights.to_vec(), ..Self::default() }
    }

    /// Whether that is allowed.
    pub fn allows(&self, right: Right) -> bool {
        self.rights.contains(&right)
    }

    /// Whether anything can be changed.
    pub fn allows_anything(&self) -> bool {
        !self.rights.is_empty()
    }
}

/// Something that changes a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// Making keys.
    Generate,
    /// Destroying keys.
    Destroy,
    /// Writing and deleting certificates.
    Certificates,
    /// Changing labels of keys that the service lists.
    Labels,
}

impl Right {
    /// All names, in the order of the rights.
    pub const NAMES: [&'static str; 4] = ["generate", "destroy", "certificates", "labels"];
    const ALL: [Right; 4] = [Right::Generate, Right::Destroy, Right::Certificates, Right::Labels];

    /// Its name in the option `allow`.
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|right| right.name() == name)
    }
}
