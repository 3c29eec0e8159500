//! Key rings and their crypto keys (`KeyRing` and `CryptoKey` of the API).

use super::algorithm::Algorithm;
use super::version::Version;
use std::collections::BTreeMap;

#[derive(Clone, Default)]
pub(crate) struct KeyRing {
    pub(crate) created: f64,
    /// By id.
    pub(crate) keys: BTreeMap<String, CryptoKey>,
}

#[derive(Clone)]
pub(crate) struct CryptoKey {
    /// What new versions are.
    pub(crate) algorithm: &'static Algorithm,
    pub(crate) protection_level: &'static str,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) created: f64,
    /// For how many seconds versions are DESTROY_SCHEDULED.
    pub(crate) destroy_scheduled: i64,
    pub(crate) import_only: bool,
    /// In the order of their numbers.
    pub(crate) versions: Vec<Version>,
}

/// 30 days, unless a key says otherwise.
pub(crate) const DESTROY_SCHEDULED_SECONDS: i64 = 30 * 86_400;
