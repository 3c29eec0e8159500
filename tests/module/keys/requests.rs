//! The number of requests of a call, and how many of them run at the same time.

use super::certificates::certificate_for;
use crate::module_test;
use crate::support::p11::pss;
use cloud_kms_emulator::{Action, AwsKey, Fault, VaultCertificate, VaultKey};
use cryptoki_sys::*;
use serde_json::{Value, json};
use std::ptr::null_mut;

module_test! {
    fn a_signature_costs_one_request(world) {
        world.emulator.aws().create_key(AwsKey::new("ECC_NIST_P256").alias("alias/a")).unwrap();
        world.emulator.vault("default").create_key("z", VaultKey::rsa(2048)).unwrap();
        world.configure(json!([{ "label": "a", "kms_key_id": "alias/a" }, { "label": "z", "key_name": "z" }]));
        let p11 = world.module();
        assert_eq!(p11.slots(), [0, 1]);
        assert_eq!((p11.token_label(0), p11.token_label(1)), ("a".into(), "z".into()));
        assert_eq!(world.requests(), 0, "C_Initialize, C_GetSlotList and C_GetTokenInfo");
        for (slot, ckm) in [(0, CKM_ECDSA_SHA256), (1, CKM_SHA256_RSA_PKCS)] {
            world.emulator.control().reset();
            let session = p11.open(slot);
            assert_eq!(world.requests(), 0, "C_OpenSession makes no request");
            let key = p11.private_key(session);
            assert_eq!(world.requests(), 1, "one request for the public key");
            p11.sign(session, key, ckm, &[], b"one").unwrap();
            assert_eq!(world.requests(), 2, "the first signature: {:?}", world.emulator.control().counts());
            for further in 3..6 {
                p11.sign_init(session, key, ckm, &[]).unwrap();
                let mut length = 0;
                let mut data = *b"more";
                crate::c!(p11, C_Sign(session, data.as_mut_ptr(), 4, null_mut(), &mut length)).unwrap();
                let mut small = [0u8; 5];
                length = 5;
                let short = crate::c!(p11, C_Sign(session, data.as_mut_ptr(), 4, small.as_mut_ptr(), &mut length));
                assert_eq!(short, Err(CKR_BUFFER_TOO_SMALL));
                assert_eq!(world.requests(), further - 1, "a size query and a short buffer make no request");
                let mut signature = vec![0u8; length as usize];
                crate::c!(p11, C_Sign(session, data.as_mut_ptr(), 4, signature.as_mut_ptr(), &mut length)).unwrap();
                assert_eq!(world.requests(), further, "one more signature");
            }
        }
        p11.finalize().unwrap();
    }
}

module_test! {
    fn a_certificate_at_hand_saves_the_request_for_the_public_key(world) {
        let vault = world.emulator.vault("default");
        vault.create_certificate("c", VaultCertificate::new(VaultKey::rsa(2048))).unwrap();
        let der = vault.certificate_der("c", "").unwrap();
        world.configure(json!([{ "label": "c", "key_name": "c", "certificate": base64(&der) }]));
        let p11 = world.module();
        let session = p11.open(0);
        let key = p11.private_key(session);
        assert_eq!(world.requests(), 0, "the public key comes from the certificate");
        p11.sign(session, key, CKM_SHA256_RSA_PKCS_PSS, &pss(32), b"data").unwrap();
        assert_eq!(world.requests(), 1, "{:?}", world.emulator.control().counts());
        assert_eq!(p11.find_class(session, CKO_CERTIFICATE).len(), 1);
        assert_eq!(world.requests(), 1, "certificates are shown from memory");
    }
}

