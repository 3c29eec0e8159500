use crate::key::{ParameterSet, ml_dsa, slh_dsa};
use crate::mechanism::MECHANISMS;
use crate::operation::*;

/// A key, and what its service does with it.
#[derive(Clone)]
struct Key {
    kind: Kind,
    public_key: Option<PublicKey>,
    schemes: Vec<Scheme>,
    refusal: Option<Arc<str>>,
}

impl Key {
    fn subject(&self, accept_bare_digest: bool) -> OperationKey<'_> {
        OperationKey {
            kind: self.kind,
            public_key: self.public_key.as_ref(),
            schemes: &self.schemes,
            refusal: self.refusal.as_ref(),
            message_lengths: (1, 4096),
            accept_bare_digest,
        }
    }
}

/// A key with every scheme that some service offers for its kind.
fn key(kind: Kind) -> Key {
    let public_key = match kind {
        Kind::Rsa(bits) => PublicKey::rsa(&vec![0xff; bits / 8], &[1, 0, 1]).ok(),
        Kind::Ec(curve) => PublicKey::ec(curve, &[&[4], &vec![1; 2 * curve.field_len()][..]].concat()).ok(),
        Kind::Ed25519 => PublicKey::ed25519(&[7; 32]).ok(),
        Kind::MlDsa(set) => PublicKey::ml_dsa(set, &vec![7; set.public_key_len()]).ok(),
        Kind::SlhDsa(set) => PublicKey::slh_dsa(set, &vec![7; set.public_key_len()]).ok(),
        Kind::Hmac(_) => None,
    };
    let sha2 = [Hash::Sha256, Hash::Sha384, Hash::Sha512];
    let schemes = match kind {
        Kind::Rsa(_) => [Algorithm::RsaPkcs1, Algorithm::RsaPss]
            .into_iter()
            .flat_map(|family| sha2.map(|hash| family.with_hash(hash)))
            .chain([Algorithm::RsaesPkcs1.without_hash(), Algorithm::RsaesOaep.with_hash(Hash::Sha1)])
            .collect(),
        Kind::Ec(curve) => vec![Algorithm::Ecdsa.with_hash(curve.hash()), Algorithm::Ecdh.without_hash()],
        Kind::Ed25519 => vec![Algorithm::Eddsa.without_hash()],
        Kind::MlDsa(_) => vec![Algorithm::MlDsa.without_hash(), Algorithm::MlDsaMu.without_hash()],
        Kind::SlhDsa(_) => vec![Algorithm::SlhDsa.without_hash(), Algorithm::SlhDsa.with_hash(Hash::Sha256)],
        Kind::Hmac(hash) => vec![Algorithm::Hmac.with_hash(hash)],
    };
    Key { kind, public_key, schemes, refusal: None }
}

/// A key that its service uses in one way only.
fn bound(kind: Kind, scheme: Scheme) -> Key {
    Key { schemes: vec![scheme], ..key(kind) }
}

fn rsa() -> Key {
    key(Kind::Rsa(2048))
}

fn request(ckm: CK_MECHANISM_TYPE) -> MechanismInput {
    MechanismInput { ckm, ..MechanismInput::default() }
}

fn words(ckm: CK_MECHANISM_TYPE, words: &[CK_ULONG], data: &[&[u8]]) -> MechanismInput {
    let parameter = words.iter().flat_map(|number| number.to_ne_bytes()).collect();
    MechanismInput { ckm, parameter, data: data.iter().map(|data| data.to_vec()).collect() }
}

fn pss(ckm: CK_MECHANISM_TYPE, hash: CK_ULONG, mgf: CK_ULONG, salt: CK_ULONG) -> MechanismInput {
    words(ckm, &[hash, mgf, salt], &[])
}

