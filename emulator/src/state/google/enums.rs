//! The enums of the API: in JSON each value is its name, or its number for a client that asks for numbers.

use super::algorithm::Algorithm;
use super::version::VersionState;

/// The values of `CryptoKeyPurpose`, by number.
pub(crate) const PURPOSES: [(&str, i64); 6] = [
    ("ENCRYPT_DECRYPT", 1),
    ("ASYMMETRIC_SIGN", 5),
    ("ASYMMETRIC_DECRYPT", 6),
    ("RAW_ENCRYPT_DECRYPT", 7),
    ("MAC", 9),
    ("KEY_ENCAPSULATION", 10),
];

/// The values of `ProtectionLevel`, by number.
pub(crate) const PROTECTION_LEVELS: [(&str, i64); 4] =
    [("SOFTWARE", 1), ("HSM", 2), ("EXTERNAL", 3), ("EXTERNAL_VPC", 4)];

/// The values of `PublicKeyFormat`, by number.
pub(crate) const PUBLIC_KEY_FORMATS: [(&str, i64); 4] =
    [("PEM", 1), ("DER", 2), ("NIST_PQC", 3), ("XWING_RAW_BYTES", 4)];

/// The number of an enum's value that a member of a message has; `None` if the member is no enum.
pub(crate) fn number_of(member: &str, value: &str) -> Option<i64> {
    let in_table = |table: &[(&str, i64)]| table.iter().find(|(name, _)| *name == value).map(|(_, number)| *number);
    match member {
        "algorithm" => Algorithm::named(value).map(|algorithm| algorithm.number),
        "purpose" => in_table(&PURPOSES),
        "protectionLevel" => in_table(&PROTECTION_LEVELS),
        "publicKeyFormat" => in_table(&PUBLIC_KEY_FORMATS),
        "state" => VersionState::named(value).map(VersionState::number),
        _ => None,
    }
}

/// The name of a value that a client gave by its name or by its number.
pub(crate) fn named(table: &[(&'static str, i64)], value: &str) -> Option<&'static str> {
    let row = table.iter().find(|(name, number)| *name == value || number.to_string() == value);
    row.map(|(name, _)| *name)
}
