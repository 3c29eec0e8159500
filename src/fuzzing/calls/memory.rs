//! Guarded memory for the module to write to, and memory of an exact length for the module to read.

use crate::error;
use cryptoki_sys::*;

/// The byte that the walls consist of.
const CANARY: u8 = 0xa5;
/// The thickness of the wall on each side, in words.
const CANARY_WORDS: usize = 4;

/// Memory between two walls, aligned for every type of the standard. The memory is filled with the same byte as
/// the walls.
pub struct GuardedMemory {
    words: Vec<u64>,
    /// The size in bytes, without the walls.
    pub size: usize,
}

impl GuardedMemory {
    /// Creates memory of `size` bytes.
    pub fn new(room: usize) -> Self {
        Self { words: vec![u64::from_ne_bytes([CANARY; 8]); room.div_ceil(8) + 2 * CANARY_WORDS], size: room }
    }

    /// Creates memory for one `T`.
    pub fn of<T>() -> Self {
        Self::new(size_of::<T>())
    }

    /// Returns a pointer to the memory.
    pub fn pointer<T>(&mut self) -> *mut T {
        self.words[CANARY_WORDS..].as_mut_ptr().cast()
    }

    /// Sets the first word.
    pub fn set_number(&mut self, number: CK_ULONG) {
        self.words[CANARY_WORDS] = number;
    }

    /// Returns the first word.
    pub fn number(&self) -> CK_ULONG {
        self.words[CANARY_WORDS]
    }

    /// Returns the first `length` bytes, and checks that nothing else was written.
    pub fn check_written(&self, length: usize) -> Vec<u8> {
        let bytes: Vec<u8> = self.words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let (before, rest) = bytes.split_at(8 * CANARY_WORDS);
        assert!(length <= self.size, "{length} bytes in a room of {}", self.size);
        let (own, after) = rest.split_at(length);
        assert!(before.iter().chain(after).all(|byte| *byte == CANARY), "written outside of {length} bytes");
        own.to_vec()
    }

    /// Returns whether nothing was written.
    pub fn is_untouched(&self) -> bool {
        self.words.iter().all(|word| *word == u64::from_ne_bytes([CANARY; 8]))
    }
}

/// A buffer and the memory for its length, as C_Sign and similar functions take them, in one of many forms.
pub struct OutputBuffer {
    buffer: Option<GuardedMemory>,
    /// The length, or `None` for a null pointer.
    pub length: Option<GuardedMemory>,
    claimed_count: CK_ULONG,
    element: usize,
}

impl OutputBuffer {
    /// Creates a buffer with room for `size` elements, each of `element` bytes. The caller claims that there is
    /// room for `claimed_count` elements, which is equal to `size`, or more than are ever written. `None` stands for a
    /// null pointer.
    pub fn new(element: usize, room: Option<usize>, claimed: Option<CK_ULONG>) -> Self {
        let mut length = claimed.map(|_| GuardedMemory::of::<CK_ULONG>());
        let claimed = claimed.unwrap_or_default();
        length.iter_mut().for_each(|length| length.set_number(claimed));
        Self { buffer: room.map(|room| GuardedMemory::new(room * element)), length, claimed_count: claimed, element }
    }

    /// Returns the pointer to the buffer, or null.
    pub fn buffer<T>(&mut self) -> *mut T {
        self.buffer.as_mut().map_or(std::ptr::null_mut(), GuardedMemory::pointer)
    }

    /// Returns the pointer to the length, or null.
    pub fn length(&mut self) -> *mut CK_ULONG {
        self.length.as_mut().map_or(std::ptr::null_mut(), GuardedMemory::pointer)
    }

    /// Returns whether this is a size query, which has no buffer.
    pub fn is_query(&self) -> bool {
        self.buffer.is_none()
    }

    /// Returns the bytes of the result if there is one, after checking the conventions of PKCS#11 3.1 section 5.2.
    pub fn check(&self, function: &str, rv: CK_RV) -> Option<Vec<u8>> {
        let Some(length) = &self.length else {
            assert_ne!(rv, CKR_OK, "{function}");
            assert!(self.buffer.as_ref().is_none_or(GuardedMemory::is_untouched), "{function}");
            return None;
        };
        length.check_written(size_of::<CK_ULONG>());
        match (&self.buffer, rv) {
            (Some(buffer), CKR_OK) => {
                assert!(length.number() <= self.claimed_count, "{function}");
                return Some(buffer.check_written(length.number() as usize * self.element));
            }
            (Some(_), CKR_BUFFER_TOO_SMALL) => assert!(length.number() > self.claimed_count, "{function}"),
            (None, CKR_OK) => {}
            _ => assert_eq!(length.number(), self.claimed_count, "{function}: {}", error::rv_name(rv)),
        }
        assert!(self.buffer.as_ref().is_none_or(GuardedMemory::is_untouched), "{function}: {}", error::rv_name(rv));
        None
    }

    /// Returns the length that the module reported for a size query or for a buffer that was too small.
    pub fn reported_length(&self) -> CK_ULONG {
        self.length.as_ref().map_or(0, GuardedMemory::number)
    }
}

/// Bytes for the module to read, with nothing behind them, or a null pointer, or a length that no memory has.
pub struct InputBuffer {
    /// The bytes, or `None` for a null pointer.
    pub bytes: Option<Box<[u8]>>,
    /// The length that is passed to the module, in bytes.
    pub length: CK_ULONG,
}

impl InputBuffer {
    /// Returns the pointer to the bytes, or null.
    pub fn pointer<T>(&mut self) -> *mut T {
        self.bytes.as_mut().map_or(std::ptr::null_mut(), |bytes| bytes.as_mut_ptr().cast())
    }

    /// Returns whether the module must refuse the bytes.
    pub fn must_be_refused(&self) -> bool {
        self.length > 0 && self.bytes.as_ref().is_none_or(|bytes| bytes.len() as CK_ULONG != self.length)
    }

    /// Returns the bytes.
    pub fn read(&self) -> &[u8] {
        self.bytes.as_deref().unwrap_or_default()
    }
}
