//! A descriptor and the identity of its file in one atomic word, for statics that no lock may guard.

use super::file_id::FileId;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicU64, Ordering};

/// The number of a descriptor of this module, and a hash of the identity of the file that the descriptor referred
/// to when it was stored.
pub struct TrackedDescriptor(AtomicU64);

/// The word without a descriptor.
const NONE: u64 = 0;
/// The word for a descriptor that was already closed. No open descriptor has this word, because its number would
/// be negative.
const CLOSED: u64 = u64::MAX;

#[allow(clippy::new_without_default, reason = "Default is not const")]
impl TrackedDescriptor {
    /// Creates a value without a descriptor.
    pub const fn new() -> Self {
        Self(AtomicU64::new(NONE))
    }

    /// Returns whether no descriptor is stored, because none was ever set or it was forgotten.
    pub fn is_none(&self) -> bool {
        self.0.load(Ordering::SeqCst) == NONE
    }

    /// Stores the descriptor and the identity of the file that it refers to now.
    pub fn set(&self, descriptor: RawFd) {
        self.0.store(word(descriptor).unwrap_or(CLOSED), Ordering::SeqCst);
    }

    /// Returns the descriptor if it still refers to the same file.
    pub fn get(&self) -> Option<RawFd> {
        let own = self.0.load(Ordering::SeqCst);
        means_the_same(own)
    }

    /// Returns whether the stored descriptor no longer refers to the same file. In that case the descriptor is
    /// forgotten, so a loss is reported once.
    pub fn take_loss(&self) -> bool {
        let own = self.0.load(Ordering::SeqCst);
        let lost = own != NONE && means_the_same(own).is_none();
        lost && self.0.compare_exchange(own, NONE, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// Forgets the descriptor.
    pub fn forget(&self) {
        self.0.store(NONE, Ordering::SeqCst);
    }
}

fn means_the_same(own: u64) -> Option<RawFd> {
    let descriptor = RawFd::try_from(own & u64::from(u32::MAX)).ok()?;
    (word(descriptor) == Some(own)).then_some(descriptor)
}

fn word(descriptor: RawFd) -> Option<u64> {
    let number = u32::try_from(descriptor).ok()?;
    // The hash is made odd, so the word never equals `NONE`.
    Some(u64::from(FileId::of(descriptor)?.hash() | 1) << 32 | u64::from(number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;

    #[test]
    fn a_reused_descriptor_number_is_a_loss() {
        let tracked = TrackedDescriptor::new();
        assert!(tracked.is_none() && !tracked.take_loss());
        let (reader, writer) = std::io::pipe().unwrap();
        let number = reader.as_raw_fd();
        tracked.set(number);
        assert!(tracked.get() == Some(number) && !tracked.take_loss());
        // A host does the same when it closes all descriptors and opens its own.
        crate::host::descriptors::redirect(number, tempfile::tempfile().unwrap()).unwrap();
        assert!(tracked.get().is_none());
        assert!(tracked.take_loss() && !tracked.take_loss(), "a loss is reported once");
        assert!(tracked.is_none());
        drop(writer);
    }
}
