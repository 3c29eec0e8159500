//! The fuzz target for mechanisms with arbitrary parameters and data, with keys of each kind.
//!
//! An accepted operation has a scheme that the service of the key signs with, and the correct digest of the data,
//! as long as the hash of the scheme. A refused operation fails with one of the codes that the standard has for
//! the cause.

use super::input::ByteSource;
use crate::error::Error;
use crate::key::hash::Hash;
use crate::key::{Algorithm, Kind, PublicKey, Purpose, Scheme, ml_dsa};
use crate::mechanism::{Input, MECHANISMS, Mechanism, MechanismInput, shape};
use crate::operation::{Operation, OperationKey};
use cryptoki_sys::*;

struct Key {
    kind: Kind,
    public_key: Option<PublicKey>,
    schemes: Vec<Scheme>,
}

/// Runs the target. The bytes give a key, a mechanism, its parameters, and the data in parts.
pub fn run(data: &[u8]) {
    let mut source = ByteSource(data);
    let key = key(&mut source);
    let request = request(&mut source);
    let purpose = source.pick(&[Purpose::Sign, Purpose::Sign, Purpose::Decrypt, Purpose::Derive]);
    let subject = OperationKey {
        kind: key.kind,
        public_key: key.public_key.as_ref(),
        schemes: &key.schemes,
        refusal: None,
        message_lengths: (0, 4096),
        accept_bare_digest: source.byte() % 2 == 1,
    };
    let mut operation = match Operation::begin(&request, purpose, subject) {
        Ok(operation) => operation,
        Err(error) => return check_refusal(&error, &request, purpose, &key),
    };
    let row = Mechanism::from_ckm(request.ckm, purpose).unwrap_or_else(|| panic!("{request:?} was taken"));
    let mut whole = digest_info(&mut source);
    if let Err(error) = operation.update(&whole) {
        return assert_eq!(error.rv, CKR_DATA_LEN_RANGE);
    }
    while !source.is_empty() {
        let part = source.length_prefixed();
        whole.extend_from_slice(part);
        if let Err(error) = operation.update(part) {
            assert!(whole.len() > 512 && !matches!(row.input, Input::Message(_)), "{error}");
            return assert_eq!(error.rv, CKR_DATA_LEN_RANGE);
        }
    }
    match operation.finish() {
        Ok((scheme, made)) => check(row, &key, &whole, scheme, &made),
        Err(error) => assert!([CKR_DATA_INVALID, CKR_DATA_LEN_RANGE].contains(&error.rv), "{error}"),
    }
}

/// Returns a key with all schemes of its kind, or with some of them.
fn key(source: &mut ByteSource) -> Key {
    let kinds: Vec<_> = Kind::all().collect();
    let kind = kinds[source.below(kinds.len())];
    let made = match kind {
        Kind::Rsa(bits) => Some(PublicKey::rsa(&vec![0xff; bits / 8], &[1, 0, 1])),
        Kind::Ec(curve) => Some(PublicKey::ec(curve, &[&[4], &vec![1; 2 * curve.field_len()][..]].concat())),
        Kind::Ed25519 => Some(PublicKey::ed25519(&[7; 32])),
        Kind::MlDsa(set) => Some(PublicKey::ml_dsa(set, &vec![7; set.public_key_len()])),
        Kind::SlhDsa(set) => Some(PublicKey::slh_dsa(set, &vec![7; set.public_key_len()])),
        Kind::Hmac(_) => None,
    };
    let public_key = made.map(|made| made.unwrap_or_else(|unusable| panic!("{}", unusable.0)));
    let mut schemes = kind.local_schemes();
    if let Kind::Hmac(hash) = kind {
        schemes.push(Algorithm::Hmac.with_hash(hash));
    }
    if let Kind::Ec(_) = kind {
        schemes.push(Algorithm::Ecdh.without_hash());
    }
    let mask = source.byte();
    if mask >= 0x80 {
        schemes =
            schemes.into_iter().enumerate().filter(|(bit, _)| mask >> (bit % 7) & 1 == 1).map(|(_, one)| one).collect();
    }
    Key { kind, public_key, schemes }
}

