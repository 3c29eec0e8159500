//! What a key is.

use super::hash::Hash;
use super::post_quantum::ParameterSet;

/// What a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Family {
    /// RSA with a modulus of so many bits.
    Rsa(u16),
    Ec(Curve),
    Ed25519,
    /// An HMAC key of so many bytes.
    Hmac(u16),
    /// An AES key: listed, never used.
    Symmetric,
    MlDsa(ParameterSet),
    SlhDsa,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Curve {
    P256,
    P384,
    P521,
    P256K,
}

impl Curve {
    /// Bytes of one coordinate.
    pub(crate) fn width(self) -> usize {
        match self {
            Self::P256 | Self::P256K => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    /// The hash both services pair with the curve.
    pub(crate) fn hash(self) -> Hash {
        match self {
            Self::P256 | Self::P256K => Hash::Sha256,
            Self::P384 => Hash::Sha384,
            Self::P521 => Hash::Sha512,
        }
    }
}
