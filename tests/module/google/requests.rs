//! The requests that a call makes, and processes that fork.

use super::{P256, configure, credentials, key, sign, verifies};
use crate::module_test;
use crate::support::login_slots::all_requests;
use crate::support::world::{World, holds_soon, in_child};
use cryptoki_sys::*;
use serde_json::json;
use std::time::{Duration, Instant};

/// Signs, and returns the names of the requests that this made.
fn requests_of(world: &World, work: impl FnOnce()) -> Vec<(String, u64)> {
    world.emulator.control().reset();
    work();
    let counts = world.emulator.control().counts();
    counts.into_iter().filter(|(name, _)| name.starts_with("google.") || name == "token").collect()
}

fn once(names: &[&str]) -> Vec<(String, u64)> {
    names.iter().map(|name| ((*name).to_owned(), 1)).collect()
}

module_test! {
    fn ten_thousand_keys_cost_no_request(world) {
        let version = key(world, "k", P256);
        let other = |number: usize| json!({ "google_key": version.replace("cryptoKeys/k/", &format!("cryptoKeys/k-{number}/")) });
        let mut slots: Vec<_> = (0..9_999).map(other).collect();
        slots.push(json!({ "google_key": version }));
        configure(world, json!(slots), json!({}));
        let begun = Instant::now();
        let p11 = world.module();
        assert_eq!(p11.slots().len(), 10_000);
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
        assert_eq!(all_requests(world), 0, "{:?}", world.emulator.control().counts());
        assert!(verifies(world, &version, &sign(p11, 9_999).unwrap()));
    }
}

module_test! {
    fn a_signature_costs_one_request(world) {
        let version = key(world, "k", P256);
        let slots = json!([{ "google_key": version }, { "google_key": version.split("/cryptoKeyVersions").next() }]);
        configure(world, slots, json!({ "cache": false }));
        let p11 = world.module();
        let signs = |slot: CK_SLOT_ID| {
            let signature = sign(p11, slot).unwrap_or_else(|rv| panic!("{rv:x}: {}", world.log()));
            assert!(verifies(world, &version, &signature));
        };
        // The service account signs its token itself.
        assert_eq!(requests_of(world, || signs(0)), once(&["google.AsymmetricSign", "google.GetPublicKey"]));
        assert_eq!(requests_of(world, || signs(0)), once(&["google.AsymmetricSign"]));
        let with_versions = ["google.AsymmetricSign", "google.GetPublicKey", "google.ListCryptoKeyVersions"];
        assert_eq!(requests_of(world, || signs(1)), once(&with_versions));
        assert_eq!(requests_of(world, || signs(1)), once(&["google.AsymmetricSign"]));
    }
}

module_test! {
    fn a_program_that_signs_once_costs_one_request_with_the_cache(world) {
        std::fs::create_dir(world.home.join(".cache")).unwrap();
        let version = key(world, "k", P256);
        configure(world, json!([{ "google_key": version }]), json!({}));
        let one_shot = || {
            let p11 = world.module();
            assert!(verifies(world, &version, &sign(p11, 0).unwrap()));
            p11.finalize().unwrap();
        };
        assert_eq!(requests_of(world, one_shot), once(&["google.AsymmetricSign", "google.GetPublicKey"]));
        assert_eq!(requests_of(world, one_shot), once(&["google.AsymmetricSign"]));
    }
}

module_test! {
    fn parent_and_child_sign(world) {
        let version = key(world, "k", P256);
        let user = credentials(world, "user.json", &world.emulator.google().authorized_user_file());
        let slots = json!([{ "google_key": version }, { "google_key": version, "google_credentials_file": user }]);
        configure(world, slots, json!({}));
        let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
        let before = threads();
        let p11 = world.module();
        let signs = || {
            for slot in [0, 1] {
                assert!(verifies(world, &version, &sign(p11, slot).unwrap_or_else(|rv| panic!("{rv:x}: {}", world.log()))));
            }
        };
        assert!(in_child(signs), "before the parent's first signature: {}", world.log());
        signs();
        assert!(in_child(|| { signs(); assert!(in_child(signs)); }), "{}", world.log());
        signs();
        assert_eq!(world.count("google.Token"), 4, "each process gets a token of its own");
        p11.finalize().unwrap();
        assert!(holds_soon(|| threads() <= before), "no thread is left");
    }
}
