//! Where lines go: standard error or a file. A host may close all descriptors and open its own under the same numbers:
//! what is not ours any more is neither written to nor closed.

use crate::host::descriptors;
use crate::host::file_id;
use crate::host::file_id::FileId;
use crate::host::remembered::Remembered;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, IntoRawFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

static LOG_FILE: Remembered = Remembered::new();
static STANDARD_ERROR: Remembered = Remembered::new();
/// To open it again. Only tried, never waited for: a fork may leave it locked.
static PATH: Mutex<Option<PathBuf>> = Mutex::new(None);

/// Remembers what standard error is while the host begins to use the module.
pub fn remember_standard_error() {
    STANDARD_ERROR.set(libc::STDERR_FILENO);
}

/// Appends lines to the file at `path` from now on. A new file is this user's alone: lines name keys, accounts and vaults.
pub fn set_file(path: &Path) -> io::Result<()> {
    let file = open(path)?;
    match LOG_FILE.get() {
        // The number stays, so that a thread that is writing meets the one file or the other, and none is left open.
        Some(earlier) => {
            descriptors::replace(earlier, file)?;
            LOG_FILE.set(earlier);
        }
        None => LOG_FILE.set(file.into_raw_fd()),
    }
    // A daemon changes its folder before it closes all descriptors.
    *PATH.lock().unwrap_or_else(PoisonError::into_inner) = Some(std::path::absolute(path)?);
    Ok(())
}

/// The descriptor to write to now, if there is one.
pub fn current() -> Option<RawFd> {
    match LOG_FILE.is_none() {
        true => standard_error(),
        false => LOG_FILE.get().or_else(reopened).or_else(standard_error),
    }
}

fn open(path: &Path) -> io::Result<File> {
    // A named pipe that nobody reads would hold the host in open(2), and a full one in write(2).
    let mut options = OpenOptions::new();
    options.create(true).append(true).mode(0o600).custom_flags(libc::O_NONBLOCK);
    let file = options.open(path)?;
    // Not under a number that means standard input, output or error to the host. A clone gets none of these.
    if file.as_raw_fd() > libc::STDERR_FILENO { Ok(file) } else { file.try_clone() }
}

fn reopened() -> Option<RawFd> {
    let path = PATH.try_lock().ok()?;
    // Another thread may have been quicker.
    if LOG_FILE.get().is_none() {
        LOG_FILE.set(open(path.as_ref()?).ok()?.into_raw_fd());
    }
    LOG_FILE.get()
}

/// Standard error, unless the host has closed it and number 2 is a database or a connection now. A host may put another
/// log there, as daemons do.
fn standard_error() -> Option<RawFd> {
    let number = libc::STDERR_FILENO;
    let file = FileId::of(number)?;
    let is_log = STANDARD_ERROR.is_none()
        || STANDARD_ERROR.get() == Some(number)
        || file.is_stream()
        || file_id::is_write_only(number);
    is_log.then_some(number)
}