module_test! {
    fn a_key_with_a_certificate_at_hand_decrypts_if_the_service_says_so(world) {
        let made = world.emulator.aws().create_key(AwsKey::new("RSA_2048").usage("ENCRYPT_DECRYPT").alias("alias/c")).unwrap();
        world.emulator.aws().create_key(AwsKey::new("RSA_2048").alias("alias/signs")).unwrap();
        let spki = world.emulator.aws().public_key_spki(&made.id).unwrap();
        let any = base64(&certificate_for(world, &spki, ""));
        let only = base64(&certificate_for(world, &spki, "keyUsage=critical,keyEncipherment"));
        let other = base64(&certificate_for(world, &world.emulator.aws().public_key_spki("alias/signs").unwrap(), ""));
        world.configure(json!([
            { "label": "any", "kms_key_id": "alias/c", "certificate": any },
            { "label": "only", "kms_key_id": "alias/c", "certificate": only },
            { "label": "signs", "kms_key_id": "alias/signs", "certificate": other },
        ]));
        let p11 = world.module();
        let begin = |slot| {
            let session = p11.open(slot);
            let key = p11.private_key(session);
            let mut parameter: [CK_ULONG; 5] = [CKM_SHA256, CKG_MGF1_SHA256, CKZ_DATA_SPECIFIED, 0, 0];
            let mut mechanism = CK_MECHANISM {
                mechanism: CKM_RSA_PKCS_OAEP,
                pParameter: parameter.as_mut_ptr().cast(),
                ulParameterLen: size_of_val(&parameter) as CK_ULONG,
            };
            let decrypts = p11.attribute(session, key, CKA_DECRYPT).unwrap();
            let begun = unsafe { (*p11.list()).C_DecryptInit.unwrap()(session, &mut mechanism, key) };
            (decrypts, begun, p11.sign(session, key, CKM_SHA256_RSA_PKCS, &[], b"data").map(drop))
        };
        // A certificate without KeyUsage does not say what the key is for, so the service is asked once.
        assert_eq!(begin(0), (vec![CK_TRUE], CKR_OK, Err(CKR_KEY_FUNCTION_NOT_PERMITTED)));
        assert_eq!(begin(1), (vec![CK_TRUE], CKR_OK, Err(CKR_KEY_FUNCTION_NOT_PERMITTED)));
        assert_eq!(begin(2), (vec![CK_FALSE], CKR_KEY_FUNCTION_NOT_PERMITTED, Ok(())));
        assert!(world.log().contains("its KeyUsage is SIGN_VERIFY; a key of AWS KMS can sign or decrypt, but not both"));
        assert_eq!(world.count("kms.GetPublicKey"), 3, "one request for each slot");
    }
}

