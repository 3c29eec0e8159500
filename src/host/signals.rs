//! Signal masks of threads.

use super::on_drop::OnDrop;
use std::io;

/// Blocks every signal in this thread until the guard is dropped: threads started meanwhile inherit that,
/// so the host's signals are never delivered to a thread of ours.
pub fn block_signals() -> impl Drop {
    // SAFETY: both sets are plain data that the calls fill.
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

/// The signals that write(2) sends to its thread, held back there until this is dropped.
pub(crate) struct WriteSignals {
    /// The thread's mask before.
    mask: libc::sigset_t,
    /// Those that were waiting already: they are the host's.
    earlier: libc::sigset_t,
}

const OF_WRITE: [i32; 2] = [libc::SIGPIPE, libc::SIGXFSZ];

impl WriteSignals {
    pub(crate) fn hold() -> Self {
        // SAFETY: the sets are plain data that the calls fill.
        unsafe {
            let mut held = Self { mask: std::mem::zeroed(), earlier: std::mem::zeroed() };
            let mut ours: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&mut ours);
            for signal in OF_WRITE {
                libc::sigaddset(&mut ours, signal);
            }
            libc::sigpending(&mut held.earlier);
            libc::pthread_sigmask(libc::SIG_BLOCK, &ours, &mut held.mask);
            held
        }
    }

    /// Takes away the signal that a write has sent.
    pub(crate) fn take_ours(&self) {
        // SAFETY: the sets are plain data; the time is over at once.
        unsafe {
            let mut ours: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&mut ours);
            for signal in OF_WRITE {
                if libc::sigismember(&self.earlier, signal) == 0 {
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
        // SAFETY: `mask` was filled by pthread_sigmask.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.mask, std::ptr::null_mut()) };
    }
}
