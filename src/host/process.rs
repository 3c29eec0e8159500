//! The current process, and the subprocesses that it starts.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

/// Returns a command whose subprocess starts with an empty signal mask, although the threads of this module block
/// all signals.
pub fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    // SAFETY: the closure calls async-signal-safe functions only.
    unsafe {
        command.pre_exec(|| {
            let mut none: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&mut none);
            libc::pthread_sigmask(libc::SIG_SETMASK, &none, std::ptr::null_mut());
            Ok(())
        })
    };
    command
}

/// Kills all processes of the process group that `leader`, a subprocess of this process, leads. The caller must
/// not have waited for `leader` yet: afterwards its id may belong to another process.
pub fn kill_process_group(leader: u32) {
    if let Ok(leader @ 2..) = i32::try_from(leader) {
        // SAFETY: the call takes integers only. The leader has not been waited for, so its id has not been reused.
        unsafe { libc::kill(-leader, libc::SIGKILL) };
    }
}

/// Returns the effective user id of this process.
pub fn effective_user_id() -> u32 {
    // SAFETY: geteuid(2) takes no arguments and always succeeds.
    unsafe { libc::geteuid() }
}

/// Returns the real user id of this process. In a setuid program, it is that of the user who started the program.
pub fn real_user_id() -> u32 {
    // SAFETY: getuid(2) takes no arguments and always succeeds.
    unsafe { libc::getuid() }
}

/// Returns the path of the program that this process runs. Empty if the system does not tell.
pub fn executable() -> PathBuf {
    std::env::current_exe().unwrap_or_default()
}

/// Returns whether the process has more rights than the user who started it and set its environment variables
/// (AT_SECURE: setuid, capabilities).
pub fn is_privileged() -> bool {
    // SAFETY: the call takes an integer only. The value of a missing entry is 0.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}
