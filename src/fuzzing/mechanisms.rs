//! Mechanisms with any parameters and any data, for keys of each kind.
//!
//! An operation that comes through has a scheme that the key's service signs with, and a digest as long as its hash,
//! which is the right one of the data; what is refused has one of the standard's codes for it.

use crate::backend::KeyFacts;
use crate::error::Error;
use crate::fuzz_input::Source;
use crate::hash::Hash;
use crate::key::{Curve, Family, Kind, PublicKey, Scheme};
use crate::mechanism::{Input, MECHANISMS, Mechanism, Request};
use crate::operation::Operation;
use cryptoki_sys::*;

const KINDS: [Kind; 6] = [
    Kind::Rsa(2048),
    Kind::Rsa(4096),
    Kind::Ec(Curve::P256),
    Kind::Ec(Curve::P384),
    Kind::Ec(Curve::P521),
    Kind::Ec(Curve::Secp256k1),
];

/// A key, a mechanism, its parameters, and the data in parts.
pub fn run(data: &[u8]) {
    let mut source = Source(data);
    let facts = key(&mut source);
    let request = request(&mut source);
    let bare = source.byte() % 2 == 1;
    let mut operation = match Operation::begin(&request, &facts, bare) {
        Ok(operation) => operation,
        Err(error) => return refused_at_first(&error, &request, &facts),
    };
    assert_eq!(operation.signature_len(), facts.public_key.signature_len());
    let row = Mechanism::from_ckm(request.ckm).unwrap_or_else(|| panic!("{request:?} was taken"));
    let mut whole = digest_info(&mut source);
    if let Err(error) = operation.update(&whole) {
        return assert_eq!(error.rv, CKR_DATA_LEN_RANGE);
    }
    while !source.is_empty() {
        let part = source.short();
        whole.extend_from_slice(part);
        if let Err(error) = operation.update(part) {
            assert!(whole.len() > 512 && !matches!(row.input, Input::Message(_)), "{error}");
            return assert_eq!(error.rv, CKR_DATA_LEN_RANGE);
        }
    }
    match operation.finish() {
        Ok((scheme, digest)) => check(row, &facts, &whole, scheme, &digest),
        Err(error) => assert!([CKR_DATA_INVALID, CKR_DATA_LEN_RANGE].contains(&error.rv), "{error}"),
    }
}

/// A key with all schemes of its kind, or with some, or one that can't sign.
fn key(source: &mut Source) -> KeyFacts {
    let kind = source.pick(&KINDS);
    let public_key = match kind {
        Kind::Rsa(bits) => PublicKey::rsa(&vec![0xff; bits / 8], &[1, 0, 1]),
        Kind::Ec(curve) => PublicKey::ec(curve, &[&[4], &vec![1; 2 * curve.width()][..]].concat()),
    };
    let public_key = public_key.unwrap_or_else(|unusable| panic!("{}", unusable.0));
    let sha2 = [Hash::Sha256, Hash::Sha384, Hash::Sha512];
    let rsa =
        [Family::RsaPkcs1, Family::RsaPss].into_iter().flat_map(|family| sha2.map(|hash| Scheme { family, hash }));
    let mut schemes: Vec<_> = match kind {
        Kind::Rsa(_) => rsa.collect(),
        Kind::Ec(curve) => vec![Scheme { family: Family::Ecdsa, hash: curve.hash() }],
    };
    let mask = source.byte();
    if mask >= 0x80 {
        schemes = schemes.into_iter().enumerate().filter(|(bit, _)| mask >> bit & 1 == 1).map(|(_, one)| one).collect();
    }
    let refusal = (mask == 0x7f).then(|| "its KeyUsage is ENCRYPT_DECRYPT".to_owned());
    KeyFacts { immutable_id: None, public_key, schemes, refusal, hardware: false }
}

fn request(source: &mut Source) -> Request {
    let choice = source.byte();
    let ckm = match MECHANISMS.get(usize::from(choice)) {
        Some(row) => row.ckm,
        None => source.number() as CK_MECHANISM_TYPE,
    };
    let hash = source.pick(&[Hash::Sha256, Hash::Sha384, Hash::Sha512, Hash::Sha1, Hash::Sha224]);
    let right = [hash.ckm(), hash.mgf(), hash.len() as CK_ULONG];
    let bytes = |numbers: [CK_ULONG; 3]| numbers.iter().flat_map(|number| number.to_ne_bytes()).collect();
    let parameter = match source.byte() % 4 {
        0 => Vec::new(),
        1 => bytes(right),
        2 => {
            let mut wrong = right;
            wrong[source.below(3)] = source.number() as CK_ULONG;
            bytes(wrong)
        }
        _ => source.short().to_vec(),
    };
    Request { ckm, parameter }
}

/// What CKM_RSA_PKCS is handed: the prefix of a hash, or none, before the rest.
fn digest_info(source: &mut Source) -> Vec<u8> {
    let hashes: Vec<_> = Hash::all().collect();
    match source.byte() {
        choice @ 1..=0x40 => {
            let hash = hashes[usize::from(choice) % hashes.len()];
            hash.digest_info(&vec![choice; usize::from(source.byte()) % 70])
        }
        _ => Vec::new(),
    }
}

fn refused_at_first(error: &Error, request: &Request, facts: &KeyFacts) {
    let expected = match Mechanism::from_ckm(request.ckm) {
        None => vec![CKR_MECHANISM_INVALID],
        Some(row) if (row.family == Family::Ecdsa) != matches!(facts.public_key.kind(), Kind::Ec(_)) => {
            vec![CKR_KEY_TYPE_INCONSISTENT]
        }
        Some(_) if facts.refusal.is_some() => vec![CKR_KEY_FUNCTION_NOT_PERMITTED],
        Some(_) => vec![CKR_MECHANISM_PARAM_INVALID, CKR_MECHANISM_INVALID],
    };
    assert!(expected.contains(&error.rv), "{error}");
}

fn check(row: &Mechanism, facts: &KeyFacts, data: &[u8], scheme: Scheme, digest: &[u8]) {
    assert!(facts.schemes.contains(&scheme) && scheme.family == row.family);
    assert_eq!(digest.len(), scheme.hash.len());
    let own = match row.input {
        Input::Message(hash) => hash.digest(data),
        Input::Digest | Input::DigestInfo => data.to_vec(),
    };
    match row.family {
        Family::RsaPkcs1 | Family::RsaPss if row.input != Input::DigestInfo => assert_eq!(digest, own),
        // A whole DigestInfo, or a bare digest where that was allowed.
        Family::RsaPkcs1 => assert!(own == digest || own == scheme.hash.digest_info(digest)),
        // As numbers, the digest and what is signed have the same leftmost bits.
        _ if own.len() <= digest.len() => assert!(digest.ends_with(&own)),
        _ => assert!(own.starts_with(digest)),
    }
}
