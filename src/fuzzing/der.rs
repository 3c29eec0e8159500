//! The fuzz target for certificates, public keys, ECDSA signatures and PEM from any source.
//!
//! Accepted input is unchanged when it is encoded again. Refused input leads to an error with a message.

use super::input::ByteSource;
use crate::certificate::Certificate;
use crate::key;
use crate::key::hash::Hash;
use crate::key::{Curve, Kind, PublicKey, PublicNumbers};
use crate::object::{Names, Object};
use cryptoki_sys::{CKA_END_DATE, CKA_START_DATE, CKA_VALUE};
use der::asn1::UintRef;
use der::{Encode, Sequence};

/// Runs the target. The first byte selects how the rest is read.
pub fn run(data: &[u8]) {
    let mut source = ByteSource(data);
    match source.byte() % 5 {
        0 => certificate(source.rest()),
        1 => public_key(source.rest()),
        2 => signature(source.pick(&[1, 28, 32, 48, 66]), source.rest()),
        3 => pem(&String::from_utf8_lossy(source.rest())),
        _ => json_web_key(&mut source),
    }
}

fn certificate(der: &[u8]) {
    match Certificate::from_der(der) {
        Ok(certificate) => check_certificate(&certificate),
        Err(unusable) => assert!(!unusable.0.is_empty()),
    }
}

fn check_certificate(certificate: &Certificate) {
    assert_eq!(Certificate::from_der(&certificate.der).as_ref(), Ok(certificate));
    for part in [&certificate.subject, &certificate.issuer, &certificate.serial, &certificate.spki] {
        assert!(!part.is_empty());
    }
    if let Ok(key) = certificate.public_key() {
        check_key(&key);
        assert!(certificate.certifies(&key));
    }
    let object = Object::certificate(Names { label: "", id: b"", subject: b"" }, certificate);
    assert_eq!(object.attributes.value(CKA_VALUE), Some(&certificate.der[..]));
    for date in [CKA_START_DATE, CKA_END_DATE] {
        let digits = object.attributes.value(date).unwrap_or_default();
        assert!(digits.len() == 8 && digits.iter().all(u8::is_ascii_digit), "a CK_DATE: {digits:?}");
    }
}

fn public_key(der: &[u8]) {
    match PublicKey::from_spki(der) {
        Ok(key) => check_key(&key),
        Err(unusable) => assert!(!unusable.0.is_empty()),
    }
}

fn check_key(key: &PublicKey) {
    assert_eq!(PublicKey::from_spki(key.spki()).as_ref(), Ok(key));
    match (key.kind(), key.material()) {
        (Kind::Rsa(bits), PublicNumbers::Rsa { modulus, exponent }) => {
            assert!((2048..=8192).contains(&bits) && modulus[0] != 0 && exponent[0] != 0);
            assert_eq!(key.kind().signature_len(), modulus.len());
        }
        (Kind::Ec(curve), PublicNumbers::Ec { curve: own, point }) => {
            assert_eq!((curve, point.len(), point[0]), (*own, 1 + 2 * curve.field_len(), 4));
        }
        (Kind::Ed25519, PublicNumbers::Ed25519 { .. }) => {}
        (Kind::MlDsa(set), PublicNumbers::MlDsa { set: own, key }) => {
            assert_eq!((set, key.len()), (*own, set.public_key_len()));
        }
        (Kind::SlhDsa(set), PublicNumbers::SlhDsa { set: own, key }) => {
            assert_eq!((set, key.len()), (*own, set.public_key_len()));
        }
        other => panic!("{other:?}"),
    }
    // No signature was made with this key, and its point may not be on the curve. Verification must return false
    // and must not panic.
    let hashed = [key::Algorithm::RsaPkcs1, key::Algorithm::RsaPss, key::Algorithm::Ecdsa];
    let schemes = hashed.map(|family| family.with_hash(Hash::Sha256)).into_iter();
    for scheme in schemes.chain([key::Algorithm::RsaPkcs1.without_hash(), key::Algorithm::Eddsa.without_hash()]) {
        assert!(!key.verifies(scheme, &[7; 32], &vec![1; key.kind().signature_len()]));
    }
    for family in [key::Algorithm::MlDsa, key::Algorithm::MlDsaMu, key::Algorithm::SlhDsa] {
        assert!(!key.verifies(family.without_hash(), &[7; 64], &vec![1; key.kind().signature_len()]));
    }
}

#[derive(Sequence)]
struct EcdsaSignature<'a> {
    r: UintRef<'a>,
    s: UintRef<'a>,
}

fn signature(width: usize, der: &[u8]) {
    let Some(fixed) = key::ecdsa_from_der(der, width) else { return };
    assert_eq!(fixed.len(), 2 * width);
    let (r, s) = fixed.split_at(width);
    let number = |part| UintRef::new(part).unwrap_or_else(|error| panic!("{error}"));
    let again = EcdsaSignature { r: number(r), s: number(s) }.to_der();
    assert_eq!(again.as_deref(), Ok(der), "DER has one form only");
}

fn pem(text: &str) {
    match Certificate::parse_all(text.as_bytes()) {
        Ok((chain, _)) => {
            assert!(!chain.is_empty());
            chain.iter().for_each(check_certificate);
        }
        Err(unusable) => assert!(!unusable.0.is_empty()),
    }
}

/// Makes a key from the numbers of a JSON web key, with or without leading zeros.
fn json_web_key(source: &mut ByteSource) {
    let curves = [None, Some(Curve::P256), Some(Curve::P384), Some(Curve::P521), Some(Curve::Secp256k1)];
    let made = match source.pick(&curves) {
        None => PublicKey::rsa(&source.bytes(256).repeat(1 + source.below(5)), source.length_prefixed()),
        Some(curve) => PublicKey::ec_coordinates(curve, source.length_prefixed(), source.length_prefixed()),
    };
    if let Ok(key) = made {
        check_key(&key);
    }
}
