//! Callers that break their contract, or leave out half of a call. The module trusts nothing, and these are its
//! return codes.

use crate::support::p11::{P11, Rv, attributes, number, plain, pointer_and_length, with};
use crate::support::world::World;
use crate::support::writer::p256;
use crate::{c, module_test};
use cloud_kms_emulator::{AwsKey, VaultKey};
use cryptoki_sys::*;
use serde_json::json;
use std::ptr::null_mut;

fn aes(more: &[(CK_ATTRIBUTE_TYPE, Vec<u8>)]) -> Vec<(CK_ATTRIBUTE_TYPE, Vec<u8>)> {
    [&[number(CKA_CLASS, CKO_SECRET_KEY), number(CKA_KEY_TYPE, CKK_AES), (CKA_VALUE, vec![7; 16])], more].concat()
}

/// Configures an RSA key of each cloud.
fn rsa(world: &World) -> P11 {
    world.emulator.aws().create_key(AwsKey::new("RSA_2048").usage("ENCRYPT_DECRYPT").alias("alias/d")).unwrap();
    world.emulator.vault("default").create_key("r", VaultKey::rsa(2048)).unwrap();
    world.configure(json!([{ "label": "d", "kms_key_id": "alias/d" }, { "label": "r", "key_name": "r" }]));
    world.module()
}

module_test! {
    fn an_attribute_of_wrong_length_is_invalid(world) {
        let p11 = rsa(world);
        let session = p11.open(0);
        let create = |template: &[(CK_ATTRIBUTE_TYPE, Vec<u8>)]| p11.create(session, template);
        assert!(create(&aes(&[])).is_ok());
        for length in [0, 1, 2, 7, 9] {
            let template = [number(CKA_CLASS, CKO_SECRET_KEY), (CKA_KEY_TYPE, vec![0; length]), (CKA_VALUE, vec![7; 16])];
            assert_eq!(create(&template), Err(CKR_ATTRIBUTE_VALUE_INVALID), "CKA_KEY_TYPE of {length} bytes");
            let template = [(CKA_CLASS, vec![0; length]), number(CKA_KEY_TYPE, CKK_AES), (CKA_VALUE, vec![7; 16])];
            assert_eq!(create(&template), Err(CKR_ATTRIBUTE_VALUE_INVALID), "CKA_CLASS of {length} bytes");
        }
        for flag in [CKA_TOKEN, CKA_PRIVATE, CKA_SENSITIVE, CKA_EXTRACTABLE, CKA_ENCRYPT, CKA_MODIFIABLE] {
            for length in [0, 2, 4, 8] {
                assert_eq!(create(&aes(&[(flag, vec![0; length])])), Err(CKR_ATTRIBUTE_VALUE_INVALID), "0x{flag:x} of {length} bytes");
            }
        }
        assert_eq!(create(&aes(&[(CKA_START_DATE, vec![b'0'; 7])])), Err(CKR_ATTRIBUTE_VALUE_INVALID));
        assert_eq!(create(&[number(CKA_CLASS, CKO_SECRET_KEY), (CKA_VALUE, vec![7; 16])]), Err(CKR_TEMPLATE_INCOMPLETE));
        assert!(world.log().contains("CKA_KEY_TYPE of 9 bytes"), "{}", world.log());
    }
}

