use super::*;
use crate::key::{Algorithm, Curve, PublicKey};

const NAMES: Names = Names { label: "k", id: b"k", subject: &[] };

/// Returns the key object of a key that its service uses in one way only.
fn bound(kind: Kind, scheme: Scheme) -> Object {
    let public_key = match kind {
        Kind::Rsa(bits) => PublicKey::rsa(&vec![0xff; bits / 8], &[1, 0, 1]).ok(),
        Kind::Ec(curve) => PublicKey::ec(curve, &[&[4], &vec![1; 2 * curve.field_len()][..]].concat()).ok(),
        Kind::Ed25519 => PublicKey::ed25519(&[7; 32]).ok(),
        Kind::MlDsa(set) => PublicKey::ml_dsa(set, &vec![7; set.public_key_len()]).ok(),
        Kind::SlhDsa(set) => PublicKey::slh_dsa(set, &vec![7; set.public_key_len()]).ok(),
        Kind::Hmac(_) => None,
    };
    let facts = KeyDescription {
        immutable_id: Some("k/1".into()),
        kind,
        public_key,
        schemes: vec![scheme],
        unusable_reason: None,
        usage: None,
        forbidden_purposes: Vec::new(),
    };
    Object::private_key(NAMES, &facts, PointEncoding::default())
}

const RSA_MESSAGES: [CK_MECHANISM_TYPE; 9] = [
    CKM_SHA1_RSA_PKCS,
    CKM_SHA224_RSA_PKCS,
    CKM_SHA256_RSA_PKCS,
    CKM_SHA384_RSA_PKCS,
    CKM_SHA512_RSA_PKCS,
    CKM_SHA3_224_RSA_PKCS,
    CKM_SHA3_256_RSA_PKCS,
    CKM_SHA3_384_RSA_PKCS,
    CKM_SHA3_512_RSA_PKCS,
];

#[test]
fn a_key_with_one_scheme_shows_exactly_its_mechanisms() {
    let (ml_dsa, slh_dsa) = (Kind::MlDsa(ParameterSet::MlDsa65), Kind::SlhDsa(slh_dsa::ParameterSet::Sha2_128s));
    let ecdsa: Vec<_> = [CKM_ECDSA].into_iter().chain(CKM_ECDSA_SHA1..=CKM_ECDSA_SHA3_512).collect();
    let mu: Vec<_> =
        [CKM_ML_DSA, CKM_HASH_ML_DSA].into_iter().chain(CKM_HASH_ML_DSA_SHA224..=CKM_HASH_ML_DSA_SHAKE256).collect();
    let rows: [(Kind, Scheme, &[CK_MECHANISM_TYPE]); 11] = [
        (Kind::Rsa(3072), Algorithm::RsaPkcs1.with_hash(Hash::Sha256), &[CKM_RSA_PKCS, CKM_SHA256_RSA_PKCS]),
        (Kind::Rsa(4096), Algorithm::RsaPss.with_hash(Hash::Sha512), &[CKM_RSA_PKCS_PSS, CKM_SHA512_RSA_PKCS_PSS]),
        (Kind::Rsa(2048), Algorithm::RsaPkcs1.without_hash(), &[&[CKM_RSA_PKCS], &RSA_MESSAGES[..]].concat()),
        (Kind::Rsa(4096), Algorithm::RsaesOaep.with_hash(Hash::Sha512), &[CKM_RSA_PKCS_OAEP]),
        (Kind::Ec(Curve::P256), Algorithm::Ecdsa.with_hash(Hash::Sha256), &ecdsa),
        (Kind::Ed25519, Algorithm::Eddsa.without_hash(), &[CKM_EDDSA]),
        (ml_dsa, Algorithm::MlDsa.without_hash(), &[CKM_ML_DSA]),
        (ml_dsa, Algorithm::MlDsaMu.without_hash(), &mu),
        (slh_dsa, Algorithm::SlhDsa.without_hash(), &[CKM_SLH_DSA]),
        (slh_dsa, Algorithm::SlhDsa.with_hash(Hash::Sha256), &[CKM_HASH_SLH_DSA, CKM_HASH_SLH_DSA_SHA256]),
        (Kind::Hmac(Hash::Sha1), Algorithm::Hmac.with_hash(Hash::Sha1), &[CKM_SHA_1_HMAC]),
    ];
    for (kind, scheme, expected) in rows {
        let object = bound(kind, scheme);
        let shown = object.attributes.value(CKA_ALLOWED_MECHANISMS).unwrap();
        let shown: Vec<_> =
            shown.chunks(size_of::<CK_ULONG>()).map(|own| CK_ULONG::from_ne_bytes(own.try_into().unwrap())).collect();
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        assert_eq!(shown, expected, "{} with {}", kind.name(), scheme.name());
        let decrypts = scheme.family == Algorithm::RsaesOaep;
        let flags = [CKA_SIGN, CKA_DECRYPT, CKA_UNWRAP, CKA_DERIVE, CKA_VERIFY];
        let flags = flags.map(|flag| object.attributes.value(flag) == Some(&[CK_TRUE]));
        let is_secret = matches!(kind, Kind::Hmac(_));
        assert_eq!(flags, [!decrypts, decrypts, decrypts, false, is_secret], "{}", scheme.name());
    }
}

