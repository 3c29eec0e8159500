//! A crypto key of Google Cloud that is to be made.

use crate::state::google::KEY_RING;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A crypto key that is to be made, with one version. As JSON: `{"algorithm": "EC_SIGN_P256_SHA256"}`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoogleKey {
    /// The algorithm of its versions, for example `RSA_SIGN_PSS_2048_SHA256`.
    pub algorithm: String,
    /// The full name of its key ring, which is made if it is missing: [`GoogleKey::KEY_RING`], unless said.
    #[serde(default)]
    pub key_ring: Option<String>,
    /// `SOFTWARE` or `HSM`, which it is unless said.
    #[serde(default)]
    pub protection_level: Option<String>,
    /// Labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// How many versions it has: 1, unless said.
    #[serde(default)]
    pub versions: Option<u32>,
    /// Share the material of all keys made this way.
    #[serde(default)]
    pub reuse: bool,
}

impl GoogleKey {
    /// The key ring of keys that name none.
    pub const KEY_RING: &'static str = KEY_RING;

    /// A key of this algorithm.
    pub fn new(algorithm: &str) -> Self {
        Self {
            algorithm: algorithm.to_owned(),
            key_ring: None,
            protection_level: None,
            labels: BTreeMap::new(),
            versions: None,
            reuse: false,
        }
    }

    /// In this key ring, `projects/P/locations/L/keyRings/R`.
    #[must_use]
    pub fn key_ring(mut self, name: &str) -> Self {
        self.key_ring = Some(name.to_owned());
        self
    }

    /// With this protection level, `SOFTWARE` or `HSM`.
    #[must_use]
    pub fn protection_level(mut self, level: &str) -> Self {
        self.protection_level = Some(level.to_owned());
        self
    }

    /// With this label.
    #[must_use]
    pub fn label(mut self, name: &str, value: &str) -> Self {
        self.labels.insert(name.to_owned(), value.to_owned());
        self
    }

    /// With so many versions.
    #[must_use]
    pub fn versions(mut self, count: u32) -> Self {
        self.versions = Some(count);
        self
    }

    /// With the material of all keys made this way: quick, for thousands of keys.
    #[must_use]
    pub fn reuse(mut self) -> Self {
        self.reuse = true;
        self
    }
}
