//! The interface that digests, signatures, encryptions and decryptions share while they are active.

use crate::cloud::SecretBytes;
use crate::error::Result;
use crate::key::hash::Hasher;

/// A multiple-part operation: it takes data in parts and ends with a result.
pub trait MultiPartOperation: Sized {
    /// Adds a part of the data.
    ///
    /// # Errors
    /// CKR_DATA_LEN_RANGE and similar errors of the data.
    fn update(&mut self, part: &[u8]) -> Result<()>;

    /// The largest possible length of the result, in bytes.
    fn max_output_len(&self) -> usize;

    /// Whether the result has exactly the length that `max_output_len` returns. If so, a buffer that is too small is
    /// refused before the result is computed.
    fn is_output_len_exact(&self) -> bool {
        true
    }

    /// Ends the operation and returns its result.
    ///
    /// # Errors
    /// Those of the service, and those of the data.
    fn finish(self) -> Result<SecretBytes>;
}

impl MultiPartOperation for Hasher {
    fn update(&mut self, part: &[u8]) -> Result<()> {
        Hasher::update(self, part);
        Ok(())
    }

    fn max_output_len(&self) -> usize {
        self.len()
    }

    fn finish(self) -> Result<SecretBytes> {
        Ok(Hasher::finish(self).into())
    }
}
