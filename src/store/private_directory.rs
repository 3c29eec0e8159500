//! A folder of small files that are this user's alone: what somebody else could have put there is never read.

use crate::host::process;
use crate::key::hash::Hash;
use crate::log_warn;

use std::fmt;
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// See the head of the file.
#[derive(Debug)]
pub struct PrivateFolder(PathBuf);

/// Far more than any of the files has.
const LARGEST: u64 = 64 << 10;

impl PrivateFolder {
    /// The folder of that path; nothing is touched yet.
    pub fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Makes the folder, if there is none, in one that is there; and sees that nobody else can put anything into it.
    pub fn open(&self) -> io::Result<()> {
        match DirBuilder::new().mode(0o700).create(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        self.check()
    }

    /// Whether the folder is there and nobody else can put anything into it.
    pub fn check(&self) -> io::Result<()> {
        let about = fs::symlink_metadata(&self.0)?;
        match about.is_dir() && is_ours(&about) {
            true => Ok(()),
            false => Err(io::Error::other("it is not a folder that this user alone can write to (chmod 700)")),
        }
    }

    /// The contents of a file; None where there is none that is this user's.
    pub fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let path = self.0.join(name);
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let file = match OpenOptions::new().read(true).custom_flags(flags).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        if !file.metadata().is_ok_and(|about| about.is_file() && is_ours(&about)) {
            log_warn!("{} is left alone: it is not this user's alone", path.display());
            return Ok(None);
        }
        let mut bytes = Vec::new();
        file.take(LARGEST).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    /// All or nothing, also among processes: a file of its own first, then its name.
    pub fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let part = self.0.join(format!("part-{}-{number}", std::process::id()));
        let written = create(&part).and_then(|mut file| file.write_all(bytes));
        let moved = written.and_then(|()| fs::rename(&part, self.0.join(name)));
        if moved.is_err() {
            let _ = fs::remove_file(&part);
        }
        moved
    }

    /// Removes a file.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.0.join(name))
    }
}

impl fmt::Display for PrivateFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}

/// The hexadecimal digits of the SHA-256 digest: a name for a file about that.
pub fn hex_digest(about: &[u8]) -> String {
    Hash::Sha256.digest(about).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Of this user, and nobody else can write to it.
fn is_ours(about: &Metadata) -> bool {
    about.uid() == process::user() && about.mode() & 0o022 == 0
}