/// A request with valid parameters for a row.
fn valid_request(row: &Mechanism, hash: Hash) -> MechanismInput {
    match (row.family, row.input) {
        (Algorithm::RsaPss, _) => pss(row.ckm, hash.ckm(), hash.mgf(), hash.len() as CK_ULONG),
        (Algorithm::RsaesOaep, _) => words(row.ckm, &[CKM_SHA_1, CKG_MGF1_SHA1, CKZ_DATA_SPECIFIED, 0, 0], &[&[]]),
        (Algorithm::Ecdh, _) => words(row.ckm, &[CKD_NULL, 0, 0, 3, 0], &[&[], &[4, 1, 2]]),
        (Algorithm::MlDsa | Algorithm::SlhDsa, Input::Digest) => words(row.ckm, &[0, 0, 0, hash.ckm()], &[&[]]),
        _ => request(row.ckm),
    }
}

fn run(
    request: &MechanismInput,
    purpose: Purpose,
    key: &Key,
    data: &[u8],
) -> std::result::Result<(Scheme, Vec<u8>), CK_RV> {
    let mut operation = Operation::begin(request, purpose, key.subject(false)).map_err(|error| error.rv)?;
    operation.update(data).map_err(|error| error.rv)?;
    operation.finish().map(|(scheme, data)| (scheme, data.to_vec())).map_err(|error| error.rv)
}

fn sign(request: &MechanismInput, key: &Key, data: &[u8]) -> std::result::Result<(Scheme, Vec<u8>), CK_RV> {
    run(request, Purpose::Sign, key, data)
}

#[test]
fn each_mechanism_produces_its_scheme_and_data_or_is_refused() {
    for kind in Kind::all() {
        let key = key(kind);
        for row in MECHANISMS {
            let offered = Mechanism::supporting(kind, &key.schemes).any(|other| other == row);
            let hash = row.input.hash().unwrap_or(Hash::Sha256);
            let request = valid_request(row, hash);
            let data = match row.input {
                Input::DigestInfo => hash.digest_info(&hash.digest(b"abc")),
                Input::Digest => hash.digest(b"abc"),
                Input::Message(_) | Input::AsIs(_) => b"abc".to_vec(),
            };
            match run(&request, row.family.purpose(), &key, &data) {
                Ok((scheme, made)) => {
                    assert!(offered, "{} for {kind:?}", row.name);
                    assert!(key.schemes.contains(&scheme));
                    match (scheme.family, scheme.hash) {
                        (Algorithm::MlDsaMu, _) => assert_eq!(made.len(), ml_dsa::MU_LEN),
                        (
                            Algorithm::RsaPkcs1 | Algorithm::RsaPss | Algorithm::Ecdsa | Algorithm::SlhDsa,
                            Some(hash),
                        ) => {
                            assert_eq!(made.len(), hash.len());
                        }
                        _ => assert_eq!(made, b"abc"),
                    }
                }
                Err(rv) => {
                    assert!(!offered, "{} for {kind:?}", row.name);
                    let of_family = row.family.supports(kind);
                    assert_eq!(rv, if of_family { CKR_MECHANISM_INVALID } else { CKR_KEY_TYPE_INCONSISTENT });
                }
            }
        }
    }
}

#[test]
fn unpermitted_operations_are_refused_at_begin() {
    let decrypts = Key { schemes: vec![Algorithm::RsaesPkcs1.without_hash()], ..rsa() };
    assert_eq!(sign(&request(CKM_SHA256_RSA_PKCS), &decrypts, b""), Err(CKR_KEY_FUNCTION_NOT_PERMITTED));
    let bound = Key { schemes: vec![Algorithm::RsaPss.with_hash(Hash::Sha256)], ..rsa() };
    assert_eq!(run(&request(CKM_RSA_PKCS), Purpose::Decrypt, &bound, b""), Err(CKR_KEY_FUNCTION_NOT_PERMITTED));
    assert_eq!(sign(&request(CKM_RSA_PKCS), &bound, b""), Err(CKR_MECHANISM_INVALID));
    let bound = Key { refusal: Some("its algorithm is X".into()), ..bound };
    let refused = Operation::begin(&request(CKM_RSA_PKCS), Purpose::Sign, bound.subject(false)).map(drop).unwrap_err();
    let words = "CKM_RSA_PKCS with this key (its algorithm is X); use CKM_RSA_PKCS_PSS, CKM_SHA256_RSA_PKCS_PSS, or another key";
    assert!(refused.to_string().contains(words), "{refused}");
    assert_eq!(sign(&request(CKM_AES_GCM), &bound, b""), Err(CKR_MECHANISM_INVALID));
    let other_hash = pss(CKM_RSA_PKCS_PSS, CKM_SHA512, CKG_MGF1_SHA512, 64);
    assert_eq!(sign(&other_hash, &bound, &[0; 64]), Err(CKR_MECHANISM_PARAM_INVALID));
    assert_eq!(Mechanism::supporting(Kind::Rsa(2048), &bound.schemes).count(), 2);
}