module_test! {
    fn an_empty_configuration_has_no_slots_and_makes_no_request(world) {
        std::fs::write(world.home.join("config.json"), r#"{ "slots": [] }"#).unwrap();
        let p11 = world.module();
        assert!(p11.slots().is_empty());
        assert_eq!(world.requests(), 0);
    }
}

module_test! {
    fn vendor_classes_are_answered_from_memory(world) {
        world.emulator.aws().create_key(AwsKey::new("ECC_NIST_P256").alias("alias/a")).unwrap();
        world.configure(json!([{ "label": "a", "kms_key_id": "alias/a" }]));
        let p11 = world.module();
        let session = p11.open(0);
        assert!(p11.find_class(session, 0xCE53_4353).is_empty());
        assert!(p11.find_class(session, CKO_CERTIFICATE).is_empty(), "KMS keeps no certificates");
        assert!(p11.find(session, &[(CKA_ID, b"another".to_vec())]).is_empty(), "no key of that id is configured");
        assert_eq!(world.requests(), 0);
        assert!(!world.log().contains("error"), "{}", world.log());
    }
}

/// Finds all objects of all tokens, as a program that lists them does.
fn list_all(p11: &crate::support::p11::P11) -> usize {
    p11.slots().iter().map(|slot| p11.find(p11.open(*slot), &[]).len()).sum()
}

module_test! {
    fn fifty_slots_are_listed_in_a_few_round_trips(world) {
        let alias = |number: u32| format!("alias/k{number:02}");
        for number in 0..50 {
            let key = AwsKey::new("ECC_NIST_P256").alias(&alias(number)).reuse();
            world.emulator.aws().create_key(key).unwrap();
        }
        let slots: Vec<Value> = (0..50).map(|n| json!({ "label": format!("k{n}"), "kms_key_id": alias(n) })).collect();
        world.configure(Value::from(slots));
        // The reply for key 1 is held back until 6 requests have arrived, the reply for key 6 until 23, and so on.
        // A module that asks for one slot after another gets no reply in time.
        for (number, requests) in [(1, 6), (6, 23), (23, 50)] {
            let together = Fault::new("kms.GetPublicKey", Action::Await { requests }).key(&alias(number));
            world.emulator.control().fault(together);
        }
        world.emulator.control().fault(Fault::new("kms.GetPublicKey", Action::Deny).key(&alias(7)));
        let p11 = world.module();
        assert_eq!(list_all(&p11), 49 * 2 + 50 * 4, "keys and profiles of each token; the denied key hides no other");
        assert_eq!(world.count("kms.GetPublicKey"), 50);
        assert!(world.log().contains("alias/k07") && world.log().contains("request id"), "{}", world.log());
    }
}

module_test! {
    fn one_token_with_fifty_keys_is_listed_at_once(world) {
        let vault = world.emulator.vault("default");
        for number in 0..50 {
            vault.create_key(&format!("k{number}"), VaultKey { reuse: true, ..VaultKey::ec("P-256") }).unwrap();
        }
        let keys: Vec<Value> = (0..50).map(|n| json!({ "key_name": format!("k{n}") })).collect();
        world.configure(json!([{ "label": "many", "keys": keys }]));
        vault.delete_key("k3").unwrap();
        world.emulator.control().fault(Fault::new("vault.keys.get", Action::GarbageBody).key("k9"));
        let p11 = world.module();
        let session = p11.open(0);
        assert_eq!(p11.find_class(session, CKO_PRIVATE_KEY).len(), 48, "{}", world.log());
        assert!(world.log().contains("KeyNotFound"), "{}", world.log());
        assert_eq!(p11.find(session, &[(CKA_LABEL, b"k20".to_vec()), (CKA_CLASS, CKO_PUBLIC_KEY.to_ne_bytes().to_vec())]).len(), 1);
    }
}

module_test! {
    fn a_search_by_label_loads_only_that_key(world) {
        for number in 0..20 {
            let key = AwsKey::new("ECC_NIST_P256").alias(&format!("alias/k{number}")).reuse();
            world.emulator.aws().create_key(key).unwrap();
        }
        let keys: Vec<Value> = (0..20).map(|n| json!({ "kms_key_id": format!("alias/k{n}"), "label": format!("k{n}") })).collect();
        world.configure(json!([{ "label": "many", "keys": keys }]));
        let p11 = world.module();
        let session = p11.open(0);
        assert_eq!(p11.find(session, &[(CKA_LABEL, b"k11".to_vec())]).len(), 2);
        assert_eq!(world.requests(), 1);
    }
}

module_test! {
    fn discovery_shows_every_usable_key_as_one_token(world) {
        let aws = world.emulator.aws();
        for spec in ["RSA_2048", "ECC_NIST_P384", "SYMMETRIC_DEFAULT", "HMAC_256", "ECC_NIST_EDWARDS25519", "ML_DSA_44"] {
            aws.create_key(AwsKey::new(spec)).unwrap();
        }
        aws.create_key(AwsKey::new("RSA_2048").usage("ENCRYPT_DECRYPT")).unwrap();
        let vault = world.emulator.vault("default");
        for number in 0..30 {
            vault.create_key(&format!("k{number}"), VaultKey { reuse: true, ..VaultKey::ec("P-256") }).unwrap();
        }
        world.emulator.control().switches(|switches| switches.vault_empty_page = true);
        world.configure(json!([
            { "label": "a", "cloud": "aws", "discover": true }, { "label": "z", "cloud": "azure", "discover": true },
            { "label": "all", "cloud": "aws", "discover": true, "hide_keys": [] },
        ]));
        let p11 = world.module();
        assert_eq!(world.requests(), 0);
        let session = p11.open(0);
        assert_eq!(p11.find_class(session, CKO_PRIVATE_KEY).len(), 3, "two sign, one decrypts: {}", world.log());
        assert_eq!(p11.find_class(session, CKO_SECRET_KEY).len(), 1, "that for HMAC: {}", world.log());
        assert!(world.log().contains("left out: Ed25519 is among the slot's \"hide_keys\""), "{}", world.log());
        assert_eq!(p11.find_class(p11.open(2), CKO_PRIVATE_KEY).len(), 5, "all: {}", world.log());
        assert_eq!(p11.find_class(p11.open(1), CKO_PRIVATE_KEY).len(), 30, "{}", world.log());
        assert!(!world.log().contains("] error: "), "keys that are left out are no errors: {}", world.log());
    }
}

module_test! {
    fn a_key_that_its_listing_calls_disabled_costs_no_request_and_no_error(world) {
        let vault = world.emulator.vault("default");
        for (name, enabled) in [("one", true), ("two", false), ("three", true)] {
            vault.create_key(name, VaultKey { enabled, reuse: true, ..VaultKey::ec("P-256") }).unwrap();
        }
        world.configure(json!([{ "label": "z", "cloud": "azure", "discover": true }]));
        let p11 = world.module();
        let session = p11.open(0);
        for _ in 0..3 {
            assert_eq!(p11.find_class(session, CKO_PRIVATE_KEY).len(), 2, "{}", world.log());
            assert!(p11.find(session, &[(CKA_LABEL, b"two".to_vec())]).is_empty());
        }
        p11.find(session, &[]);
        assert_eq!((world.count("vault.keys.list"), world.count("vault.keys.get")), (1, 2));
        assert_eq!(world.count("vault.certificates.get"), 2, "its certificate is not requested either");
        let log = world.log();
        assert!(!log.contains("] error: "), "{log}");
        assert!(log.contains("info: slot 0, token \"z\", key \"two\"") && log.contains("left out: list: the key is disabled"), "{log}");
    }
}

module_test! {
    fn trust_anchors_are_read_once_for_both_clouds(world) {
        world.emulator.aws().create_key(AwsKey::new("ECC_NIST_P256").alias("alias/a")).unwrap();
        world.emulator.vault("default").create_key("z", VaultKey::ec("P-256")).unwrap();
        let ca = std::fs::read(world.home.join("ca.pem")).unwrap();
        // A pipe delivers its content to the first reader. A second reader would wait forever.
        let once = |name: &str| {
            let (path, ca) = (world.home.join(name), ca.clone());
            let text = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
            assert_eq!(unsafe { libc::mkfifo(text.as_ptr(), 0o600) }, 0);
            let own = path.clone();
            std::thread::spawn(move || std::fs::write(own, ca).unwrap());
            path
        };
        // No other thread reads the environment yet.
        unsafe { std::env::set_var("SSL_CERT_FILE", once("system.pem")) };
        let more = json!({ "aws_endpoint_url": world.emulator.https_url(), "ca_bundle": once("bundle.pem"), "call_timeout_ms": 20_000 });
        world.configure_with(json!([{ "label": "a", "kms_key_id": "alias/a" }, { "label": "z", "key_name": "z" }]), more);
        let p11 = world.module();
        for slot in [0, 1] {
            let session = p11.open(slot);
            p11.sign(session, p11.private_key(session), CKM_ECDSA_SHA256, &[], b"data").unwrap();
        }
    }
}

pub fn base64(bytes: &[u8]) -> String {
    use base64ct::Encoding;
    base64ct::Base64::encode_string(bytes)
}
