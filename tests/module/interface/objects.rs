//! Objects and their attributes, sessions and logins.

use crate::module_test;
use cloud_kms_emulator::{AwsKey, VaultCertificate, VaultKey};
use cryptoki_sys::*;
use serde_json::json;
use std::ptr::null_mut;

module_test! {
    fn a_key_a_public_key_and_a_certificate_share_their_id(world) {
        let vault = world.emulator.vault("default");
        vault.create_certificate("web", VaultCertificate::new(VaultKey::ec("P-256"))).unwrap();
        world.configure(json!([{ "label": "token", "keys": [{ "key_name": "web", "label": "my key" }] }]));
        let p11 = world.module();
        let session = p11.open(0);
        let objects = p11.find(session, &[]);
        assert_eq!(objects.len(), 3 + 4, "and the token's profiles: {}", world.log());
        for object in &objects[..3] {
            assert_eq!(p11.attribute(session, *object, CKA_ID).unwrap(), b"web");
            assert_eq!(p11.attribute(session, *object, CKA_LABEL).unwrap(), b"my key");
            assert_eq!(p11.attribute(session, *object, CKA_UNIQUE_ID).unwrap().len(), 32);
            let spki = p11.attribute(session, *object, CKA_PUBLIC_KEY_INFO).unwrap();
            assert_eq!(spki, vault.public_key_spki("web", "").unwrap());
        }
        let [private, public, certificate] = [CKO_PRIVATE_KEY, CKO_PUBLIC_KEY, CKO_CERTIFICATE].map(|class| p11.find_class(session, class)[0]);
        assert_eq!(p11.attribute(session, certificate, CKA_VALUE).unwrap(), vault.certificate_der("web", "").unwrap());
        assert_eq!(p11.attribute(session, private, CKA_ALWAYS_AUTHENTICATE).unwrap(), [CK_FALSE]);
        assert_eq!(p11.attribute(session, private, CKA_SIGN).unwrap(), [CK_TRUE]);
        assert_eq!(p11.attribute(session, private, CKA_EC_PARAMS).unwrap(), b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07");
        let point = p11.attribute(session, public, CKA_EC_POINT).unwrap();
        assert_eq!((point.len(), &point[..3]), (67, &[4, 65, 4][..]), "CKA_EC_POINT is an OCTET STRING with the point");
        assert_eq!(p11.attribute(session, private, CKA_EC_POINT), Ok(point), "asyncssh looks for it there");
        assert!(p11.find(session, &[(CKA_ID, b"web".to_vec()), (CKA_LABEL, b"other".to_vec())]).is_empty());
    }
}

module_test! {
    fn one_unavailable_attribute_does_not_affect_the_others(world) {
        world.emulator.aws().create_key(AwsKey::new("RSA_2048").alias("alias/r")).unwrap();
        world.configure(json!([{ "label": "r", "kms_key_id": "alias/r" }]));
        let p11 = world.module();
        let session = p11.open(0);
        let key = p11.private_key(session);
        let (mut label, mut short, mut modulus) = ([0u8; 32], [0u8; 1], [0u8; 256]);
        let ask = |kind, value: &mut [u8]| CK_ATTRIBUTE { type_: kind, pValue: value.as_mut_ptr().cast(), ulValueLen: value.len() as CK_ULONG };
        let mut template = [
            ask(CKA_LABEL, &mut label),
            ask(CKA_PRIVATE_EXPONENT, &mut []),
            ask(CKA_EC_POINT, &mut []),
            ask(CKA_ID, &mut short),
            ask(CKA_MODULUS, &mut modulus),
            CK_ATTRIBUTE { type_: CKA_MODULUS, pValue: null_mut(), ulValueLen: 0 },
        ];
        let rv = crate::c!(p11, C_GetAttributeValue(session, key, template.as_mut_ptr(), 6));
        assert_eq!(rv, Err(CKR_ATTRIBUTE_SENSITIVE));
        let lengths: Vec<_> = template.iter().map(|attribute| attribute.ulValueLen).collect();
        assert_eq!(lengths, [1, CK_UNAVAILABLE_INFORMATION, CK_UNAVAILABLE_INFORMATION, CK_UNAVAILABLE_INFORMATION, 256, 256]);
        assert_eq!(label[0], b'r');
        assert_ne!(modulus[0], 0);
        assert_eq!(p11.attribute(session, 4711, CKA_LABEL), Err(CKR_OBJECT_HANDLE_INVALID));
    }
}

module_test! {
    fn sessions_and_logins_are_as_the_standard_says(world) {
        world.configure(json!([{ "label": "r", "kms_key_id": "alias/none" }, { "label": "s", "kms_key_id": "alias/none" }]));
        let p11 = world.module();
        let (one, two, other) = (p11.open(0), p11.open(0), p11.open(1));
        let state = |session| {
            let mut info: CK_SESSION_INFO = unsafe { std::mem::zeroed() };
            crate::c!(p11, C_GetSessionInfo(session, &mut info)).map(|()| info.state)
        };
        crate::c!(p11, C_Login(one, CKU_USER, null_mut(), 0)).unwrap();
        assert_eq!((state(two), state(other)), (Ok(CKS_RO_USER_FUNCTIONS), Ok(CKS_RO_PUBLIC_SESSION)), "the login is per token");
        let mut pin = *b"any";
        assert_eq!(crate::c!(p11, C_Login(two, CKU_USER, pin.as_mut_ptr(), 3)), Err(CKR_USER_ALREADY_LOGGED_IN));
        assert_eq!(crate::c!(p11, C_Login(two, CKU_SO, pin.as_mut_ptr(), 3)), Err(CKR_SESSION_READ_ONLY_EXISTS));
        assert_eq!(crate::c!(p11, C_Login(two, 99, pin.as_mut_ptr(), 3)), Err(CKR_USER_TYPE_INVALID));
        assert_eq!(crate::c!(p11, C_LoginUser(other, CKU_USER, pin.as_mut_ptr(), 3, null_mut(), 0)), Ok(()));
        assert_eq!(crate::c!(p11, C_Login(two, CKU_USER, null_mut(), 3)), Err(CKR_ARGUMENTS_BAD));
        crate::c!(p11, C_Logout(two)).unwrap();
        assert_eq!(crate::c!(p11, C_Logout(two)), Err(CKR_USER_NOT_LOGGED_IN));
        crate::c!(p11, C_Login(one, CKU_USER, null_mut(), 0)).unwrap();
        crate::c!(p11, C_CloseSession(one)).unwrap();
        assert_eq!(state(two), Ok(CKS_RO_USER_FUNCTIONS));
        crate::c!(p11, C_CloseSession(two)).unwrap();
        assert_eq!(state(p11.open(0)), Ok(CKS_RO_PUBLIC_SESSION), "the login ends with the last session");
        crate::c!(p11, C_CloseAllSessions(0)).unwrap();
        assert_eq!(state(two), Err(CKR_SESSION_HANDLE_INVALID));
        assert_eq!(state(other), Ok(CKS_RO_USER_FUNCTIONS));
        assert_eq!(world.requests(), 0);
    }
}

module_test! {
    fn operations_are_one_at_a_time_and_can_be_cancelled(world) {
        world.emulator.aws().create_key(AwsKey::new("ECC_NIST_P256").alias("alias/a")).unwrap();
        world.configure(json!([{ "label": "a", "kms_key_id": "alias/a" }]));
        let p11 = world.module();
        let session = p11.open(0);
        let key = p11.private_key(session);
        p11.sign_init(session, key, CKM_ECDSA, &[]).unwrap();
        assert_eq!(p11.sign_init(session, key, CKM_ECDSA, &[]), Err(CKR_OPERATION_ACTIVE));
        crate::c!(p11, C_SessionCancel(session, CKF_SIGN)).unwrap();
        p11.sign_init(session, key, CKM_ECDSA, &[]).unwrap();
        crate::c!(p11, C_SignInit(session, null_mut(), 0)).unwrap();
        let mut length = 0;
        assert_eq!(crate::c!(p11, C_Sign(session, null_mut(), 0, null_mut(), &mut length)), Err(CKR_OPERATION_NOT_INITIALIZED));
        crate::c!(p11, C_FindObjectsInit(session, null_mut(), 0)).unwrap();
        assert_eq!(crate::c!(p11, C_FindObjectsInit(session, null_mut(), 0)), Err(CKR_OPERATION_ACTIVE));
        crate::c!(p11, C_SessionCancel(session, CKF_FIND_OBJECTS)).unwrap();
        assert_eq!(crate::c!(p11, C_FindObjectsFinal(session)), Err(CKR_OPERATION_NOT_INITIALIZED));
    }
}

module_test! {
    fn digests_are_computed_locally(world) {
        world.configure(json!([{ "label": "a", "kms_key_id": "alias/none" }]));
        let p11 = world.module();
        let session = p11.open(0);
        let message = b"abc";
        for (ckm, name, length) in [(CKM_SHA_1, "sha1", 20), (CKM_SHA224, "sha224", 28), (CKM_SHA256, "sha256", 32), (CKM_SHA384, "sha384", 48), (CKM_SHA512, "sha512", 64)] {
            let mut mechanism = CK_MECHANISM { mechanism: ckm, pParameter: null_mut(), ulParameterLen: 0 };
            std::fs::write(world.home.join("abc"), message).unwrap();
            let witness = std::process::Command::new("openssl").args(["dgst", "-binary", &format!("-{name}")]).arg(world.home.join("abc")).output().unwrap().stdout;
            let (mut digest, mut size) = ([0u8; 64], 0);
            crate::c!(p11, C_DigestInit(session, &mut mechanism)).unwrap();
            assert_eq!(crate::c!(p11, C_DigestInit(session, &mut mechanism)), Err(CKR_OPERATION_ACTIVE));
            crate::c!(p11, C_Digest(session, message.as_ptr().cast_mut(), 3, null_mut(), &mut size)).unwrap();
            assert_eq!(size, length);
            crate::c!(p11, C_Digest(session, message.as_ptr().cast_mut(), 3, digest.as_mut_ptr(), &mut size)).unwrap();
            assert_eq!(digest[..length as usize], witness);
            digest.fill(0);
            crate::c!(p11, C_DigestInit(session, &mut mechanism)).unwrap();
            for part in [&message[..1], &message[1..]] {
                crate::c!(p11, C_DigestUpdate(session, part.as_ptr().cast_mut(), part.len() as CK_ULONG)).unwrap();
            }
            size = 3;
            assert_eq!(crate::c!(p11, C_DigestFinal(session, digest.as_mut_ptr(), &mut size)), Err(CKR_BUFFER_TOO_SMALL));
            crate::c!(p11, C_DigestFinal(session, digest.as_mut_ptr(), &mut size)).unwrap();
            assert_eq!(digest[..length as usize], witness);
            assert_eq!(crate::c!(p11, C_DigestFinal(session, digest.as_mut_ptr(), &mut size)), Err(CKR_OPERATION_NOT_INITIALIZED));
        }
        assert_eq!(world.requests(), 0);
    }
}

module_test! {
    fn hidden_kinds_are_not_shown(world) {
        for spec in ["ECC_SECG_P256K1", "ECC_NIST_P256"] {
            world.emulator.aws().create_key(AwsKey::new(spec).alias(&format!("alias/{spec}"))).unwrap();
        }
        let keys = json!([{ "kms_key_id": "alias/ECC_SECG_P256K1" }, { "kms_key_id": "alias/ECC_NIST_P256" }]);
        world.configure(json!([{ "label": "ssh", "keys": keys, "hide_keys": ["secp256k1"] }]));
        let p11 = world.module();
        let session = p11.open(0);
        assert_eq!(p11.find_class(session, CKO_PUBLIC_KEY).len(), 1);
    }
}
