//! Subprocesses that print credentials (`az`, credential_process).
//!
//! A subprocess gets a clean signal mask, no terminal and a time limit, and leaves no process behind.

use crate::cloud::runtime::blocking::run_blocking;
use crate::host::process;

use futures_util::future::join;
use std::io::{self, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

/// Runs `command`, which [`process::command`] has made, to its end. Must be awaited on the runtime.
///
/// # Errors
/// The error of the system if the subprocess cannot be run, or `TimedOut` if it does not end within `limit`.
pub(crate) async fn run(mut command: Command, limit: Duration) -> io::Result<Output> {
    // The subprocess gets its own process group, because `az` is a shell script. If only the shell were ended, its
    // child would stay.
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut program = run_blocking(move || command.spawn().map(Subprocess)).await??;
    let finished = tokio::time::timeout(limit, program.output()).await;
    finished.unwrap_or_else(|_| {
        Err(io::Error::new(io::ErrorKind::TimedOut, format!("the program did not end within {limit:?}")))
    })
}

/// A subprocess. If it has not ended when this value is dropped, the subprocess is killed with all processes of
/// its group.
struct Subprocess(Child);

impl Subprocess {
    async fn output(&mut self) -> io::Result<Output> {
        let (stdout, stderr) = (self.0.stdout.take(), self.0.stderr.take());
        let (stdout, stderr) = join(run_blocking(|| read_all(stdout)), run_blocking(|| read_all(stderr))).await;
        let (stdout, stderr) = (stdout??, stderr??);
        Ok(Output { status: self.status().await?, stdout, stderr })
    }

    async fn status(&mut self) -> io::Result<ExitStatus> {
        loop {
            match self.0.try_wait() {
                Ok(Some(status)) => return Ok(status),
                Ok(None) => tokio::time::sleep(Duration::from_millis(5)).await,
                // A host that ignores SIGCHLD, or waits for every child, has taken the status. In that case only
                // the output shows the result.
                Err(error) if error.raw_os_error() == Some(libc::ECHILD) => return Ok(ExitStatus::from_raw(0)),
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for Subprocess {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            process::kill_process_group(self.0.id());
            let _ = self.0.wait();
        }
    }
}

/// Reads a pipe, up to 1 MiB, which no token reaches.
fn read_all(pipe: Option<impl Read>) -> io::Result<Vec<u8>> {
    // The capacity suffices for any token, because a vector that grows leaves a copy of its contents in memory.
    let mut bytes = Vec::with_capacity(64 << 10);
    if let Some(pipe) = pipe {
        pipe.take(1 << 20).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::failure::{Cause, Failure};
    use crate::cloud::runtime;
    use std::time::Instant;

    fn sh(script: &str, limit: Duration) -> Result<String, Failure> {
        let mut command = process::command("sh");
        command.args(["-c", script]);
        let pending = runtime::spawn("Test", move || async move {
            let output =
                run(command, limit).await.map_err(|e| Failure::new(Cause::Credentials, "Test", e.to_string()))?;
            Ok(format!("{}|{}|{:?}", text(&output.stdout), text(&output.stderr), output.status.code()))
        });
        pending.wait(Instant::now() + Duration::from_secs(90))
    }

    fn text(bytes: &[u8]) -> String {
        String::from_utf8_lossy(bytes).into_owned()
    }

    #[test]
    fn output_and_status_are_returned() {
        let _turn = runtime::testing::share();
        let limit = Duration::from_secs(60);
        assert_eq!(sh("echo out; echo err >&2; exit 3", limit).unwrap(), "out\n|err\n|Some(3)");
        assert_eq!(sh("cat", limit).unwrap(), "||Some(0)", "standard input is empty");
        // The output is larger than the buffer of a pipe.
        assert_eq!(sh("head -c 300000 /dev/zero | tr '\\0' x", limit).unwrap().len(), 300_000 + "||Some(0)".len());
    }

    #[test]
    fn a_program_starts_with_no_signal_blocked() {
        let _turn = runtime::testing::share();
        // The mask is read by another program than the shell, because the shell may set its own mask.
        let mask = sh("exec grep SigBlk /proc/self/status", Duration::from_secs(60)).unwrap();
        assert!(mask.starts_with("SigBlk:\t0000000000000000\n"), "{mask}");
    }

    #[test]
    fn a_program_that_does_not_end_is_ended_with_its_children() {
        let _turn = runtime::testing::share();
        let start = Instant::now();
        // The duration is unique, so that programs of another run of this test are not counted.
        let seconds = 10_000_000 + std::process::id();
        let failure = sh(&format!("sleep {seconds} & sleep {seconds}; wait"), Duration::from_millis(200)).unwrap_err();
        assert!(failure.message.contains("did not end"), "{failure}");
        assert!(start.elapsed() < Duration::from_secs(60));
        let alive = || {
            let processes = std::fs::read_dir("/proc").unwrap().flatten();
            let lines = processes.filter_map(|process| std::fs::read_to_string(process.path().join("cmdline")).ok());
            lines.filter(|line| *line == format!("sleep\0{seconds}\0")).count()
        };
        // A signal takes some time on a busy machine.
        while alive() > 0 {
            assert!(start.elapsed() < Duration::from_secs(60), "a process of the script still runs");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