#[test]
fn only_pss_parameters_that_the_services_honour_are_taken() {
    let hashes =
        [(CKM_SHA256, CKG_MGF1_SHA256, 32), (CKM_SHA384, CKG_MGF1_SHA384, 48), (CKM_SHA512, CKG_MGF1_SHA512, 64)];
    let rsa = rsa();
    for (hash, mgf, length) in hashes {
        for (other, _, _) in hashes.into_iter().chain([(CKM_SHA_1, 0, 0), (CKM_SHA224, 0, 0), (0, 0, 0)]) {
            for other_mgf in 0..=CKG_MGF1_SHA3_512 {
                for salt in [0, 20, length - 1, length, length + 1, CK_ULONG::MAX] {
                    let asked = pss(CKM_RSA_PKCS_PSS, other, other_mgf, salt);
                    let right = other == hash && other_mgf == mgf && salt == length;
                    let taken = Operation::begin(&asked, Purpose::Sign, rsa.subject(false));
                    if right {
                        assert!(taken.is_ok());
                    } else if other == hash {
                        assert_eq!(taken.err().map(|error| error.rv), Some(CKR_MECHANISM_PARAM_INVALID));
                    }
                }
            }
        }
    }
    for parameter in [Vec::new(), vec![0; 23], vec![0; 25], vec![0xff; 24]] {
        let asked = MechanismInput { ckm: CKM_RSA_PKCS_PSS, parameter, data: Vec::new() };
        assert_eq!(sign(&asked, &rsa, &[0; 32]), Err(CKR_MECHANISM_PARAM_INVALID));
    }
    let mismatch = pss(CKM_SHA256_RSA_PKCS_PSS, CKM_SHA384, CKG_MGF1_SHA384, 48);
    assert_eq!(sign(&mismatch, &rsa, b""), Err(CKR_MECHANISM_PARAM_INVALID));
    let sha1 = pss(CKM_RSA_PKCS_PSS, CKM_SHA_1, CKG_MGF1_SHA1, 20);
    assert_eq!(sign(&sha1, &rsa, &[0; 20]), Err(CKR_MECHANISM_PARAM_INVALID));
    let surplus = MechanismInput { ckm: CKM_ECDSA, parameter: vec![0], data: Vec::new() };
    assert_eq!(sign(&surplus, &key(Kind::Ec(Curve::P256)), &[0; 32]), Err(CKR_MECHANISM_PARAM_INVALID));
}

#[test]
fn a_digest_is_fitted_to_the_curve() {
    let long: Vec<u8> = (1..=66).collect();
    let fitted =
        |curve, length: usize| sign(&request(CKM_ECDSA), &key(Kind::Ec(curve)), &long[..length]).map(|(_, d)| d);
    assert_eq!(fitted(Curve::P256, 64), Ok(long[..32].to_vec()), "leftmost bits");
    assert_eq!(fitted(Curve::P384, 20), Ok([&[0; 28], &long[..20]].concat()), "zeros in front");
    assert_eq!(fitted(Curve::P521, 64), Ok(long[..64].to_vec()));
    assert_eq!(fitted(Curve::P521, 65), Err(CKR_DATA_LEN_RANGE), "does not fit into the request");
    assert_eq!(fitted(Curve::Secp256k1, 1), Ok([&[0; 31], &long[..1]].concat()));
    assert_eq!(fitted(Curve::P256, 0), Err(CKR_DATA_LEN_RANGE));
}

