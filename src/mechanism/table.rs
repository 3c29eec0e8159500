//! The mechanism table. PKCS#11 3.2 section 6.
//!
//! Each mechanism is a row with a family and the input that the caller passes. The shape of its parameters follows
//! from these. A key offers a mechanism if the key's service has a scheme that the row can lead to.

use crate::key::hash::Hash;
use crate::key::{Algorithm, Kind, Purpose, Scheme};
use cryptoki_sys::*;

/// A row of the table. A mechanism that both signs and decrypts (CKM_RSA_PKCS) has two rows.
#[derive(Debug, PartialEq, Eq)]
pub struct Mechanism {
    /// The number of the mechanism in the standard.
    pub ckm: CK_MECHANISM_TYPE,
    /// The name of the mechanism in the standard.
    pub name: &'static str,
    /// The algorithm that uses the key.
    pub family: Algorithm,
    /// The input that the caller passes.
    pub input: Input,
}

/// The input that the caller of a mechanism passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// DER of a DigestInfo, which names the hash.
    DigestInfo,
    /// A digest. The parameters name its hash (PSS, HashML-DSA, HashSLH-DSA), or the hash does not matter (ECDSA).
    Digest,
    /// A message that is hashed locally with this hash.
    Message(Hash),
    /// Data that the service receives as is, or a message from which mu is computed locally (ML-DSA). The hash of the
    /// scheme is this one, or the parameters name it.
    AsIs(Option<Hash>),
}

macro_rules! row {
    ($ckm:ident, $family:ident, $input:expr) => {
        Mechanism { ckm: $ckm, name: stringify!($ckm), family: Algorithm::$family, input: $input }
    };
}

/// The mechanisms of this module. A new mechanism is a new row.
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
    row!(CKM_EDDSA,               Eddsa,      Input::AsIs(None)),
    row!(CKM_ML_DSA,              MlDsa,      Input::AsIs(None)),
    row!(CKM_HASH_ML_DSA,         MlDsa,      Input::Digest),
    row!(CKM_HASH_ML_DSA_SHA224,  MlDsa,      Input::Message(Hash::Sha224)),
    row!(CKM_HASH_ML_DSA_SHA256,  MlDsa,      Input::Message(Hash::Sha256)),
    row!(CKM_HASH_ML_DSA_SHA384,  MlDsa,      Input::Message(Hash::Sha384)),
    row!(CKM_HASH_ML_DSA_SHA512,  MlDsa,      Input::Message(Hash::Sha512)),
    row!(CKM_SHA224_HMAC,         Hmac,       Input::AsIs(Some(Hash::Sha224))),
    row!(CKM_SHA256_HMAC,         Hmac,       Input::AsIs(Some(Hash::Sha256))),
    row!(CKM_SHA384_HMAC,         Hmac,       Input::AsIs(Some(Hash::Sha384))),
    row!(CKM_SHA512_HMAC,         Hmac,       Input::AsIs(Some(Hash::Sha512))),
    row!(CKM_RSA_PKCS,            RsaesPkcs1, Input::AsIs(None)),
    row!(CKM_RSA_PKCS_OAEP,       RsaesOaep,  Input::AsIs(None)),
    row!(CKM_ECDH1_DERIVE,        Ecdh,       Input::AsIs(None)),
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
    row!(CKM_SLH_DSA,             SlhDsa,     Input::AsIs(None)),
    row!(CKM_HASH_SLH_DSA,        SlhDsa,     Input::Digest),
    row!(CKM_HASH_SLH_DSA_SHA256, SlhDsa,     Input::Message(Hash::Sha256)),
    row!(CKM_SHA_1_HMAC,          Hmac,       Input::AsIs(Some(Hash::Sha1))),
];

