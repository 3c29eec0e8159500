//! A version of a crypto key, and its state (`CryptoKeyVersion` of the API).

use super::algorithm::Algorithm;
use crate::crypto::Material;
use std::sync::Arc;

#[derive(Clone)]
pub(crate) struct Version {
    /// Counted from 1.
    pub(crate) number: u32,
    pub(crate) algorithm: &'static Algorithm,
    pub(crate) protection_level: &'static str,
    pub(crate) material: Arc<Material>,
    pub(crate) state: VersionState,
    pub(crate) created: f64,
    /// When a version that is PENDING_GENERATION becomes ENABLED, and since when it has key material.
    pub(crate) generated: f64,
    /// When a version that is DESTROY_SCHEDULED becomes DESTROYED, and since when it is.
    pub(crate) destroyed: Option<f64>,
}

impl Version {
    /// The state at a time.
    pub(crate) fn sweep(&mut self, now: f64) {
        match self.state {
            VersionState::PendingGeneration if self.generated <= now => self.state = VersionState::Enabled,
            VersionState::DestroyScheduled if self.destroyed.is_some_and(|time| time <= now) => {
                self.state = VersionState::Destroyed;
            }
            _ => {}
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VersionState {
    Enabled,
    Disabled,
    Destroyed,
    DestroyScheduled,
    PendingGeneration,
    PendingImport,
    ImportFailed,
    GenerationFailed,
}

/// `CryptoKeyVersionState`, by number.
const STATES: [(VersionState, &str, i64); 8] = [
    (VersionState::Enabled, "ENABLED", 1),
    (VersionState::Disabled, "DISABLED", 2),
    (VersionState::Destroyed, "DESTROYED", 3),
    (VersionState::DestroyScheduled, "DESTROY_SCHEDULED", 4),
    (VersionState::PendingGeneration, "PENDING_GENERATION", 5),
    (VersionState::PendingImport, "PENDING_IMPORT", 6),
    (VersionState::ImportFailed, "IMPORT_FAILED", 7),
    (VersionState::GenerationFailed, "GENERATION_FAILED", 8),
];

impl VersionState {
    pub(crate) fn named(name: &str) -> Option<Self> {
        STATES.iter().find(|row| row.1 == name).map(|row| row.0)
    }

    pub(crate) fn of_number(number: i64) -> Option<Self> {
        STATES.iter().find(|row| row.2 == number).map(|row| row.0)
    }

    pub(crate) fn name(self) -> &'static str {
        STATES.iter().find(|row| row.0 == self).map_or("", |row| row.1)
    }

    pub(crate) fn number(self) -> i64 {
        STATES.iter().find(|row| row.0 == self).map_or(0, |row| row.2)
    }
}