#[test]
fn rsa_pkcs_takes_a_digest_info_and_nothing_else() {
    let ask = request(CKM_RSA_PKCS);
    let info = Hash::Sha384.digest_info(&[7; 48]);
    assert_eq!(
        sign(&ask, &rsa(), &info).map(|(scheme, digest)| (scheme.hash, digest)),
        Ok((Some(Hash::Sha384), vec![7; 48]))
    );
    for wrong in [&info[..66], &[&info[..], &[0]].concat(), b"", &[7; 32], &Hash::Sha1.digest_info(&[7; 20])] {
        assert_eq!(sign(&ask, &rsa(), wrong), Err(CKR_DATA_INVALID));
    }
    assert_eq!(sign(&ask, &rsa(), &[0; 5000]), Err(CKR_DATA_LEN_RANGE));
    let rsa = rsa();
    let mut bare = Operation::begin(&ask, Purpose::Sign, rsa.subject(true)).unwrap();
    bare.update(&[7; 32]).unwrap();
    assert_eq!(bare.finish().map(|(scheme, _)| scheme.hash), Ok(Some(Hash::Sha256)));
}

#[test]
fn a_pss_digest_has_its_hash_s_length() {
    let ask = pss(CKM_RSA_PKCS_PSS, CKM_SHA256, CKG_MGF1_SHA256, 32);
    assert!(sign(&ask, &rsa(), &[0; 32]).is_ok());
    assert_eq!(sign(&ask, &rsa(), &[0; 31]), Err(CKR_DATA_LEN_RANGE));
    assert_eq!(sign(&ask, &rsa(), &[0; 48]), Err(CKR_DATA_LEN_RANGE));
}

#[test]
fn rsa_pkcs_signs_any_data_with_a_raw_scheme() {
    let mut raw = rsa();
    raw.schemes.push(RAW);
    let ask = request(CKM_RSA_PKCS);
    let sha1 = Hash::Sha1.digest_info(&[7; 20]);
    assert_eq!(sign(&ask, &raw, &sha1), Ok((RAW, sha1.clone())));
    assert_eq!(sign(&ask, &raw, b"anything"), Ok((RAW, b"anything".to_vec())));
    let (scheme, _) = sign(&ask, &raw, &Hash::Sha256.digest_info(&[7; 32])).unwrap();
    assert_eq!(scheme, Algorithm::RsaPkcs1.with_hash(Hash::Sha256), "what the service knows goes its own way");
    let made = sign(&request(CKM_SHA1_RSA_PKCS), &raw, b"abc");
    assert_eq!(made, Ok((RAW, Hash::Sha1.digest_info(&Hash::Sha1.digest(b"abc")))));
    assert_eq!(sign(&request(CKM_SHA1_RSA_PKCS), &rsa(), b"abc"), Err(CKR_MECHANISM_INVALID));
    let only_raw = bound(Kind::Rsa(2048), RAW);
    let sha256 = Hash::Sha256.digest_info(&[7; 32]);
    assert_eq!(sign(&ask, &only_raw, &sha256), Ok((RAW, sha256.clone())));
    assert_eq!(sign(&ask, &only_raw, &[7; 32]), Ok((RAW, vec![7; 32])), "a bare digest is data like any other");
    let mut bare = Operation::begin(&ask, Purpose::Sign, only_raw.subject(true)).unwrap();
    bare.update(&[7; 32]).unwrap();
    assert_eq!(bare.finish().map(|(scheme, data)| (scheme, data.to_vec())), Ok((RAW, sha256)));
    assert_eq!(sign(&ask, &only_raw, &[7; 246]), Err(CKR_DATA_LEN_RANGE));
    let pss = pss(CKM_RSA_PKCS_PSS, CKM_SHA256, CKG_MGF1_SHA256, 32);
    assert_eq!(sign(&pss, &only_raw, &[7; 32]), Err(CKR_MECHANISM_INVALID));
}

