//! Certificates that the module makes itself, for programs that use a key only beside a certificate.
//!
//! They state nothing: each process signs them with a key of its own, which it forgets. DER is written directly (X.690):
//! the builder of `x509-cert` would need another crate for ECDSA.

use super::Certificate;
use crate::key::hash::Hash;
use crate::key::{PublicKey, Purpose, Unusable};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use der::Decode;
use spki::SubjectPublicKeyInfoRef;
use std::sync::OnceLock;

/// Returns a certificate of the key, with the commonName `name`, for these purposes. It has no end, as RFC 5280 section
/// 4.1.2.5 writes it.
///
/// # Errors
/// Fails if the system has no random bytes.
pub fn certificate(key: &PublicKey, name: &str, purposes: &[Purpose]) -> Result<Certificate, Unusable> {
    let issuer = Issuer::of_process()?;
    let algorithm = sequence(&[ECDSA_WITH_SHA256]);
    let validity = sequence(&[&tlv(UTC_TIME, &[b"700101000000Z"]), &tlv(GENERALIZED_TIME, &[b"99991231235959Z"])]);
    // A positive number that differs for each key, as section 4.1.2.2 demands of an issuer.
    let mut serial = Hash::Sha256.digest(key.spki());
    serial.truncate(16);
    serial[0] = serial[0] & 0x7f | 0x40;
    let tbs = sequence(&[
        &tlv(VERSION, &[&tlv(INTEGER, &[&[2]])]),
        &tlv(INTEGER, &[&serial]),
        &algorithm,
        &name_of(&issuer.name),
        &validity,
        &name_of(truncated(name)),
        key.spki(),
        &tlv(EXTENSIONS, &[&extensions(key, &issuer.id, purposes)?]),
    ]);
    let signature = issuer.pair.sign(&SystemRandom::new(), &tbs).map_err(|_| no_random_bytes())?;
    Certificate::from_der(&sequence(&[&tbs, &algorithm, &tlv(BIT_STRING, &[&[0], signature.as_ref()])]))
}

/// The issuer of all generated certificates of this process.
struct Issuer {
    pair: EcdsaKeyPair,
    /// The commonName. It differs in each process, so that no program relies on it.
    name: String,
    /// The identifier of its public key.
    id: Vec<u8>,
}

impl Issuer {
    fn of_process() -> Result<&'static Self, Unusable> {
        static ISSUER: OnceLock<Option<Issuer>> = OnceLock::new();
        let create = || {
            let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).ok()?;
            let id = Hash::Sha1.digest(pair.public_key().as_ref());
            let digits: String = id.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
            Some(Issuer { pair, name: format!("cloud-kms-pkcs11-{digits}"), id })
        };
        ISSUER.get_or_init(create).as_ref().ok_or_else(no_random_bytes)
    }
}

/// Returns the extensions: basicConstraints of an end entity, keyUsage, and the identifiers of both public keys.
fn extensions(key: &PublicKey, issuer_id: &[u8], purposes: &[Purpose]) -> Result<Vec<u8>, Unusable> {
    let spki = SubjectPublicKeyInfoRef::from_der(key.spki()).map_err(|error| Unusable(error.to_string()))?;
    let subject_id = Hash::Sha1.digest(spki.subject_public_key.raw_bytes());
    let bits = USAGES.iter().filter(|(purpose, _)| purposes.contains(purpose)).fold(0, |bits, (_, usage)| bits | usage);
    let mut all = vec![
        extension(BASIC_CONSTRAINTS, true, &sequence(&[])),
        extension(SUBJECT_KEY_IDENTIFIER, false, &tlv(OCTET_STRING, &[&subject_id])),
        extension(AUTHORITY_KEY_IDENTIFIER, false, &sequence(&[&tlv(KEY_IDENTIFIER, &[issuer_id])])),
    ];
    if bits != 0 {
        let unused = bits.trailing_zeros() as u8;
        all.push(extension(KEY_USAGE, true, &tlv(BIT_STRING, &[&[unused, bits]])));
    }
    let all: Vec<&[u8]> = all.iter().map(Vec::as_slice).collect();
    Ok(sequence(&all))
}