fn request(source: &mut ByteSource) -> MechanismInput {
    let choice = source.byte();
    let ckm = match MECHANISMS.get(usize::from(choice)) {
        Some(row) => row.ckm,
        None => source.number() as CK_MECHANISM_TYPE,
    };
    let hash = source.pick(&[Hash::Sha256, Hash::Sha384, Hash::Sha512, Hash::Sha1, Hash::Sha224]);
    let right = [hash.ckm(), hash.mgf(), hash.len() as CK_ULONG];
    let bytes = |numbers: &[CK_ULONG]| numbers.iter().flat_map(|number| number.to_ne_bytes()).collect();
    let shape = shape(ckm);
    let parameter = match source.byte() % 5 {
        0 => Vec::new(),
        1 => bytes(&right),
        2 => {
            let mut wrong = right;
            wrong[source.below(3)] = source.number() as CK_ULONG;
            bytes(&wrong)
        }
        3 => {
            // The first word of each shape is a hash or a choice. In some shapes the last word is a hash.
            let mut words = vec![0; shape.words];
            words.iter_mut().zip(right).for_each(|(word, own)| *word = own);
            let choice = CK_ULONG::from(source.byte() % 8);
            if let Some(first) = words.first_mut().filter(|_| source.byte().is_multiple_of(2)) {
                *first = choice;
            }
            if let Some(last) = words.get_mut(3).filter(|_| shape.words == 4) {
                *last = hash.ckm();
            }
            bytes(&words)
        }
        _ => source.length_prefixed().to_vec(),
    };
    let data = shape.pointers.iter().map(|_| source.length_prefixed().to_vec()).collect();
    MechanismInput { ckm, parameter, data }
}

/// Returns the first part of the data. As callers of CKM_RSA_PKCS do, this part may begin with the DigestInfo
/// prefix of a hash. Otherwise the part is empty.
fn digest_info(source: &mut ByteSource) -> Vec<u8> {
    let hashes: Vec<_> = Hash::all().collect();
    match source.byte() {
        choice @ 1..=0x40 => {
            let hash = hashes[usize::from(choice) % hashes.len()];
            hash.digest_info(&vec![choice; usize::from(source.byte()) % 70])
        }
        _ => Vec::new(),
    }
}

fn check_refusal(error: &Error, request: &MechanismInput, purpose: Purpose, key: &Key) {
    let expected = match Mechanism::from_ckm(request.ckm, purpose) {
        None => vec![CKR_MECHANISM_INVALID],
        Some(row) if !row.family.supports(key.kind) => vec![CKR_KEY_TYPE_INCONSISTENT],
        Some(_) if !key.schemes.iter().any(|scheme| scheme.family.purpose() == purpose) => {
            vec![CKR_KEY_FUNCTION_NOT_PERMITTED]
        }
        Some(_) => vec![CKR_MECHANISM_PARAM_INVALID, CKR_MECHANISM_INVALID],
    };
    assert!(expected.contains(&error.rv), "{error}");
}

fn check(row: &Mechanism, key: &Key, data: &[u8], scheme: Scheme, made: &[u8]) {
    assert!(scheme.is_offered(&key.schemes) && scheme.suits(key.kind));
    assert_eq!(scheme.family.mechanism_family(), row.family);
    let own = match row.input {
        Input::Message(hash) => hash.digest(data),
        Input::Digest | Input::DigestInfo | Input::AsIs(_) => data.to_vec(),
    };
    match (scheme.family, scheme.hash) {
        (Algorithm::MlDsaMu, _) => assert_eq!(made.len(), ml_dsa::MU_LEN),
        (Algorithm::SlhDsaInternal, _) => assert!(made[0] <= 1 && made.ends_with(&own)),
        (Algorithm::SlhDsa, Some(hash)) => assert_eq!((made.len(), made), (hash.len(), &own[..])),
        (Algorithm::Ecdsa, Some(hash)) => {
            assert_eq!(made.len(), hash.len());
            // As numbers, the digest and the value to sign have the same leftmost bits.
            assert!(if own.len() <= made.len() { made.ends_with(&own) } else { own.starts_with(made) });
        }
        (Algorithm::RsaPkcs1, Some(hash)) => {
            assert_eq!(made.len(), hash.len());
            // The data are a complete DigestInfo, or a bare digest where that is allowed.
            assert!(own == made || own == hash.digest_info(made));
        }
        (Algorithm::RsaPkcs1, None) => assert!(own == made || made.ends_with(&own)),
        (Algorithm::RsaPss, Some(hash)) => assert_eq!((made.len(), made), (hash.len(), &own[..])),
        _ => assert_eq!(made, data),
    }
}
