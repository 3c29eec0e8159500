//! The mechanisms that sign, as the C interface takes them.

use clap::ValueEnum;
use cloud_kms_pkcs11::key::Algorithm;
use cloud_kms_pkcs11::key::hash::Hash;
use cryptoki::mechanism::dsa::{HashSignAdditionalContext, HedgeType, SignAdditionalContext};
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsPssParams};
use cryptoki::mechanism::{Mechanism, MechanismType};

/// A mechanism that signs.
pub struct SigningMechanism {
    /// The algorithm without its hash.
    pub algorithm: Algorithm,
    /// The hash of the mechanism. None if the message or the digest is passed on as it is.
    pub hash: Option<Hash>,
    /// Whether the input is a digest.
    pub takes_digest: bool,
    /// The type of the mechanism.
    pub ckm: MechanismType,
    mechanism: fn(Hash) -> Mechanism<'static>,
}

macro_rules! row {
    ($algorithm:ident, digest, $ckm:ident, $mechanism:expr) => {
        row!($algorithm, None, true, $ckm, $mechanism)
    };
    ($algorithm:ident, message, $ckm:ident, $mechanism:expr) => {
        row!($algorithm, None, false, $ckm, $mechanism)
    };
    ($algorithm:ident, $hash:ident, $ckm:ident, $mechanism:expr) => {
        row!($algorithm, Some(Hash::$hash), false, $ckm, $mechanism)
    };
    ($algorithm:ident, $hash:expr, $takes_digest:expr, $ckm:ident, $mechanism:expr) => {
        SigningMechanism {
            algorithm: Algorithm::$algorithm,
            hash: $hash,
            takes_digest: $takes_digest,
            ckm: MechanismType::$ckm,
            mechanism: $mechanism,
        }
    };
}

/// The mechanisms. Of several that a key permits, the first one is its usual one.
#[rustfmt::skip]
pub static SIGNING_MECHANISMS: [SigningMechanism; 28] = [
    row!(RsaPkcs1, Sha256,  SHA256_RSA_PKCS,      |_| Mechanism::Sha256RsaPkcs),
    row!(RsaPkcs1, Sha384,  SHA384_RSA_PKCS,      |_| Mechanism::Sha384RsaPkcs),
    row!(RsaPkcs1, Sha512,  SHA512_RSA_PKCS,      |_| Mechanism::Sha512RsaPkcs),
    row!(RsaPkcs1, digest,  RSA_PKCS,             |_| Mechanism::RsaPkcs),
    row!(RsaPss,   Sha256,  SHA256_RSA_PKCS_PSS,  |hash| Mechanism::Sha256RsaPkcsPss(pss(hash))),
    row!(RsaPss,   Sha384,  SHA384_RSA_PKCS_PSS,  |hash| Mechanism::Sha384RsaPkcsPss(pss(hash))),
    row!(RsaPss,   Sha512,  SHA512_RSA_PKCS_PSS,  |hash| Mechanism::Sha512RsaPkcsPss(pss(hash))),
    row!(RsaPss,   digest,  RSA_PKCS_PSS,         |hash| Mechanism::RsaPkcsPss(pss(hash))),
    row!(Ecdsa,    Sha256,  ECDSA_SHA256,         |_| Mechanism::EcdsaSha256),
    row!(Ecdsa,    Sha384,  ECDSA_SHA384,         |_| Mechanism::EcdsaSha384),
    row!(Ecdsa,    Sha512,  ECDSA_SHA512,         |_| Mechanism::EcdsaSha512),
    row!(Ecdsa,    digest,  ECDSA,                |_| Mechanism::Ecdsa),
    row!(Eddsa,    message, EDDSA,                |_| Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Ed25519))),
    row!(MlDsa,    message, ML_DSA,               |_| Mechanism::MlDsa(no_context())),
    row!(MlDsa,    Sha256,  HASH_ML_DSA_SHA256,   |_| Mechanism::HashMlDsaSha256(no_context())),
    row!(MlDsa,    Sha384,  HASH_ML_DSA_SHA384,   |_| Mechanism::HashMlDsaSha384(no_context())),
    row!(MlDsa,    Sha512,  HASH_ML_DSA_SHA512,   |_| Mechanism::HashMlDsaSha512(no_context())),
    row!(MlDsa,    digest,  HASH_ML_DSA,          |hash| Mechanism::HashMlDsa(hash_of_digest(hash))),
    row!(SlhDsa,   message, SLH_DSA,              |_| Mechanism::SlhDsa(no_context())),
    row!(SlhDsa,   Sha256,  HASH_SLH_DSA_SHA256,  |_| Mechanism::HashSlhDsaSha256(no_context())),
    row!(SlhDsa,   Sha384,  HASH_SLH_DSA_SHA384,  |_| Mechanism::HashSlhDsaSha384(no_context())),
    row!(SlhDsa,   Sha512,  HASH_SLH_DSA_SHA512,  |_| Mechanism::HashSlhDsaSha512(no_context())),
    row!(SlhDsa,   digest,  HASH_SLH_DSA,         |hash| Mechanism::HashSlhDsa(hash_of_digest(hash))),
    row!(Hmac,     Sha256,  SHA256_HMAC,          |_| Mechanism::Sha256Hmac),
    row!(Hmac,     Sha384,  SHA384_HMAC,          |_| Mechanism::Sha384Hmac),
    row!(Hmac,     Sha512,  SHA512_HMAC,          |_| Mechanism::Sha512Hmac),
    row!(Hmac,     Sha224,  SHA224_HMAC,          |_| Mechanism::Sha224Hmac),
    row!(Hmac,     Sha1,    SHA1_HMAC,            |_| Mechanism::Sha1Hmac),
];

impl SigningMechanism {
    /// Returns the mechanism with its parameters. `digest_hash` is the hash of the digest, if the input is one.
    pub fn with_hash(&self, digest_hash: Option<Hash>) -> Mechanism<'static> {
        (self.mechanism)(self.hash.or(digest_hash).unwrap_or(Hash::Sha256))
    }
}

/// The hashes that can be chosen.
#[derive(Clone, Copy, ValueEnum)]
#[allow(missing_docs, reason = "the names of the hashes")]
pub enum HashName {
    Sha256,
    Sha384,
    Sha512,
}

impl From<HashName> for Hash {
    fn from(name: HashName) -> Self {
        match name {
            HashName::Sha256 => Hash::Sha256,
            HashName::Sha384 => Hash::Sha384,
            HashName::Sha512 => Hash::Sha512,
        }
    }
}

/// Returns the parameters that all services support: MGF1 with the same hash, and a salt as long as the digest.
fn pss(hash: Hash) -> PkcsPssParams {
    let (hash_alg, mgf) = match hash {
        Hash::Sha384 => (MechanismType::SHA384, PkcsMgfType::MGF1_SHA384),
        Hash::Sha512 => (MechanismType::SHA512, PkcsMgfType::MGF1_SHA512),
        _ => (MechanismType::SHA256, PkcsMgfType::MGF1_SHA256),
    };
    PkcsPssParams { hash_alg, mgf, s_len: (hash.len() as u64).into() }
}

fn no_context() -> SignAdditionalContext<'static> {
    SignAdditionalContext::new(HedgeType::Preferred, None)
}

fn hash_of_digest(hash: Hash) -> HashSignAdditionalContext<'static> {
    HashSignAdditionalContext::new(HedgeType::Preferred, None, pss(hash).hash_alg)
}
