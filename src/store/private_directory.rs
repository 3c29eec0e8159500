//! A directory of small files that only this user can write.
//!
//! Files that another user could have written are never read.

use crate::host::process;
use crate::key::hash::{Hash, hex};
use crate::log_warn;

use std::fmt;
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// A directory that only this user can write to.
#[derive(Debug)]
pub struct PrivateDirectory(PathBuf);

/// The number of bytes of a file at most, far more than keys and usual certificates need.
const MAX_FILE_LEN: u64 = 64 << 10;

impl PrivateDirectory {
    /// Returns the directory with that path. Does not access the file system.
    pub fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Creates the directory if it does not exist, and checks it. The parent directory must exist.
    ///
    /// # Errors
    /// Those of the operating system, and those of [`Self::check`].
    pub fn create(&self) -> io::Result<()> {
        match DirBuilder::new().mode(0o700).create(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        self.check()
    }

    /// Checks that the directory exists and that no other user can write to it.
    ///
    /// # Errors
    /// Those of the operating system, and an error if the path is not a directory, or if the directory belongs to
    /// another user or is writable by its group or others. A symbolic link is not a directory.
    pub fn check(&self) -> io::Result<()> {
        let about = fs::symlink_metadata(&self.0)?;
        match about.is_dir() && is_private(&about) {
            true => Ok(()),
            false => {
                Err(io::Error::other("it must be a directory that only this user can write to; run chmod 700 on it"))
            }
        }
    }

    /// Returns the contents of a file. Returns `None` if the file does not exist. Also returns `None`, and logs a
    /// warning, if it is not a regular file, or if another user owns it or can write to it. Symbolic links are not
    /// followed.
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let path = self.0.join(name);
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let file = match OpenOptions::new().read(true).custom_flags(flags).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        if !file.metadata().is_ok_and(|about| about.is_file() && is_private(&about)) {
            log_warn!(
                "{} is ignored, because another user owns it or can write to it; delete it, or correct its owner and mode",
                path.display()
            );
            return Ok(None);
        }
        let mut bytes = Vec::new();
        file.take(MAX_FILE_LEN).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    /// Writes a file atomically, also with regard to other processes: a temporary file is written and then
    /// renamed.
    ///
    /// # Errors
    /// Those of the operating system, and an error if [`Self::read`] would not return all of the bytes.
    pub fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        if bytes.len() as u64 > MAX_FILE_LEN {
            return Err(io::Error::other(format!("a file has {MAX_FILE_LEN} bytes at most, not {}", bytes.len())));
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let temporary = self.0.join(format!("part-{}-{number}", std::process::id()));
        let written = create(&temporary).and_then(|mut file| file.write_all(bytes));
        let moved = written.and_then(|()| fs::rename(&temporary, self.0.join(name)));
        if moved.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        moved
    }

    /// Removes a file.
    ///
    /// # Errors
    /// Those of the operating system, also if there is no such file.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.0.join(name))
    }
}

impl fmt::Display for PrivateDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}

/// Returns the SHA-256 digest of `about` in hexadecimal, which serves as the name of a file.
pub fn hex_digest(about: &[u8]) -> String {
    hex(&Hash::Sha256.digest(about))
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Returns whether the file or directory belongs to this user and no other user can write to it.
fn is_private(about: &Metadata) -> bool {
    about.uid() == process::effective_user_id() && about.mode() & 0o022 == 0
}
