//! Public keys, and what a key can do: kinds, curves, schemes, verification.
//!
//! Knows no service and no C. Encodings: RFC 5280 and RFC 5480 (SPKI), PKCS#11 3.1 section 6.3 (EC_POINT).

use crate::hash::Hash;
use aws_lc_rs::digest::Digest;
use aws_lc_rs::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use const_oid::ObjectIdentifier;
use der::asn1::{AnyRef, BitString, UintRef};
use der::{Decode, Encode, Sequence};
use spki::{AlgorithmIdentifier, SubjectPublicKeyInfoOwned, SubjectPublicKeyInfoRef};

/// An elliptic curve that a service has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Curve {
    P256,
    P384,
    P521,
    Secp256k1,
}

struct CurveRow {
    curve: Curve,
    name: &'static str,
    oid: ObjectIdentifier,
    bits: usize,
    /// The hash that both services tie to the curve.
    hash: Hash,
    verifier: &'static dyn VerificationAlgorithm,
}

#[rustfmt::skip]
static CURVES: [CurveRow; 4] = [
    CurveRow { curve: Curve::P256, name: "P-256", oid: const_oid::db::rfc5912::SECP_256_R_1, bits: 256, hash: Hash::Sha256, verifier: &signature::ECDSA_P256_SHA256_FIXED },
    CurveRow { curve: Curve::P384, name: "P-384", oid: const_oid::db::rfc5912::SECP_384_R_1, bits: 384, hash: Hash::Sha384, verifier: &signature::ECDSA_P384_SHA384_FIXED },
    CurveRow { curve: Curve::P521, name: "P-521", oid: const_oid::db::rfc5912::SECP_521_R_1, bits: 521, hash: Hash::Sha512, verifier: &signature::ECDSA_P521_SHA512_FIXED },
    CurveRow { curve: Curve::Secp256k1, name: "secp256k1", oid: ObjectIdentifier::new_unwrap("1.3.132.0.10"), bits: 256, hash: Hash::Sha256, verifier: &signature::ECDSA_P256K1_SHA256_FIXED },
];

impl Curve {
    /// Its usual name.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The size of its field in bits.
    pub fn bits(self) -> usize {
        self.row().bits
    }

    /// The length of a coordinate, and of r and of s, in bytes.
    pub fn width(self) -> usize {
        self.bits().div_ceil(8)
    }

    /// The hash that the services tie to it: a digest of this length is what they sign.
    pub fn hash(self) -> Hash {
        self.row().hash
    }

    /// DER of its object identifier, the value of CKA_EC_PARAMS.
    pub fn params(self) -> Vec<u8> {
        self.row().oid.to_der().unwrap_or_default()
    }

    fn from_oid(oid: ObjectIdentifier) -> Option<Curve> {
        CURVES.iter().find(|row| row.oid == oid).map(|row| row.curve)
    }

    fn row(self) -> &'static CurveRow {
        &CURVES[self as usize]
    }
}

/// What kind of key it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// RSA, with the length of its modulus in bits.
    Rsa(usize),
    /// An elliptic curve key.
    Ec(Curve),
}

impl Kind {
    /// Its name in prose and in the option `hide_keys`: "rsa2048", "P-256".
    pub fn name(self) -> String {
        match self {
            Kind::Rsa(bits) => format!("rsa{bits}"),
            Kind::Ec(curve) => curve.name().to_owned(),
        }
    }
}

/// How a signature is made from a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// RSASSA-PKCS1-v1_5, RFC 8017 section 8.2.
    RsaPkcs1,
    /// RSASSA-PSS with salt as long as the digest and MGF1 with the same hash, RFC 8017 section 8.1.
    RsaPss,
    /// ECDSA, FIPS 186-5 section 6; as PKCS#11 has it: r and s, each padded to the curve's width.
    Ecdsa,
}

/// A signature scheme as the services name it: a family with a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Scheme {
    pub family: Family,
    pub hash: Hash,
}

/// The public half of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    spki: Vec<u8>,
    material: Material,
}

/// The numbers of a public key, big-endian without leading zeros; a point is uncompressed (0x04, x, y).
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Material {
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    Ec { curve: Curve, point: Vec<u8> },
}

/// Why bytes are no public key that this module can serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable(pub String);

