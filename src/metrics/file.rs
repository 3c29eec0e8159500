//! The file of the metrics. It is replaced as a whole, so a reader never sees a part of it.

use crate::host::process;
use crate::log_error;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// What stands for the process id in the name of the file.
const PROCESS_ID: &[u8] = b"%p";

/// The file of the metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricsFile {
    /// The path, in whose last component `%p` stands for the process id.
    pattern: PathBuf,
    /// The file name of the program.
    program: String,
}

impl MetricsFile {
    /// Returns the file with that path. `%p` in its last component stands for the process id. Does not access the file
    /// system.
    pub fn new(pattern: &Path) -> Self {
        // A daemon changes its working directory.
        let pattern = std::path::absolute(pattern).unwrap_or_else(|_| pattern.to_owned());
        let program = process::executable().file_name().unwrap_or_default().to_string_lossy().into_owned();
        Self { pattern, program }
    }

    /// Writes what `text` returns for the labels that belong to each metric. If that fails, logs it, but not once more
    /// until a write succeeds.
    pub(super) fn write(&self, text: impl FnOnce(&[(&'static str, &str)]) -> String) {
        static HAS_FAILED: AtomicBool = AtomicBool::new(false);
        let process = std::process::id().to_string();
        let labels = [("program", self.program.as_str()), ("pid", process.as_str())];
        // Without a file of its own, a process that starts again continues the series of the one before.
        let has_own_file = self.name().is_some_and(|(_, has_process)| has_process);
        let written = self.replace(&text(if has_own_file { &labels } else { &labels[..1] }));
        let had_failed = HAS_FAILED.swap(written.is_err(), Ordering::Relaxed);
        if let (Err(error), false) = (written, had_failed) {
            log_error!(
                "can't write the metrics file {}: {error}; create its directory, or let this user write to it \
                 (option \"metrics_file\")",
                self.path().display()
            );
        }
    }

    /// Returns the name of the file, and whether it contains the process id.
    fn name(&self) -> Option<(OsString, bool)> {
        let pattern = self.pattern.file_name()?.as_bytes();
        let (mut name, mut rest) = (Vec::new(), pattern);
        while let Some(start) = rest.windows(PROCESS_ID.len()).position(|part| part == PROCESS_ID) {
            name.extend_from_slice(&rest[..start]);
            name.extend_from_slice(std::process::id().to_string().as_bytes());
            rest = &rest[start + PROCESS_ID.len()..];
        }
        name.extend_from_slice(rest);
        let has_process = rest.len() != pattern.len();
        Some((OsString::from_vec(name), has_process))
    }

    fn path(&self) -> PathBuf {
        self.name().map_or_else(|| self.pattern.clone(), |(name, _)| self.pattern.with_file_name(name))
    }

    /// Replaces the file. The temporary file beside it does not end with `.prom`, so node_exporter does not read it.
    fn replace(&self, text: &str) -> io::Result<()> {
        let path = self.path();
        // A rename would put a file in the place of a device or a pipe, such as /dev/stdout.
        if fs::metadata(&path).is_ok_and(|existing| !existing.is_file()) {
            return Err(io::Error::other("it is not a regular file"));
        }
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy();
        let temporary = path.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
        let moved = create(&temporary).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            // The umask of the host must not hide the numbers from the monitoring system.
            file.set_permissions(Permissions::from_mode(0o644))?;
            fs::rename(&temporary, &path)
        });
        if moved.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        moved
    }
}

/// Creates a file, in place of one that a process with the same id has left.
fn create(path: &Path) -> io::Result<File> {
    let create = || OpenOptions::new().write(true).create_new(true).mode(0o644).open(path);
    match create() {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(path)?;
            create()
        }
        created => created,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_id_takes_its_place_in_the_name() {
        let process = std::process::id();
        for (pattern, name, has_process) in [
            ("/d/a.prom", "a.prom".to_owned(), false),
            ("/d/a-%p.prom", format!("a-{process}.prom"), true),
            ("/%p/%p%p%", format!("{process}{process}%"), true),
        ] {
            let file = MetricsFile::new(Path::new(pattern));
            assert_eq!(file.name(), Some((name.clone().into(), has_process)));
            assert_eq!(file.path(), Path::new(pattern).with_file_name(name));
        }
    }

    #[test]
    fn the_file_is_replaced_and_readable_for_everybody() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.prom");
        let file = MetricsFile::new(&path);
        fs::write(&path, "before").unwrap();
        fs::write(folder.path().join(format!(".a.prom.{}.tmp", std::process::id())), "left by a process").unwrap();
        file.replace("after").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "after");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
        // A directory can't be replaced by a file.
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(file.replace("after").is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
    }
}