module_test! {
    fn unsupported_usage_attributes_are_refused(world) {
        let p11 = rsa(world);
        let session = p11.open(1);
        for flag in [CKA_ENCRYPT, CKA_DECRYPT, CKA_SIGN, CKA_VERIFY, CKA_WRAP, CKA_UNWRAP, CKA_DERIVE, CKA_TRUSTED, CKA_WRAP_WITH_TRUSTED] {
            assert_eq!(p11.create(session, &aes(&[(flag, vec![CK_TRUE])])), Err(CKR_ATTRIBUTE_VALUE_INVALID), "0x{flag:x}");
            assert!(p11.create(session, &aes(&[(flag, vec![CK_FALSE])])).is_ok(), "0x{flag:x}");
        }
        let own = p11.only(session, CKO_PUBLIC_KEY);
        let part = |kind| (kind, p11.attribute(session, own, kind).unwrap());
        let public = |more: &[(CK_ATTRIBUTE_TYPE, Vec<u8>)]| {
            let template = [number(CKA_CLASS, CKO_PUBLIC_KEY), number(CKA_KEY_TYPE, CKK_RSA), part(CKA_MODULUS), part(CKA_PUBLIC_EXPONENT)];
            p11.create(session, &[&template, more].concat())
        };
        let key = public(&[(CKA_VERIFY, vec![CK_FALSE])]).unwrap();
        assert_eq!(p11.attribute(session, key, CKA_VERIFY), Ok(vec![CK_FALSE]));
        assert_eq!(p11.attribute(session, key, CKA_ENCRYPT), Ok(vec![CK_TRUE]));
        assert_eq!(c!(p11, C_VerifyInit(session, &mut plain(CKM_SHA256_RSA_PKCS), key)), Err(CKR_KEY_FUNCTION_NOT_PERMITTED));
        assert_eq!(c!(p11, C_EncryptInit(session, &mut plain(CKM_RSA_PKCS), key)), Ok(()));
        assert_eq!(public(&[(CKA_VERIFY_RECOVER, vec![CK_TRUE])]), Err(CKR_ATTRIBUTE_VALUE_INVALID));
        assert_eq!(public(&[(CKA_TOKEN, vec![CK_TRUE])]), Err(CKR_SESSION_READ_ONLY), "no session object is created instead");
    }
}

module_test! {
    fn lengths_are_checked_before_memory_is_read(world) {
        let p11 = rsa(world);
        let session = p11.open(0);
        // No memory is mapped at this address: a function that reads it crashes.
        let nowhere = std::ptr::without_provenance_mut(8);
        let huge = |kind, length| {
            let mut template = [CK_ATTRIBUTE { type_: kind, pValue: nowhere, ulValueLen: length }];
            let created = c!(p11, C_CreateObject(session, template.as_mut_ptr(), 1, &mut 0));
            assert_eq!(created, Err(CKR_ATTRIBUTE_VALUE_INVALID), "0x{kind:x} of {length}");
            c!(p11, C_FindObjectsInit(session, template.as_mut_ptr(), 1)).unwrap();
            let (mut found, mut count) = ([0; 8], 8);
            c!(p11, C_FindObjects(session, found.as_mut_ptr(), 8, &mut count)).unwrap();
            assert_eq!(count, 0, "no object has such a value");
            c!(p11, C_FindObjectsFinal(session)).unwrap();
        };
        for length in [0xffff_ffff, CK_ULONG::MAX, 1 << 40] {
            for kind in [CKA_CLASS, CKA_TOKEN, CKA_KEY_TYPE, CKA_START_DATE, CKA_LABEL, CKA_ID, CKA_MODULUS, CKA_VALUE] {
                huge(kind, length);
            }
        }
        let mut one = [CK_ATTRIBUTE { type_: CKA_CLASS, pValue: null_mut(), ulValueLen: 0 }];
        for count in [1 << 32, 1 << 20, CK_ULONG::MAX] {
            let template = one.as_mut_ptr();
            assert_eq!(c!(p11, C_FindObjectsInit(session, template, count)), Err(CKR_ARGUMENTS_BAD));
            assert_eq!(c!(p11, C_CreateObject(session, template, count, &mut 0)), Err(CKR_ARGUMENTS_BAD));
            assert_eq!(c!(p11, C_GetAttributeValue(session, 1, template, count)), Err(CKR_ARGUMENTS_BAD));
            assert_eq!(c!(p11, C_SetAttributeValue(session, 1, template, count)), Err(CKR_ARGUMENTS_BAD));
        }
    }
}

