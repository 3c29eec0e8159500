//! SLH-DSA-SHA2-128s keys (FIPS 205): they sign a message, or a SHA-256 digest (HashSLH-DSA).
//!
//! The library is not that of RustCrypto, with which the module verifies these signatures.

use crate::crypto::unable::Unable;
use fips205::pre_hash;
use fips205::slh_dsa_sha2_128s::{PrivateKey, try_keygen};
use fips205::traits::{SerDes, Signer};

/// The SubjectPublicKeyInfo of RFC 9909 up to the 32 bytes of the key: id-slh-dsa-sha2-128s, without parameters.
const SPKI: [u8; 18] =
    [0x30, 0x30, 0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, 0x14, 0x03, 0x21, 0x00];

/// What is signed; the context is always empty.
#[derive(Clone, Copy)]
pub(crate) enum Input<'a> {
    Message(&'a [u8]),
    /// The SHA-256 of a message of any length.
    Sha256(&'a [u8]),
}

/// A private key.
pub(crate) struct Key(PrivateKey);

impl Key {
    /// A new key and its SubjectPublicKeyInfo.
    pub(crate) fn generate() -> Result<(Self, Vec<u8>), Unable> {
        let (public, private) = try_keygen().map_err(|_| Unable)?;
        Ok((Self(private), [&SPKI[..], &public.into_bytes()].concat()))
    }

    /// A hedged signature: two of the same input differ.
    pub(crate) fn sign(&self, input: Input<'_>) -> Result<Vec<u8>, Unable> {
        let signature = match input {
            Input::Message(message) => self.0.try_sign(message, &[], true),
            Input::Sha256(digest) => self.0.try_hash_sign(digest, &[], &pre_hash::SHA2_256, true),
        };
        Ok(signature.map_err(|_| Unable)?.to_vec())
    }
}