impl Mechanism {
    /// Returns the row of a mechanism number for a purpose, or None if there is none.
    pub fn from_ckm(ckm: CK_MECHANISM_TYPE, purpose: Purpose) -> Option<&'static Mechanism> {
        MECHANISMS.iter().find(|row| row.ckm == ckm && row.family.purpose() == purpose.scheme_purpose())
    }

    /// Returns the standard's name for a mechanism number, or None if the table does not have the number.
    pub fn name_of(ckm: CK_MECHANISM_TYPE) -> Option<&'static str> {
        MECHANISMS.iter().find(|row| row.ckm == ckm).map(|row| row.name)
    }

    /// Returns the rows that lead to one of `schemes` for a kind of key.
    pub fn supporting(kind: Kind, schemes: &[Scheme]) -> impl Iterator<Item = &'static Mechanism> {
        MECHANISMS.iter().filter(move |row| row.is_offered(kind, schemes))
    }

    /// Returns whether this row leads to one of `schemes` for a kind of key.
    pub fn is_offered(&self, kind: Kind, schemes: &[Scheme]) -> bool {
        schemes.iter().any(|scheme| self.supports(kind, *scheme))
    }

    /// Returns whether the input of this row can be turned into the input of `scheme`.
    fn supports(&self, kind: Kind, scheme: Scheme) -> bool {
        self.family == scheme.family.mechanism_family()
            && scheme.suits(kind)
            && match (self.input, scheme.family) {
                (Input::Message(hash), Algorithm::RsaPkcs1 | Algorithm::RsaPss) => {
                    scheme.hash == Some(hash) || scheme == Algorithm::RsaPkcs1.without_hash()
                }
                (Input::Message(hash), Algorithm::SlhDsa) | (Input::AsIs(Some(hash)), _) => scheme.hash == Some(hash),
                // Without the context in its input, the scheme signs either messages or digests.
                (Input::AsIs(None), Algorithm::MlDsa | Algorithm::SlhDsa) => scheme.hash.is_none(),
                (_, Algorithm::MlDsa | Algorithm::SlhDsa) => scheme.hash.is_some(),
                // In ECDSA and in the others the hash does not depend on the key: the digest is fitted to what is signed.
                _ => true,
            }
    }

    /// Returns the flags of CK_MECHANISM_INFO for a kind of key. The service runs the schemes in `service`; the
    /// schemes in `local` run locally, without a request.
    pub fn flags(&self, kind: Kind, service: &[Scheme], local: &[Scheme]) -> CK_FLAGS {
        let flag = |schemes: &[Scheme], flags| match schemes.iter().any(|scheme| self.supports(kind, *scheme)) {
            true => flags,
            false => 0,
        };
        match self.family.purpose() {
            // A service that computes a MAC also verifies it.
            Purpose::Sign if self.family == Algorithm::Hmac => flag(service, CKF_SIGN | CKF_VERIFY),
            Purpose::Sign => flag(service, CKF_SIGN) | flag(local, CKF_VERIFY),
            Purpose::Decrypt | Purpose::Unwrap => {
                flag(service, CKF_DECRYPT | CKF_UNWRAP) | flag(local, CKF_ENCRYPT | CKF_WRAP)
            }
            Purpose::Derive => flag(service, CKF_DERIVE),
        }
    }

    /// Returns ulMinKeySize and ulMaxKeySize of CK_MECHANISM_INFO, and the flags that describe the kind of key. The
    /// sizes of RSA keys and curves are in bits.
    pub fn key_sizes(&self) -> (CK_ULONG, CK_ULONG, CK_FLAGS) {
        const CURVES: CK_FLAGS = CKF_EC_F_P | CKF_EC_NAMEDCURVE | CKF_EC_UNCOMPRESS;
        match self.family {
            Algorithm::RsaPkcs1 | Algorithm::RsaPss | Algorithm::RsaesPkcs1 | Algorithm::RsaesOaep => (2048, 4096, 0),
            Algorithm::Ecdsa | Algorithm::Ecdh => (256, 521, CURVES),
            Algorithm::Eddsa => (255, 255, CKF_EC_F_P | CKF_EC_NAMEDCURVE | CKF_EC_COMPRESS),
            // PKCS#11 3.2 sections 6.67 and 6.68: in bytes of the public key. HMAC, section 6.21: in bytes.
            Algorithm::MlDsa | Algorithm::MlDsaMu => (1312, 2592, 0),
            Algorithm::SlhDsa | Algorithm::SlhDsaInternal => (32, 32, 0),
            Algorithm::Hmac => (20, 64, 0),
        }
    }
}

impl Input {
    /// Returns the hash that the mechanism itself applies to a message.
    pub fn hash(self) -> Option<Hash> {
        match self {
            Input::Message(hash) => Some(hash),
            _ => None,
        }
    }
}
