//! Whether something was made by this process, in this life of the module, with descriptors that are still ours.

use crate::host::fork;
use crate::host::remembered::Remembered;
use crate::log_warn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Between which fork and which shutdown something was made, and for which descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Life {
    generation: u64,
    /// How often the host had closed our descriptors.
    losses: u64,
    /// For children whose fork ran no handlers (a raw clone).
    process: u32,
    epoch: u64,
}

pub(super) static EPOCH: AtomicU64 = AtomicU64::new(0);

pub(super) static LOSSES: AtomicU64 = AtomicU64::new(0);

/// A descriptor of ours that nothing is done with. A host that closes all descriptors, as daemons do, closes this one, too.
pub(super) static MARKER: Remembered = Remembered::new();

impl Life {
    pub(super) fn current() -> Self {
        let (epoch, losses) = (EPOCH.load(Ordering::Relaxed), losses());
        Self { generation: fork::generation(), losses, process: std::process::id(), epoch }
    }

    /// Whether this process has made it, and its descriptors are still its own.
    pub(super) fn is_of_this_process(self) -> bool {
        self.generation == fork::generation() && self.process == std::process::id() && self.losses == losses()
    }
}

/// How often the host has closed our descriptors, until now.
fn losses() -> u64 {
    if MARKER.is_lost() {
        LOSSES.fetch_add(1, Ordering::SeqCst);
        log_warn!(
            "the program has closed descriptors that are not its own: connections are made anew; it should close what it has \
             opened, or call C_Finalize before it closes all"
        );
    }
    LOSSES.load(Ordering::SeqCst)
}

/// Drops a value of this process; leaks one of the parent's, whose sockets and locks are not ours.
pub(super) fn discard<T>(made: Option<(Life, Arc<T>)>) {
    if let Some((life, value)) = made
        && !life.is_of_this_process()
    {
        std::mem::forget(value);
    }
}
