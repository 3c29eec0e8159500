//! The audit trail: a line of JSON for each use of a private or secret key, in a file.
//!
//! The option `audit_file` names the file. docs/monitoring.md describes the fields of a line. A line contains neither
//! plaintexts nor secrets nor signatures.
//!
//! The file is opened for each line, and the line is written by one write(2) at its end. So lines of several processes do
//! not mix, a forked process needs nothing of its parent, and the file can be rotated at any time.

use crate::host::descriptors;
use crate::host::process;
use crate::log_error;
use der::DateTime;
use serde::Serialize;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The settings of the audit trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditTrail {
    /// The file to which lines are appended.
    pub file: PathBuf,
    /// Whether a call fails whose line can't be written.
    pub is_required: bool,
}

/// A use of a private or secret key.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct KeyUse<'a> {
    /// The label of the slot.
    pub slot: &'a str,
    /// The service's immutable id of the key, or the configured name if the id is not known.
    pub key: &'a str,
    /// What the key was used for: `sign`, `verify`, `decrypt`, `unwrap` or `derive`.
    pub operation: &'a str,
    /// The standard's name of the mechanism.
    pub mechanism: &'a str,
    /// A digest of the data, in hexadecimal.
    pub digest: &'a str,
    /// What `digest` is: the name of a hash, or what its SHA-256 digest is of.
    pub digest_type: &'a str,
    /// The standard's name of the CK_RV.
    pub result: &'a str,
    /// The message of the error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'a str>,
    /// The service's id of the request, if it has replied with one.
    pub request_id: Option<&'a str>,
}

/// A line of the file.
#[derive(Serialize)]
struct Line<'a> {
    /// RFC 3339, UTC, with milliseconds.
    time: String,
    program: &'a str,
    pid: u32,
    uid: u32,
    #[serde(flatten)]
    key_use: KeyUse<'a>,
}

/// What C_Initialize has set up.
struct Active {
    trail: AuditTrail,
    /// The path of the program that this process runs.
    program: String,
}

static IS_ENABLED: AtomicBool = AtomicBool::new(false);
/// Locked on the host's threads only, inside the gate for forks.
static ACTIVE: Mutex<Option<Arc<Active>>> = Mutex::new(None);

/// How long a write waits for a slow reader, if the file is a pipe.
const WRITE_TIMEOUT: Duration = Duration::from_millis(100);

/// Begins the audit, if there is a file for it. Called by C_Initialize. Does not access the file system.
pub fn start(trail: Option<AuditTrail>) {
    IS_ENABLED.store(trail.is_some(), Ordering::Relaxed);
    let active = trail.map(|trail| {
        // A daemon changes its working directory.
        let file = std::path::absolute(&trail.file).unwrap_or(trail.file);
        let program = process::executable().to_string_lossy().into_owned();
        Arc::new(Active { trail: AuditTrail { file, ..trail }, program })
    });
    *ACTIVE.lock().unwrap_or_else(PoisonError::into_inner) = active;
}

/// Returns whether uses of keys are recorded.
pub fn is_enabled() -> bool {
    IS_ENABLED.load(Ordering::Relaxed)
}

/// Records a use of a key. Must be called inside the gate, and without a lock that another call needs.
///
/// A failure is logged, but not once more until a line is written.
///
/// # Errors
/// Why the line can't be written, if the call must then fail.
pub fn record(key_use: KeyUse) -> Result<(), String> {
    static HAS_FAILED: AtomicBool = AtomicBool::new(false);
    let Some(active) = ACTIVE.lock().unwrap_or_else(PoisonError::into_inner).clone() else { return Ok(()) };
    let written = append(&active.trail.file, &active.line(SystemTime::now(), key_use));
    let had_failed = HAS_FAILED.swap(written.is_err(), Ordering::Relaxed);
    let Err(error) = written else { return Ok(()) };
    let message = format!(
        "can't write the audit file {}: {error}; create its directory, or let this user write to it (option \"audit_file\")",
        active.trail.file.display()
    );
    if !had_failed {
        log_error!("{message}");
    }
    if active.trail.is_required { Err(message) } else { Ok(()) }
}

impl Active {
    fn line(&self, time: SystemTime, key_use: KeyUse) -> String {
        let (pid, uid) = (std::process::id(), process::real_user_id());
        let line = Line { time: rfc3339(time), program: &self.program, pid, uid, key_use };
        // Serializing texts and numbers into a string never fails.
        let mut line = serde_json::to_string(&line).unwrap_or_default();
        line.push('\n');
        line
    }
}

/// Returns the time as `2026-01-02T03:04:05.678Z`.
fn rfc3339(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = DateTime::from_unix_duration(Duration::from_secs(since.as_secs()));
    let seconds = seconds.map_or_else(|_| String::new(), |time| time.to_string());
    format!("{}.{:03}Z", seconds.trim_end_matches('Z'), since.subsec_millis())
}

/// Appends the line by one write(2). A new file is accessible to this user only.
fn append(path: &Path, line: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    // Without O_NONBLOCK, a named pipe without a reader would block the host in open(2).
    let file = options.create(true).append(true).mode(0o600).custom_flags(libc::O_NONBLOCK).open(path)?;
    match descriptors::write(file.as_raw_fd(), line.as_bytes(), WRITE_TIMEOUT) {
        true => Ok(()),
        false => Err(io::Error::other("the line could not be written as a whole; is the disk full?")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const USE: KeyUse = KeyUse {
        slot: "a \"b\"\n\u{1b}",
        key: "arn:1",
        operation: "sign",
        mechanism: "CKM_ECDSA",
        digest: "00ff",
        digest_type: "SHA-256",
        result: "CKR_OK",
        error: None,
        request_id: None,
    };

    #[test]
    fn a_line_is_an_object_with_a_time() {
        let trail = AuditTrail { file: "/nowhere".into(), is_required: false };
        let active = Active { trail, program: "/bin/program".into() };
        let line = active.line(UNIX_EPOCH + Duration::from_millis(1_700_000_000_007), USE);
        let (pid, uid) = (std::process::id(), process::real_user_id());
        let expected = format!(
            r#"{{"time":"2023-11-14T22:13:20.007Z","program":"/bin/program","pid":{pid},"uid":{uid},"slot":"a \"b\"\n\u001b","key":"arn:1","operation":"sign","mechanism":"CKM_ECDSA","digest":"00ff","digest_type":"SHA-256","result":"CKR_OK","request_id":null}}"#
        );
        assert_eq!(line, expected + "\n");
    }

    #[test]
    fn lines_are_appended_to_a_private_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit");
        append(&path, "one\n").unwrap();
        append(&path, "two\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\ntwo\n");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(append(&folder.path().join("missing/audit"), "one\n").is_err());
        assert!(append(Path::new("/dev/full"), "one\n").is_err());
    }
}
