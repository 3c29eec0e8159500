//! The order of checks: every function that begins an operation with a key, with every mechanism and every kind of
//! object.
//!
//! docs/conformance.md defines the order. A mechanism that the token does not list leads to CKR_MECHANISM_INVALID,
//! whatever the key is.

use crate::support::p11::{P11, attributes, number, plain, pointer_and_length};
use crate::{c, module_test};
use cloud_kms_emulator::{AwsKey, VaultCertificate, VaultKey};
use cryptoki_sys::*;
use serde_json::json;
use std::ptr::null_mut;

/// A function: its flag in CK_MECHANISM_INFO, the class of the key that it takes, and how it is called.
struct Function {
    name: &'static str,
    flag: CK_FLAGS,
    half: CK_OBJECT_CLASS,
    call: fn(P11, CK_SESSION_HANDLE, &mut CK_MECHANISM, CK_OBJECT_HANDLE) -> Result<(), CK_RV>,
}

const FUNCTIONS: [Function; 10] = [
    Function {
        name: "C_SignInit",
        flag: CKF_SIGN,
        half: CKO_PRIVATE_KEY,
        call: |p11, session, mechanism, key| c!(p11, C_SignInit(session, mechanism, key)),
    },
    Function {
        name: "C_MessageSignInit",
        flag: CKF_SIGN,
        half: CKO_PRIVATE_KEY,
        call: |p11, session, mechanism, key| c!(p11, C_MessageSignInit(session, mechanism, key)),
    },
    Function {
        name: "C_VerifyInit",
        flag: CKF_VERIFY,
        half: CKO_PUBLIC_KEY,
        call: |p11, session, mechanism, key| c!(p11, C_VerifyInit(session, mechanism, key)),
    },
    Function {
        name: "C_MessageVerifyInit",
        flag: CKF_VERIFY,
        half: CKO_PUBLIC_KEY,
        call: |p11, session, mechanism, key| c!(p11, C_MessageVerifyInit(session, mechanism, key)),
    },
    Function {
        name: "C_VerifySignatureInit",
        flag: CKF_VERIFY,
        half: CKO_PUBLIC_KEY,
        call: |p11, session, mechanism, key| {
            let (signature, length) = pointer_and_length(&[1; 64]);
            c!(p11, C_VerifySignatureInit(session, mechanism, key, signature, length))
        },
    },
    Function {
        name: "C_EncryptInit",
        flag: CKF_ENCRYPT,
        half: CKO_PUBLIC_KEY,
        call: |p11, session, mechanism, key| c!(p11, C_EncryptInit(session, mechanism, key)),
    },
    Function {
        name: "C_DecryptInit",
        flag: CKF_DECRYPT,
        half: CKO_PRIVATE_KEY,
        call: |p11, session, mechanism, key| c!(p11, C_DecryptInit(session, mechanism, key)),
    },
    Function {
        name: "C_WrapKey",
        flag: CKF_WRAP,
        half: CKO_PUBLIC_KEY,
        call: |p11, session, mechanism, key| {
            let (mut wrapped, mut length) = ([0; 512], 512);
            c!(p11, C_WrapKey(session, mechanism, key, 4711, wrapped.as_mut_ptr(), &mut length))
        },
    },
    Function {
        name: "C_UnwrapKey",
        flag: CKF_UNWRAP,
        half: CKO_PRIVATE_KEY,
        call: |p11, session, mechanism, key| {
            let mut template = attributes(&[]);
            let ((wrapped, length), mut made) = (pointer_and_length(&[1; 255]), 0);
            c!(p11, C_UnwrapKey(session, mechanism, key, wrapped, length, template.as_mut_ptr(), 0, &mut made))
        },
    },
    Function {
        name: "C_DeriveKey",
        flag: CKF_DERIVE,
        half: CKO_PRIVATE_KEY,
        call: |p11, session, mechanism, key| {
            let (mut template, mut made) = (attributes(&[]), 0);
            c!(p11, C_DeriveKey(session, mechanism, key, template.as_mut_ptr(), 0, &mut made))
        },
    },
];

/// Mechanisms that no key operation of these tokens supports. They are tried in addition to the mechanisms that
/// the two tokens list.
const FOREIGN: [CK_MECHANISM_TYPE; 7] =
    [CKM_AES_ECB, CKM_AES_KEY_WRAP, CKM_DES3_CBC, CKM_SHA_1_HMAC, CKM_SHA256, CKM_RSA_X_509, CKM_VENDOR_DEFINED + 1];

