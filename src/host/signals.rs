//! Signal masks of threads.

use super::on_drop::OnDrop;
use std::io;

/// Blocks every signal in this thread until the returned guard is dropped. Threads that are started meanwhile
/// inherit the mask, so signals for the host are never delivered to a thread of this module.
pub fn block_signals() -> impl Drop {
    // SAFETY: both sets are plain data, which the calls fill.
    let previous = unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        let mut previous: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut previous);
        previous
    };
    OnDrop(move || {
        // SAFETY: `previous` was filled by pthread_sigmask above.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &previous, std::ptr::null_mut()) };
    })
}

/// A guard that blocks the signals that write(2) sends to the calling thread. Dropping the guard restores the
/// thread's mask.
pub(crate) struct WriteSignals {
    /// The thread's previous mask.
    previous_mask: libc::sigset_t,
    /// The signals that were already pending. They belong to the host.
    previously_pending: libc::sigset_t,
}

const WRITE_SIGNALS: [i32; 2] = [libc::SIGPIPE, libc::SIGXFSZ];

impl WriteSignals {
    /// Blocks SIGPIPE and SIGXFSZ in this thread.
    pub(crate) fn block() -> Self {
        // SAFETY: the sets are plain data, which the calls fill.
        unsafe {
            let mut held = Self { previous_mask: std::mem::zeroed(), previously_pending: std::mem::zeroed() };
            let mut ours: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&mut ours);
            for signal in WRITE_SIGNALS {
                libc::sigaddset(&mut ours, signal);
            }
            libc::sigpending(&mut held.previously_pending);
            libc::pthread_sigmask(libc::SIG_BLOCK, &ours, &mut held.previous_mask);
            held
        }
    }

    /// Removes the pending signal that a failed write has sent. Signals that were pending before stay pending.
    pub(crate) fn discard_raised(&self) {
        // SAFETY: the sets are plain data, and the timeout is zero.
        unsafe {
            let mut ours: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&mut ours);
            for signal in WRITE_SIGNALS {
                if libc::sigismember(&self.previously_pending, signal) == 0 {
                    libc::sigaddset(&mut ours, signal);
                }
            }
            let at_once = libc::timespec { tv_sec: 0, tv_nsec: 0 };
            while libc::sigtimedwait(&ours, std::ptr::null_mut(), &at_once) == -1
                && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
            {}
        }
    }
}

impl Drop for WriteSignals {
    fn drop(&mut self) {
        // SAFETY: `previous_mask` was filled by pthread_sigmask.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.previous_mask, std::ptr::null_mut()) };
    }
}