impl PublicKey {
    /// From DER of a SubjectPublicKeyInfo: RSA of 2048 to 8192 bits, or a named curve with an uncompressed point.
    pub fn from_spki(der: &[u8]) -> Result<Self, Unusable> {
        let spki =
            SubjectPublicKeyInfoRef::try_from(der).map_err(|e| Unusable(format!("no SubjectPublicKeyInfo: {e}")))?;
        let bits = spki.subject_public_key.as_bytes().ok_or_else(|| Unusable("a public key of odd bits".into()))?;
        match spki.algorithm.oid {
            const_oid::db::rfc5912::RSA_ENCRYPTION => {
                let key = RsaPublicKey::from_der(bits).map_err(|e| Unusable(format!("no RSAPublicKey: {e}")))?;
                Self::rsa(key.modulus.as_bytes(), key.exponent.as_bytes())
            }
            const_oid::db::rfc5912::ID_EC_PUBLIC_KEY => {
                let oid = spki.algorithm.parameters_oid().map_err(|e| Unusable(format!("no named curve: {e}")))?;
                let curve = Curve::from_oid(oid).ok_or_else(|| Unusable(format!("unknown curve {oid}")))?;
                Self::ec(curve, bits)
            }
            other => Err(Unusable(format!("unknown key algorithm {other}"))),
        }
    }

    /// From modulus and exponent, big-endian, with or without leading zeros.
    pub fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<Self, Unusable> {
        let (modulus, exponent) = (trim(modulus), trim(exponent));
        if !(2048..=8192).contains(&bit_length(modulus)) || exponent.is_empty() || exponent.len() > 8 {
            return Err(Unusable(format!(
                "RSA of {} bits with an exponent of {} bytes",
                bit_length(modulus),
                exponent.len()
            )));
        }
        let encode = || -> der::Result<Vec<u8>> {
            let key = RsaPublicKey { modulus: UintRef::new(modulus)?, exponent: UintRef::new(exponent)? };
            let algorithm = AlgorithmIdentifier {
                oid: const_oid::db::rfc5912::RSA_ENCRYPTION,
                parameters: Some(AnyRef::NULL.into()),
            };
            SubjectPublicKeyInfoOwned { algorithm, subject_public_key: BitString::from_bytes(&key.to_der()?)? }.to_der()
        };
        let spki = encode().map_err(|e| Unusable(e.to_string()))?;
        Ok(Self { spki, material: Material::Rsa { modulus: modulus.to_vec(), exponent: exponent.to_vec() } })
    }

    /// From an uncompressed point (SEC 1 section 2.3.3). That it lies on the curve is checked when a signature is verified.
    pub fn ec(curve: Curve, point: &[u8]) -> Result<Self, Unusable> {
        if point.len() != 1 + 2 * curve.width() || point[0] != 4 {
            return Err(Unusable(format!("no uncompressed point of {}", curve.name())));
        }
        let encode = || -> der::Result<Vec<u8>> {
            let algorithm = AlgorithmIdentifier {
                oid: const_oid::db::rfc5912::ID_EC_PUBLIC_KEY,
                parameters: Some(der::Any::from(curve.row().oid)),
            };
            SubjectPublicKeyInfoOwned { algorithm, subject_public_key: BitString::from_bytes(point)? }.to_der()
        };
        let spki = encode().map_err(|e| Unusable(e.to_string()))?;
        Ok(Self { spki, material: Material::Ec { curve, point: point.to_vec() } })
    }

    /// From affine coordinates, which may be shorter or longer than the field by zero bytes.
    pub fn ec_coordinates(curve: Curve, x: &[u8], y: &[u8]) -> Result<Self, Unusable> {
        let wide = |coordinate: &[u8]| pad_left(coordinate, curve.width());
        match (wide(x), wide(y)) {
            (Some(x), Some(y)) => Self::ec(curve, &[&[4], &x[..], &y[..]].concat()),
            _ => Err(Unusable(format!("coordinates longer than the field of {}", curve.name()))),
        }
    }

    /// DER of its SubjectPublicKeyInfo, the value of CKA_PUBLIC_KEY_INFO. Equal keys have equal DER.
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// Its numbers.
    pub fn material(&self) -> &Material {
        &self.material
    }

    /// What kind of key it is.
    pub fn kind(&self) -> Kind {
        match &self.material {
            Material::Rsa { modulus, .. } => Kind::Rsa(bit_length(modulus)),
            Material::Ec { curve, .. } => Kind::Ec(*curve),
        }
    }

    /// The length in bytes of every signature by this key, in PKCS#11's form.
    pub fn signature_len(&self) -> usize {
        match self.kind() {
            Kind::Rsa(bits) => bits.div_ceil(8),
            Kind::Ec(curve) => 2 * curve.width(),
        }
    }

    /// Whether `signature`, in PKCS#11's form, is one of `digest` by this key.
    ///
    /// `digest` has the length of the scheme's hash; a scheme that is not of this kind of key verifies nothing.
    pub fn verifies(&self, scheme: Scheme, digest: &[u8], signature: &[u8]) -> bool {
        let Some(verifier) = self.verifier(scheme) else { return false };
        match Digest::import_less_safe(digest, scheme.hash.algorithm()) {
            Ok(digest) => UnparsedPublicKey::new(verifier, &self.spki).verify_digest(&digest, signature).is_ok(),
            Err(_) => false,
        }
    }