/// A signature may be verified by any scheme, but nothing could decrypt what another scheme has encrypted.
#[test]
fn a_public_key_encrypts_only_what_the_service_decrypts() {
    let public_key = PublicKey::rsa(&[0xff; 512], &[1, 0, 1]).unwrap();
    let schemes = |scheme: Scheme| public_schemes(&KeyDescription::from_public_key(public_key.clone(), vec![scheme]));
    let oaep = Algorithm::RsaesOaep.with_hash(Hash::Sha512);
    assert_eq!(schemes(oaep), [oaep]);
    let signed = schemes(Algorithm::RsaPss.with_hash(Hash::Sha512));
    assert!(signed.contains(&Algorithm::RsaPkcs1.with_hash(Hash::Sha256)));
    assert!(signed.iter().all(|scheme| scheme.family.purpose() == Purpose::Sign));
}

#[test]
fn post_quantum_keys_have_their_type_and_parameter_set() {
    for (kind, key_type, number) in [
        (Kind::MlDsa(ParameterSet::MlDsa87), CKK_ML_DSA, CKP_ML_DSA_87),
        (Kind::SlhDsa(slh_dsa::ParameterSet::Sha2_128s), CKK_SLH_DSA, CKP_SLH_DSA_SHA2_128S),
    ] {
        let object = bound(kind, kind.local_schemes()[0]);
        assert_eq!(object.attributes.value(CKA_KEY_TYPE), Some(&key_type.to_ne_bytes()[..]));
        assert_eq!(object.attributes.value(CKA_PARAMETER_SET), Some(&number.to_ne_bytes()[..]));
        assert_eq!(object.attributes.value(CKA_VALUE), None, "of the private key");
        assert_eq!(kind_with_parameter_set(key_type, Some(number)), Ok(kind));
        let value = match kind {
            Kind::MlDsa(set) => vec![7; set.public_key_len()],
            _ => vec![7; 32],
        };
        let numbers = [(CKA_CLASS, CKO_PUBLIC_KEY), (CKA_KEY_TYPE, key_type), (CKA_PARAMETER_SET, number)];
        let mut template: Vec<_> = numbers.map(|(own, number)| (own, number.to_ne_bytes().to_vec())).into();
        template.push((CKA_VALUE, value.clone()));
        let made = session_object::create_object(&template, 1, PointEncoding::default()).unwrap();
        assert_eq!(made.object.attributes.value(CKA_VALUE), Some(&value[..]));
        assert_eq!(made.object.attributes.value(CKA_PARAMETER_SET), Some(&number.to_ne_bytes()[..]));
        assert!(made.permits(Purpose::Sign));
        assert_eq!(
            kind_with_parameter_set(key_type, Some(99)).map_err(|error| error.rv),
            Err(CKR_ATTRIBUTE_VALUE_INVALID)
        );
        assert_eq!(kind_with_parameter_set(key_type, None).map_err(|error| error.rv), Err(CKR_TEMPLATE_INCOMPLETE));
    }
}
