//! Public keys: conversion from and to DER, numbers and points.
//!
//! RFC 8017 appendix A.1.1, RFC 5480, RFC 8410, RFC 9881, RFC 9909 (SubjectPublicKeyInfo); PKCS#11 3.1 section 6.3
//! (EC_POINT).

use super::curve::Curve;
use super::kind::Kind;
use super::ml_dsa::ParameterSet;
use super::slh_dsa;
use const_oid::ObjectIdentifier;
use der::asn1::{AnyRef, BitString, OctetStringRef, UintRef};
use der::{Any, Decode, Encode, Sequence};
use spki::{AlgorithmIdentifier, SubjectPublicKeyInfoOwned, SubjectPublicKeyInfoRef};

/// A public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    spki: Vec<u8>,
    material: PublicNumbers,
}

/// The numbers of a public key, big-endian without leading zeros. A point of an elliptic curve is uncompressed
/// (0x04, x, y).
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum PublicNumbers {
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
    Ec {
        curve: Curve,
        point: Vec<u8>,
    },
    /// Encoded as in RFC 8032 section 5.1.2.
    Ed25519 {
        point: [u8; ED25519_LEN],
    },
    /// Encoded as in FIPS 204 algorithm 22.
    MlDsa {
        set: ParameterSet,
        key: Vec<u8>,
    },
    /// Encoded as in FIPS 205 section 9.1.
    SlhDsa {
        set: slh_dsa::ParameterSet,
        key: Vec<u8>,
    },
}

/// The length in bytes of an Ed25519 public key.
pub const ED25519_LEN: usize = 32;

/// The form of CKA_EC_POINT for an Edwards curve key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PointEncoding {
    /// DER of an OCTET STRING, as in PKCS#11 3.0. Most callers expect this form.
    #[default]
    OctetString,
    /// The bytes of the point, as in PKCS#11 3.1 section 6.3.5.
    Raw,
}

/// The reason why bytes are not a public key or certificate that this module supports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable(pub String);

impl PublicKey {
    /// Reads DER of a SubjectPublicKeyInfo: RSA of 2048 to 8192 bits, a named curve with an uncompressed point,
    /// Ed25519, ML-DSA or SLH-DSA.
    ///
    /// # Errors
    /// Fails if the bytes are not DER of a SubjectPublicKeyInfo, or if the key is of another algorithm, curve or
    /// form.
    pub fn from_spki(der: &[u8]) -> Result<Self, Unusable> {
        let spki = SubjectPublicKeyInfoRef::try_from(der)
            .map_err(|e| Unusable(format!("it is not a SubjectPublicKeyInfo: {e}")))?;
        let bits = spki
            .subject_public_key
            .as_bytes()
            .ok_or_else(|| Unusable("the public key is not a whole number of bytes".into()))?;
        match spki.algorithm.oid {
            const_oid::db::rfc5912::RSA_ENCRYPTION => {
                let key =
                    RsaPublicKey::from_der(bits).map_err(|e| Unusable(format!("it is not an RSAPublicKey: {e}")))?;
                Self::rsa(key.modulus.as_bytes(), key.exponent.as_bytes())
            }
            const_oid::db::rfc5912::ID_EC_PUBLIC_KEY => {
                let oid = spki.algorithm.parameters_oid().map_err(|e| Unusable(format!("it names no curve: {e}")))?;
                let curve = Curve::from_oid(oid).ok_or_else(|| Unusable(format!("unknown curve {oid}")))?;
                Self::ec(curve, bits)
            }
            const_oid::db::rfc8410::ID_ED_25519 => Self::ed25519(bits),
            other => match (ParameterSet::from_oid(other), slh_dsa::ParameterSet::from_oid(other)) {
                (Some(set), _) => Self::ml_dsa(set, bits),
                (_, Some(set)) => Self::slh_dsa(set, bits),
                _ => Err(Unusable(format!("unknown key algorithm {other}"))),
            },
        }
    }

    /// Creates an RSA key from modulus and exponent, big-endian, with or without leading zeros.
    ///
    /// # Errors
    /// Fails if the modulus does not have 2048 to 8192 bits, or the exponent 1 to 8 bytes.
    pub fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<Self, Unusable> {
        let (modulus, exponent) = (trim_leading_zeros(modulus), trim_leading_zeros(exponent));
        if !(2048..=8192).contains(&bit_length(modulus)) || exponent.is_empty() || exponent.len() > 8 {
            return Err(Unusable(format!(
                "RSA with {} bits and an exponent of {} bytes is not supported",
                bit_length(modulus),
                exponent.len()
            )));
        }
        let encode = || RsaPublicKey { modulus: UintRef::new(modulus)?, exponent: UintRef::new(exponent)? }.to_der();
        let key = encode().map_err(|e| Unusable(e.to_string()))?;
        let spki = spki(const_oid::db::rfc5912::RSA_ENCRYPTION, Some(AnyRef::NULL.into()), &key)?;
        Ok(Self { spki, material: PublicNumbers::Rsa { modulus: modulus.to_vec(), exponent: exponent.to_vec() } })
    }

