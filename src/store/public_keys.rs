//! Public halves on disk, so that a program that signs once costs one request.
//!
//! Only what can't change is kept: a key that is named so that the name can't come to mean another one. What is read
//! is believed no further than a local certificate: every signature is verified under it. The folder and its files
//! are this user's alone; whatever is wrong with them only means that the service is asked.

use super::private_directory::{PrivateFolder, hex_digest};
use crate::cloud::{KeyFacts, KeyName, SharedBackend, purposes_of, schemes_for};
use crate::key::{PublicKey, Purpose};
use crate::{log_debug, log_warn};
use base64ct::{Base64, Encoding};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::PathBuf;
use std::sync::OnceLock;

/// The cache in a folder; made, and looked at, at the first use.
#[derive(Debug)]
pub struct Cache {
    folder: PrivateFolder,
    usable: OnceLock<bool>,
}

/// A file's contents. Its name is a hash; place and key are in it, too, to be compared and for people.
#[derive(Deserialize, PartialEq, Serialize)]
struct Entry {
    version: u32,
    place: String,
    key: String,
    immutable_id: String,
    /// What the key is for: "sign", "decrypt", "derive".
    purposes: Vec<String>,
    /// Base64 of DER of a SubjectPublicKeyInfo.
    public_key: String,
}

/// Entries of another version are left alone and asked for anew.
const VERSION: u32 = 3;

const PURPOSES: [(Purpose, &str); 3] =
    [(Purpose::Sign, "sign"), (Purpose::Decrypt, "decrypt"), (Purpose::Derive, "derive")];

impl Cache {
    /// The cache in `folder`; nothing is touched yet.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder: PrivateFolder::new(folder), usable: OnceLock::new() }
    }

    /// What was kept of a key.
    pub fn facts(&self, backend: &SharedBackend, key: &KeyName) -> Option<KeyFacts> {
        if !backend.is_immutable(key) || !self.is_usable() {
            return None;
        }
        facts_in(&self.folder.read(&file_name(backend, key)).ok()??, backend, key)
    }

    /// Keeps what a service told of a key, if it can't change: that it does all that its kind can, or all of the one purpose
    /// that a key of such a service has.
    pub fn keep(&self, backend: &SharedBackend, key: &KeyName, facts: &KeyFacts) {
        let all = purposes_of(&**backend, facts.kind);
        let purposes: Vec<Purpose> = match backend.has_single_purpose() {
            true => all.into_iter().filter(|purpose| facts.does(*purpose)).collect(),
            false => all,
        };
        let usual = facts.refusal.is_none()
            && facts.withheld.is_empty()
            && !purposes.is_empty()
            && facts.schemes == schemes_for(&**backend, facts.kind, &purposes);
        let immutable_id = facts.immutable_id.clone().filter(|_| usual && backend.is_immutable(key));
        let (Some(immutable_id), Some(public_key)) = (immutable_id, &facts.public_key) else { return };
        let entry = Entry {
            version: VERSION,
            place: backend.place(),
            key: name(key),
            immutable_id,
            purposes: names_of(&purposes),
            public_key: Base64::encode_string(public_key.spki()),
        };
        if self.is_usable()
            && let Err(error) = self.write(&file_name(backend, key), &entry)
        {
            log_debug!("the cache in {}: {error}", self.folder);
        }
    }

    /// Forgets a key of which something else turned out to be true.
    pub fn forget(&self, backend: &SharedBackend, key: &KeyName) {
        if self.is_usable() {
            let _ = self.folder.remove(&file_name(backend, key));
        }
    }

    fn is_usable(&self) -> bool {
        *self.usable.get_or_init(|| match self.folder.open() {
            Ok(()) => true,
            Err(error) => {
                log_warn!("no public half is cached in {}: {error}", self.folder);
                false
            }
        })
    }

    fn write(&self, name: &str, entry: &Entry) -> io::Result<()> {
        self.folder.write(name, &serde_json::to_vec(entry)?)
    }
}

/// What a file of the cache tells of that key, if it is about it.
pub(crate) fn facts_in(bytes: &[u8], backend: &SharedBackend, key: &KeyName) -> Option<KeyFacts> {
    let entry: Entry = serde_json::from_slice(bytes).ok()?;
    if (entry.version, &entry.place, &entry.key) != (VERSION, &backend.place(), &name(key)) {
        return None;
    }
    let public_key = PublicKey::from_spki(&Base64::decode_vec(&entry.public_key).ok()?).ok()?;
    let purposes: Vec<Purpose> = PURPOSES
        .into_iter()
        .filter(|(_, name)| entry.purposes.iter().any(|own| own == name))
        .map(|(purpose, _)| purpose)
        .collect();
    let schemes = schemes_for(&**backend, public_key.kind(), &purposes);
    if schemes.is_empty() {
        return None;
    }
    log_debug!("{} at {}: its public half is cached", key.id, entry.place);
    let immutable_id = Some(entry.immutable_id);
    Some(KeyFacts { immutable_id, ..KeyFacts::of(public_key, schemes) })
}

fn names_of(purposes: &[Purpose]) -> Vec<String> {
    PURPOSES.into_iter().filter(|(own, _)| purposes.contains(own)).map(|(_, name)| name.to_owned()).collect()
}

fn file_name(backend: &SharedBackend, key: &KeyName) -> String {
    hex_digest(format!("{}\0{}", backend.place(), name(key)).as_bytes())
}

/// What is asked of the service: a version is part of a key's name.
fn name(key: &KeyName) -> String {
    match &key.version {
        Some(version) => format!("{}/{version}", key.id),
        None => key.id.clone(),
    }
}