#[test]
fn a_key_with_one_scheme_signs_only_by_it() {
    let pkcs1 = bound(Kind::Rsa(3072), Algorithm::RsaPkcs1.with_hash(Hash::Sha256));
    let [own, other] = [Hash::Sha256, Hash::Sha512].map(|hash| hash.digest_info(&hash.digest(b"abc")));
    let signed = Ok((pkcs1.schemes[0], Hash::Sha256.digest(b"abc")));
    assert_eq!(sign(&request(CKM_SHA256_RSA_PKCS), &pkcs1, b"abc"), signed);
    assert_eq!(sign(&request(CKM_RSA_PKCS), &pkcs1, &own), signed);
    assert_eq!(sign(&request(CKM_RSA_PKCS), &pkcs1, &other), Err(CKR_DATA_INVALID));
    assert_eq!(sign(&request(CKM_SHA512_RSA_PKCS), &pkcs1, b"abc"), Err(CKR_MECHANISM_INVALID));
    let mut bare = Operation::begin(&request(CKM_RSA_PKCS), Purpose::Sign, pkcs1.subject(true)).unwrap();
    bare.update(&Hash::Sha512.digest(b"abc")).unwrap();
    assert_eq!(bare.finish().map_err(|error| error.rv), Err(CKR_DATA_INVALID));

    let salted = bound(Kind::Rsa(4096), Algorithm::RsaPss.with_hash(Hash::Sha512));
    let by = |ckm, hash: Hash| pss(ckm, hash.ckm(), hash.mgf(), hash.len() as CK_ULONG);
    assert!(sign(&by(CKM_SHA512_RSA_PKCS_PSS, Hash::Sha512), &salted, b"abc").is_ok());
    assert!(sign(&by(CKM_RSA_PKCS_PSS, Hash::Sha512), &salted, &[7; 64]).is_ok());
    assert_eq!(sign(&by(CKM_RSA_PKCS_PSS, Hash::Sha256), &salted, &[7; 32]), Err(CKR_MECHANISM_PARAM_INVALID));
    assert_eq!(sign(&by(CKM_SHA256_RSA_PKCS_PSS, Hash::Sha256), &salted, b"abc"), Err(CKR_MECHANISM_INVALID));

    let decrypts = bound(Kind::Rsa(4096), Algorithm::RsaesOaep.with_hash(Hash::Sha512));
    let oaep = |hash: Hash| words(CKM_RSA_PKCS_OAEP, &[hash.ckm(), hash.mgf(), 0, 0, 0], &[&[]]);
    assert!(run(&oaep(Hash::Sha512), Purpose::Decrypt, &decrypts, &[7; 512]).is_ok());
    let refused = run(&oaep(Hash::Sha256), Purpose::Decrypt, &decrypts, &[7; 512]);
    assert_eq!(refused, Err(CKR_MECHANISM_PARAM_INVALID));
    assert_eq!(run(&request(CKM_RSA_PKCS), Purpose::Decrypt, &decrypts, &[7; 512]), Err(CKR_MECHANISM_INVALID));
    assert_eq!(sign(&request(CKM_SHA512_RSA_PKCS), &decrypts, b"abc"), Err(CKR_KEY_FUNCTION_NOT_PERMITTED));
}

