//! Threads of ours in a process whose host closes all descriptors (daemons do) and opens its own under the same numbers.
//!
//! Such a thread must touch none of them, not even by the destructors of an orderly end. So it watches a *marker*, a
//! descriptor that nothing is done with: it looks before and after each wait, and where the marker no longer means the same
//! file, it ends at once. What it had is leaked, as after a fork.

use super::file_id::FileId;
use std::cell::Cell;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicUsize, Ordering};

thread_local! {
    /// What this thread's descriptors stand and fall with.
    static MARKER: Cell<Option<(RawFd, FileId)>> = const { Cell::new(None) };
}

/// How many threads watch a marker.
static WATCHING: AtomicUsize = AtomicUsize::new(0);

/// This thread ends as soon as it finds that the marker is closed.
pub fn watch(marker: RawFd) {
    if let Some(file) = FileId::of(marker) {
        MARKER.set(Some((marker, file)));
        WATCHING.fetch_add(1, Ordering::SeqCst);
    }
}

/// This thread comes to an orderly end.
pub fn watch_no_more() {
    if MARKER.take().is_some() {
        WATCHING.fetch_sub(1, Ordering::SeqCst);
    }
}

/// How many threads watch a marker.
pub fn watching() -> usize {
    WATCHING.load(Ordering::SeqCst)
}

/// In a child: the parent's threads are not here.
pub fn forget_watching() {
    WATCHING.store(0, Ordering::SeqCst);
}

/// Whether this thread watches a marker.
pub(crate) fn is_watched() -> bool {
    MARKER.get().is_some()
}

/// Ends this thread if its marker is closed: to be called before what it does next would touch a descriptor.
pub fn leave_if_lost() {
    if MARKER.get().is_some_and(|(marker, file)| FileId::of(marker) != Some(file)) {
        leave();
    }
}

/// Ends this thread, if it watches a marker, without a destructor.
pub(crate) fn leave() {
    if is_watched() {
        watch_no_more();
        // SAFETY: the system call ends this thread alone. Threads wait where they hold no lock, and nobody joins this one:
        // its runtime is forgotten.
        unsafe { libc::syscall(libc::SYS_exit, 0) };
    }
}
