//! THE TABLE of algorithms: what a key with each of them is, and how it is used.
//!
//! "Key purposes and algorithms" of Google's documentation; `CryptoKeyVersionAlgorithm` and `Digest` of the API.

use crate::key::hash::Hash;
use crate::key::ml_dsa::ParameterSet;
use crate::key::slh_dsa;
use crate::key::{Algorithm, Curve, Kind, Scheme};

/// An algorithm of a version: its name in the API, the kind of the key, the only scheme, and the field of a request that
/// contains the input.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) scheme: Scheme,
    /// A field of `digest`, or [`DATA`].
    pub(crate) field: &'static str,
}

/// The field for an input that is not a digest.
pub(crate) const DATA: &str = "data";

macro_rules! algorithms {
    ($($name:literal $kind:expr, $scheme:expr, $field:expr;)*) => {
        &[$(Row { name: $name, kind: $kind, scheme: $scheme, field: $field }),*]
    };
}

/// `CryptoKeyVersionAlgorithm` of the API.
#[rustfmt::skip]
pub(crate) const ALGORITHMS: &[Row] = algorithms! {
    "RSA_SIGN_PKCS1_2048_SHA256"      Kind::Rsa(2048), Algorithm::RsaPkcs1.with_hash(Hash::Sha256), "sha256";
    "RSA_SIGN_PKCS1_3072_SHA256"      Kind::Rsa(3072), Algorithm::RsaPkcs1.with_hash(Hash::Sha256), "sha256";
    "RSA_SIGN_PKCS1_4096_SHA256"      Kind::Rsa(4096), Algorithm::RsaPkcs1.with_hash(Hash::Sha256), "sha256";
    "RSA_SIGN_PKCS1_4096_SHA512"      Kind::Rsa(4096), Algorithm::RsaPkcs1.with_hash(Hash::Sha512), "sha512";
    "RSA_SIGN_PSS_2048_SHA256"        Kind::Rsa(2048), Algorithm::RsaPss.with_hash(Hash::Sha256), "sha256";
    "RSA_SIGN_PSS_3072_SHA256"        Kind::Rsa(3072), Algorithm::RsaPss.with_hash(Hash::Sha256), "sha256";
    "RSA_SIGN_PSS_4096_SHA256"        Kind::Rsa(4096), Algorithm::RsaPss.with_hash(Hash::Sha256), "sha256";
    "RSA_SIGN_PSS_4096_SHA512"        Kind::Rsa(4096), Algorithm::RsaPss.with_hash(Hash::Sha512), "sha512";
    "RSA_SIGN_RAW_PKCS1_2048"         Kind::Rsa(2048), Algorithm::RsaPkcs1.without_hash(), DATA;
    "RSA_SIGN_RAW_PKCS1_3072"         Kind::Rsa(3072), Algorithm::RsaPkcs1.without_hash(), DATA;
    "RSA_SIGN_RAW_PKCS1_4096"         Kind::Rsa(4096), Algorithm::RsaPkcs1.without_hash(), DATA;
    "RSA_DECRYPT_OAEP_2048_SHA1"      Kind::Rsa(2048), Algorithm::RsaesOaep.with_hash(Hash::Sha1), DATA;
    "RSA_DECRYPT_OAEP_3072_SHA1"      Kind::Rsa(3072), Algorithm::RsaesOaep.with_hash(Hash::Sha1), DATA;
    "RSA_DECRYPT_OAEP_4096_SHA1"      Kind::Rsa(4096), Algorithm::RsaesOaep.with_hash(Hash::Sha1), DATA;
    "RSA_DECRYPT_OAEP_2048_SHA256"    Kind::Rsa(2048), Algorithm::RsaesOaep.with_hash(Hash::Sha256), DATA;
    "RSA_DECRYPT_OAEP_3072_SHA256"    Kind::Rsa(3072), Algorithm::RsaesOaep.with_hash(Hash::Sha256), DATA;
    "RSA_DECRYPT_OAEP_4096_SHA256"    Kind::Rsa(4096), Algorithm::RsaesOaep.with_hash(Hash::Sha256), DATA;
    "RSA_DECRYPT_OAEP_4096_SHA512"    Kind::Rsa(4096), Algorithm::RsaesOaep.with_hash(Hash::Sha512), DATA;
    "EC_SIGN_P256_SHA256"             Kind::Ec(Curve::P256), Algorithm::Ecdsa.with_hash(Hash::Sha256), "sha256";
    "EC_SIGN_P384_SHA384"             Kind::Ec(Curve::P384), Algorithm::Ecdsa.with_hash(Hash::Sha384), "sha384";
    "EC_SIGN_SECP256K1_SHA256"        Kind::Ec(Curve::Secp256k1), Algorithm::Ecdsa.with_hash(Hash::Sha256), "sha256";
    "EC_SIGN_ED25519"                 Kind::Ed25519, Algorithm::Eddsa.without_hash(), DATA;
    "HMAC_SHA1"                       Kind::Hmac(Hash::Sha1), Algorithm::Hmac.with_hash(Hash::Sha1), DATA;
    "HMAC_SHA224"                     Kind::Hmac(Hash::Sha224), Algorithm::Hmac.with_hash(Hash::Sha224), DATA;
    "HMAC_SHA256"                     Kind::Hmac(Hash::Sha256), Algorithm::Hmac.with_hash(Hash::Sha256), DATA;
    "HMAC_SHA384"                     Kind::Hmac(Hash::Sha384), Algorithm::Hmac.with_hash(Hash::Sha384), DATA;
    "HMAC_SHA512"                     Kind::Hmac(Hash::Sha512), Algorithm::Hmac.with_hash(Hash::Sha512), DATA;
    "PQ_SIGN_ML_DSA_44_EXTERNAL_MU"   Kind::MlDsa(ParameterSet::MlDsa44), Algorithm::MlDsaMu.without_hash(), "externalMu";
    "PQ_SIGN_ML_DSA_65_EXTERNAL_MU"   Kind::MlDsa(ParameterSet::MlDsa65), Algorithm::MlDsaMu.without_hash(), "externalMu";
    "PQ_SIGN_ML_DSA_87_EXTERNAL_MU"   Kind::MlDsa(ParameterSet::MlDsa87), Algorithm::MlDsaMu.without_hash(), "externalMu";
    "PQ_SIGN_ML_DSA_44"               Kind::MlDsa(ParameterSet::MlDsa44), Algorithm::MlDsa.without_hash(), DATA;
    "PQ_SIGN_ML_DSA_65"               Kind::MlDsa(ParameterSet::MlDsa65), Algorithm::MlDsa.without_hash(), DATA;
    "PQ_SIGN_ML_DSA_87"               Kind::MlDsa(ParameterSet::MlDsa87), Algorithm::MlDsa.without_hash(), DATA;
    "PQ_SIGN_SLH_DSA_SHA2_128S"       Kind::SlhDsa(slh_dsa::ParameterSet::Sha2_128s), Algorithm::SlhDsa.without_hash(), DATA;
    "PQ_SIGN_HASH_SLH_DSA_SHA2_128S_SHA256" Kind::SlhDsa(slh_dsa::ParameterSet::Sha2_128s), Algorithm::SlhDsa.with_hash(Hash::Sha256), "sha256";
};

/// Returns the algorithm with this name.
///
/// # Errors
/// A message about an algorithm that this module does not support.
pub(crate) fn algorithm(name: &str) -> Result<&'static Row, String> {
    ALGORITHMS.iter().find(|row| row.name == name).ok_or_else(|| format!("the key has the algorithm {name}"))
}

/// Returns all schemes that Cloud KMS has for keys of this kind. A key has one of them.
pub(crate) fn schemes(kind: Kind) -> Vec<Scheme> {
    ALGORITHMS.iter().filter(|row| row.kind == kind).map(|row| row.scheme).collect()
}

/// Returns the field of a request that contains the input of this scheme, or None if Cloud KMS does not have it for keys of
/// this kind.
pub(crate) fn input_field(kind: Kind, scheme: Scheme) -> Option<&'static str> {
    ALGORITHMS.iter().find(|row| row.kind == kind && row.scheme == scheme).map(|row| row.field)
}
