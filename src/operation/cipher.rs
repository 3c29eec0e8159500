//! Encryption, which needs no service, and decryption, which takes one request. PKCS#11 3.2 sections 5.8 and 5.10.

use super::Operation;
use super::multi_part::MultiPartOperation;
use crate::cloud::{KeyDescription, SecretBytes};
use crate::error::{Error, Result};
use crate::key::{PublicKey, Purpose};
use crate::token::key::SlotKey;
use cryptoki_sys::*;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// An active encryption.
pub struct EncryptionOperation {
    /// The key that encrypts.
    pub key: Arc<PublicKey>,
    /// The mechanism, its parameters, and the plaintext so far.
    pub operation: Operation,
}

impl MultiPartOperation for EncryptionOperation {
    fn update(&mut self, part: &[u8]) -> Result<()> {
        self.operation.update(part)
    }

    fn max_output_len(&self) -> usize {
        self.key.kind().signature_len()
    }

    fn finish(self) -> Result<SecretBytes> {
        let (name, key) = (self.operation.name(), self.key);
        let (scheme, text) = self.operation.finish()?;
        let longest = key.max_plaintext_len(scheme).unwrap_or_default();
        if text.len() > longest {
            let text = format!("{name}: the data has {} bytes, but {longest} at most can be encrypted", text.len());
            return Err(Error::new(CKR_DATA_LEN_RANGE, text));
        }
        let encrypted = key.encrypt(scheme, &text);
        let unable = || Error::new(CKR_FUNCTION_FAILED, format!("{name}: the public key can't encrypt"));
        encrypted.map(Into::into).ok_or_else(unable)
    }
}

/// An active decryption.
#[derive(Clone)]
pub struct DecryptionOperation {
    /// The key that decrypts.
    pub key: Arc<SlotKey>,
    /// What is known about the key.
    pub facts: Arc<KeyDescription>,
    /// Whether a plaintext or a secret key is decrypted.
    pub purpose: Purpose,
    /// The mechanism, its parameters, and the ciphertext so far.
    pub operation: Operation,
    /// How long the call may take.
    pub call_timeout: Duration,
}

impl MultiPartOperation for DecryptionOperation {
    fn update(&mut self, part: &[u8]) -> Result<()> {
        self.operation.update(part)
    }

    /// Returns the upper bound of the plaintext's length, which is known only after decryption.
    fn max_output_len(&self) -> usize {
        let longest = self.facts.public_key.as_ref().and_then(|key| key.max_plaintext_len(self.operation.scheme()));
        longest.unwrap_or_else(|| self.facts.kind.signature_len())
    }

    fn is_output_len_exact(&self) -> bool {
        false
    }

    fn finish(self) -> Result<SecretBytes> {
        let (deadline, mechanism) = (Instant::now() + self.call_timeout, self.operation.name());
        let (scheme, ciphertext) = self.operation.finish().map_err(|error| error.with_context(&self.key))?;
        self.key.decrypt(&self.facts, self.purpose, mechanism, scheme, &ciphertext, deadline)
    }
}
