//! The bytes of a fuzzer as a source of choices.
//!
//! Compiled into tests and fuzzers only.

/// The bytes that are left. Every choice consumes some of them. An empty source returns zeros.
pub struct ByteSource<'a>(pub &'a [u8]);

impl<'a> ByteSource<'a> {
    /// Returns whether no bytes are left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the next byte, or 0 if no bytes are left.
    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// Returns a number below `end`, which must be at least 1.
    pub fn below(&mut self, end: usize) -> usize {
        usize::from(self.byte()) % end.max(1)
    }

    /// Returns one of the choices, of which there must be at least one.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// Returns a number made of the next eight bytes.
    pub fn number(&mut self) -> u64 {
        let mut bytes = [0; 8];
        bytes.iter_mut().for_each(|byte| *byte = self.byte());
        u64::from_le_bytes(bytes)
    }

    /// Returns the next `most` bytes, or fewer if fewer are left.
    pub fn bytes(&mut self, most: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(most.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// Returns as many bytes as the next byte says, or fewer if fewer are left.
    pub fn length_prefixed(&mut self) -> &'a [u8] {
        let length = self.byte().into();
        self.bytes(length)
    }

    /// Returns all bytes that are left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }
}
