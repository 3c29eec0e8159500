//! Threads of this module in a process whose host closes all descriptors, as daemons do, and opens its own under
//! the same numbers.
//!
//! Such a thread must not touch the host's descriptors, not even in the destructors of an orderly exit. The thread
//! therefore watches a *marker*, a descriptor that is used for nothing else. The thread checks the marker before
//! and after each wait. If the marker no longer refers to the same file, the thread ends at once. Its resources
//! are leaked, as after a fork.

use super::file_id::FileId;
use std::cell::Cell;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicUsize, Ordering};

thread_local! {
    /// The marker of this thread. The thread's descriptors are valid as long as the marker refers to the same
    /// file.
    static MARKER: Cell<Option<(RawFd, FileId)>> = const { Cell::new(None) };
}

/// The number of threads that watch a marker.
static WATCHING: AtomicUsize = AtomicUsize::new(0);

/// Makes this thread watch `marker`. The thread ends as soon as it finds that the marker is closed.
pub fn watch(marker: RawFd) {
    if let Some(file) = FileId::of(marker) {
        MARKER.set(Some((marker, file)));
        WATCHING.fetch_add(1, Ordering::SeqCst);
    }
}

/// Makes this thread stop watching its marker. Called at an orderly exit of the thread.
pub fn unwatch() {
    if MARKER.take().is_some() {
        WATCHING.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Returns the number of threads that watch a marker.
pub fn watching_threads() -> usize {
    WATCHING.load(Ordering::SeqCst)
}

/// Resets the number of watching threads. Called in a forked child, where the threads of the parent do not exist.
pub fn reset_after_fork() {
    WATCHING.store(0, Ordering::SeqCst);
}

/// Returns whether this thread watches a marker.
pub(crate) fn is_watched() -> bool {
    MARKER.get().is_some()
}

/// Ends this thread if its marker is closed. Must be called before the thread does anything that would touch a
/// descriptor.
pub fn exit_thread_if_lost() {
    if MARKER.get().is_some_and(|(marker, file)| FileId::of(marker) != Some(file)) {
        exit_thread();
    }
}

/// Ends this thread without running destructors, if the thread watches a marker.
pub(crate) fn exit_thread() {
    if is_watched() {
        unwatch();
        // SAFETY: the system call ends this thread only. The thread holds no lock while it waits, and nothing
        // joins it: the runtime that owns it is leaked.
        unsafe { libc::syscall(libc::SYS_exit, 0) };
    }
}
