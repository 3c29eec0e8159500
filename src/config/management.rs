//! What a slot allows programs to change in its service, and where it keeps certificates.
//!
//! Nothing is allowed unless the configuration says so, and destroying keys is asked for twice.

use super::section::Section;
use crate::error::Result;
use std::path::PathBuf;
use std::sync::Arc;

/// See the head of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Management {
    rights: Vec<Right>,
    /// For how many days a destroyed key can be brought back, where the service lets its user choose.
    pub destroy_days: u32,
    /// The folder of certificates that programs have written.
    pub certificate_store: Option<PathBuf>,
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

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|right| right.name() == name)
    }
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

/// KMS: "PendingWindowInDays: If you include a value, it must be between 7 and 30, inclusive."
const DAYS: std::ops::RangeInclusive<u32> = 7..=30;

/// What a slot with that label says; None where it says nothing of it.
pub(super) fn read(section: &Section, label: &str, discovers: bool) -> Result<Option<Arc<Management>>> {
    let mut rights: Vec<_> = section.names("allow").iter().filter_map(|name| Right::from_name(name)).collect();
    if !discovers && rights.contains(&Right::Labels) {
        if section.own("allow").is_some() {
            let text = "\"labels\" needs \"discover\": else the configuration's \"label\" is the label of a key";
            return Err(section.fault("allow", text));
        }
        rights.retain(|right| *right != Right::Labels);
    }
    let certificate_store = section.path("certificate_store")?;
    let destroy_days = section.number("destroy_days").unwrap_or(*DAYS.end());
    if !DAYS.contains(&destroy_days) {
        return Err(section.fault("destroy_days", format!("is {destroy_days}; KMS takes 7 to 30")));
    }
    if rights.contains(&Right::Destroy) && section.text("confirm_destroy").as_deref() != Some(label) {
        let text = format!("\"destroy\" is allowed only with \"confirm_destroy\": {label:?}, the token's label");
        return Err(
            section.fault(if section.own("confirm_destroy").is_some() { "confirm_destroy" } else { "allow" }, text)
        );
    }
    let says = !rights.is_empty() || certificate_store.is_some();
    Ok(says.then(|| Arc::new(Management { rights, destroy_days, certificate_store })))
}
