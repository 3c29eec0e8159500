//! The options for a slot's deviations from the default behavior, and for hidden keys.

use super::section::Section;
use crate::config::quirks::{Quirks, SlotIdentity};
use crate::key::PointEncoding;

/// Kinds of keys that make libp11 0.4.12 (OpenSSL's engine) reject the whole token. A user who discovers keys may
/// not know that the service contains such a key.
pub const HIDDEN_WHEN_DISCOVERED: [&str; 5] = ["Ed25519", "ML-DSA-44", "ML-DSA-65", "ML-DSA-87", "SLH-DSA-SHA2-128s"];

/// Returns the kinds of keys that a slot does not show. Without `hide_keys`, a slot that discovers its keys hides
/// those of `HIDDEN_WHEN_DISCOVERED`.
pub fn hidden_key_kinds(section: &Section, discovers: bool) -> Vec<String> {
    match discovers && !section.has_any(&["hide_keys"]) {
        true => HIDDEN_WHEN_DISCOVERED.map(str::to_owned).into(),
        false => section.names("hide_keys"),
    }
}

/// Returns the deviations that a section selects.
pub fn of(section: &Section) -> Quirks {
    let chose = |option: &str, choice: &str| section.text(option).as_deref() == Some(choice);
    Quirks {
        accept_bare_digest: section.flag("accept_bare_digest").unwrap_or(false),
        edwards_point: if chose("edwards_point", "raw") { PointEncoding::Raw } else { PointEncoding::OctetString },
        random_from_service: chose("random", "service"),
        identity: SlotIdentity::Own,
        generate_certificate: section.flag("generate_certificate").unwrap_or(false),
    }
}