#[test]
fn a_service_that_takes_the_message_signs_without_a_context() {
    let digest = Hash::Sha256.digest(b"abc");
    for (kind, family, ckm) in [
        (Kind::MlDsa(ParameterSet::MlDsa65), Algorithm::MlDsa, CKM_ML_DSA),
        (Kind::SlhDsa(slh_dsa::ParameterSet::Sha2_128s), Algorithm::SlhDsa, CKM_SLH_DSA),
    ] {
        let key = bound(kind, family.without_hash());
        assert_eq!(sign(&request(ckm), &key, b"abc"), Ok((key.schemes[0], b"abc".to_vec())));
        assert_eq!(
            sign(&words(ckm, &[CKH_HEDGE_REQUIRED, 0, 0], &[&[]]), &key, b"abc"),
            sign(&request(ckm), &key, b"abc")
        );
        assert_eq!(sign(&words(ckm, &[0, 0, 1], &[b"c"]), &key, b"abc"), Err(CKR_MECHANISM_PARAM_INVALID));
        assert!(sign(&request(ckm), &key, &[7; 4096]).is_ok());
        assert_eq!(sign(&request(ckm), &key, &[7; 4097]), Err(CKR_DATA_LEN_RANGE));
        assert_eq!(sign(&request(ckm), &key, &[]), Err(CKR_DATA_LEN_RANGE));
        let mut parts = Operation::begin(&request(ckm), Purpose::Sign, key.subject(false)).unwrap();
        [&b"a"[..], b"", b"bc"].iter().for_each(|part| parts.update(part).unwrap());
        assert_eq!(parts.finish().map(|(_, data)| data.to_vec()), Ok(b"abc".to_vec()));
        for hashed in [CKM_HASH_ML_DSA_SHA256, CKM_HASH_SLH_DSA_SHA256] {
            let wrong_type = !Mechanism::from_ckm(hashed, Purpose::Sign).unwrap().family.supports(kind);
            let expected = if wrong_type { CKR_KEY_TYPE_INCONSISTENT } else { CKR_MECHANISM_INVALID };
            assert_eq!(sign(&request(hashed), &key, b"abc"), Err(expected));
        }
    }
    let hashes = bound(Kind::SlhDsa(slh_dsa::ParameterSet::Sha2_128s), Algorithm::SlhDsa.with_hash(Hash::Sha256));
    let signed = Ok((hashes.schemes[0], digest.clone()));
    let by = |hash: Hash| words(CKM_HASH_SLH_DSA, &[0, 0, 0, hash.ckm()], &[&[]]);
    assert_eq!(sign(&request(CKM_HASH_SLH_DSA_SHA256), &hashes, b"abc"), signed);
    assert_eq!(sign(&by(Hash::Sha256), &hashes, &digest), signed);
    assert_eq!(sign(&by(Hash::Sha256), &hashes, b"abc"), Err(CKR_DATA_LEN_RANGE));
    assert_eq!(sign(&by(Hash::Sha512), &hashes, &[7; 64]), Err(CKR_MECHANISM_PARAM_INVALID));
    assert_eq!(sign(&request(CKM_SLH_DSA), &hashes, b"abc"), Err(CKR_MECHANISM_INVALID));
    let context = words(CKM_HASH_SLH_DSA_SHA256, &[0, 0, 1], &[b"c"]);
    assert_eq!(sign(&context, &hashes, b"abc"), Err(CKR_MECHANISM_PARAM_INVALID));
}

/// A signature may have been made elsewhere, with any context and hash.
#[test]
fn a_public_key_verifies_slh_dsa_with_every_parameter() {
    let kind = Kind::SlhDsa(slh_dsa::ParameterSet::Sha2_128s);
    let local = Key { schemes: kind.local_schemes(), ..key(kind) };
    let input = |request: &MechanismInput, data: &[u8]| {
        let (scheme, input) = sign(request, &local, data).unwrap();
        assert_eq!(scheme, Algorithm::SlhDsaInternal.without_hash());
        input
    };
    assert_eq!(input(&request(CKM_SLH_DSA), b"abc"), b"\0\0abc");
    assert_eq!(input(&words(CKM_SLH_DSA, &[0, 0, 3], &[b"ctx"]), b"abc"), b"\0\x03ctxabc");
    let digest = Hash::Sha256.digest(b"abc");
    let expected = [b"\x01\x03ctx", Hash::Sha256.oid(), &digest].concat();
    assert_eq!(input(&words(CKM_HASH_SLH_DSA_SHA256, &[0, 0, 3], &[b"ctx"]), b"abc"), expected);
    assert_eq!(input(&words(CKM_HASH_SLH_DSA, &[0, 0, 3, CKM_SHA256], &[b"ctx"]), &digest), expected);
    let short = sign(&words(CKM_HASH_SLH_DSA, &[0, 0, 3, CKM_SHA512], &[b"ctx"]), &local, &digest);
    assert_eq!(short, Err(CKR_DATA_LEN_RANGE));
}

#[test]
fn eddsa_messages_respect_the_service_limits() {
    let edwards = key(Kind::Ed25519);
    assert!(sign(&request(CKM_EDDSA), &edwards, &[7; 4096]).is_ok());
    assert_eq!(sign(&request(CKM_EDDSA), &edwards, &[7; 4097]), Err(CKR_DATA_LEN_RANGE));
    assert_eq!(sign(&request(CKM_EDDSA), &edwards, &[]), Err(CKR_DATA_LEN_RANGE));
    assert!(sign(&request(CKM_ECDSA_SHA256), &key(Kind::Ec(crate::key::Curve::P256)), &[]).is_ok(), "hashed here");
    let ml_dsa = key(Kind::MlDsa(ParameterSet::MlDsa65));
    assert_eq!(sign(&request(CKM_ML_DSA), &ml_dsa, &[7; 1 << 20]).map(|(_, mu)| mu.len()), Ok(64));
}

