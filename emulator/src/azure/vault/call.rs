//! One authorized call.

use super::error::VaultError;
use super::place::Place;
use crate::faults::Tamper;
use crate::http::Request;
use crate::state::State;
use crate::state::azure::Version;
use serde_json::Value;

/// One authorized call.
pub(super) struct Call<'a> {
    pub(super) state: &'a State,
    pub(super) request: &'a Request,
    pub(super) place: Place,
    /// The vault's name in the store.
    pub(super) vault: String,
    pub(super) tamper: Tamper,
    pub(super) now: i64,
}

impl Call<'_> {
    pub(super) fn body(&self) -> Result<Value, VaultError> {
        self.request
            .json()
            .filter(Value::is_object)
            .ok_or_else(|| VaultError::bad_parameter("Property has invalid value\r\n"))
    }

    /// `https://host/keys/name/version`, or without the version.
    pub(super) fn id(&self, collection: &str, name: &str, version: &str) -> String {
        let base = self.request.base_url();
        let end = if version.is_empty() { String::new() } else { format!("/{version}") };
        format!("{base}/{collection}/{name}{end}")
    }

    pub(super) fn find(&self, name: &str, version: &str) -> Result<Version, VaultError> {
        self.state.vaults.find(&self.vault, name, version).map_err(|error| {
            // Managed HSM has its own wording.
            if self.place.hsm {
                VaultError::new(404, "KeyNotFound", format!("Key not found: {name}"))
            } else {
                error.into()
            }
        })
    }
}
