//! Memory for the module to write to, between walls; and memory for it to read, of just its length.

use crate::error;
use cryptoki_sys::*;

const WALL: u8 = 0xa5;
/// In words, on each side.
const THICKNESS: usize = 4;

/// Room of some bytes, aligned for every type of the standard. All of it is painted like the walls.
pub struct Guarded {
    words: Vec<u64>,
    pub room: usize,
}

impl Guarded {
    pub fn new(room: usize) -> Self {
        Self { words: vec![u64::from_ne_bytes([WALL; 8]); room.div_ceil(8) + 2 * THICKNESS], room }
    }

    /// Room for one of these.
    pub fn of<T>() -> Self {
        Self::new(size_of::<T>())
    }

    pub fn pointer<T>(&mut self) -> *mut T {
        self.words[THICKNESS..].as_mut_ptr().cast()
    }

    pub fn set(&mut self, number: CK_ULONG) {
        self.words[THICKNESS] = number;
    }

    pub fn number(&self) -> CK_ULONG {
        self.words[THICKNESS]
    }

    /// What was written, of which `length` bytes count; nothing else was.
    pub fn written(&self, length: usize) -> Vec<u8> {
        let bytes: Vec<u8> = self.words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let (before, rest) = bytes.split_at(8 * THICKNESS);
        assert!(length <= self.room, "{length} bytes in a room of {}", self.room);
        let (own, after) = rest.split_at(length);
        assert!(before.iter().chain(after).all(|byte| *byte == WALL), "written outside of {length} bytes");
        own.to_vec()
    }

    pub fn is_untouched(&self) -> bool {
        self.words.iter().all(|word| *word == u64::from_ne_bytes([WALL; 8]))
    }
}

/// A buffer with the place of its length, as C_Sign and its kin want them, in one of many shapes.
pub struct Answer {
    buffer: Option<Guarded>,
    pub length: Option<Guarded>,
    claimed: CK_ULONG,
    element: usize,
}

impl Answer {
    /// `room` elements that are said to be `claimed`, which is as many, or more than are ever written.
    pub fn new(element: usize, room: Option<usize>, claimed: Option<CK_ULONG>) -> Self {
        let mut length = claimed.map(|_| Guarded::of::<CK_ULONG>());
        let claimed = claimed.unwrap_or_default();
        length.iter_mut().for_each(|length| length.set(claimed));
        Self { buffer: room.map(|room| Guarded::new(room * element)), length, claimed, element }
    }

    pub fn buffer<T>(&mut self) -> *mut T {
        self.buffer.as_mut().map_or(std::ptr::null_mut(), Guarded::pointer)
    }

    pub fn length(&mut self) -> *mut CK_ULONG {
        self.length.as_mut().map_or(std::ptr::null_mut(), Guarded::pointer)
    }

    pub fn is_query(&self) -> bool {
        self.buffer.is_none()
    }

    /// The bytes of the answer, where there is one: PKCS#11 3.1 section 5.2.
    pub fn check(&self, function: &str, rv: CK_RV) -> Option<Vec<u8>> {
        let Some(length) = &self.length else {
            assert_ne!(rv, CKR_OK, "{function}");
            assert!(self.buffer.as_ref().is_none_or(Guarded::is_untouched), "{function}");
            return None;
        };
        length.written(size_of::<CK_ULONG>());
        match (&self.buffer, rv) {
            (Some(buffer), CKR_OK) => {
                assert!(length.number() <= self.claimed, "{function}");
                return Some(buffer.written(length.number() as usize * self.element));
            }
            (Some(_), CKR_BUFFER_TOO_SMALL) => assert!(length.number() > self.claimed, "{function}"),
            (None, CKR_OK) => {}
            _ => assert_eq!(length.number(), self.claimed, "{function}: {}", error::name(rv)),
        }
        assert!(self.buffer.as_ref().is_none_or(Guarded::is_untouched), "{function}: {}", error::name(rv));
        None
    }

    /// What a size query, or a buffer that was too small, was answered.
    pub fn needed(&self) -> CK_ULONG {
        self.length.as_ref().map_or(0, Guarded::number)
    }
}

/// Bytes for the module to read, with nothing behind them; or null; or a length that no memory has.
pub struct Given {
    pub bytes: Option<Box<[u8]>>,
    pub length: CK_ULONG,
}

impl Given {
    pub fn pointer<T>(&mut self) -> *mut T {
        self.bytes.as_mut().map_or(std::ptr::null_mut(), |bytes| bytes.as_mut_ptr().cast())
    }

    /// Whether the module has to refuse it.
    pub fn is_bad(&self) -> bool {
        self.length > 0 && self.bytes.as_ref().is_none_or(|bytes| bytes.len() as CK_ULONG != self.length)
    }

    pub fn read(&self) -> &[u8] {
        self.bytes.as_deref().unwrap_or_default()
    }
}