fn extension(oid: &[u8], critical: bool, value: &[u8]) -> Vec<u8> {
    let flag: &[u8] = if critical { &[BOOLEAN, 1, 0xff] } else { &[] };
    sequence(&[oid, flag, &tlv(OCTET_STRING, &[value])])
}

/// Returns a Name that consists of a commonName.
fn name_of(common_name: &str) -> Vec<u8> {
    let attribute = sequence(&[COMMON_NAME, &tlv(UTF8_STRING, &[common_name.as_bytes()])]);
    sequence(&[&tlv(SET, &[&attribute])])
}

/// Returns the first 64 characters: `ub-common-name` of RFC 5280. A commonName has at least one character.
fn truncated(name: &str) -> &str {
    match name.char_indices().nth(64) {
        _ if name.is_empty() => "key",
        Some((end, _)) => &name[..end],
        None => name,
    }
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tlv(SEQUENCE, parts)
}

/// Returns the DER of a value that consists of these parts.
fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let contents = parts.concat();
    let length = contents.len().to_be_bytes();
    let significant = &length[length.iter().take_while(|byte| **byte == 0).count()..];
    let mut der = vec![tag];
    match contents.len() {
        0..=0x7f => der.push(contents.len() as u8),
        _ => {
            der.push(0x80 | significant.len() as u8);
            der.extend(significant);
        }
    }
    der.extend(contents);
    der
}

fn no_random_bytes() -> Unusable {
    Unusable("the system has no random bytes for a key that signs certificates".into())
}

/// The bits of keyUsage (RFC 5280 section 4.2.1.3) for each purpose.
const USAGES: [(Purpose, u8); 4] = [
    (Purpose::Sign, DIGITAL_SIGNATURE),
    (Purpose::Decrypt, KEY_ENCIPHERMENT | DATA_ENCIPHERMENT),
    (Purpose::Unwrap, KEY_ENCIPHERMENT),
    (Purpose::Derive, KEY_AGREEMENT),
];
const DIGITAL_SIGNATURE: u8 = 0x80;
const KEY_ENCIPHERMENT: u8 = 0x20;
const DATA_ENCIPHERMENT: u8 = 0x10;
const KEY_AGREEMENT: u8 = 0x08;

const BOOLEAN: u8 = 0x01;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const UTF8_STRING: u8 = 0x0c;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
/// `[0]` and `[3]` of TBSCertificate, and `[0]` of AuthorityKeyIdentifier.
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;
const KEY_IDENTIFIER: u8 = 0x80;

