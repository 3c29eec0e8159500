//! Names and times of certificates as text.

use der::{DateTime, Decode};
use std::time::{Duration, SystemTime};

/// Returns a distinguished name (DER) as text, RFC 4514.
pub(super) fn display_name(der: &[u8]) -> String {
    let name = x509_cert::name::Name::from_der(der).map(|name| name.to_string()).unwrap_or_default();
    if name.is_empty() { "an empty name".to_owned() } else { name }
}

/// Returns the day of a time, in the form `2026-11-26`.
pub(super) fn day(seconds: u64) -> String {
    let time = DateTime::from_unix_duration(Duration::from_secs(seconds)).map(|time| time.to_string());
    time.map_or_else(|_| "an invalid time".to_owned(), |time| time.chars().take(10).collect())
}

/// Returns the seconds since the start of 1970.
pub(super) fn now() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs())
}
