//! Keys of a key ring that a program creates, labels and destroys.

use super::{P256, configure, names, verifies};
use crate::module_test;
use crate::support::world::World;
use crate::support::writer::{Writer, flag, label, number, p256};
use cloud_kms_emulator::{Action, Fault, GoogleKey};
use cryptoki_sys::*;
use serde_json::{Value, json};

fn writer(world: &World, allow: Value, more: Value) -> Writer {
    let slot = json!({
        "label": "ring", "discover": true, "google_key_ring": GoogleKey::KEY_RING, "allow": allow, "confirm_destroy": "ring",
    });
    configure(world, json!([slot]), more);
    Writer::new(world.module(), 0)
}

fn all() -> Value {
    json!(["generate", "destroy", "labels"])
}

fn version(id: &str) -> String {
    format!("{}/cryptoKeys/{id}/cryptoKeyVersions/1", GoogleKey::KEY_RING)
}

module_test! {
    fn a_generated_key_signs_is_labeled_and_destroyed(world) {
        super::key(world, "old", P256);
        let google = world.emulator.google();
        let own = writer(world, all(), json!({}));
        world.emulator.control().switches(|switches| switches.google_generation_ms = 200);
        let [public, private] = own.pair(CKM_EC_KEY_PAIR_GEN, &[p256()], &[label("new-key")]).unwrap_or_else(|rv| panic!("{rv:x}: {}", world.log()));
        for object in [public, private] {
            assert_eq!((own.value(object, CKA_LABEL), own.value(object, CKA_ID)), (b"new-key".to_vec(), version("new-key").into_bytes()));
        }
        let signature = own.p11.sign(own.session, private, CKM_ECDSA_SHA256, &[], super::DATA).unwrap();
        assert!(verifies(world, &version("new-key"), &signature));
        assert!(world.log().contains(&format!("\"google_key\": \"{}/cryptoKeys/new-key\"", GoogleKey::KEY_RING)), "{}", world.log());
        assert_eq!(google.labels("new-key").unwrap()["created-by"], "cloud-kms-pkcs11");

        own.set(private, &[label("renamed")]).unwrap_or_else(|rv| panic!("{rv:x}: {}", world.log()));
        assert_eq!((own.value(private, CKA_LABEL), own.value(public, CKA_LABEL)), (b"renamed".to_vec(), b"renamed".to_vec()));
        let labels = google.labels("new-key").unwrap();
        assert_eq!((labels["pkcs11-label"].as_str(), labels["created-by"].as_str()), ("renamed", "cloud-kms-pkcs11"));
        assert_eq!(own.set(private, &[label("Not Google's")]), Err(CKR_ATTRIBUTE_VALUE_INVALID));

        own.destroy(private).unwrap_or_else(|rv| panic!("{rv:x}: {}", world.log()));
        assert_eq!(google.version_state("new-key").unwrap(), "DESTROY_SCHEDULED");
        assert!(world.log().contains(&format!("gcloud kms keys versions restore {}", version("new-key"))), "{}", world.log());
        assert_eq!(names(own.p11, own.session), [("old".to_owned(), version("old"))]);
        assert_eq!(google.version_state("old").unwrap(), "ENABLED");

        own.p11.finalize().unwrap();
        google.enable("new-key").unwrap();
        let again = writer(world, json!([]), json!({}));
        assert_eq!(names(again.p11, again.session), [("old".to_owned(), version("old")), ("renamed".to_owned(), version("new-key"))]);
    }
}

