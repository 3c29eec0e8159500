//! THE MECHANISM TABLE. PKCS#11 3.2 section 6.
//!
//! A mechanism is a row: the family, what the caller hands in, and the shape of its parameters follow from it. What is
//! offered is row x key x service: a row is there for a key if the service has a scheme that the row can lead to.

use crate::key::hash::Hash;
use crate::key::{Family, Kind, Purpose, Scheme};
use cryptoki_sys::*;

/// A row of the table. A mechanism that both signs and decrypts (CKM_RSA_PKCS) has a row for each.
#[derive(Debug, PartialEq, Eq)]
pub struct Mechanism {
    /// Its number in the standard.
    pub ckm: CK_MECHANISM_TYPE,
    /// Its name in the standard.
    pub name: &'static str,
    /// How the key is used.
    pub family: Family,
    /// What the caller hands in.
    pub input: Input,
}

/// What the caller of a mechanism hands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// DER of a DigestInfo, which names the hash.
    DigestInfo,
    /// A digest; its hash is named by the parameters (PSS, HashML-DSA), or does not matter (ECDSA).
    Digest,
    /// A message, which is hashed here.
    Message(Hash),
    /// What the service gets as it is; the scheme's hash is this one, or named by the parameters.
    Whole(Option<Hash>),
    /// A message of which a mu is made here (ML-DSA).
    Mu,
}

macro_rules! row {
    ($ckm:ident, $family:ident, $input:expr) => {
        Mechanism { ckm: $ckm, name: stringify!($ckm), family: Family::$family, input: $input }
    };
}

/// The mechanisms of this module. To add one is to add a row.
#[rustfmt::skip]
pub static MECHANISMS: &[Mechanism] = &[
    row!(CKM_RSA_PKCS,            RsaPkcs1,   Input::DigestInfo),
    row!(CKM_SHA1_RSA_PKCS,       RsaPkcs1,   Input::Message(Hash::Sha1)),
    row!(CKM_SHA224_RSA_PKCS,     RsaPkcs1,   Input::Message(Hash::Sha224)),
    row!(CKM_SHA256_RSA_PKCS,     RsaPkcs1,   Input::Message(Hash::Sha256)),
    row!(CKM_SHA384_RSA_PKCS,     RsaPkcs1,   Input::Message(Hash::Sha384)),
    row!(CKM_SHA512_RSA_PKCS,     RsaPkcs1,   Input::Message(Hash::Sha512)),
    row!(CKM_RSA_PKCS_PSS,        RsaPss,     Input::Digest),
    row!(CKM_SHA256_RSA_PKCS_PSS, RsaPss,     Input::Message(Hash::Sha256)),
    row!(CKM_SHA384_RSA_PKCS_PSS, RsaPss,     Input::Message(Hash::Sha384)),
    row!(CKM_SHA512_RSA_PKCS_PSS, RsaPss,     Input::Message(Hash::Sha512)),
    row!(CKM_ECDSA,               Ecdsa,      Input::Digest),
    row!(CKM_ECDSA_SHA1,          Ecdsa,      Input::Message(Hash::Sha1)),
    row!(CKM_ECDSA_SHA224,        Ecdsa,      Input::Message(Hash::Sha224)),
    row!(CKM_ECDSA_SHA256,        Ecdsa,      Input::Message(Hash::Sha256)),
    row!(CKM_ECDSA_SHA384,        Ecdsa,      Input::Message(Hash::Sha384)),
    row!(CKM_ECDSA_SHA512,        Ecdsa,      Input::Message(Hash::Sha512)),
    row!(CKM_EDDSA,               Eddsa,      Input::Whole(None)),
    row!(CKM_ML_DSA,              MlDsa,      Input::Mu),
    row!(CKM_HASH_ML_DSA,         MlDsa,      Input::Digest),
    row!(CKM_HASH_ML_DSA_SHA224,  MlDsa,      Input::Message(Hash::Sha224)),
    row!(CKM_HASH_ML_DSA_SHA256,  MlDsa,      Input::Message(Hash::Sha256)),
    row!(CKM_HASH_ML_DSA_SHA384,  MlDsa,      Input::Message(Hash::Sha384)),
    row!(CKM_HASH_ML_DSA_SHA512,  MlDsa,      Input::Message(Hash::Sha512)),
    row!(CKM_SHA224_HMAC,         Hmac,       Input::Whole(Some(Hash::Sha224))),
    row!(CKM_SHA256_HMAC,         Hmac,       Input::Whole(Some(Hash::Sha256))),
    row!(CKM_SHA384_HMAC,         Hmac,       Input::Whole(Some(Hash::Sha384))),
    row!(CKM_SHA512_HMAC,         Hmac,       Input::Whole(Some(Hash::Sha512))),
    row!(CKM_RSA_PKCS,            RsaesPkcs1, Input::Whole(None)),
    row!(CKM_RSA_PKCS_OAEP,       RsaesOaep,  Input::Whole(None)),
    row!(CKM_ECDH1_DERIVE,        Ecdh,       Input::Whole(None)),
    row!(CKM_SHA3_224_RSA_PKCS,   RsaPkcs1,   Input::Message(Hash::Sha3_224)),
    row!(CKM_SHA3_256_RSA_PKCS,   RsaPkcs1,   Input::Message(Hash::Sha3_256)),
    row!(CKM_SHA3_384_RSA_PKCS,   RsaPkcs1,   Input::Message(Hash::Sha3_384)),
    row!(CKM_SHA3_512_RSA_PKCS,   RsaPkcs1,   Input::Message(Hash::Sha3_512)),
    row!(CKM_ECDSA_SHA3_224,      Ecdsa,      Input::Message(Hash::Sha3_224)),
    row!(CKM_ECDSA_SHA3_256,      Ecdsa,      Input::Message(Hash::Sha3_256)),
    row!(CKM_ECDSA_SHA3_384,      Ecdsa,      Input::Message(Hash::Sha3_384)),
    row!(CKM_ECDSA_SHA3_512,      Ecdsa,      Input::Message(Hash::Sha3_512)),
    row!(CKM_HASH_ML_DSA_SHA3_224, MlDsa,   Input::Message(Hash::Sha3_224)),
    row!(CKM_HASH_ML_DSA_SHA3_256, MlDsa,   Input::Message(Hash::Sha3_256)),
    row!(CKM_HASH_ML_DSA_SHA3_384, MlDsa,   Input::Message(Hash::Sha3_384)),
    row!(CKM_HASH_ML_DSA_SHA3_512, MlDsa,   Input::Message(Hash::Sha3_512)),
    row!(CKM_HASH_ML_DSA_SHAKE128, MlDsa,   Input::Message(Hash::Shake128)),
    row!(CKM_HASH_ML_DSA_SHAKE256, MlDsa,   Input::Message(Hash::Shake256)),
];

