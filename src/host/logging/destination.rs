//! The destination of log lines: standard error or a file.
//!
//! A host may close all descriptors and open its own under the same numbers. A descriptor that no longer belongs
//! to this module is neither written to nor closed.

use crate::host::descriptors;
use crate::host::file_id;
use crate::host::file_id::FileId;
use crate::host::tracked_descriptor::TrackedDescriptor;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, IntoRawFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

static LOG_FILE: TrackedDescriptor = TrackedDescriptor::new();
static STANDARD_ERROR: TrackedDescriptor = TrackedDescriptor::new();
/// The path of the log file, to open the file again. Writers of log lines only try the lock and never wait for it,
/// because a fork may leave it locked.
static PATH: Mutex<Option<PathBuf>> = Mutex::new(None);

/// Stores the identity of standard error when the host begins to use the module.
pub fn remember_standard_error() {
    STANDARD_ERROR.set(libc::STDERR_FILENO);
}

/// Appends lines to the file at `path` from now on. A new file is accessible to this user only, because log lines
/// name keys, accounts and vaults.
///
/// # Errors
/// Returns the operating system's error if the file cannot be opened, if its descriptor cannot replace that of an
/// earlier log file, or if its path cannot be made absolute.
pub fn set_file(path: &Path) -> io::Result<()> {
    let file = open(path)?;
    match LOG_FILE.get() {
        // The number of the descriptor is kept. A thread that is writing meets either the old or the new file, and
        // no descriptor stays open.
        Some(earlier) => {
            descriptors::redirect(earlier, file)?;
            LOG_FILE.set(earlier);
        }
        None => LOG_FILE.set(file.into_raw_fd()),
    }
    // The path must be absolute, because a daemon changes its working directory before it closes all descriptors.
    *PATH.lock().unwrap_or_else(PoisonError::into_inner) = Some(std::path::absolute(path)?);
    Ok(())
}

/// Returns the descriptor to write to now, if there is one.
pub fn descriptor() -> Option<RawFd> {
    match LOG_FILE.is_none() {
        true => standard_error(),
        false => LOG_FILE.get().or_else(reopen).or_else(standard_error),
    }
}

fn open(path: &Path) -> io::Result<File> {
    // Without O_NONBLOCK, a named pipe without a reader would block the host in open(2), and a full pipe in
    // write(2).
    let mut options = OpenOptions::new();
    options.create(true).append(true).mode(0o600).custom_flags(libc::O_NONBLOCK);
    let file = options.open(path)?;
    // The number must not be one that means standard input, output or error to the host. A clone never gets one of
    // these numbers.
    if file.as_raw_fd() > libc::STDERR_FILENO { Ok(file) } else { file.try_clone() }
}

fn reopen() -> Option<RawFd> {
    let path = PATH.try_lock().ok()?;
    // Another thread may have opened the file meanwhile.
    if LOG_FILE.get().is_none() {
        LOG_FILE.set(open(path.as_ref()?).ok()?.into_raw_fd());
    }
    LOG_FILE.get()
}

/// Returns standard error, unless the host has closed it and descriptor 2 is now a database or a connection.
/// Descriptor 2 may be another log, which daemons open there.
fn standard_error() -> Option<RawFd> {
    let number = libc::STDERR_FILENO;
    let file = FileId::of(number)?;
    let is_log = STANDARD_ERROR.is_none()
        || STANDARD_ERROR.get() == Some(number)
        || file.is_stream()
        || file_id::is_write_only(number);
    is_log.then_some(number)
}
