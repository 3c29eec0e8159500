//! What digests, signatures, ciphertexts and plaintexts have in common while they are being made.

use crate::cloud::Plain;
use crate::error::Result;
use crate::key::hash::Hasher;

/// An operation that takes data, and in the end makes something of it.
pub trait Making: Sized {
    /// Takes a part of the data.
    ///
    /// # Errors
    /// CKR_DATA_LEN_RANGE and its like.
    fn update(&mut self, part: &[u8]) -> Result<()>;

    /// How long the result can be.
    fn longest(&self) -> usize;

    /// Whether it will be just as long: a buffer that is too small is refused before anything is made then.
    fn is_exact(&self) -> bool {
        true
    }

    /// Makes it.
    ///
    /// # Errors
    /// Those of the service, and what is wrong with the data.
    fn finish(self) -> Result<Plain>;
}

impl Making for Hasher {
    fn update(&mut self, part: &[u8]) -> Result<()> {
        Hasher::update(self, part);
        Ok(())
    }

    fn longest(&self) -> usize {
        self.len()
    }

    fn finish(self) -> Result<Plain> {
        Ok(Hasher::finish(self).into())
    }
}
