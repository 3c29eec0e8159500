//! One line per event, by one write(2), to standard error, a file or the system's log; never to standard output.
//!
//! No lock and no buffer: a line may be written by any thread at any moment, also while the process forks.
//! What is logged is chosen by the callers: names, causes, request ids; never tokens, PINs or data.

mod syslog;

use crate::process;
use std::fmt::Arguments;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::IntoRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, Ordering};

/// How much is logged. Each level includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// Nothing.
    Off,
    /// A call failed, or a key, certificate or configuration can't be used. The default.
    Error,
    /// Something works otherwise than the user may expect.
    Warn,
    /// What was loaded from where.
    Info,
    /// Each request to a service, each call of the host.
    Debug,
}

impl Level {
    /// The level of that name in a configuration file or environment variable.
    pub fn from_name(name: &str) -> Option<Level> {
        LEVELS.iter().find(|(_, known)| known.eq_ignore_ascii_case(name)).map(|(level, _)| *level)
    }

    /// The names of all levels, for error messages.
    pub fn names() -> Vec<&'static str> {
        LEVELS.iter().map(|(_, name)| *name).collect()
    }
}

const LEVELS: &[(Level, &str)] = &[
    (Level::Off, "off"),
    (Level::Error, "error"),
    (Level::Warn, "warn"),
    (Level::Info, "info"),
    (Level::Debug, "debug"),
];

static LEVEL: AtomicU8 = AtomicU8::new(Level::Error as u8);
static DESTINATION: AtomicI32 = AtomicI32::new(libc::STDERR_FILENO);
static TO_SYSLOG: AtomicBool = AtomicBool::new(false);

/// Sets the level from now on.
pub fn set_level(level: Level) {
    LEVEL.store(level as u8, Ordering::Relaxed);
}

/// Hands lines to the system's log from now on, or again to the file or standard error.
pub fn set_syslog(on: bool) -> io::Result<()> {
    if on {
        syslog::open()?;
    }
    TO_SYSLOG.store(on, Ordering::Relaxed);
    Ok(())
}

/// Appends lines to the file at `path` from now on. A new file is this user's alone: lines name keys, accounts and vaults.
pub fn set_file(path: &Path) -> io::Result<()> {
    let file: File = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    match DESTINATION.load(Ordering::Relaxed) {
        libc::STDERR_FILENO => DESTINATION.store(file.into_raw_fd(), Ordering::Relaxed),
        // The number stays, so that a thread that is writing meets the one file or the other, and none is left open.
        earlier => process::replace(earlier, file)?,
    }
    Ok(())
}

/// Whether a line of this level would be written: to leave out the work of making it.
pub fn enabled(level: Level) -> bool {
    level as u8 <= LEVEL.load(Ordering::Relaxed)
}

/// Writes one line. Line breaks in it (a service's words) are made visible, so that one event stays one line.
pub fn line(level: Level, text: Arguments<'_>) {
    if !enabled(level) {
        return;
    }
    let name = LEVELS.iter().find(|(known, _)| *known == level).map_or("", |(_, name)| *name);
    let to_syslog = TO_SYSLOG.load(Ordering::Relaxed);
    let colon = if to_syslog { ":" } else { "" };
    let mut line = format!("cloud-kms-pkcs11[{}]{colon} {name}: {text}", std::process::id());
    line = line.replace('\r', "\\r").replace('\n', "\\n");
    if to_syslog {
        return syslog::write(level, &line);
    }
    line.push('\n');
    process::write(DESTINATION.load(Ordering::Relaxed), line.as_bytes());
}

/// Logs at [`Level::Error`].
#[macro_export]
macro_rules! log_error { ($($arg:tt)*) => { $crate::logging::line($crate::logging::Level::Error, format_args!($($arg)*)) }; }
/// Logs at [`Level::Warn`].
#[macro_export]
macro_rules! log_warn { ($($arg:tt)*) => { $crate::logging::line($crate::logging::Level::Warn, format_args!($($arg)*)) }; }
/// Logs at [`Level::Info`].
#[macro_export]
macro_rules! log_info { ($($arg:tt)*) => { $crate::logging::line($crate::logging::Level::Info, format_args!($($arg)*)) }; }
/// Logs at [`Level::Debug`].
#[macro_export]
macro_rules! log_debug { ($($arg:tt)*) => { $crate::logging::line($crate::logging::Level::Debug, format_args!($($arg)*)) }; }
