//! Ed25519 and ML-DSA: signatures are verified by openssl and by aws-lc, neither of which made the signature.

use crate::c;
use crate::module_test;
use crate::support::p11::{plain, pointer_and_length, with};
use crate::support::world::openssl_verifies;
use aws_lc_rs::signature::{ML_DSA_44, ML_DSA_65, ML_DSA_87, UnparsedPublicKey};
use cloud_kms_emulator::AwsKey;
use cryptoki_sys::*;
use serde_json::json;

module_test! {
    fn ed25519_signs_messages_up_to_the_services_limit(world) {
        let aws = world.emulator.aws();
        let made = aws.create_key(AwsKey::new("ECC_NIST_EDWARDS25519").alias("alias/e")).unwrap();
        world.configure(json!([{ "label": "e", "kms_key_id": "alias/e" }, { "label": "raw", "kms_key_id": "alias/e", "edwards_point": "raw" }]));
        let p11 = world.module();
        let session = p11.open(0);
        let (key, public) = (p11.private_key(session), p11.only(session, CKO_PUBLIC_KEY));
        let spki = aws.public_key_spki(&made.id).unwrap();
        let point = spki[spki.len() - 32..].to_vec();
        assert_eq!(p11.number(session, key, CKA_KEY_TYPE), Ok(CKK_EC_EDWARDS));
        assert_eq!(p11.attribute(session, public, CKA_EC_POINT), Ok([&[4, 32], &point[..]].concat()));
        let raw = p11.open(1);
        assert_eq!(p11.attribute(raw, p11.only(raw, CKO_PUBLIC_KEY), CKA_EC_POINT), Ok(point));
        for message in [&b"m"[..], &[7; 4096]] {
            let signature = p11.sign(session, key, CKM_EDDSA, &[], message).unwrap();
            assert!(openssl_verifies(&world.home, &spki, message, &signature, &["-rawin"]));
            assert!(!openssl_verifies(&world.home, &spki, b"other", &signature, &["-rawin"]), "the other library accepts a wrong signature");
            assert_eq!(p11.verify(session, public, &mut plain(CKM_EDDSA), message, &signature), Ok(()));
        }
        let asked = world.requests();
        assert_eq!(p11.sign(session, key, CKM_EDDSA, &[], &[7; 4097]), Err(CKR_DATA_LEN_RANGE));
        assert!(world.log().contains("the service takes 4096 bytes at most"), "{}", world.log());
        let mut prehash = CK_EDDSA_PARAMS { phFlag: CK_TRUE, ulContextDataLen: 0, pContextData: std::ptr::null_mut() };
        assert_eq!(c!(p11, C_SignInit(session, &mut with(CKM_EDDSA, &mut prehash), key)), Err(CKR_MECHANISM_PARAM_INVALID));
        assert_eq!(world.requests(), asked, "refused without a request");
    }
}

module_test! {
    fn ml_dsa_signs_messages_of_any_size(world) {
        let aws = world.emulator.aws();
        let rows = [("ML_DSA_44", &ML_DSA_44, CKP_ML_DSA_44), ("ML_DSA_65", &ML_DSA_65, CKP_ML_DSA_65), ("ML_DSA_87", &ML_DSA_87, CKP_ML_DSA_87)];
        for row in &rows {
            aws.create_key(AwsKey::new(row.0).alias(&format!("alias/{}", row.0))).unwrap();
        }
        world.configure(json!([0, 1, 2].map(|at: usize| json!({ "label": rows[at].0, "kms_key_id": format!("alias/{}", rows[at].0) }))));
        let p11 = world.module();
        p11.load_all();
        for (slot, row) in rows.iter().enumerate() {
            let session = p11.open(slot as CK_SLOT_ID);
            let (key, public) = (p11.private_key(session), p11.only(session, CKO_PUBLIC_KEY));
            assert_eq!(p11.number(session, key, CKA_KEY_TYPE), Ok(CKK_ML_DSA));
            assert_eq!(p11.number(session, public, CKA_PARAMETER_SET), Ok(row.2));
            let bytes = p11.attribute(session, public, CKA_VALUE).unwrap();
            assert_eq!(p11.attribute(session, key, CKA_VALUE), Err(CKR_ATTRIBUTE_SENSITIVE));
            assert_eq!(p11.attribute(session, key, CKA_SEED), Err(CKR_ATTRIBUTE_SENSITIVE));
            for message in [&b""[..], b"abc", &vec![7; 1 << 20]] {
                let asked = world.requests();
                let signature = p11.sign(session, key, CKM_ML_DSA, &[], message).unwrap();
                assert_eq!(world.requests(), asked + 1);
                UnparsedPublicKey::new(row.1, &bytes).verify(message, &signature).unwrap();
                assert!(UnparsedPublicKey::new(row.1, &bytes).verify(b"other", &signature).is_err(), "the other library accepts a wrong signature");
                assert_eq!(p11.verify(session, public, &mut plain(CKM_ML_DSA), message, &signature), Ok(()));
                assert_eq!(p11.verify(session, public, &mut plain(CKM_ML_DSA), b"other", &signature), Err(CKR_SIGNATURE_INVALID));
            }
            let mut context = *b"context";
            let mut parameter = CK_SIGN_ADDITIONAL_CONTEXT { hedgeVariant: CKH_HEDGE_PREFERRED, pContext: context.as_mut_ptr(), ulContextLen: 7 };
            let mut named = with(CKM_ML_DSA, &mut parameter);
            c!(p11, C_SignInit(session, &mut named, key)).unwrap();
            let (data, length) = pointer_and_length(b"abc");
            let signature = crate::support::p11::output_of(|out, room| c!(p11, C_Sign(session, data, length, out, room))).unwrap();
            assert_eq!(p11.verify(session, public, &mut named, b"abc", &signature), Ok(()));
            assert_eq!(p11.verify(session, public, &mut plain(CKM_ML_DSA), b"abc", &signature), Err(CKR_SIGNATURE_INVALID), "without the context");
            assert!(UnparsedPublicKey::new(row.1, &bytes).verify(b"abc", &signature).is_err(), "aws-lc supports no context");
            let hashed = p11.sign(session, key, CKM_HASH_ML_DSA_SHA512, &[], b"abc").unwrap();
            assert_eq!(p11.verify(session, public, &mut plain(CKM_HASH_ML_DSA_SHA512), b"abc", &hashed), Ok(()));
            assert_eq!(p11.verify(session, public, &mut plain(CKM_ML_DSA), b"abc", &hashed), Err(CKR_SIGNATURE_INVALID), "another domain");
        }
    }
}