/// Object identifiers as DER: 1.2.840.10045.4.3.2, 2.5.4.3, 2.5.29.19, .15, .14 and .35.
const ECDSA_WITH_SHA256: &[u8] = &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
const COMMON_NAME: &[u8] = &[6, 3, 0x55, 4, 3];
const BASIC_CONSTRAINTS: &[u8] = &[6, 3, 0x55, 0x1d, 19];
const KEY_USAGE: &[u8] = &[6, 3, 0x55, 0x1d, 15];
const SUBJECT_KEY_IDENTIFIER: &[u8] = &[6, 3, 0x55, 0x1d, 14];
const AUTHORITY_KEY_IDENTIFIER: &[u8] = &[6, 3, 0x55, 0x1d, 35];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{Curve, ParameterSet};
    use std::io::Write;
    use std::process::{Command, Stdio};

    fn keys() -> Vec<PublicKey> {
        let spki = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAENSzZiAG0xIo+Sw8ku5/9Y4f6EYh31o92aoafaAk+/6wiPPNM5DNF8E7N9dxSe76qS5+Wk2/PsmgqmmXpx0dRTg==";
        let spki = <base64ct::Base64 as base64ct::Encoding>::decode_vec(spki).unwrap();
        vec![
            PublicKey::from_spki(&spki).unwrap(),
            PublicKey::rsa(&[0xff; 512], &[1, 0, 1]).unwrap(),
            PublicKey::ed25519(&[7; 32]).unwrap(),
            PublicKey::ec(Curve::Secp256k1, &[&[4u8][..], &[5; 64]].concat()).unwrap(),
            PublicKey::ml_dsa(ParameterSet::MlDsa65, &[5; 1952]).unwrap(),
        ]
    }

    /// Returns what openssl prints about a certificate.
    fn openssl(certificate: &Certificate, arguments: &[&str]) -> String {
        let mut command = Command::new("openssl");
        command.args(["x509", "-inform", "DER", "-noout"]).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(&certificate.der).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{arguments:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    #[test]
    fn a_certificate_is_that_of_the_key() {
        for key in keys() {
            let made = certificate(&key, "signing", &[Purpose::Sign]).unwrap();
            assert!(made.certifies(&key), "{:?}", key.kind());
            assert_eq!((made.usage.as_deref(), made.is_ca), (Some(&[Purpose::Sign][..]), false));
            assert_eq!(made.common_name.as_deref(), Some("signing"));
            assert!(made.not_before == 0 && made.not_after > 253_402_000_000);
            let other = certificate(&key, "signing", &[Purpose::Sign]).unwrap();
            assert_eq!((&made.serial, &made.issuer), (&other.serial, &other.issuer), "one issuer for the process");
        }
        let serials: std::collections::HashSet<_> =
            keys().iter().map(|key| certificate(key, "k", &[]).unwrap().serial).collect();
        assert_eq!(serials.len(), keys().len());
    }

    #[test]
    fn openssl_reads_it() {
        let made = certificate(&keys()[0], "\u{e9}", &[Purpose::Decrypt, Purpose::Derive]).unwrap();
        let text = openssl(&made, &["-text"]);
        for wanted in [
            "Version: 3 (0x2)",
            "Signature Algorithm: ecdsa-with-SHA256",
            "Issuer: CN = cloud-kms-pkcs11-",
            "Not Before: Jan  1 00:00:00 1970 GMT",
            "Not After : Dec 31 23:59:59 9999 GMT",
            "ASN1 OID: prime256v1",
            "X509v3 Basic Constraints: critical\n                CA:FALSE",
            "X509v3 Key Usage: critical\n                Key Encipherment, Data Encipherment, Key Agreement",
            "X509v3 Subject Key Identifier",
            "X509v3 Authority Key Identifier",
        ] {
            assert!(text.replace("CN=", "CN = ").contains(wanted), "{wanted}: {text}");
        }
        let subject = openssl(&made, &["-subject", "-nameopt", "utf8"]);
        assert!(subject.contains('\u{e9}'), "{subject}");
        let id = openssl(&made, &["-ext", "subjectKeyIdentifier"]);
        assert!(
            id.contains("2C:81:CD:AC:BA:B5:F7:DD:C8:D8:28:CF:A6:A0:67:E5:2A:C2:9A:A8"),
            "as openssl computes it: {id}"
        );
    }

    #[test]
    fn the_signature_is_the_issuers() {
        let made = certificate(&keys()[0], "k", &[Purpose::Sign]).unwrap();
        let parsed = x509_cert::Certificate::from_der(&made.der).unwrap();
        let tbs = der::Encode::to_der(parsed.tbs_certificate()).unwrap();
        let issuer =
            p256::ecdsa::VerifyingKey::from_sec1_bytes(Issuer::of_process().unwrap().pair.public_key().as_ref());
        let signature = p256::ecdsa::Signature::from_der(parsed.signature().raw_bytes()).unwrap();
        let verify = |data: &[u8]| p256::ecdsa::signature::Verifier::verify(issuer.as_ref().unwrap(), data, &signature);
        assert!(verify(&tbs).is_ok());
        assert!(verify(&tbs[1..]).is_err());
    }

    #[test]
    fn a_name_fits_a_common_name() {
        let long = "\u{e9}".repeat(65);
        for (name, wanted) in [("", "key"), (long.as_str(), &long[..128]), (&long[..128], &long[..128])] {
            assert_eq!(certificate(&keys()[0], name, &[]).unwrap().common_name.as_deref(), Some(wanted));
        }
    }
}
