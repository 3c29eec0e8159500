//! This process, and those that it starts.

use std::os::unix::process::CommandExt;
use std::process::Command;

/// A command whose process starts with an empty signal mask, though our threads block all signals.
pub fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    // SAFETY: the closure only calls async-signal-safe functions.
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

/// Ends all processes of a group that a child of ours leads.
pub fn kill_group(leader: u32) {
    if let Ok(leader @ 2..) = i32::try_from(leader) {
        // SAFETY: plain numbers; the group is one of a child that has not been waited for, so its id is still its own.
        unsafe { libc::kill(-leader, libc::SIGKILL) };
    }
}

/// The user that this process acts as.
pub fn user() -> u32 {
    // SAFETY: it takes nothing and always succeeds.
    unsafe { libc::geteuid() }
}

/// Whether the process has more rights than whoever started it and set its variables (AT_SECURE: setuid, capabilities).
pub fn is_privileged() -> bool {
    // SAFETY: plain numbers; an entry that is not there is 0.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}
