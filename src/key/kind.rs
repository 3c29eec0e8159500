//! The kinds of keys.

use super::curve::Curve;
use super::hash::Hash;
use super::ml_dsa::ParameterSet;
use super::slh_dsa;

/// A kind of key: its algorithm, with the size, curve, parameter set or hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An RSA key, with the length of its modulus in bits.
    Rsa(usize),
    /// An elliptic curve key.
    Ec(Curve),
    /// An Edwards curve key on edwards25519, RFC 8032.
    Ed25519,
    /// An ML-DSA key, FIPS 204.
    MlDsa(ParameterSet),
    /// An SLH-DSA key, FIPS 205.
    SlhDsa(slh_dsa::ParameterSet),
    /// A secret key for HMAC with this hash. It is as long as the digest.
    Hmac(Hash),
}

impl Kind {
    /// The hashes of HMAC keys.
    pub const HMAC_HASHES: [Hash; 5] = [Hash::Sha1, Hash::Sha224, Hash::Sha256, Hash::Sha384, Hash::Sha512];

    /// Returns the name of the kind in messages and in the option `hide_keys`, such as "rsa2048" or "P-256".
    pub fn name(self) -> String {
        match self {
            Kind::Rsa(bits) => format!("rsa{bits}"),
            Kind::Ec(curve) => curve.name().to_owned(),
            Kind::Ed25519 => "Ed25519".to_owned(),
            Kind::MlDsa(set) => set.name().to_owned(),
            Kind::SlhDsa(set) => set.name().to_owned(),
            Kind::Hmac(hash) => format!("HMAC-{}", hash.name()),
        }
    }

    /// Returns every kind that some service has.
    pub fn all() -> impl Iterator<Item = Kind> {
        let rsa = [2048, 3072, 4096].map(Kind::Rsa);
        let asymmetric = rsa.into_iter().chain([Kind::Ed25519]).chain(Curve::all().map(Kind::Ec));
        let post_quantum = ParameterSet::all().map(Kind::MlDsa).chain(slh_dsa::ParameterSet::all().map(Kind::SlhDsa));
        asymmetric.chain(post_quantum).chain(Self::HMAC_HASHES.map(Kind::Hmac))
    }

    /// Returns the length in bytes of every signature by a key of this kind, in PKCS#11's form.
    pub fn signature_len(self) -> usize {
        match self {
            Kind::Rsa(bits) => bits.div_ceil(8),
            Kind::Ec(curve) => 2 * curve.field_len(),
            Kind::Ed25519 => 64,
            Kind::MlDsa(set) => set.signature_len(),
            Kind::SlhDsa(set) => set.signature_len(),
            Kind::Hmac(hash) => hash.len(),
        }
    }
}
