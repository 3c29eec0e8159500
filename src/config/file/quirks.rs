//! The options for a slot's deviations from the default behavior, and for hidden keys.

use super::section::Section;
use crate::config::quirks::Manner;
use crate::key::PointForm;

/// Kinds of keys that make libp11 0.4.12 (OpenSSL's engine) reject the whole token. A user who discovers keys may
/// not know that the service contains such a key.
const HIDDEN_AMONG_LISTED: [&str; 4] = ["Ed25519", "ML-DSA-44", "ML-DSA-65", "ML-DSA-87"];

/// Returns the kinds of keys that a slot does not show. Without `hide_keys`, a slot that discovers its keys hides
/// those of `HIDDEN_AMONG_LISTED`.
pub fn hidden(section: &Section, discovers: bool) -> Vec<String> {
    match discovers && !section.has_any(&["hide_keys"]) {
        true => HIDDEN_AMONG_LISTED.map(str::to_owned).into(),
        false => section.names("hide_keys"),
    }
}

/// Returns the deviations that a section selects.
pub fn of(section: &Section) -> Manner {
    let chose = |option: &str, choice: &str| section.text(option).as_deref() == Some(choice);
    Manner {
        accept_bare_digest: section.flag("accept_bare_digest").unwrap_or(false),
        edwards_point: if chose("edwards_point", "raw") { PointForm::Raw } else { PointForm::OctetString },
        random_of_service: chose("random", "service"),
        zero_serial: false,
    }
}
