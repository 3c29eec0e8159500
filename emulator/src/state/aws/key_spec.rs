//! Key specs and key usages, as the API Reference of KMS names them.

use crate::crypto::{Curve, Family, ParameterSet};

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