module_test! {
    fn a_mechanism_takes_no_parameters_that_it_does_not_have(world) {
        let p11 = rsa(world);
        let session = p11.open(1);
        let mut more = [0u64; 2];
        for ckm in [CKM_SHA256, CKM_SHA_1, CKM_SHA512, CKM_SHA3_256] {
            assert_eq!(c!(p11, C_DigestInit(session, &mut with(ckm, &mut more))), Err(CKR_MECHANISM_PARAM_INVALID));
            assert_eq!(c!(p11, C_DigestInit(session, &mut plain(ckm))), Ok(()));
            c!(p11, C_SessionCancel(session, CKF_DIGEST)).unwrap();
        }
        let (private, public) = (p11.private_key(session), p11.only(session, CKO_PUBLIC_KEY));
        for ckm in [CKM_RSA_PKCS, CKM_SHA256_RSA_PKCS] {
            assert_eq!(c!(p11, C_SignInit(session, &mut with(ckm, &mut more), private)), Err(CKR_MECHANISM_PARAM_INVALID));
            assert_eq!(c!(p11, C_VerifyInit(session, &mut with(ckm, &mut more), public)), Err(CKR_MECHANISM_PARAM_INVALID));
        }
        assert_eq!(c!(p11, C_EncryptInit(session, &mut with(CKM_RSA_PKCS, &mut more), public)), Err(CKR_MECHANISM_PARAM_INVALID));
    }
}

/// Functions that end an operation: the name of the operation, the call that begins the operation, and the ending
/// calls, with bad arguments.
type Ending<'a> = (&'a str, &'a dyn Fn() -> Rv<()>, Vec<Box<dyn Fn() -> Rv<()> + 'a>>);