/// Returns the CKA_KEY_TYPE that a mechanism is for, by its name in the standard (section 6).
fn key_type_of(ckm: CK_MECHANISM_TYPE) -> CK_KEY_TYPE {
    match ckm {
        CKM_ECDSA | CKM_ECDSA_SHA1..=CKM_ECDSA_SHA3_512 | CKM_ECDH1_DERIVE => CKK_EC,
        CKM_EDDSA => CKK_EC_EDWARDS,
        CKM_ML_DSA | CKM_HASH_ML_DSA..=CKM_HASH_ML_DSA_SHAKE256 => CKK_ML_DSA,
        CKM_SLH_DSA | CKM_HASH_SLH_DSA..=CKM_HASH_SLH_DSA_SHAKE256 => CKK_SLH_DSA,
        CKM_SHA_1_HMAC | CKM_SHA224_HMAC | CKM_SHA256_HMAC | CKM_SHA384_HMAC | CKM_SHA512_HMAC => CKK_GENERIC_SECRET,
        CKM_RSA_PKCS
        | CKM_RSA_PKCS_PSS
        | CKM_RSA_PKCS_OAEP
        | CKM_SHA1_RSA_PKCS
        | CKM_SHA224_RSA_PKCS
        | CKM_SHA256_RSA_PKCS..=CKM_SHA512_RSA_PKCS_PSS
        | CKM_SHA3_256_RSA_PKCS..=CKM_SHA3_224_RSA_PKCS => CKK_RSA,
        other => panic!("add mechanism 0x{other:x} to key_type_of"),
    }
}

/// Returns the code that the order requires, or None if the key, the service and the parameters decide.
fn expected(
    p11: P11,
    session: CK_SESSION_HANDLE,
    listed: bool,
    function: &Function,
    ckm: CK_MECHANISM_TYPE,
    object: CK_OBJECT_HANDLE,
) -> Option<CK_RV> {
    let (handle_invalid, type_inconsistent) = match function.flag {
        CKF_UNWRAP => (CKR_UNWRAPPING_KEY_HANDLE_INVALID, CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT),
        CKF_WRAP => (CKR_WRAPPING_KEY_HANDLE_INVALID, CKR_WRAPPING_KEY_TYPE_INCONSISTENT),
        _ => (CKR_KEY_HANDLE_INVALID, CKR_KEY_TYPE_INCONSISTENT),
    };
    if !listed {
        return Some(CKR_MECHANISM_INVALID);
    }
    let class = p11.number(session, object, CKA_CLASS);
    if !matches!(class, Ok(CKO_PRIVATE_KEY | CKO_PUBLIC_KEY | CKO_SECRET_KEY)) {
        return Some(handle_invalid);
    }
    if p11.number(session, object, CKA_KEY_TYPE) != Ok(key_type_of(ckm)) {
        return Some(type_inconsistent);
    }
    let is_secret = class == Ok(CKO_SECRET_KEY);
    (!is_secret && class != Ok(function.half)).then_some(CKR_KEY_FUNCTION_NOT_PERMITTED)
}

