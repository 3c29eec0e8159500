//! The elliptic curves of the services. SEC 2, RFC 5480 section 2.1.1.1; for the hashes, RFC 7518 and RFC 8812.

use super::hash::Hash;
use crate::error::{Error, Result};
use aws_lc_rs::signature::{self, VerificationAlgorithm};
use const_oid::ObjectIdentifier;
use cryptoki_sys::{CKR_CURVE_NOT_SUPPORTED, CKR_DOMAIN_PARAMS_INVALID};
use der::asn1::AnyRef;
use der::{Decode, Encode};

/// An elliptic curve that a service supports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Curve {
    P256,
    P384,
    P521,
    Secp256k1,
}

struct Row {
    curve: Curve,
    name: &'static str,
    oid: ObjectIdentifier,
    bits: usize,
    /// The hash that both services tie to the curve.
    hash: Hash,
    verifier: &'static dyn VerificationAlgorithm,
}

#[rustfmt::skip]
static CURVES: [Row; 4] = [
    Row { curve: Curve::P256, name: "P-256", oid: const_oid::db::rfc5912::SECP_256_R_1, bits: 256, hash: Hash::Sha256, verifier: &signature::ECDSA_P256_SHA256_FIXED },
    Row { curve: Curve::P384, name: "P-384", oid: const_oid::db::rfc5912::SECP_384_R_1, bits: 384, hash: Hash::Sha384, verifier: &signature::ECDSA_P384_SHA384_FIXED },
    Row { curve: Curve::P521, name: "P-521", oid: const_oid::db::rfc5912::SECP_521_R_1, bits: 521, hash: Hash::Sha512, verifier: &signature::ECDSA_P521_SHA512_FIXED },
    Row { curve: Curve::Secp256k1, name: "secp256k1", oid: ObjectIdentifier::new_unwrap("1.3.132.0.10"), bits: 256, hash: Hash::Sha256, verifier: &signature::ECDSA_P256K1_SHA256_FIXED },
];

impl Curve {
    /// Returns every curve.
    pub fn all() -> impl Iterator<Item = Curve> {
        CURVES.iter().map(|row| row.curve)
    }

    /// Returns the usual name of the curve.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Returns the size of the curve's field in bits.
    pub fn bits(self) -> usize {
        self.row().bits
    }

    /// Returns the length in bytes of a coordinate, of r and of s.
    pub fn field_len(self) -> usize {
        self.bits().div_ceil(8)
    }

    /// Returns the hash that the services tie to the curve. The services sign digests of this hash's length.
    pub fn hash(self) -> Hash {
        self.row().hash
    }

    /// Returns DER of the curve's object identifier, the value of CKA_EC_PARAMS.
    pub fn ec_params(self) -> Vec<u8> {
        self.oid().to_der().unwrap_or_default()
    }

    /// Returns the curve that a value of CKA_EC_PARAMS names.
    ///
    /// # Errors
    /// CKR_CURVE_NOT_SUPPORTED if the value names another curve, CKR_DOMAIN_PARAMS_INVALID if it is not DER
    /// (section 6.3.3).
    pub fn from_params(der: &[u8]) -> Result<Curve> {
        Self::all().find(|curve| curve.ec_params() == der).ok_or_else(|| ec_params_error(der))
    }

    pub(super) fn oid(self) -> ObjectIdentifier {
        self.row().oid
    }

    pub(super) fn from_oid(oid: ObjectIdentifier) -> Option<Curve> {
        CURVES.iter().find(|row| row.oid == oid).map(|row| row.curve)
    }

    pub(super) fn verifier(self) -> &'static dyn VerificationAlgorithm {
        self.row().verifier
    }

    fn row(self) -> &'static Row {
        &CURVES[self as usize]
    }
}

/// Returns the error for a value of CKA_EC_PARAMS that names no curve of this module: CKR_CURVE_NOT_SUPPORTED, or
/// CKR_DOMAIN_PARAMS_INVALID if the value is not DER.
pub fn ec_params_error(der: &[u8]) -> Error {
    match AnyRef::from_der(der) {
        Ok(_) => Error::new(CKR_CURVE_NOT_SUPPORTED, "CKA_EC_PARAMS names a curve that the services do not support"),
        Err(_) => Error::new(CKR_DOMAIN_PARAMS_INVALID, "CKA_EC_PARAMS is not DER"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_stand_in_the_order_of_the_enum() {
        for (index, row) in CURVES.iter().enumerate() {
            assert_eq!(row.curve as usize, index);
        }
        // PKCS#11 and RFC 5480: 1.2.840.10045.3.1.7.
        assert_eq!(Curve::P256.ec_params(), [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07]);
        assert_eq!((Curve::P521.field_len(), Curve::P521.bits()), (66, 521));
    }
}
