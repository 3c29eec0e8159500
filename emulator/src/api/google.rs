//! The Google side of an emulator, for Rust tests: key rings, keys and their versions.

use super::google_key::GoogleKey;
use crate::google::kms;
use crate::state::State;
use crate::state::google::{
    Algorithm, CryptoKey, DESTROY_SCHEDULED_SECONDS, KEY_RING, PROJECT, PROJECT_NUMBER, VERSIONS, Version,
    VersionState, crypto_key_of,
};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io;

/// A crypto key that was made, and its newest version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GoogleKeyId {
    /// `projects/P/locations/L/keyRings/R/cryptoKeys/K`.
    pub name: String,
    /// `projects/P/locations/L/keyRings/R/cryptoKeys/K/cryptoKeyVersions/N`.
    pub version: String,
}

/// The Google side of an emulator. A key is named by its full name, or by its id if it is in [`GoogleKey::KEY_RING`]; a
/// version by its full name, and the newest one by the key's.
#[derive(Clone, Copy)]
pub struct Google<'a> {
    pub(crate) state: &'a State,
}

impl Google<'_> {
    /// The project of the service account and of [`GoogleKey::KEY_RING`].
    pub const PROJECT: &'static str = PROJECT;
    /// Its number, which errors and the metadata server name.
    pub const PROJECT_NUMBER: &'static str = PROJECT_NUMBER;

    /// Makes a crypto key and its versions, which are ENABLED. One of that name is replaced.
    pub fn create_key(&self, id: &str, key: GoogleKey) -> io::Result<GoogleKeyId> {
        let algorithm = Algorithm::named(&key.algorithm)
            .ok_or_else(|| invalid(format!("{} is not an algorithm of Cloud KMS", key.algorithm)))?;
        let ring = key.key_ring.as_deref().unwrap_or(KEY_RING);
        let parts: Vec<&str> = ring.split('/').collect();
        if !matches!(parts.as_slice(), ["projects", _, "locations", _, "keyRings", _]) || !kms::is_id(id) {
            let text = format!("{ring}/cryptoKeys/{id} is not projects/P/locations/L/keyRings/R/cryptoKeys/K");
            return Err(invalid(text));
        }
        let protection_level = match key.protection_level.as_deref() {
            None | Some("HSM") => "HSM",
            Some("SOFTWARE") => "SOFTWARE",
            Some(other) => return Err(invalid(format!("{other} is neither HSM nor SOFTWARE"))),
        };
        let created = self.state.clock.precise();
        let mut made = CryptoKey {
            algorithm,
            protection_level,
            labels: key.labels.clone(),
            created,
            destroy_scheduled: DESTROY_SCHEDULED_SECONDS,
            import_only: false,
            versions: Vec::new(),
        };
        let count = key.versions.unwrap_or(1);
        for number in 1..=count {
            made.versions.push(self.version(&made, number, key.reuse)?);
        }
        self.state.google.keys.insert(ring, id, made);
        let name = format!("{ring}/cryptoKeys/{id}");
        Ok(GoogleKeyId { version: format!("{name}{VERSIONS}{count}"), name })
    }

    /// A new version, as the key's template says.
    pub fn create_version(&self, key: &str) -> io::Result<GoogleKeyId> {
        let name = full_name(key);
        let known = self.state.google.keys.key(&name).ok_or_else(|| missing(&name))?;
        let number = known.versions.last().map_or(1, |last| last.number + 1);
        let version = self.version(&known, number, false)?;
        self.state.google.keys.change_key(&name, |key| key.versions.push(version));
        Ok(GoogleKeyId { version: format!("{name}{VERSIONS}{number}"), name })
    }

    /// New versions of the key have this algorithm.
    pub fn set_algorithm(&self, key: &str, algorithm: &str) -> io::Result<()> {
        let found = Algorithm::named(algorithm);
        let algorithm = found.ok_or_else(|| invalid(format!("{algorithm} is not an algorithm of Cloud KMS")))?;
        let name = full_name(key);
        let changed = self.state.google.keys.change_key(&name, |key| key.algorithm = algorithm);
        changed.ok_or_else(|| missing(&name))
    }

    /// Sets the state of a version, for example `DISABLED`, `DESTROYED`, `PENDING_IMPORT` or `IMPORT_FAILED`.
    pub fn set_state(&self, version: &str, state: &str) -> io::Result<()> {
        let known = VersionState::named(state);
        let state = known.ok_or_else(|| invalid(format!("{state} is not a state of a key version")))?;
        let now = self.state.clock.precise();
        self.change(version, |version| {
            version.state = state;
            match state {
                // Until a test says otherwise.
                VersionState::PendingGeneration => version.generated = f64::INFINITY,
                VersionState::Destroyed => version.destroyed = Some(now),
                VersionState::DestroyScheduled => version.destroyed = Some(now + 30.0 * 86_400.0),
                _ => (version.generated, version.destroyed) = (version.generated.min(now), None),
            }
        })
    }

    /// Disables a version.
    pub fn disable(&self, version: &str) -> io::Result<()> {
        self.set_state(version, "DISABLED")
    }

    /// Enables a version, whatever its state was.
    pub fn enable(&self, version: &str) -> io::Result<()> {
        self.set_state(version, "ENABLED")
    }

    /// Schedules a version for destruction.
    pub fn destroy(&self, version: &str) -> io::Result<()> {
        self.set_state(version, "DESTROY_SCHEDULED")
    }

    /// The state of a version.
    pub fn version_state(&self, version: &str) -> io::Result<String> {
        Ok(self.find(version)?.1.state.name().to_owned())
    }

    /// The labels of a key.
    pub fn labels(&self, key: &str) -> io::Result<BTreeMap<String, String>> {
        let name = full_name(key);
        Ok(self.state.google.keys.key(&name).ok_or_else(|| missing(&name))?.labels)
    }

    /// Sets a label of a key.
    pub fn set_label(&self, key: &str, name: &str, value: &str) -> io::Result<()> {
        let key = full_name(key);
        let changed =
            self.state.google.keys.change_key(&key, |key| key.labels.insert(name.to_owned(), value.to_owned()));
        changed.map(|_| ()).ok_or_else(|| missing(&key))
    }

    /// Takes a key away with all its versions, as if it had never been.
    pub fn forget_key(&self, key: &str) -> io::Result<()> {
        let name = full_name(key);
        let removed = self.state.google.keys.remove(&name);
        if removed { Ok(()) } else { Err(missing(&name)) }
    }

    /// The public key of a version in SubjectPublicKeyInfo.
    pub fn public_key_spki(&self, version: &str) -> io::Result<Vec<u8>> {
        Ok(self.find(version)?.1.material.spki.clone())
    }

    /// The bytes of an HMAC key, to compute its MACs independently.
    pub fn secret_key(&self, version: &str) -> io::Result<Vec<u8>> {
        let (name, version) = self.find(version)?;
        if version.algorithm.is_asymmetric() {
            return Err(invalid(format!("{name} is not a secret key")));
        }
        Ok(version.material.private.clone())
    }

    fn version(&self, key: &CryptoKey, number: u32, reuse: bool) -> io::Result<Version> {
        let pool = &self.state.materials;
        let family = key.algorithm.family;
        let now = self.state.clock.precise();
        Ok(Version {
            number,
            algorithm: key.algorithm,
            protection_level: key.protection_level,
            material: if reuse { pool.shared(family)? } else { pool.fresh(family)? },
            state: VersionState::Enabled,
            created: now,
            generated: now,
            destroyed: None,
        })
    }

    /// A version and its full name.
    fn find(&self, version: &str) -> io::Result<(String, Version)> {
        self.state.google.keys.sweep(self.state.clock.precise());
        let name = full_name(version);
        let keys = &self.state.google.keys;
        let name = match crypto_key_of(&name) {
            (_, Some(_)) => name,
            (key, None) => {
                let number = keys.key(key).and_then(|key| Some(key.versions.last()?.number));
                format!("{key}{VERSIONS}{}", number.unwrap_or_default())
            }
        };
        let found = keys.version(&name).ok_or_else(|| missing(&name))?;
        Ok((name, found))
    }

    fn change(&self, version: &str, change: impl FnOnce(&mut Version)) -> io::Result<()> {
        let (name, _) = self.find(version)?;
        self.state.google.keys.change_version(&name, change).ok_or_else(|| missing(&name))
    }
}

/// An id in the key ring that is always there, or a full name.
fn full_name(key: &str) -> String {
    if key.starts_with("projects/") { key.to_owned() } else { format!("{KEY_RING}/cryptoKeys/{key}") }
}

fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

fn missing(name: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("{name} not found"))
}