module_test! {
    fn all_functions_check_in_the_same_order(world) {
        let aws = world.emulator.aws();
        let make = |spec: &str, usage: Option<&str>, alias: &str| {
            let key = AwsKey::new(spec).alias(alias);
            aws.create_key(match usage { Some(usage) => key.usage(usage), None => key }).unwrap();
        };
        make("RSA_2048", None, "alias/r");
        make("RSA_2048", Some("ENCRYPT_DECRYPT"), "alias/d");
        make("ECC_NIST_P256", None, "alias/e");
        make("ECC_NIST_P256", Some("KEY_AGREEMENT"), "alias/k");
        make("HMAC_256", None, "alias/h");
        make("ECC_NIST_EDWARDS25519", None, "alias/f");
        let vault = world.emulator.vault("default");
        vault.create_certificate("c", VaultCertificate::new(VaultKey::rsa(2048))).unwrap();
        vault.create_key("e", VaultKey::ec("P-256")).unwrap();
        let ids = ["r", "d", "e", "k", "h", "f"].map(|name| json!({ "kms_key_id": format!("alias/{name}") }));
        world.configure(json!([
            { "label": "aws", "keys": ids },
            { "label": "azure", "keys": [{ "key_name": "c" }, { "key_name": "e" }] },
        ]));
        let p11 = world.module();
        let list = |slot| {
            let (mut all, mut count) = ([0; 200], 200);
            c!(p11, C_GetMechanismList(slot, all.as_mut_ptr(), &mut count)).unwrap();
            all[..count as usize].to_vec()
        };
        let mut mechanisms = [list(0), list(1), FOREIGN.to_vec()].concat();
        mechanisms.sort_unstable();
        mechanisms.dedup();
        let (mut checked, mut undecided) = (0, 0);
        for slot in 0..2 {
            let session = p11.open(slot);
            let mut objects = p11.find(session, &[]);
            let secret = |key_type| [number(CKA_CLASS, CKO_SECRET_KEY), number(CKA_KEY_TYPE, key_type), (CKA_VALUE, vec![7; 32])];
            objects.push(p11.create(session, &secret(CKK_GENERIC_SECRET)).unwrap());
            objects.push(p11.create(session, &secret(CKK_AES)).unwrap());
            let rsa = objects.iter().copied().find(|object| {
                (p11.number(session, *object, CKA_CLASS), p11.number(session, *object, CKA_KEY_TYPE)) == (Ok(CKO_PUBLIC_KEY), Ok(CKK_RSA))
            }).unwrap();
            let part = |kind| (kind, p11.attribute(session, rsa, kind).unwrap());
            objects.push(p11.create(session, &[number(CKA_CLASS, CKO_PUBLIC_KEY), number(CKA_KEY_TYPE, CKK_RSA), part(CKA_MODULUS), part(CKA_PUBLIC_EXPONENT)]).unwrap());
            objects.extend([4711, 0]);
            let before = world.requests();
            let mut allowed = 0;
            for (function, ckm, object) in FUNCTIONS.iter().flat_map(|function| {
                let objects = &objects;
                mechanisms.iter().flat_map(move |ckm| objects.iter().map(move |object| (function, *ckm, *object)))
            }) {
                let mut info: CK_MECHANISM_INFO = unsafe { std::mem::zeroed() };
                let listed = c!(p11, C_GetMechanismInfo(slot, ckm, &mut info)).is_ok() && info.flags & function.flag != 0;
                let answer = (function.call)(p11, session, &mut plain(ckm), object);
                c!(p11, C_SessionCancel(session, !0)).unwrap();
                let text = format!("{} mechanism 0x{ckm:x} object {object} of slot {slot}", function.name);
                match expected(p11, session, listed, function, ckm, object) {
                    Some(rv) => assert_eq!(answer, Err(rv), "{text}"),
                    None => {
                        undecided += 1;
                        allowed += usize::from(answer.is_ok());
                        // The second handle of C_WrapKey, the key to be wrapped, refers to no object.
                        let other = function.flag == CKF_WRAP && answer == Err(CKR_KEY_HANDLE_INVALID);
                        let late = [
                            CKR_KEY_HANDLE_INVALID,
                            CKR_KEY_TYPE_INCONSISTENT,
                            CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT,
                            CKR_WRAPPING_KEY_TYPE_INCONSISTENT,
                            CKR_GENERAL_ERROR,
                        ];
                        assert!(other || answer.is_ok() || !late.contains(&answer.unwrap_err()), "{text}: {answer:x?}");
                    }
                }
                checked += 1;
            }
            assert!(allowed > 50, "only {allowed} begin in slot {slot}");
            assert_eq!(world.requests(), before, "neither refused nor started operations make a request");
        }
        assert!(checked > 10_000 && undecided > 400, "{checked}, {undecided}");
    }
}

module_test! {
    fn an_aes_key_of_a_session_is_refused_by_its_mechanism(world) {
        // pkcs11-tool --test of OpenSC 0.26 continues only after CKR_MECHANISM_INVALID.
        world.emulator.aws().create_key(AwsKey::new("RSA_2048").alias("alias/r")).unwrap();
        world.configure(json!([{ "label": "r", "kms_key_id": "alias/r" }]));
        let p11 = world.module();
        let session = p11.open(0);
        let key = p11.create(session, &[number(CKA_CLASS, CKO_SECRET_KEY), number(CKA_KEY_TYPE, CKK_AES), (CKA_VALUE, vec![7; 16])]).unwrap();
        assert_eq!(c!(p11, C_EncryptInit(session, &mut plain(CKM_AES_ECB), key)), Err(CKR_MECHANISM_INVALID));
        assert_eq!(c!(p11, C_EncryptInit(session, null_mut(), key)), Ok(()), "a null mechanism without an active operation succeeds");
    }
}
