//! Algorithms for signing, encryption, MACs and key agreement, as the API Reference names them.

use crate::crypto::{Family, Hash, Padding, Scheme};
use crate::state::aws::{AGREE, MAC, SIGN, Spec};

/// One SigningAlgorithm.
pub(super) struct SigningAlgorithm {
    pub(super) name: &'static str,
    pub(super) scheme: Scheme,
}

pub(super) static SIGNING: [SigningAlgorithm; 12] = [
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
    pub(super) fn serves(&self, family: Family) -> bool {
        match (self.scheme, family) {
            (Scheme::Pkcs1(_) | Scheme::Pss(_), Family::Rsa(_)) => true,
            (Scheme::Ed25519 | Scheme::Ed25519Ph, Family::Ed25519) | (Scheme::MlDsa, Family::MlDsa(_)) => true,
            (Scheme::Ecdsa(hash), Family::Ec(curve)) => hash == curve.hash(),
            _ => false,
        }
    }
}

/// EncryptionAlgorithm of RSA keys.
pub(super) static ENCRYPTION: [(&str, Padding); 2] =
    [("RSAES_OAEP_SHA_1", Padding::Oaep(Hash::Sha1)), ("RSAES_OAEP_SHA_256", Padding::Oaep(Hash::Sha256))];

/// MacAlgorithm, and the key spec each belongs to.
pub(super) static MACS: [(&str, &str, Hash); 4] = [
    ("HMAC_SHA_224", "HMAC_224", Hash::Sha224),
    ("HMAC_SHA_256", "HMAC_256", Hash::Sha256),
    ("HMAC_SHA_384", "HMAC_384", Hash::Sha384),
    ("HMAC_SHA_512", "HMAC_512", Hash::Sha512),
];

/// The name of the list of algorithms in a description of a key, and the list.
pub(super) fn algorithms(spec: &Spec, usage: &str) -> (&'static str, Vec<&'static str>) {
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
