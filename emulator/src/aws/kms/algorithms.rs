//! The tables of KMS: key specs, and algorithms for signing, encryption and MACs, as the API Reference names them.

use crate::crypto::ParameterSet;
use crate::crypto::{Curve, Family, Hash, Padding, Scheme};

/// One KeySpec.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Spec {
    pub(crate) name: &'static str,
    pub(crate) family: Family,
    /// The usages a key of this spec can be made for; the first is what a test gets that names none.
    pub(crate) usages: &'static [&'static str],
}

pub(crate) const SIGN: &str = "SIGN_VERIFY";
pub(crate) const ENCRYPT: &str = "ENCRYPT_DECRYPT";
pub(crate) const AGREE: &str = "KEY_AGREEMENT";
pub(crate) const MAC: &str = "GENERATE_VERIFY_MAC";

pub(crate) static SPECS: [Spec; 16] = [
    Spec { name: "RSA_2048", family: Family::Rsa(2048), usages: &[SIGN, ENCRYPT] },
    Spec { name: "RSA_3072", family: Family::Rsa(3072), usages: &[SIGN, ENCRYPT] },
    Spec { name: "RSA_4096", family: Family::Rsa(4096), usages: &[SIGN, ENCRYPT] },
    Spec { name: "ECC_NIST_P256", family: Family::Ec(Curve::P256), usages: &[SIGN, AGREE] },
    Spec { name: "ECC_NIST_P384", family: Family::Ec(Curve::P384), usages: &[SIGN, AGREE] },
    Spec { name: "ECC_NIST_P521", family: Family::Ec(Curve::P521), usages: &[SIGN, AGREE] },
    Spec { name: "ECC_SECG_P256K1", family: Family::Ec(Curve::P256K), usages: &[SIGN] },
    Spec { name: "ECC_NIST_EDWARDS25519", family: Family::Ed25519, usages: &[SIGN] },
    Spec { name: "ML_DSA_44", family: Family::MlDsa(ParameterSet::MlDsa44), usages: &[SIGN] },
    Spec { name: "ML_DSA_65", family: Family::MlDsa(ParameterSet::MlDsa65), usages: &[SIGN] },
    Spec { name: "ML_DSA_87", family: Family::MlDsa(ParameterSet::MlDsa87), usages: &[SIGN] },
    Spec { name: "HMAC_224", family: Family::Hmac(28), usages: &[MAC] },
    Spec { name: "HMAC_256", family: Family::Hmac(32), usages: &[MAC] },
    Spec { name: "HMAC_384", family: Family::Hmac(48), usages: &[MAC] },
    Spec { name: "HMAC_512", family: Family::Hmac(64), usages: &[MAC] },
    Spec { name: "SYMMETRIC_DEFAULT", family: Family::Symmetric, usages: &[ENCRYPT] },
];

impl Spec {
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        SPECS.iter().find(|spec| spec.name == name)
    }

    pub(crate) fn asymmetric(&self) -> bool {
        !matches!(self.family, Family::Hmac(_) | Family::Symmetric)
    }
}

/// One SigningAlgorithm.
pub(crate) struct SigningAlgorithm {
    pub(crate) name: &'static str,
    pub(crate) scheme: Scheme,
}

pub(crate) static SIGNING: [SigningAlgorithm; 12] = [
    SigningAlgorithm { name: "RSASSA_PKCS1_V1_5_SHA_256", scheme: Scheme::Pkcs1(Hash::Sha256) },
    SigningAlgorithm { name: "RSASSA_PKCS1_V1_5_SHA_384", scheme: Scheme::Pkcs1(Hash::Sha384) },
    SigningAlgorithm { name: "RSASSA_PKCS1_V1_5_SHA_512", scheme: Scheme::Pkcs1(Hash::Sha512) },
    SigningAlgorithm { name: "RSASSA_PSS_SHA_256", scheme: Scheme::Pss(Hash::Sha256) },
    SigningAlgorithm { name: "RSASSA_PSS_SHA_384", scheme: Scheme::Pss(Hash::Sha384) },
    SigningAlgorithm { name: "RSASSA_PSS_SHA_512", scheme: Scheme::Pss(Hash::Sha512) },
    SigningAlgorithm { name: "ECDSA_SHA_256", scheme: Scheme::Ecdsa(Hash::Sha256) },
    SigningAlgorithm { name: "ECDSA_SHA_384", scheme: Scheme::Ecdsa(Hash::Sha384) },
    SigningAlgorithm { name: "ECDSA_SHA_512", scheme: Scheme::Ecdsa(Hash::Sha512) },
    SigningAlgorithm { name: "ED25519_SHA_512", scheme: Scheme::Ed25519 },
    SigningAlgorithm { name: "ED25519_PH_SHA_512", scheme: Scheme::Ed25519Ph },
    SigningAlgorithm { name: "ML_DSA_SHAKE_256", scheme: Scheme::MlDsa },
];

impl SigningAlgorithm {
    pub(crate) fn serves(&self, family: Family) -> bool {
        match (self.scheme, family) {
            (Scheme::Pkcs1(_) | Scheme::Pss(_), Family::Rsa(_)) => true,
            (Scheme::Ed25519 | Scheme::Ed25519Ph, Family::Ed25519) | (Scheme::MlDsa, Family::MlDsa(_)) => true,
            (Scheme::Ecdsa(hash), Family::Ec(curve)) => hash == curve.hash(),
            _ => false,
        }
    }
}

/// EncryptionAlgorithm of RSA keys.
pub(crate) static ENCRYPTION: [(&str, Padding); 2] =
    [("RSAES_OAEP_SHA_1", Padding::Oaep(Hash::Sha1)), ("RSAES_OAEP_SHA_256", Padding::Oaep(Hash::Sha256))];

/// MacAlgorithm, and the key spec each belongs to.
pub(crate) static MACS: [(&str, &str, Hash); 4] = [
    ("HMAC_SHA_224", "HMAC_224", Hash::Sha224),
    ("HMAC_SHA_256", "HMAC_256", Hash::Sha256),
    ("HMAC_SHA_384", "HMAC_384", Hash::Sha384),
    ("HMAC_SHA_512", "HMAC_512", Hash::Sha512),
];

/// The name of the list of algorithms in a description of a key, and the list.
pub(crate) fn algorithms(spec: &Spec, usage: &str) -> (&'static str, Vec<&'static str>) {
    match usage {
        SIGN => {
            ("SigningAlgorithms", SIGNING.iter().filter(|row| row.serves(spec.family)).map(|row| row.name).collect())
        }
        MAC => ("MacAlgorithms", MACS.iter().filter(|row| row.1 == spec.name).map(|row| row.0).collect()),
        AGREE => ("KeyAgreementAlgorithms", vec!["ECDH"]),
        _ if spec.family == Family::Symmetric => ("EncryptionAlgorithms", vec![spec.name]),
        _ => ("EncryptionAlgorithms", ENCRYPTION.iter().map(|row| row.0).collect()),
    }
}
