//! Programs that are started to see whether they load the module.

use std::path::Path;
use std::process::{Command, Stdio};

/// What a program did.
pub struct Probe {
    /// Whether the program could be started.
    pub is_installed: bool,
    /// Whether it loaded the module, and C_Initialize succeeded.
    pub has_loaded: bool,
    /// What it wrote to stdout and stderr, without the module's log.
    pub output: String,
}

/// The time limit of a program, in seconds.
const TIME_LIMIT: &str = "10";

/// The exit codes of timeout(1).
const TIMED_OUT: i32 = 124;
const NOT_STARTED: [i32; 2] = [126, 127];

/// What the lines of the module's log begin with.
const LOG_LINE: &str = "cloud-kms-pkcs11[";

impl Probe {
    /// Runs a program with these arguments and, if there is one, this variable. The log of the module shows whether the
    /// program has loaded it.
    pub fn run(program: &str, arguments: &[&str], variable: Option<(&str, &Path)>) -> Self {
        let mut command = Command::new("timeout");
        command
            .args(["--kill-after=1", TIME_LIMIT, program])
            .args(arguments)
            .envs(variable)
            .env("LC_ALL", "C")
            .env("CLOUD_KMS_PKCS11_LOG", "debug")
            .env("CLOUD_KMS_PKCS11_LOG_DESTINATION", "stderr")
            .stdin(Stdio::null());
        let Ok(output) = command.output() else {
            return Self { is_installed: false, has_loaded: false, output: String::new() };
        };
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let (log, mut own): (Vec<_>, Vec<_>) = text.lines().partition(|line| line.starts_with(LOG_LINE));
        if output.status.code() == Some(TIMED_OUT) {
            own.insert(0, "no result after 10 seconds");
        }
        Self {
            is_installed: !output.status.code().is_some_and(|code| NOT_STARTED.contains(&code)),
            has_loaded: log.iter().any(|line| line.contains("C_Initialize: CKR_OK")),
            output: own.join("\n"),
        }
    }
}

/// Does the work for each item at once, and returns the results in the order of the items.
pub fn at_once<T: Send, R: Send>(items: impl IntoIterator<Item = T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    std::thread::scope(|scope| {
        let work = &work;
        let started: Vec<_> = items.into_iter().map(|item| scope.spawn(move || work(item))).collect();
        let finished = started.into_iter().map(|thread| thread.join());
        finished.map(|result| result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_shows_whether_the_module_was_loaded() {
        let log = "echo found; echo 'cloud-kms-pkcs11[7] debug: C_Initialize: CKR_OK (0 ms)' >&2";
        let probe = Probe::run("sh", &["-c", log], None);
        assert!(probe.is_installed && probe.has_loaded && probe.output == "found", "{}", probe.output);
        let other = "echo 'cloud-kms-pkcs11[7] error: C_Initialize: CKR_GENERAL_ERROR: x' >&2; echo $A";
        let probe = Probe::run("sh", &["-c", other], Some(("A", Path::new("/a"))));
        assert!(probe.is_installed && !probe.has_loaded && probe.output == "/a", "{}", probe.output);
        assert!(!Probe::run("no-such-program", &[], None).is_installed);
    }
}
