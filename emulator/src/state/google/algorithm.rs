//! The algorithms of key versions (`CryptoKeyVersion.CryptoKeyVersionAlgorithm` of the API), and what they do.

use crate::crypto::{Curve, Family, Hash, ParameterSet, Scheme};

/// An algorithm of a key version.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Algorithm {
    pub(crate) name: &'static str,
    /// The number of the enum's value.
    pub(crate) number: i64,
    pub(crate) family: Family,
    pub(crate) used: Use,
}

/// What keys of an algorithm are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// AsymmetricSign of a digest, or of data that the service hashes.
    Digest(Hash, Scheme),
    /// AsymmetricSign of a message representative, in `digest.externalMu`.
    ExternalMu,
    /// AsymmetricSign of data as it is.
    Data(Scheme),
    /// AsymmetricDecrypt with OAEP.
    Decrypt(Hash),
    Mac(Hash),
    /// Encrypt and Decrypt, which the emulator does not have.
    Symmetric,
}

impl Algorithm {
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        ALGORITHMS.iter().find(|row| row.name == name)
    }

    /// `CryptoKey.CryptoKeyPurpose`.
    pub(crate) fn purpose(&self) -> &'static str {
        match self.used {
            Use::Digest(..) | Use::ExternalMu | Use::Data(_) => "ASYMMETRIC_SIGN",
            Use::Decrypt(_) => "ASYMMETRIC_DECRYPT",
            Use::Mac(_) => "MAC",
            Use::Symmetric => "ENCRYPT_DECRYPT",
        }
    }

    pub(crate) fn is_asymmetric(&self) -> bool {
        !matches!(self.used, Use::Mac(_) | Use::Symmetric)
    }

    pub(crate) fn is_post_quantum(&self) -> bool {
        matches!(self.family, Family::MlDsa(_) | Family::SlhDsa)
    }
}

const fn row(name: &'static str, number: i64, family: Family, used: Use) -> Algorithm {
    Algorithm { name, number, family, used }
}

use Family::{Ec, Ed25519, Hmac, MlDsa, Rsa, SlhDsa};
use Hash::{Sha1, Sha224, Sha256, Sha384, Sha512};
use Use::{Data, Decrypt, Digest, ExternalMu, Mac, Symmetric};

pub(crate) const ALGORITHMS: [Algorithm; 36] = [
    row("GOOGLE_SYMMETRIC_ENCRYPTION", 1, Family::Symmetric, Symmetric),
    row("RSA_SIGN_PSS_2048_SHA256", 2, Rsa(2048), Digest(Sha256, Scheme::Pss(Sha256))),
    row("RSA_SIGN_PSS_3072_SHA256", 3, Rsa(3072), Digest(Sha256, Scheme::Pss(Sha256))),
    row("RSA_SIGN_PSS_4096_SHA256", 4, Rsa(4096), Digest(Sha256, Scheme::Pss(Sha256))),
    row("RSA_SIGN_PSS_4096_SHA512", 15, Rsa(4096), Digest(Sha512, Scheme::Pss(Sha512))),
    row("RSA_SIGN_PKCS1_2048_SHA256", 5, Rsa(2048), Digest(Sha256, Scheme::Pkcs1(Sha256))),
    row("RSA_SIGN_PKCS1_3072_SHA256", 6, Rsa(3072), Digest(Sha256, Scheme::Pkcs1(Sha256))),
    row("RSA_SIGN_PKCS1_4096_SHA256", 7, Rsa(4096), Digest(Sha256, Scheme::Pkcs1(Sha256))),
    row("RSA_SIGN_PKCS1_4096_SHA512", 16, Rsa(4096), Digest(Sha512, Scheme::Pkcs1(Sha512))),
    row("RSA_SIGN_RAW_PKCS1_2048", 28, Rsa(2048), Data(Scheme::Unhashed)),
    row("RSA_SIGN_RAW_PKCS1_3072", 29, Rsa(3072), Data(Scheme::Unhashed)),
    row("RSA_SIGN_RAW_PKCS1_4096", 30, Rsa(4096), Data(Scheme::Unhashed)),
    row("RSA_DECRYPT_OAEP_2048_SHA256", 8, Rsa(2048), Decrypt(Sha256)),
    row("RSA_DECRYPT_OAEP_3072_SHA256", 9, Rsa(3072), Decrypt(Sha256)),
    row("RSA_DECRYPT_OAEP_4096_SHA256", 10, Rsa(4096), Decrypt(Sha256)),
    row("RSA_DECRYPT_OAEP_4096_SHA512", 17, Rsa(4096), Decrypt(Sha512)),
    row("RSA_DECRYPT_OAEP_2048_SHA1", 37, Rsa(2048), Decrypt(Sha1)),
    row("RSA_DECRYPT_OAEP_3072_SHA1", 38, Rsa(3072), Decrypt(Sha1)),
    row("RSA_DECRYPT_OAEP_4096_SHA1", 39, Rsa(4096), Decrypt(Sha1)),
    row("EC_SIGN_P256_SHA256", 12, Ec(Curve::P256), Digest(Sha256, Scheme::Ecdsa(Sha256))),
    row("EC_SIGN_P384_SHA384", 13, Ec(Curve::P384), Digest(Sha384, Scheme::Ecdsa(Sha384))),
    row("EC_SIGN_SECP256K1_SHA256", 31, Ec(Curve::P256K), Digest(Sha256, Scheme::Ecdsa(Sha256))),
    row("EC_SIGN_ED25519", 40, Ed25519, Data(Scheme::Ed25519)),
    row("HMAC_SHA256", 32, Hmac(32), Mac(Sha256)),
    row("HMAC_SHA1", 33, Hmac(20), Mac(Sha1)),
    row("HMAC_SHA384", 34, Hmac(48), Mac(Sha384)),
    row("HMAC_SHA512", 35, Hmac(64), Mac(Sha512)),
    row("HMAC_SHA224", 36, Hmac(28), Mac(Sha224)),
    row("PQ_SIGN_ML_DSA_44", 68, MlDsa(ParameterSet::MlDsa44), Data(Scheme::MlDsa)),
    row("PQ_SIGN_ML_DSA_65", 56, MlDsa(ParameterSet::MlDsa65), Data(Scheme::MlDsa)),
    row("PQ_SIGN_ML_DSA_87", 69, MlDsa(ParameterSet::MlDsa87), Data(Scheme::MlDsa)),
    row("PQ_SIGN_ML_DSA_44_EXTERNAL_MU", 70, MlDsa(ParameterSet::MlDsa44), ExternalMu),
    row("PQ_SIGN_ML_DSA_65_EXTERNAL_MU", 67, MlDsa(ParameterSet::MlDsa65), ExternalMu),
    row("PQ_SIGN_ML_DSA_87_EXTERNAL_MU", 71, MlDsa(ParameterSet::MlDsa87), ExternalMu),
    row("PQ_SIGN_SLH_DSA_SHA2_128S", 57, SlhDsa, Data(Scheme::SlhDsa)),
    row("PQ_SIGN_HASH_SLH_DSA_SHA2_128S_SHA256", 60, SlhDsa, Digest(Sha256, Scheme::HashSlhDsa)),
];
