//! The file that a command writes.

use crate::failure::{Failure, Outcome};
use crate::output::write_bytes;
use clap::Args;
use std::fs::{OpenOptions, Permissions};
use std::io::{IsTerminal, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The arguments of every command that writes a file.
#[derive(Args)]
pub struct OutputArguments {
    /// Write to this file instead of stdout
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Overwrite the file if it exists
    #[arg(long, requires = "out")]
    force: bool,
}

/// The mode of a file for everybody, before the umask takes its part.
pub const FOR_ALL: u32 = 0o666;
/// For secrets.
const FOR_THE_USER: u32 = 0o600;

impl OutputArguments {
    /// Refuses to write binary data to a terminal.
    ///
    /// # Errors
    /// If the output goes to a terminal. `alternative` is what to do instead, besides `--out`.
    pub fn refuse_terminal(&self, what: &str, alternative: &str) -> Outcome<()> {
        match self.out.is_none() && std::io::stdout().is_terminal() {
            true => Err(Failure::new(format!("stdout is a terminal, and {what} is binary"))
                .fix(format!("use --out FILE, or {alternative}"))),
            false => Ok(()),
        }
    }

    /// Checks that the file may be written, before a request is made for its content.
    ///
    /// # Errors
    /// If the file exists.
    pub fn check(&self) -> Outcome<()> {
        match &self.out {
            Some(path) if !self.force && path.symlink_metadata().is_ok() => Err(exists(path)),
            _ => Ok(()),
        }
    }

    /// Writes the output.
    ///
    /// # Errors
    /// If the file exists, or can't be written.
    pub fn write(&self, content: &[u8]) -> Outcome<()> {
        self.write_with(content, FOR_ALL)
    }

    /// Writes an output that only this user may read.
    ///
    /// # Errors
    /// If the file exists, or can't be written.
    pub fn write_secret(&self, content: &[u8]) -> Outcome<()> {
        self.write_with(content, FOR_THE_USER)
    }

    fn write_with(&self, content: &[u8], mode: u32) -> Outcome<()> {
        match &self.out {
            Some(path) => write_file(path, self.force, content, mode),
            None => write_bytes(content),
        }
    }
}

/// Writes the whole file or nothing: another program sees the file only when it is complete. `mode` is that of a new file.
///
/// # Errors
/// If the file exists and `overwrite` is false, or if it can't be written.
pub fn write_file(path: &Path, overwrite: bool, content: &[u8], mode: u32) -> Outcome<()> {
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => exists(path),
        _ => Failure::from(error).of(path.display()),
    };
    // A file that a link leads to is replaced, not the link.
    let place = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let existing = place.metadata().ok();
    // A device or a pipe can't be replaced.
    if overwrite && existing.as_ref().is_some_and(|metadata| !metadata.is_file()) {
        let mut file = OpenOptions::new().write(true).open(&place).map_err(failed)?;
        return file.write_all(content).map_err(failed);
    }
    let mode = existing.map_or(mode, |metadata| metadata.permissions().mode() & mode);
    let folder = place.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file =
        tempfile::Builder::new().permissions(Permissions::from_mode(mode)).tempfile_in(folder).map_err(failed)?;
    file.write_all(content).and_then(|()| file.as_file().sync_all()).map_err(failed)?;
    let persisted = if overwrite { file.persist(&place) } else { file.persist_noclobber(&place) };
    persisted.map(drop).map_err(|error| failed(error.error))
}

fn exists(path: &Path) -> Failure {
    Failure::new(format!("{} exists already", path.display())).fix("name another file, or overwrite it by --force")
}