module_test! {
    fn a_call_with_bad_arguments_ends_the_operation(world) {
        let p11 = rsa(world);
        let session = p11.open(1);
        let (private, public) = (p11.private_key(session), p11.only(session, CKO_PUBLIC_KEY));
        let (data, length) = pointer_and_length(&[7; 32]);
        let no_length: *mut CK_ULONG = null_mut();
        let mut buffer = [0u8; 512];
        let out = buffer.as_mut_ptr();
        let room = || -> *mut CK_ULONG { Box::leak(Box::new(512)) };
        let bad: *mut CK_BYTE = null_mut();
        let sign = || c!(p11, C_SignInit(session, &mut plain(CKM_SHA256_RSA_PKCS), private));
        let verify = || c!(p11, C_VerifyInit(session, &mut plain(CKM_SHA256_RSA_PKCS), public));
        let encrypt = || c!(p11, C_EncryptInit(session, &mut plain(CKM_RSA_PKCS), public));
        let decrypt = || c!(p11, C_DecryptInit(session, &mut plain(CKM_RSA_PKCS), private));
        let digest = || c!(p11, C_DigestInit(session, &mut plain(CKM_SHA256)));
        let known = || c!(p11, C_VerifySignatureInit(session, &mut plain(CKM_SHA256_RSA_PKCS), public, out, 256));
        let endings: [Ending; 6] = [
            ("sign", &sign, vec![
                Box::new(move || c!(p11, C_Sign(session, bad, 5, out, room()))),
                Box::new(move || c!(p11, C_Sign(session, data, length, out, no_length))),
                Box::new(move || c!(p11, C_Sign(session, data, CK_ULONG::MAX, out, room()))),
                Box::new(move || c!(p11, C_SignUpdate(session, bad, 5))),
                Box::new(move || c!(p11, C_SignFinal(session, out, no_length))),
            ]),
            ("verify", &verify, vec![
                Box::new(move || c!(p11, C_Verify(session, bad, 5, out, 256))),
                Box::new(move || c!(p11, C_Verify(session, data, length, bad, 256))),
                Box::new(move || c!(p11, C_VerifyUpdate(session, bad, 5))),
                Box::new(move || c!(p11, C_VerifyFinal(session, bad, 256))),
            ]),
            ("encrypt", &encrypt, vec![
                Box::new(move || c!(p11, C_Encrypt(session, bad, 5, out, room()))),
                Box::new(move || c!(p11, C_Encrypt(session, data, length, out, no_length))),
                Box::new(move || c!(p11, C_EncryptUpdate(session, bad, 5, out, room()))),
                Box::new(move || c!(p11, C_EncryptFinal(session, out, no_length))),
            ]),
            ("decrypt", &decrypt, vec![
                Box::new(move || c!(p11, C_Decrypt(session, bad, 5, out, room()))),
                Box::new(move || c!(p11, C_Decrypt(session, data, length, out, no_length))),
                Box::new(move || c!(p11, C_DecryptUpdate(session, bad, 5, out, room()))),
                Box::new(move || c!(p11, C_DecryptFinal(session, out, no_length))),
            ]),
            ("digest", &digest, vec![
                Box::new(move || c!(p11, C_Digest(session, bad, 5, out, room()))),
                Box::new(move || c!(p11, C_Digest(session, data, length, out, no_length))),
                Box::new(move || c!(p11, C_DigestUpdate(session, bad, 5))),
                Box::new(move || c!(p11, C_DigestFinal(session, out, no_length))),
            ]),
            ("verify a signature", &known, vec![
                Box::new(move || c!(p11, C_VerifySignature(session, bad, 5))),
                Box::new(move || c!(p11, C_VerifySignatureUpdate(session, bad, 5))),
            ]),
        ];
        for (name, begin, calls) in &endings {
            for (index, call) in calls.iter().enumerate() {
                begin().unwrap_or_else(|rv| panic!("{name} {index} does not begin: 0x{rv:x}"));
                assert_eq!(begin(), Err(CKR_OPERATION_ACTIVE), "{name} {index}");
                assert_eq!(call(), Err(CKR_ARGUMENTS_BAD), "{name} {index}");
                begin().unwrap_or_else(|rv| panic!("{name} {index} is still active: 0x{rv:x}"));
                c!(p11, C_SessionCancel(session, !0)).unwrap();
            }
        }
        // A query for the length, or a buffer that is too small, does not end the operation.
        sign().unwrap();
        let mut short = 3;
        assert_eq!(c!(p11, C_Sign(session, data, length, null_mut(), &mut short)), Ok(()));
        short = 3;
        assert_eq!(c!(p11, C_Sign(session, data, length, out, &mut short)), Err(CKR_BUFFER_TOO_SMALL));
        assert_eq!(c!(p11, C_Sign(session, data, length, out, &mut short)), Ok(()), "{}", world.log());
        // Another active operation of the session continues.
        digest().unwrap();
        sign().unwrap();
        assert_eq!(c!(p11, C_Digest(session, bad, 5, out, room())), Err(CKR_ARGUMENTS_BAD));
        assert_eq!(c!(p11, C_Sign(session, data, length, out, room())), Ok(()));
    }
}