    /// Creates a key from an uncompressed point (SEC 1 section 2.3.3). Verification of a signature checks that the
    /// point lies on the curve.
    ///
    /// # Errors
    /// Fails if the point does not have the form or the length of an uncompressed point.
    pub fn ec(curve: Curve, point: &[u8]) -> Result<Self, Unusable> {
        if point.len() != 1 + 2 * curve.field_len() || point[0] != 4 {
            return Err(Unusable(format!("it is not an uncompressed point of {}", curve.name())));
        }
        let spki = spki(const_oid::db::rfc5912::ID_EC_PUBLIC_KEY, Some(Any::from(curve.oid())), point)?;
        Ok(Self { spki, material: PublicNumbers::Ec { curve, point: point.to_vec() } })
    }

    /// Creates an Ed25519 key from the 32 bytes of RFC 8032. Verification of a signature checks that they are a
    /// point.
    ///
    /// # Errors
    /// Fails if the number of bytes is not 32.
    pub fn ed25519(point: &[u8]) -> Result<Self, Unusable> {
        let own = point.try_into().map_err(|_| Unusable(format!("the Ed25519 key has {} bytes", point.len())))?;
        let spki = spki(const_oid::db::rfc8410::ID_ED_25519, None, point)?;
        Ok(Self { spki, material: PublicNumbers::Ed25519 { point: own } })
    }

    /// Creates an ML-DSA key from the bytes of FIPS 204.
    ///
    /// # Errors
    /// Fails if the length is not that of the parameter set's public keys.
    pub fn ml_dsa(set: ParameterSet, key: &[u8]) -> Result<Self, Unusable> {
        if key.len() != set.public_key_len() {
            return Err(Unusable(format!("the {} key has {} bytes", set.name(), key.len())));
        }
        Ok(Self { spki: spki(set.oid(), None, key)?, material: PublicNumbers::MlDsa { set, key: key.to_vec() } })
    }

    /// Creates an SLH-DSA key from the bytes of FIPS 205.
    ///
    /// # Errors
    /// Fails if the length is not that of the parameter set's public keys.
    pub fn slh_dsa(set: slh_dsa::ParameterSet, key: &[u8]) -> Result<Self, Unusable> {
        if key.len() != set.public_key_len() {
            return Err(Unusable(format!("the {} key has {} bytes", set.name(), key.len())));
        }
        Ok(Self { spki: spki(set.oid(), None, key)?, material: PublicNumbers::SlhDsa { set, key: key.to_vec() } })
    }

    /// Creates a key from affine coordinates. A coordinate may lack leading zeros, or have too many.
    ///
    /// # Errors
    /// Fails if a coordinate without its leading zeros is longer than the field.
    pub fn ec_coordinates(curve: Curve, x: &[u8], y: &[u8]) -> Result<Self, Unusable> {
        let wide = |coordinate: &[u8]| pad_left(coordinate, curve.field_len());
        match (wide(x), wide(y)) {
            (Some(x), Some(y)) => Self::ec(curve, &[&[4], &x[..], &y[..]].concat()),
            _ => Err(Unusable(format!("the coordinates are longer than the field of {}", curve.name()))),
        }
    }

    /// Returns DER of the SubjectPublicKeyInfo, the value of CKA_PUBLIC_KEY_INFO. Equal keys have equal DER.
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// Returns the numbers of the key.
    pub fn material(&self) -> &PublicNumbers {
        &self.material
    }

    /// Returns the kind of the key.
    pub fn kind(&self) -> Kind {
        match &self.material {
            PublicNumbers::Rsa { modulus, .. } => Kind::Rsa(bit_length(modulus)),
            PublicNumbers::Ec { curve, .. } => Kind::Ec(*curve),
            PublicNumbers::Ed25519 { .. } => Kind::Ed25519,
            PublicNumbers::MlDsa { set, .. } => Kind::MlDsa(*set),
            PublicNumbers::SlhDsa { set, .. } => Kind::SlhDsa(*set),
        }
    }
}

fn spki(oid: ObjectIdentifier, parameters: Option<Any>, key: &[u8]) -> Result<Vec<u8>, Unusable> {
    let encode = || {
        let algorithm = AlgorithmIdentifier { oid, parameters };
        SubjectPublicKeyInfoOwned { algorithm, subject_public_key: BitString::from_bytes(key)? }.to_der()
    };
    encode().map_err(|e: der::Error| Unusable(e.to_string()))
}

/// Returns the point in DER of an OCTET STRING, or the bytes themselves if they are not such DER. Callers use both
/// forms.
pub fn unwrapped_point(point: &[u8]) -> &[u8] {
    <&OctetStringRef>::from_der(point).map_or(point, OctetStringRef::as_bytes)
}