impl Mechanism {
    /// The row of that number for that purpose.
    pub fn from_ckm(ckm: CK_MECHANISM_TYPE, purpose: Purpose) -> Option<&'static Mechanism> {
        MECHANISMS.iter().find(|row| row.ckm == ckm && row.family.purpose() == purpose.of_schemes())
    }

    /// The standard's name of that number, if the table has it.
    pub fn name_of(ckm: CK_MECHANISM_TYPE) -> Option<&'static str> {
        MECHANISMS.iter().find(|row| row.ckm == ckm).map(|row| row.name)
    }

    /// The rows that lead to one of these schemes of that kind of key.
    pub fn offered(kind: Kind, schemes: &[Scheme]) -> impl Iterator<Item = &'static Mechanism> {
        MECHANISMS.iter().filter(move |row| row.is_offered(kind, schemes))
    }

    /// Whether it leads to one of these schemes of that kind of key.
    pub fn is_offered(&self, kind: Kind, schemes: &[Scheme]) -> bool {
        schemes.iter().any(|scheme| self.leads_to(kind, *scheme))
    }

    /// Whether input of this row can become something of that scheme.
    fn leads_to(&self, kind: Kind, scheme: Scheme) -> bool {
        self.family == scheme.family
            && scheme.suits(kind)
            && match (self.input, self.family) {
                (Input::Message(hash), Family::RsaPkcs1 | Family::RsaPss) => {
                    scheme.hash == Some(hash) || scheme == Family::RsaPkcs1.alone()
                }
                (Input::Whole(Some(hash)), _) => scheme.hash == Some(hash),
                // The hash and the key are independent in ECDSA and ML-DSA: the digest is fitted to what is signed.
                _ => true,
            }
    }

    /// What the mechanism does with a key of which its service has these schemes, as flags of CK_MECHANISM_INFO; the
    /// local ones are done here.
    pub fn flags(&self, kind: Kind, service: &[Scheme], local: &[Scheme]) -> CK_FLAGS {
        let flag = |schemes: &[Scheme], flags| match schemes.iter().any(|scheme| self.leads_to(kind, *scheme)) {
            true => flags,
            false => 0,
        };
        match self.family.purpose() {
            // A service that makes a MAC verifies it, too.
            Purpose::Sign if self.family == Family::Hmac => flag(service, CKF_SIGN | CKF_VERIFY),
            Purpose::Sign => flag(service, CKF_SIGN) | flag(local, CKF_VERIFY),
            Purpose::Decrypt | Purpose::Unwrap => {
                flag(service, CKF_DECRYPT | CKF_UNWRAP) | flag(local, CKF_ENCRYPT | CKF_WRAP)
            }
            Purpose::Derive => flag(service, CKF_DERIVE),
        }
    }

    /// The smallest and the largest key of CK_MECHANISM_INFO, and the flags that go with its kind of key.
    pub fn sizes(&self) -> (CK_ULONG, CK_ULONG, CK_FLAGS) {
        const CURVES: CK_FLAGS = CKF_EC_F_P | CKF_EC_NAMEDCURVE | CKF_EC_UNCOMPRESS;
        match self.family {
            Family::RsaPkcs1 | Family::RsaPss | Family::RsaesPkcs1 | Family::RsaesOaep => (2048, 4096, 0),
            Family::Ecdsa | Family::Ecdh => (256, 521, CURVES),
            Family::Eddsa => (255, 255, CKF_EC_F_P | CKF_EC_NAMEDCURVE | CKF_EC_COMPRESS),
            // PKCS#11 3.2 section 6.67: in bytes of the public key. HMAC, section 6.21: in bytes.
            Family::MlDsa => (1312, 2592, 0),
            Family::Hmac => (28, 64, 0),
        }
    }
}

impl Input {
    /// The hash that the mechanism makes of a message itself.
    pub fn hash(self) -> Option<Hash> {
        match self {
            Input::Message(hash) => Some(hash),
            _ => None,
        }
    }
}
