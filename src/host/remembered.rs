//! A descriptor, and which file it meant when it was ours, in one word: for statics that no lock may guard.

use super::file_id::FileId;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicU64, Ordering};

/// See the head of the file. The number, and a hash of the file's identity.
pub struct Remembered(AtomicU64);

const NONE: u64 = 0;
/// No descriptor's word: its number is negative.
const CLOSED: u64 = u64::MAX;

#[allow(clippy::new_without_default, reason = "Default is not const")]
impl Remembered {
    /// No descriptor.
    pub const fn new() -> Self {
        Self(AtomicU64::new(NONE))
    }

    /// Whether there never was one, or it was forgotten.
    pub fn is_none(&self) -> bool {
        self.0.load(Ordering::SeqCst) == NONE
    }

    /// Remembers what the descriptor means now.
    pub fn set(&self, descriptor: RawFd) {
        self.0.store(word(descriptor).unwrap_or(CLOSED), Ordering::SeqCst);
    }

    /// The descriptor, if it means the same file still.
    pub fn get(&self) -> Option<RawFd> {
        let own = self.0.load(Ordering::SeqCst);
        means_the_same(own)
    }

    /// Forgets it if it means the same file no longer, and tells so, once.
    pub fn is_lost(&self) -> bool {
        let own = self.0.load(Ordering::SeqCst);
        let lost = own != NONE && means_the_same(own).is_none();
        lost && self.0.compare_exchange(own, NONE, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// Forgets it.
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
    // Never 0, which means none.
    Some(u64::from(FileId::of(descriptor)?.hash() | 1) << 32 | u64::from(number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;

    #[test]
    fn a_number_that_means_another_file_is_lost() {
        let remembered = Remembered::new();
        assert!(remembered.is_none() && !remembered.is_lost());
        let (reader, writer) = std::io::pipe().unwrap();
        let number = reader.as_raw_fd();
        remembered.set(number);
        assert!(remembered.get() == Some(number) && !remembered.is_lost());
        // As a host does that has closed all and opens its own.
        crate::host::descriptors::replace(number, tempfile::tempfile().unwrap()).unwrap();
        assert!(remembered.get().is_none());
        assert!(remembered.is_lost() && !remembered.is_lost(), "told once");
        assert!(remembered.is_none());
        drop(writer);
    }
}