module_test! {
    fn every_kind_of_key_can_be_generated(world) {
        super::key(world, "old", P256);
        let own = writer(world, json!(["generate"]), json!({ "google_protection_level": "software", "hide_keys": [] }));
        let edwards = (CKA_EC_PARAMS, vec![0x06, 0x03, 0x2b, 0x65, 0x70]);
        let [sign, decrypt] = [flag(CKA_SIGN, true), flag(CKA_DECRYPT, true)];
        for (id, ckm, attribute, usage, mechanism) in [
            ("rsa", CKM_RSA_PKCS_KEY_PAIR_GEN, number(CKA_MODULUS_BITS, 3072), &sign, CKM_SHA256_RSA_PKCS),
            ("oaep", CKM_RSA_PKCS_KEY_PAIR_GEN, number(CKA_MODULUS_BITS, 2048), &decrypt, CKM_RSA_PKCS_OAEP),
            ("ed", CKM_EC_EDWARDS_KEY_PAIR_GEN, edwards, &sign, CKM_EDDSA),
            ("ml", CKM_ML_DSA_KEY_PAIR_GEN, number(CKA_PARAMETER_SET, CKP_ML_DSA_65), &sign, CKM_HASH_ML_DSA_SHA512),
        ] {
            let [_, private] = own
                .pair(ckm, &[attribute, label(id)], std::slice::from_ref(usage))
                .unwrap_or_else(|rv| panic!("{id}: {rv:x}: {}", world.log()));
            assert!(own.p11.mechanisms(own.session, private).contains(&mechanism), "{id}");
            assert_eq!(own.value(private, CKA_ID), version(id).into_bytes());
        }
        let secret = own.secret(&[number(CKA_VALUE_LEN, 32), label("mac"), flag(CKA_SIGN, true)]).unwrap_or_else(|rv| panic!("{rv:x}: {}", world.log()));
        assert_eq!(own.p11.sign(own.session, secret, CKM_SHA256_HMAC, &[], b"data").unwrap().len(), 32);
    }
}

module_test! {
    fn what_is_not_allowed_or_not_possible_is_refused(world) {
        let old = super::key(world, "old", P256);
        let own = writer(world, json!([]), json!({}));
        let key = own.p11.private_key(own.session);
        assert_eq!(own.pair(CKM_EC_KEY_PAIR_GEN, &[p256()], &[label("k")]), Err(CKR_MECHANISM_INVALID));
        assert_eq!(own.set(key, &[label("x")]), Err(CKR_ACTION_PROHIBITED));
        assert_eq!(own.destroy(key), Err(CKR_ACTION_PROHIBITED));
        own.p11.finalize().unwrap();

        let own = writer(world, all(), json!({ "retries": 0 }));
        let key = own.p11.private_key(own.session);
        let before = world.log().len();
        for (template, rv) in [
            (vec![], CKR_TEMPLATE_INCOMPLETE),
            (vec![label("a.b")], CKR_ATTRIBUTE_VALUE_INVALID),
            (vec![label("k"), flag(CKA_DERIVE, true)], CKR_TEMPLATE_INCONSISTENT),
        ] {
            assert_eq!(own.pair(CKM_EC_KEY_PAIR_GEN, &[p256()], &template), Err(rv), "{template:?}: {}", &world.log()[before..]);
        }
        assert_eq!(world.count("google.CreateCryptoKey"), 0, "refused without a request");
        assert_eq!(own.pair(CKM_EC_KEY_PAIR_GEN, &[p256()], &[label("old")]), Err(CKR_FUNCTION_FAILED), "the id is taken");
        for (operation, permission) in [
            ("google.CreateCryptoKey", "cloudkms.cryptoKeys.create"),
            ("google.UpdateCryptoKey", "cloudkms.cryptoKeys.update"),
            ("google.DestroyCryptoKeyVersion", "cloudkms.cryptoKeyVersions.destroy"),
        ] {
            world.emulator.control().fault(Fault::new(operation, Action::Deny));
            let before = world.log().len();
            let outcome = match operation {
                "google.CreateCryptoKey" => own.pair(CKM_EC_KEY_PAIR_GEN, &[p256()], &[label("k")]).map(drop),
                "google.UpdateCryptoKey" => own.set(key, &[label("x")]),
                _ => own.destroy(key),
            };
            assert_eq!(outcome, Err(CKR_FUNCTION_REJECTED), "{operation}: {}", &world.log()[before..]);
            assert!(world.log()[before..].contains(permission), "{permission}: {}", &world.log()[before..]);
        }
        assert_eq!(names(own.p11, own.session), [("old".to_owned(), old)]);
    }
}
