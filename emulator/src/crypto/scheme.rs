//! How a signature or a ciphertext is made.

use super::hash::Hash;

/// How a signature is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Pkcs1(Hash),
    /// The salt is as long as the hash, and MGF1 uses the same hash.
    Pss(Hash),
    /// DER.
    Ecdsa(Hash),
    /// The whole message, not a digest.
    Ed25519,
    /// The whole message, which is hashed first.
    Ed25519Ph,
    /// PKCS#1 v1.5 padding round the bytes as they are.
    Unhashed,
    /// The whole message.
    MlDsa,
    /// The message representative, 64 bytes.
    MlDsaMu,
    /// The whole message.
    SlhDsa,
    /// HashSLH-DSA with SHA-256: the digest.
    HashSlhDsa,
}

/// How a ciphertext was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Padding {
    Pkcs1,
    Oaep(Hash),
}
