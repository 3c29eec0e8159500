//! The keys of a key ring, which are discovered.

use super::{DATA, P256, configure, key, names, sign, verifies};
use crate::module_test;
use crate::support::p11::number as numbered;
use cloud_kms_emulator::{Action, Fault, GoogleKey};
use cryptoki_sys::*;
use serde_json::{Value, json};

/// A slot with the keys of the emulator's key ring.
fn ring(more: Value) -> Value {
    let mut slot = json!({ "label": "ring", "discover": true, "google_key_ring": GoogleKey::KEY_RING });
    slot.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    slot
}

module_test! {
    fn each_enabled_version_is_a_key(world) {
        let google = world.emulator.google();
        let many = google.create_key("many", GoogleKey::new(P256).versions(11)).unwrap().name;
        let version = |number: u32| format!("{many}/cryptoKeyVersions/{number}");
        (3..=9).for_each(|number| google.disable(&version(number)).unwrap());
        google.destroy(&version(1)).unwrap();
        let labeled = google.create_key("labeled", GoogleKey::new("RSA_SIGN_PSS_2048_SHA256").label("pkcs11-label", "mine")).unwrap().version;
        let mac = key(world, "mac", "HMAC_SHA256");
        key(world, "symmetric", "GOOGLE_SYMMETRIC_ENCRYPTION");
        google.create_key("elsewhere", GoogleKey::new(P256).key_ring("projects/p/locations/l/keyRings/other")).unwrap();
        configure(world, json!([ring(json!({})), ring(json!({ "google_versions": "newest" }))]), json!({}));
        let p11 = world.module();
        let row = |label: &str, id: String| (label.to_owned(), id);
        let session = p11.open(0);
        let all = [row("many", version(10)), row("many", version(11)), row("many", version(2)), row("mine", labeled.clone())];
        assert_eq!(names(p11, session), all, "{}", world.log());
        let secret = p11.only(session, CKO_SECRET_KEY);
        assert_eq!(p11.attribute(session, secret, CKA_ID).unwrap(), mac.as_bytes());
        for number in [2, 10, 11] {
            let found = p11.find(session, &[numbered(CKA_CLASS, CKO_PRIVATE_KEY), (CKA_ID, version(number).into_bytes())]);
            let signature = p11.sign(session, found[0], CKM_ECDSA_SHA256, &[], DATA).unwrap();
            assert!(verifies(world, &version(number), &signature) && !verifies(world, &version(13 - number.max(3)), &signature));
        }
        assert_eq!(names(p11, p11.open(1)), [row("many", version(11)), row("mine", labeled)]);
    }
}

module_test! {
    fn a_key_that_fails_hides_no_other(world) {
        let own = key(world, "own", P256);
        for id in ["denied", "unreadable", "secret"] {
            key(world, id, P256);
        }
        let faults = [
            ("google.ListCryptoKeyVersions", "denied", Action::Deny, "cloudkms.cryptoKeyVersions.list"),
            ("google.GetPublicKey", "unreadable", Action::GarbageBody, "unexpected reply from the service"),
            ("google.GetPublicKey", "secret", Action::Deny, "cloudkms.cryptoKeyVersions.viewPublicKey"),
        ];
        for (operation, id, action, _) in &faults {
            world.emulator.control().fault(Fault::new(operation, action.clone()).key(id));
        }
        configure(world, json!([ring(json!({}))]), json!({ "retries": 0 }));
        let p11 = world.module();
        assert_eq!(names(p11, p11.open(0)), [("own".to_owned(), own.clone())], "{}", world.log());
        assert!(verifies(world, &own, &sign(p11, 0).unwrap()));
        for (_, id, _, words) in faults {
            let is_told = |line: &str| line.contains(&format!("cryptoKeys/{id}")) && line.contains(words);
            assert!(world.log().lines().any(is_told), "{id}: {}", world.log());
        }
    }
}

module_test! {
    fn a_key_ring_that_is_denied_or_missing_is_told(world) {
        let version = key(world, "k", P256);
        let other = GoogleKey::KEY_RING.replace("/keyRings/", "/keyRings/none-");
        configure(world, json!([ring(json!({})), ring(json!({ "google_key_ring": other })), { "google_key": version }]), json!({}));
        world.emulator.control().fault(Fault::new("google.ListCryptoKeys", Action::Deny).key(GoogleKey::KEY_RING));
        let p11 = world.module();
        for (slot, words) in [(0, "cloudkms.cryptoKeys.list"), (1, "not found")] {
            let before = world.log().len();
            assert!(p11.find_class(p11.open(slot), CKO_PRIVATE_KEY).is_empty());
            assert!(world.log()[before..].contains(words), "{words}: {}", &world.log()[before..]);
        }
        assert!(verifies(world, &version, &sign(p11, 2).unwrap()), "the other slot works");
    }
}
