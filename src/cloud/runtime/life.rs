//! The life of the module in which a value was made.
//!
//! A life is the time between C_Initialize and C_Finalize in one process. A life also ends when the host closes
//! the module's descriptors.

use crate::host::fork;
use crate::host::tracked_descriptor::TrackedDescriptor;
use crate::log_warn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The life in which a value was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Incarnation {
    generation: u64,
    /// How often the host had closed the module's descriptors when the value was made.
    descriptor_losses: u64,
    /// The process id. Recognizes children whose fork ran no handlers (a raw clone).
    process: u32,
    epoch: u64,
}

pub(super) static EPOCH: AtomicU64 = AtomicU64::new(0);

pub(super) static DESCRIPTOR_LOSSES: AtomicU64 = AtomicU64::new(0);

/// A descriptor of this module that is used for nothing. A host that closes all descriptors, as daemons do, closes
/// this descriptor too.
pub(super) static MARKER: TrackedDescriptor = TrackedDescriptor::new();

impl Incarnation {
    pub(super) fn current() -> Self {
        let (epoch, losses) = (EPOCH.load(Ordering::Relaxed), losses());
        Self { generation: fork::generation(), descriptor_losses: losses, process: std::process::id(), epoch }
    }

    /// Returns whether this process made the value, and the module's descriptors are still its own.
    pub(super) fn is_usable(self) -> bool {
        self.generation == fork::generation()
            && self.process == std::process::id()
            && self.descriptor_losses == losses()
    }
}

/// Returns how often the host has closed the module's descriptors so far.
fn losses() -> u64 {
    if MARKER.take_loss() {
        DESCRIPTOR_LOSSES.fetch_add(1, Ordering::SeqCst);
        log_warn!(
            "the program closed file descriptors of this module, so the module opens its connections again; the program should close \
             only its own descriptors, or call C_Finalize first"
        );
    }
    DESCRIPTOR_LOSSES.load(Ordering::SeqCst)
}

/// Drops a value of this process. Leaks a value of the parent process, or one whose descriptors the host has
/// closed: its sockets and locks do not belong to this module.
pub(super) fn drop_or_leak<T>(made: Option<(Incarnation, Arc<T>)>) {
    if let Some((life, value)) = made
        && !life.is_usable()
    {
        std::mem::forget(value);
    }
}