    fn verifier(&self, scheme: Scheme) -> Option<&'static dyn VerificationAlgorithm> {
        match (self.kind(), scheme.family, scheme.hash) {
            (Kind::Rsa(_), Family::RsaPkcs1, Hash::Sha256) => Some(&signature::RSA_PKCS1_2048_8192_SHA256),
            (Kind::Rsa(_), Family::RsaPkcs1, Hash::Sha384) => Some(&signature::RSA_PKCS1_2048_8192_SHA384),
            (Kind::Rsa(_), Family::RsaPkcs1, Hash::Sha512) => Some(&signature::RSA_PKCS1_2048_8192_SHA512),
            (Kind::Rsa(_), Family::RsaPss, Hash::Sha256) => Some(&signature::RSA_PSS_2048_8192_SHA256),
            (Kind::Rsa(_), Family::RsaPss, Hash::Sha384) => Some(&signature::RSA_PSS_2048_8192_SHA384),
            (Kind::Rsa(_), Family::RsaPss, Hash::Sha512) => Some(&signature::RSA_PSS_2048_8192_SHA512),
            (Kind::Ec(curve), Family::Ecdsa, hash) if hash == curve.hash() => Some(curve.row().verifier),
            _ => None,
        }
    }
}

/// r and s of an ECDSA signature in DER (RFC 3279 section 2.2.3), each padded to `width`, as PKCS#11 wants them.
pub fn ecdsa_from_der(der: &[u8], width: usize) -> Option<Vec<u8>> {
    let signature = EcdsaSignature::from_der(der).ok()?;
    Some([pad_left(signature.r.as_bytes(), width)?, pad_left(signature.s.as_bytes(), width)?].concat())
}

/// `number` without leading zeros, then with as many as `width` asks; None if it is longer.
pub fn pad_left(number: &[u8], width: usize) -> Option<Vec<u8>> {
    let number = trim(number);
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

fn trim(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}

fn bit_length(number: &[u8]) -> usize {
    number.first().map_or(0, |first| number.len() * 8 - first.leading_zeros() as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use p256::ecdsa::signature::hazmat::PrehashSigner;

    #[test]
    fn curves_stand_in_the_order_of_the_enum() {
        for (index, row) in CURVES.iter().enumerate() {
            assert_eq!(row.curve as usize, index);
        }
        // PKCS#11 and RFC 5480: 1.2.840.10045.3.1.7.
        assert_eq!(Curve::P256.params(), [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07]);
        assert_eq!((Curve::P521.width(), Curve::P521.bits()), (66, 521));
    }

    #[test]
    fn a_key_is_the_same_from_its_numbers_and_from_its_spki() {
        let rsa = PublicKey::rsa(&[&[0, 0, 0x80][..], &[1; 255]].concat(), &[0, 1, 0, 1]).unwrap();
        assert_eq!(rsa.kind(), Kind::Rsa(2048));
        assert_eq!(rsa.signature_len(), 256);
        assert_eq!(PublicKey::from_spki(rsa.spki()), Ok(rsa));
        for curve in [Curve::P256, Curve::P384, Curve::P521, Curve::Secp256k1] {
            let short = vec![7; curve.width() - 2];
            let key = PublicKey::ec_coordinates(curve, &short, &[&[0, 0][..], &short].concat()).unwrap();
            assert_eq!(key.kind(), Kind::Ec(curve));
            let Material::Ec { point, .. } = key.material() else { panic!("no curve") };
            assert_eq!((point.len(), &point[..4]), (1 + 2 * curve.width(), &[4, 0, 0, 7][..]), "padded on the left");
            assert_eq!(PublicKey::from_spki(key.spki()), Ok(key));
        }
    }

    #[test]
    fn what_is_no_key_of_ours_is_refused() {
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

    #[test]
    fn a_signature_verifies_under_its_key_scheme_and_digest_only() {
        let private = p256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap();
        let point = private.verifying_key().to_sec1_point(false);
        let key = PublicKey::ec(Curve::P256, point.as_bytes()).unwrap();
        let digest = Hash::Sha256.digest(b"abc");
        let signature: p256::ecdsa::Signature = private.sign_prehash(&digest).unwrap();
        let scheme = Scheme { family: Family::Ecdsa, hash: Hash::Sha256 };
        assert!(key.verifies(scheme, &digest, &signature.to_bytes()));
        assert!(!key.verifies(scheme, &Hash::Sha256.digest(b"abd"), &signature.to_bytes()));
        assert!(!key.verifies(scheme, &digest[..31], &signature.to_bytes()));
        assert!(!key.verifies(scheme, &digest, &signature.to_bytes()[..63]));
        assert!(!key.verifies(Scheme { hash: Hash::Sha384, ..scheme }, &digest, &signature.to_bytes()));
    }
}