/// Converts an ECDSA signature from DER (RFC 3279 section 2.2.3) to PKCS#11's form: r and s, each padded to
/// `width` bytes. Returns None if the signature is not DER, or if r or s is longer.
pub fn ecdsa_from_der(der: &[u8], width: usize) -> Option<Vec<u8>> {
    let signature = EcdsaSignature::from_der(der).ok()?;
    Some([pad_left(signature.r.as_bytes(), width)?, pad_left(signature.s.as_bytes(), width)?].concat())
}

/// Returns `number` with as many leading zeros as make it `width` bytes long, or None if it is longer without
/// leading zeros.
pub fn pad_left(number: &[u8], width: usize) -> Option<Vec<u8>> {
    let number = trim_leading_zeros(number);
    let zeros = width.checked_sub(number.len())?;
    Some([&vec![0; zeros][..], number].concat())
}

#[derive(Sequence)]
struct RsaPublicKey<'a> {
    modulus: UintRef<'a>,
    exponent: UintRef<'a>,
}

#[derive(Sequence)]
struct EcdsaSignature<'a> {
    r: UintRef<'a>,
    s: UintRef<'a>,
}

fn trim_leading_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}

fn bit_length(number: &[u8]) -> usize {
    number.first().map_or(0, |first| number.len() * 8 - first.leading_zeros() as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_same_from_its_numbers_and_from_its_spki() {
        let rsa = PublicKey::rsa(&[&[0, 0, 0x80][..], &[1; 255]].concat(), &[0, 1, 0, 1]).unwrap();
        assert_eq!(rsa.kind(), Kind::Rsa(2048));
        assert_eq!(rsa.kind().signature_len(), 256);
        assert_eq!(PublicKey::from_spki(rsa.spki()), Ok(rsa));
        for curve in [Curve::P256, Curve::P384, Curve::P521, Curve::Secp256k1] {
            let short = vec![7; curve.field_len() - 2];
            let key = PublicKey::ec_coordinates(curve, &short, &[&[0, 0][..], &short].concat()).unwrap();
            assert_eq!(key.kind(), Kind::Ec(curve));
            let PublicNumbers::Ec { point, .. } = key.material() else { panic!("no curve") };
            assert_eq!(
                (point.len(), &point[..4]),
                (1 + 2 * curve.field_len(), &[4, 0, 0, 7][..]),
                "padded on the left"
            );
            assert_eq!(PublicKey::from_spki(key.spki()), Ok(key));
        }
        let edwards = PublicKey::ed25519(&[7; 32]).unwrap();
        assert_eq!((edwards.kind(), edwards.spki().len()), (Kind::Ed25519, 44), "RFC 8410 section 10.1");
        assert_eq!(PublicKey::from_spki(edwards.spki()), Ok(edwards));
        for set in ParameterSet::all() {
            let key = PublicKey::ml_dsa(set, &vec![7; set.public_key_len()]).unwrap();
            assert_eq!(key.kind(), Kind::MlDsa(set));
            assert_eq!(PublicKey::from_spki(key.spki()), Ok(key));
            assert!(PublicKey::ml_dsa(set, &vec![7; set.public_key_len() - 1]).is_err());
        }
        for set in slh_dsa::ParameterSet::all() {
            let key = PublicKey::slh_dsa(set, &vec![7; set.public_key_len()]).unwrap();
            assert_eq!(key.kind(), Kind::SlhDsa(set));
            assert_eq!(PublicKey::from_spki(key.spki()), Ok(key));
            assert!(PublicKey::slh_dsa(set, &vec![7; set.public_key_len() - 1]).is_err());
        }
    }

    #[test]
    fn unsupported_keys_are_refused() {
        assert!(PublicKey::rsa(&[0xff; 128], &[1, 0, 1]).is_err(), "1024 bits");
        assert!(PublicKey::rsa(&[0xff; 256], &[]).is_err(), "no exponent");
        assert!(PublicKey::ec(Curve::P256, &[2; 33]).is_err(), "a compressed point");
        assert!(PublicKey::ec_coordinates(Curve::P256, &[1; 33], &[1; 32]).is_err(), "a coordinate too long");
        let good = PublicKey::rsa(&[0xff; 256], &[1, 0, 1]).unwrap();
        for length in 0..good.spki().len() {
            assert!(PublicKey::from_spki(&good.spki()[..length]).is_err(), "cut to {length}");
        }
    }

    #[test]
    fn der_signatures_become_fixed_width() {
        let der = [0x30, 0x08, 0x02, 0x01, 0x05, 0x02, 0x03, 0x00, 0x80, 0x01];
        assert_eq!(ecdsa_from_der(&der, 4), Some(vec![0, 0, 0, 5, 0, 0, 0x80, 1]));
        assert_eq!(ecdsa_from_der(&der, 1), None, "an integer too long");
        assert_eq!(ecdsa_from_der(&der[..9], 4), None, "cut");
        assert_eq!(ecdsa_from_der(&[&der[..], &[0]].concat(), 4), None, "something behind");
        assert_eq!(ecdsa_from_der(&[0x30, 0x06, 0x02, 0x01, 0x85, 0x02, 0x01, 1], 4), None, "a negative integer");
    }
}
