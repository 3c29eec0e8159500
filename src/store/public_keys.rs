//! The public-key cache on disk, with which a program that signs once sends only one request.
//!
//! The name of a key may refer to another key later: an alias, or a Key Vault key without its version. `token/key`
//! uses the cached public key of such a name only to sign. A cached public key is trusted no more than a local
//! certificate: every signature is verified with it. Only this user can write to the directory and its files. If
//! anything is wrong with them, the module asks the service instead.

use super::private_directory::{PrivateDirectory, hex_digest};
use crate::cloud::{KeyDescription, KeyName, SharedBackend, purposes_of, schemes_for};
use crate::key::{PublicKey, Purpose};
use crate::{log_debug, log_warn};
use base64ct::{Base64, Encoding};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::PathBuf;
use std::sync::OnceLock;

/// A public-key cache in a directory, which is created and checked at the first use.
#[derive(Debug)]
pub struct PublicKeyCache {
    pub(super) folder: PrivateDirectory,
    usable: OnceLock<bool>,
}

/// The contents of a file. Its name is a hash of the place and the key. Both are also in the file, for comparison
/// and for human readers.
#[derive(Deserialize, PartialEq, Serialize)]
struct CachedKey {
    version: u32,
    place: String,
    key: String,
    immutable_id: String,
    /// The purposes of the key: "sign", "decrypt", "derive".
    purposes: Vec<String>,
    /// The scheme of the key, in a service whose keys have a single scheme.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scheme: Option<String>,
    /// A SubjectPublicKeyInfo, as base64 of DER.
    public_key: String,
}

/// The version of the file's format. Entries with another version are ignored, and the service is asked again.
const VERSION: u32 = 3;

const PURPOSES: [(Purpose, &str); 3] =
    [(Purpose::Sign, "sign"), (Purpose::Decrypt, "decrypt"), (Purpose::Derive, "derive")];

impl PublicKeyCache {
    /// Returns the cache in `folder`. Does not access the file system.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder: PrivateDirectory::new(folder), usable: OnceLock::new() }
    }

    /// Returns the cached facts of a key. Returns `None` if there are none, or if the cache can't be used.
    pub fn get(&self, backend: &SharedBackend, key: &KeyName) -> Option<KeyDescription> {
        if !self.is_usable() {
            return None;
        }
        parse_entry(&self.folder.read(&file_name(backend, key)).ok()??, backend, key)
    }

    /// Caches what the service reports about a key, if the key permits everything that the service does with keys of its
    /// kind. In a service whose keys have a single purpose, the key permits everything for its purpose; in a service whose
    /// keys have a single scheme, it has one. Failures are logged at debug level.
    pub fn insert(&self, backend: &SharedBackend, key: &KeyName, facts: &KeyDescription) {
        let all = purposes_of(&**backend, facts.kind);
        let purposes: Vec<Purpose> = match backend.has_single_purpose() {
            true => all.into_iter().filter(|purpose| facts.permits(*purpose)).collect(),
            false => all,
        };
        let scheme = match facts.schemes[..] {
            [one] if backend.has_single_scheme() => Some(one.name()),
            _ => None,
        };
        let has_all = || facts.schemes == schemes_for(&**backend, facts.kind, &purposes);
        let permits_everything = facts.unusable_reason.is_none()
            && facts.forbidden_purposes.is_empty()
            && !purposes.is_empty()
            && (scheme.is_some() || has_all());
        let immutable_id = facts.immutable_id.clone().filter(|_| permits_everything);
        let (Some(immutable_id), Some(public_key)) = (immutable_id, &facts.public_key) else { return };
        let entry = CachedKey {
            version: VERSION,
            place: place_of(backend, key),
            key: qualified_name(key),
            immutable_id,
            purposes: names_of(&purposes),
            scheme,
            public_key: Base64::encode_string(public_key.spki()),
        };
        if self.is_usable()
            && let Err(error) = self.write(&file_name(backend, key), &entry)
        {
            log_debug!("the cache in {} can't be written: {error}", self.folder);
        }
    }

    /// Removes a key whose cached facts turned out to be wrong.
    pub fn remove(&self, backend: &SharedBackend, key: &KeyName) {
        if self.is_usable() {
            let _ = self.folder.remove(&file_name(backend, key));
        }
    }

    pub(super) fn is_usable(&self) -> bool {
        *self.usable.get_or_init(|| match self.folder.create() {
            Ok(()) => true,
            Err(error) => {
                log_warn!("public keys are not cached in {}: {error}", self.folder);
                false
            }
        })
    }

    /// Writes the file, unless it has that content already. The public key of a mutable name is offered in each process.
    fn write(&self, name: &str, entry: &CachedKey) -> io::Result<()> {
        let bytes = serde_json::to_vec(entry)?;
        let is_written = self.folder.read(name).is_ok_and(|known| known.is_some_and(|known| known == bytes));
        if is_written { Ok(()) } else { self.folder.write(name, &bytes) }
    }
}

/// Returns the facts in a file of the cache, or `None` if the file is invalid or describes another key.
pub(crate) fn parse_entry(bytes: &[u8], backend: &SharedBackend, key: &KeyName) -> Option<KeyDescription> {
    let entry: CachedKey = serde_json::from_slice(bytes).ok()?;
    if (entry.version, &entry.place, &entry.key) != (VERSION, &place_of(backend, key), &qualified_name(key)) {
        return None;
    }
    let public_key = PublicKey::from_spki(&Base64::decode_vec(&entry.public_key).ok()?).ok()?;
    let purposes: Vec<Purpose> = PURPOSES
        .into_iter()
        .filter(|(_, name)| entry.purposes.iter().any(|own| own == name))
        .map(|(purpose, _)| purpose)
        .collect();
    let mut schemes = schemes_for(&**backend, public_key.kind(), &purposes);
    schemes.retain(|own| entry.scheme.as_ref().is_none_or(|name| own.name() == *name));
    if schemes.is_empty() || schemes.len() > 1 && backend.has_single_scheme() {
        return None;
    }
    log_debug!("{} at {}: its public key is cached", key.id, backend.place());
    let immutable_id = Some(entry.immutable_id);
    Some(KeyDescription { immutable_id, ..KeyDescription::from_public_key(public_key, schemes) })
}

fn names_of(purposes: &[Purpose]) -> Vec<String> {
    PURPOSES.into_iter().filter(|(own, _)| purposes.contains(own)).map(|(_, name)| name.to_owned()).collect()
}

fn file_name(backend: &SharedBackend, key: &KeyName) -> String {
    hex_digest(format!("{}\0{}", backend.place(), qualified_name(key)).as_bytes())
}

/// Returns the place of the key, as it stands in a file. The same alias may be another key in another account, so the place
/// of a mutable name contains a digest of what selects the account.
fn place_of(backend: &SharedBackend, key: &KeyName) -> String {
    let account = if backend.is_immutable(key) { String::new() } else { backend.account_of(key) };
    match account.is_empty() {
        true => backend.place(),
        false => format!("{} {}", backend.place(), hex_digest(account.as_bytes())),
    }
}

/// Returns the name in requests to the service: the version is a part of it.
fn qualified_name(key: &KeyName) -> String {
    match &key.version {
        Some(version) => format!("{}/{version}", key.id),
        None => key.id.clone(),
    }
}
