//! Google Cloud KMS as a [`Backend`]: each method starts a request of the other files of this folder.
//!
//! "REST Resource: v1.projects.locations.keyRings.cryptoKeys" of Google's documentation.

pub(crate) mod settings;

use super::backend::{Backend, Identity, SharedBackend};
use super::failure::{Cause, Failure};
use super::key::{KeyDescription, KeyName, ListedKey, Signature, Target};
use super::runtime::Pending;
use crate::key::{Kind, Scheme};
pub use settings::{Credentials, ProtectionLevel, Settings, Versions};
use std::sync::Arc;

impl Settings {
    /// Returns a backend with these settings. Sends no request and reads no file.
    pub fn open(&self) -> SharedBackend {
        Arc::new(Google(self.clone()))
    }
}

#[derive(Debug)]
struct Google(Settings);

impl Backend for Google {
    fn describe(&self, _key: &KeyName) -> Pending<KeyDescription> {
        Pending::ready(Err(Failure::new(Cause::Unsupported, "GetPublicKey", "not written yet")))
    }

    fn sign(&self, _target: Target, _scheme: Scheme, _data: &[u8]) -> Pending<Signature> {
        Pending::ready(Err(Failure::new(Cause::Unsupported, "AsymmetricSign", "not written yet")))
    }

    fn schemes(&self, _kind: Kind) -> Vec<Scheme> {
        Vec::new()
    }

    fn is_immutable(&self, key: &KeyName) -> bool {
        key.id.contains("/cryptoKeyVersions/")
    }

    fn list(&self, _labels: bool) -> Pending<Vec<ListedKey>> {
        Pending::ready(Err(Failure::new(Cause::Unsupported, "ListCryptoKeys", "not written yet")))
    }

    fn identity(&self) -> Identity {
        Identity { manufacturer: "Google", model: "Cloud KMS Token" }
    }

    fn place(&self) -> String {
        self.0.key_ring.clone().unwrap_or_else(|| "Google Cloud KMS".into())
    }
}
