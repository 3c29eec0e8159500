//! The initialized module, and the configuration that it has read.

use cloud_kms_pkcs11::config::{self, Config, Slots};
use cryptoki::context::Pkcs11;
use cryptoki::slot::Slot;
use std::collections::HashSet;

/// The initialized module. C_Finalize is called when the last token and the last [`crate::module::Module`] are dropped.
pub struct Context {
    /// The module.
    pub module: Pkcs11,
    slots: Slots,
    /// What CK_TOKEN_INFO has of labels that are the same there for several tokens.
    ambiguous: HashSet<String>,
}

/// The number of bytes of a label in CK_TOKEN_INFO.
const LABEL_LEN: usize = 32;

impl Context {
    /// Takes a module for which C_Initialize has succeeded, and reads the slots of its configuration.
    pub fn new(module: Pkcs11) -> Self {
        let slots = Config::examine().config.map(|config| config.slots).unwrap_or_default();
        let mut shown = HashSet::new();
        let ambiguous = slots.labels().map(truncated).filter(|label| !shown.insert(*label));
        let ambiguous = ambiguous.map(str::to_owned).collect();
        Self { module, slots, ambiguous }
    }

    /// Returns the full label of a token: that of its slot in the configuration. `shown` is what CK_TOKEN_INFO has of it. If
    /// the module has listed its keys without a configuration, nothing else is known of the label.
    pub fn label(&self, slot: Slot, shown: &str) -> String {
        let label = position(slot).and_then(|position| self.slots.label(position));
        label.filter(|label| truncated(label) == shown).unwrap_or(shown).to_owned()
    }

    /// Whether several tokens show the same label.
    pub fn is_ambiguous(&self, shown: &str) -> bool {
        self.ambiguous.contains(shown)
    }

    /// Returns a slot as the configuration describes it.
    pub fn configured_slot(&self, slot: Slot) -> Option<config::Slot> {
        self.slots.get(position(slot)?)
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // The work is done, so a failure changes nothing.
        let _ = self.module.clone().finalize();
    }
}

/// Returns the position of the slot in the configuration.
fn position(slot: Slot) -> Option<usize> {
    usize::try_from(slot.id()).ok()
}

/// Returns what CK_TOKEN_INFO has of a label. It is cut between two characters, and blanks at its end are padding.
fn truncated(label: &str) -> &str {
    label[..label.floor_char_boundary(LABEL_LEN)].trim_end_matches(' ')
}