#[test]
fn eddsa_and_ml_dsa_parameters_are_accepted_or_refused() {
    let edwards = key(Kind::Ed25519);
    assert!(sign(&words(CKM_EDDSA, &[0, 0, 0], &[&[]]), &edwards, b"abc").is_ok());
    for refused in [words(CKM_EDDSA, &[1, 0, 0], &[&[]]), words(CKM_EDDSA, &[0, 1, 0], &[b"c"])] {
        assert_eq!(sign(&refused, &edwards, b"abc"), Err(CKR_MECHANISM_PARAM_INVALID));
    }
    let lattice = key(Kind::MlDsa(ParameterSet::MlDsa44));
    let plain = sign(&request(CKM_ML_DSA), &lattice, b"abc").unwrap();
    assert_eq!(sign(&words(CKM_ML_DSA, &[0, 0, 0], &[&[]]), &lattice, b"abc"), Ok(plain.clone()));
    assert_ne!(sign(&words(CKM_ML_DSA, &[1, 0, 3], &[b"ctx"]), &lattice, b"abc"), Ok(plain), "another context");
    assert_eq!(sign(&words(CKM_ML_DSA, &[2, 0, 0], &[&[]]), &lattice, b"abc"), Err(CKR_MECHANISM_PARAM_INVALID));
    let long = words(CKM_ML_DSA, &[0, 0, 256], &[&[7; 256]]);
    assert_eq!(sign(&long, &lattice, b"abc"), Err(CKR_MECHANISM_PARAM_INVALID));
    let digest = Hash::Sha256.digest(b"abc");
    let by_digest = sign(&words(CKM_HASH_ML_DSA, &[0, 0, 0, CKM_SHA256], &[&[]]), &lattice, &digest);
    assert_eq!(by_digest, sign(&request(CKM_HASH_ML_DSA_SHA256), &lattice, b"abc"), "hashed here or by the caller");
}

#[test]
fn only_oaep_parameters_that_the_services_honour_are_taken() {
    let decrypt = |words: &[CK_ULONG], label: &[u8]| {
        let ask = self::words(CKM_RSA_PKCS_OAEP, words, &[label]);
        run(&ask, Purpose::Decrypt, &rsa(), &[7; 256]).map(|(scheme, _)| scheme)
    };
    assert_eq!(decrypt(&[CKM_SHA_1, CKG_MGF1_SHA1, 1, 0, 0], &[]), Ok(Algorithm::RsaesOaep.with_hash(Hash::Sha1)));
    assert_eq!(decrypt(&[CKM_SHA_1, CKG_MGF1_SHA1, 0, 0, 0], &[]), Ok(Algorithm::RsaesOaep.with_hash(Hash::Sha1)));
    assert_eq!(
        decrypt(&[CKM_SHA_1, 0, 0, 0, 0], &[]),
        Ok(Algorithm::RsaesOaep.with_hash(Hash::Sha1)),
        "the MGF is left out"
    );
    assert_eq!(
        decrypt(&[0, 0, 0, 0, 0], &[]),
        Ok(Algorithm::RsaesOaep.with_hash(Hash::Sha1)),
        "RFC 8017 appendix A.2.1"
    );
    for (words, label) in [
        ([CKM_SHA256, CKG_MGF1_SHA256, 1, 0, 0], &b""[..]),
        ([CKM_SHA_1, CKG_MGF1_SHA256, 1, 0, 0], b""),
        ([CKM_SHA256, 0, 1, 0, 0], b""),
        ([0, CKG_MGF1_SHA1, 1, 0, 0], b""),
        ([CKM_SHA_1, CKG_MGF1_SHA1, 2, 0, 0], b""),
        ([CKM_SHA_1, CKG_MGF1_SHA1, 1, 0, 1], b"l"),
    ] {
        assert_eq!(decrypt(&words, label), Err(CKR_MECHANISM_PARAM_INVALID), "{words:?}");
    }
}
