//! Public halves on disk, so that a program that signs once costs one request.
//!
//! Only what can't change is kept: a key that is named so that the name can't come to mean another one. What is read
//! is believed no further than a local certificate: every signature is verified under it. The folder and its files
//! are this user's alone; whatever is wrong with them only means that the service is asked.

use crate::backend::{KeyFacts, KeyName, SharedBackend};
use crate::hash::Hash;
use crate::key::PublicKey;
use crate::{log_debug, log_warn, process};
use base64ct::{Base64, Encoding};
use serde::{Deserialize, Serialize};
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// The cache in a folder; made, and looked at, at the first use.
#[derive(Debug)]
pub struct Cache {
    folder: PathBuf,
    usable: OnceLock<bool>,
}

/// A file's contents. Its name is a hash; place and key are in it, too, to be compared and for people.
#[derive(Deserialize, PartialEq, Serialize)]
struct Entry {
    version: u32,
    place: String,
    key: String,
    immutable_id: String,
    /// Base64 of DER of a SubjectPublicKeyInfo.
    public_key: String,
    hardware: bool,
}

/// Entries of another version are left alone and asked for anew.
const VERSION: u32 = 2;

/// Far more than an entry has.
const LARGEST: u64 = 64 << 10;

impl Cache {
    /// The cache in `folder`; nothing is touched yet.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, usable: OnceLock::new() }
    }

    /// What was kept of a key.
    pub fn facts(&self, backend: &SharedBackend, key: &KeyName) -> Option<KeyFacts> {
        if !backend.is_immutable(key) || !self.is_usable() {
            return None;
        }
        facts_in(&self.read(&self.path(backend, key))?, backend, key)
    }

    /// Keeps what a service told of a key, if it can't change: a key that does all that its kind usually can.
    pub fn keep(&self, backend: &SharedBackend, key: &KeyName, facts: &KeyFacts) {
        let usual = facts.refusal.is_none() && facts.schemes == backend.usual_schemes(facts.kind);
        let immutable_id = facts.immutable_id.clone().filter(|_| usual && backend.is_immutable(key));
        let (Some(immutable_id), Some(public_key)) = (immutable_id, &facts.public_key) else { return };
        let entry = Entry {
            version: VERSION,
            place: backend.place(),
            key: name(key),
            immutable_id,
            public_key: Base64::encode_string(public_key.spki()),
            hardware: facts.hardware,
        };
        if self.is_usable()
            && let Err(error) = self.write(&self.path(backend, key), &entry)
        {
            log_debug!("the cache in {}: {error}", self.folder.display());
        }
    }

    /// Forgets a key of which something else turned out to be true.
    pub fn forget(&self, backend: &SharedBackend, key: &KeyName) {
        if self.is_usable() {
            let _ = fs::remove_file(self.path(backend, key));
        }
    }

    fn is_usable(&self) -> bool {
        *self.usable.get_or_init(|| match open(&self.folder) {
            Ok(()) => true,
            Err(error) => {
                log_warn!("no public half is cached in {}: {error}", self.folder.display());
                false
            }
        })
    }

    fn path(&self, backend: &SharedBackend, key: &KeyName) -> PathBuf {
        let digest = Hash::Sha256.digest(format!("{}\0{}", backend.place(), name(key)).as_bytes());
        self.folder.join(digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
    }

    fn read(&self, path: &Path) -> Option<Vec<u8>> {
        let file = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path).ok()?;
        let own = file.metadata().ok().filter(|about| about.is_file() && is_ours(about));
        if own.is_none() {
            log_warn!("{} is left alone: it is not this user's alone", path.display());
        }
        let mut bytes = Vec::new();
        own.and_then(|_| file.take(LARGEST).read_to_end(&mut bytes).ok())?;
        Some(bytes)
    }

    /// All or nothing, also among processes: a file of its own first, then its name.
    fn write(&self, path: &Path, entry: &Entry) -> io::Result<()> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let part = self.folder.join(format!("part-{}-{number}", std::process::id()));
        let written = create(&part).and_then(|mut file| file.write_all(&serde_json::to_vec(entry)?));
        let moved = written.and_then(|()| fs::rename(&part, path));
        if moved.is_err() {
            let _ = fs::remove_file(&part);
        }
        moved
    }
}

/// What a file of the cache tells of that key, if it is about it.
pub(crate) fn facts_in(bytes: &[u8], backend: &SharedBackend, key: &KeyName) -> Option<KeyFacts> {
    let entry: Entry = serde_json::from_slice(bytes).ok()?;
    if (entry.version, &entry.place, &entry.key) != (VERSION, &backend.place(), &name(key)) {
        return None;
    }
    let public_key = PublicKey::from_spki(&Base64::decode_vec(&entry.public_key).ok()?).ok()?;
    let schemes = backend.usual_schemes(public_key.kind());
    log_debug!("{} at {}: its public half is cached", key.id, entry.place);
    let (immutable_id, hardware) = (Some(entry.immutable_id), entry.hardware);
    Some(KeyFacts { immutable_id, hardware, ..KeyFacts::of(public_key, schemes) })
}

/// What is asked of the service: a version is part of a key's name.
fn name(key: &KeyName) -> String {
    match &key.version {
        Some(version) => format!("{}/{version}", key.id),
        None => key.id.clone(),
    }
}

/// Makes the folder, if there is none, in one that is there; and sees that nobody else can put anything into it.
fn open(folder: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let about = fs::symlink_metadata(folder)?;
    match about.is_dir() && is_ours(&about) {
        true => Ok(()),
        false => Err(io::Error::other("it is not a folder that this user alone can write to (chmod 700)")),
    }
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Of this user, and nobody else can write to it.
fn is_ours(about: &Metadata) -> bool {
    about.uid() == process::user() && about.mode() & 0o022 == 0
}
