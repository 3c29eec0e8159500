//! The options of how a slot behaves, besides its keys.

use super::section::Section;
use crate::config::quirks::Manner;
use crate::key::PointForm;

/// libp11 0.4.12 (OpenSSL's engine) gives up a whole token that holds such a key; who finds keys by listing may not know
/// of them.
const HIDDEN_AMONG_LISTED: [&str; 4] = ["Ed25519", "ML-DSA-44", "ML-DSA-65", "ML-DSA-87"];

/// The kinds of keys that a slot does not show.
pub fn hidden(section: &Section, discovers: bool) -> Vec<String> {
    match discovers && !section.has_any(&["hide_keys"]) {
        true => HIDDEN_AMONG_LISTED.map(str::to_owned).into(),
        false => section.names("hide_keys"),
    }
}

/// As the section has it.
pub fn of(section: &Section) -> Manner {
    let chose = |option: &str, choice: &str| section.text(option).as_deref() == Some(choice);
    Manner {
        accept_bare_digest: section.flag("accept_bare_digest").unwrap_or(false),
        edwards_point: if chose("edwards_point", "raw") { PointForm::Raw } else { PointForm::OctetString },
        random_of_service: chose("random", "service"),
        zero_serial: false,
    }
}