module_test! {
    fn a_read_only_session_changes_no_object_of_the_token(world) {
        world.emulator.aws().create_key(AwsKey::new("ECC_NIST_P256").alias("alias/old")).unwrap();
        world.emulator.vault("default").create_key("old", VaultKey::ec("P-256")).unwrap();
        let allow = json!(["generate", "destroy", "certificates"]);
        world.configure(json!([
            { "label": "a", "kms_key_id": "alias/old", "allow": allow, "confirm_destroy": "a" },
            { "label": "z", "key_name": "old", "allow": allow, "confirm_destroy": "z" },
            { "label": "b", "kms_key_id": "alias/old" },
            { "label": "y", "key_name": "old" },
        ]));
        let p11 = world.module();
        p11.load_all();
        let before = world.requests();
        for slot in p11.slots() {
            let session = p11.open(slot);
            let set = |object, template: &[(CK_ATTRIBUTE_TYPE, Vec<u8>)]| {
                let (mut template, count) = (attributes(template), template.len() as CK_ULONG);
                c!(p11, C_SetAttributeValue(session, object, template.as_mut_ptr(), count))
            };
            for object in p11.find(session, &[]) {
                let label = p11.attribute(session, object, CKA_LABEL).unwrap();
                assert_eq!(set(object, &[(CKA_LABEL, label)]), Err(CKR_SESSION_READ_ONLY), "refused even if the value is unchanged");
                assert_eq!(set(object, &[(CKA_LABEL, b"new".to_vec())]), Err(CKR_SESSION_READ_ONLY));
                assert_eq!(set(object, &[]), Err(CKR_SESSION_READ_ONLY));
                assert_eq!(c!(p11, C_DestroyObject(session, object)), Err(CKR_SESSION_READ_ONLY));
            }
            for class in [CKO_SECRET_KEY, CKO_PUBLIC_KEY, CKO_CERTIFICATE, CKO_PRIVATE_KEY, CKO_DATA] {
                let template = [number(CKA_CLASS, class), (CKA_TOKEN, vec![CK_TRUE]), (CKA_VALUE, vec![7; 16])];
                assert_eq!(p11.create(session, &template), Err(CKR_SESSION_READ_ONLY), "class {class}");
            }
            assert_eq!(set(4711, &[(CKA_LABEL, b"new".to_vec())]), Err(CKR_OBJECT_HANDLE_INVALID));
            let own = p11.create(session, &aes(&[])).unwrap();
            assert_eq!(c!(p11, C_DestroyObject(session, own)), Ok(()), "an object of the session can be destroyed");
        }
        // A session key pair is refused whatever the kind of the session, because the services have no session keys.
        for slot in [0, 1] {
            let session = p11.open(slot);
            for (kept, rv) in [(CK_TRUE, CKR_SESSION_READ_ONLY), (CK_FALSE, CKR_TEMPLATE_INCONSISTENT)] {
                let mut mechanism = plain(CKM_EC_KEY_PAIR_GEN);
                let (curve, token) = ([p256()], [(CKA_TOKEN, vec![kept])]);
                let (mut public, mut private) = (attributes(&curve), attributes(&token));
                let (mut one, mut two) = (0, 0);
                let (public, private) = (public.as_mut_ptr(), private.as_mut_ptr());
                let made = c!(p11, C_GenerateKeyPair(session, &mut mechanism, public, 1, private, 1, &mut one, &mut two));
                assert_eq!(made, Err(rv));
            }
        }
        assert_eq!(world.requests(), before);
    }
}

module_test! {
    /// Sections 5.14.2 and 5.17.2: a series of messages ends only with its Final function.
    fn a_message_with_bad_arguments_leaves_the_operation_active(world) {
        let p11 = rsa(world);
        let session = p11.open(1);
        let (data, length) = pointer_and_length(&[7; 32]);
        let mut buffer = [0u8; 256];
        let (out, nothing, mut room) = (buffer.as_mut_ptr(), null_mut(), 256);
        c!(p11, C_MessageSignInit(session, &mut plain(CKM_SHA256_RSA_PKCS), p11.private_key(session))).unwrap();
        assert_eq!(c!(p11, C_SignMessage(session, nothing, 0, null_mut(), 5, out, &mut room)), Err(CKR_ARGUMENTS_BAD));
        assert_eq!(c!(p11, C_SignMessage(session, nothing, 5, data, length, out, &mut room)), Err(CKR_ARGUMENTS_BAD));
        assert_eq!(c!(p11, C_SignMessage(session, nothing, 0, data, length, out, null_mut())), Err(CKR_ARGUMENTS_BAD));
        assert_eq!(c!(p11, C_SignMessage(session, nothing, 0, data, length, out, &mut room)), Ok(()));
        assert_eq!(c!(p11, C_MessageSignFinal(session)), Ok(()));
        c!(p11, C_MessageVerifyInit(session, &mut plain(CKM_SHA256_RSA_PKCS), p11.only(session, CKO_PUBLIC_KEY))).unwrap();
        assert_eq!(c!(p11, C_VerifyMessage(session, nothing, 0, data, length, null_mut(), 256)), Err(CKR_ARGUMENTS_BAD));
        assert_eq!(c!(p11, C_VerifyMessage(session, nothing, 0, data, length, out, 256)), Ok(()));
        assert_eq!(c!(p11, C_MessageVerifyFinal(session)), Ok(()));
    }
}
