//! The kinds of keys.

use super::curve::Curve;
use super::hash::Hash;
use super::ml_dsa::ParameterSet;

/// What kind of key it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// RSA, with the length of its modulus in bits.
    Rsa(usize),
    /// An elliptic curve key.
    Ec(Curve),
    /// An Edwards curve key, RFC 8032.
    Ed25519,
    /// FIPS 204.
    MlDsa(ParameterSet),
    /// A secret key for HMAC with that hash, as long as its digest.
    Hmac(Hash),
}

impl Kind {
    /// Its name in prose and in the option `hide_keys`: "rsa2048", "P-256".
    pub fn name(self) -> String {
        match self {
            Kind::Rsa(bits) => format!("rsa{bits}"),
            Kind::Ec(curve) => curve.name().to_owned(),
            Kind::Ed25519 => "Ed25519".to_owned(),
            Kind::MlDsa(set) => set.name().to_owned(),
            Kind::Hmac(hash) => format!("HMAC-{}", hash.name()),
        }
    }

    /// One of each kind; of RSA, the usual size.
    pub fn all() -> impl Iterator<Item = Kind> {
        let hmac = [Hash::Sha224, Hash::Sha256, Hash::Sha384, Hash::Sha512].map(Kind::Hmac);
        let sets = ParameterSet::all().map(Kind::MlDsa);
        [Kind::Rsa(2048), Kind::Ed25519].into_iter().chain(Curve::all().map(Kind::Ec)).chain(sets).chain(hmac)
    }

    /// The length in bytes of every signature by such a key, in PKCS#11's form.
    pub fn signature_len(self) -> usize {
        match self {
            Kind::Rsa(bits) => bits.div_ceil(8),
            Kind::Ec(curve) => 2 * curve.width(),
            Kind::Ed25519 => 64,
            Kind::MlDsa(set) => set.signature_len(),
            Kind::Hmac(hash) => hash.len(),
        }
    }
}
