//! `key generate`, `key label` and `key destroy`.

use crate::files::on_terminal;
use crate::support::World;
use cloud_kms_emulator::{AwsKey, GoogleKey};
use serde_json::{Value, json};

/// A world with a slot that discovers its keys in each cloud, with these rights.
fn world(allow: Value) -> World {
    let world = World::new();
    // A key that no token shows. With it, the key ring exists.
    world.emulator.google().create_key("symmetric", GoogleKey::new("GOOGLE_SYMMETRIC_ENCRYPTION")).unwrap();
    let mut slots = Vec::new();
    for (label, cloud) in [("aws", "aws"), ("azure", "azure"), ("google", "google")] {
        let mut slot = json!({ "label": label, "cloud": cloud, "discover": true, "hide_keys": [], "allow": allow });
        if cloud == "google" {
            slot["google_key_ring"] = json!(GoogleKey::KEY_RING);
        }
        if allow.as_array().unwrap().contains(&json!("destroy")) {
            slot["confirm_destroy"] = json!(label);
        }
        slots.push(slot);
    }
    world.configure(json!(slots));
    std::fs::write(world.path("message"), b"message").unwrap();
    world
}

/// Every kind that a service has can be created, and the key signs.
#[test]
fn a_new_key_signs() {
    let world = world(json!(["generate"]));
    let kinds: [(&str, &[&str]); 3] = [
        (
            "aws",
            &[
                "rsa2048",
                "p256",
                "p384",
                "p521",
                "secp256k1",
                "ed25519",
                "mldsa44",
                "mldsa87",
                "hmacsha256",
                "hmacsha512",
            ],
        ),
        ("azure", &["rsa3072", "p256", "secp256k1"]),
        ("google", &["rsa4096", "p384", "ed25519", "mldsa65", "slhdsasha2128s", "hmacsha256"]),
    ];
    for (slot, kinds) in kinds {
        for kind in kinds {
            let label = format!("new-{kind}");
            let made = world.run_line(&format!("key generate --slot {slot} --kind {kind} --label {label}"));
            assert_eq!(made.code, Some(0), "{made:?}");
            let class = if kind.starts_with("hmac") { "secret-key" } else { "private" };
            assert_eq!(made.stdout(), format!("pkcs11:token={slot};object={label};type={class}\n"));
            assert!(made.stderr.contains("name in the service is "), "{made:?}");
            world.run_line(&format!("sign message --slot {slot} --key {label} --out signature --force")).text();
            world.run_line(&format!("verify message --signature signature --slot {slot} --key {label}")).text();
        }
        let listed = world.run_line(&format!("list --slot {slot} --json")).json();
        let objects = listed["tokens"][0]["objects"].as_array().unwrap();
        let own = objects.iter().filter(|object| object["class"] != "public key").count();
        assert_eq!(own, kinds.len(), "{listed}");
    }
    world.run_line("key generate --slot aws --kind rsa2048 --label opener --purpose decrypt").stdout();
    let listed = world.run_line("list --slot aws --json").json();
    let mut objects = listed["tokens"][0]["objects"].as_array().unwrap().iter();
    let key = objects.find(|object| object["label"] == "opener" && object["class"] == "private key").unwrap();
    assert!(!key["uses"].as_array().unwrap().contains(&json!("sign")), "{key}");
}

#[test]
fn a_label_is_changed() {
    let world = world(json!(["generate", "labels"]));
    for slot in ["aws", "azure", "google"] {
        world.run_line(&format!("key generate --slot {slot} --kind p256 --label old")).stdout();
        let labelled = world.run_line(&format!("key label new --slot {slot} --key old"));
        assert_eq!(labelled.text(), format!("pkcs11:token={slot};object=new;type=private\n"));
        assert_eq!(world.run_line(&format!("uri {slot}")).text(), labelled.text(), "another process sees it");
    }
    let taken = world.run_line("key generate --slot aws --kind p256 --label new");
    assert!(taken.code == Some(1) && taken.stdout.is_empty(), "{taken:?}");
}

#[test]
fn a_key_is_destroyed_when_that_is_confirmed() {
    let world = world(json!(["generate", "destroy"]));
    for slot in ["aws", "azure", "google"] {
        world.run_line(&format!("key generate --slot {slot} --kind p256 --label web")).stdout();
        let refused = world.run_line(&format!("key destroy --slot {slot}"));
        assert!(
            refused.error(1).contains("nothing was destroyed") && refused.error(1).contains("--yes"),
            "{refused:?}"
        );
        let destroy = ["key", "destroy", "--slot", slot];
        let (shown, code) = on_terminal(&world, &destroy, "yes\n");
        assert!(shown.contains("nothing was destroyed: that is not the label") && code == Some(1), "{shown}");
        world.run_line(&format!("uri {slot}")).text();
        let (shown, code) = on_terminal(&world, &destroy, "web\n");
        assert!(
            shown.contains("key \"web\" of token") && shown.contains("accepted the destruction") && code == Some(0),
            "{shown}"
        );
        let gone = world.run_line(&format!("sign message --slot {slot} --out signature --force"));
        assert!(gone.code == Some(1), "{gone:?}");
    }
    world.run_line("key generate --slot aws --kind p256 --label second").stdout();
    let destroyed = world.run_line("key destroy --slot aws --key second --yes");
    assert!(destroyed.code == Some(0) && destroyed.stdout.is_empty(), "{destroyed:?}");
    assert!(world.run_line("uri aws --key second").code == Some(1));
}

#[test]
fn a_refusal_names_the_option() {
    let world = world(json!([]));
    world.emulator.aws().create_key(AwsKey::new("ECC_NIST_P256").alias("alias/web")).unwrap();
    for (arguments, option) in [
        ("key generate --slot aws --kind p256 --label new", "\"allow\": [\"generate\"]"),
        ("key generate --slot aws --kind hmacsha256 --label new", "\"allow\": [\"generate\"]"),
        ("key destroy --slot aws --yes", "\"allow\": [\"destroy\"] and \"confirm_destroy\""),
        ("key label new --slot aws", "\"allow\": [\"labels\"]"),
    ] {
        let refused = world.run_line(arguments);
        let fix = refused.error(1).lines().find(|line| line.starts_with("fix:")).unwrap_or_default().to_owned();
        assert!(fix.contains(option), "{refused:?}");
    }
    assert_eq!(world.run_line("uri aws").text(), "pkcs11:token=aws;object=web;type=private\n", "nothing has changed");
    assert_eq!(world.run_line("key generate --slot aws --kind rsa1024 --label new").code, Some(2));
}
