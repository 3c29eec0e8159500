//! `pubkey`: what OpenSSL and OpenSSH read.

use crate::support::World;
use cloud_kms_emulator::{AwsKey, GoogleKey};
use serde_json::{Value, json};
use std::process::Command;

fn output_of(world: &World, command: &str) -> Vec<u8> {
    let mut words = command.split(' ');
    let output = Command::new(words.next().unwrap()).args(words).current_dir(world.path("")).output().unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn world(specs: &[&str]) -> World {
    let world = World::new();
    let mut slots: Vec<Value> = Vec::new();
    for spec in specs {
        let alias = format!("alias/{spec}");
        world.emulator.aws().create_key(AwsKey::new(spec).alias(&alias).reuse()).unwrap();
        slots.push(json!({ "label": spec, "kms_key_id": alias }));
    }
    world.configure(json!(slots));
    world
}

#[test]
fn openssl_and_openssh_read_every_form() {
    let specs = ["RSA_2048", "RSA_3072", "ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521", "ECC_NIST_EDWARDS25519"];
    let world = world(&specs);
    for spec in specs {
        world.run(&["pubkey", "--slot", spec, "--out", "key.pem", "--force"]).text();
        let der = world.run(&["pubkey", "--slot", spec, "--der"]).stdout;
        assert_eq!(output_of(&world, "openssl pkey -pubin -in key.pem -outform DER"), der, "{spec}");
        assert_eq!(output_of(&world, "openssl pkey -pubin -in key.pem"), std::fs::read(world.path("key.pem")).unwrap());
        let line = world.run(&["pubkey", "--slot", spec, "--ssh"]).text();
        let (line, comment) = line.trim_end().rsplit_once(' ').unwrap();
        assert_eq!(comment, spec);
        // ssh-keygen does not import Ed25519 from PEM, but it reads its own form.
        std::fs::write(world.path("key.pub"), line).unwrap();
        output_of(&world, "ssh-keygen -l -f key.pub");
        if spec != "ECC_NIST_EDWARDS25519" {
            let imported = output_of(&world, "ssh-keygen -i -m PKCS8 -f key.pem");
            assert_eq!(String::from_utf8(imported).unwrap().trim_end(), line, "{spec}");
        }
    }
}

#[test]
fn a_jwk_has_the_numbers_of_the_key() {
    use base64ct::{Base64UrlUnpadded, Encoding};
    let world = world(&["RSA_2048", "ECC_NIST_P521", "ECC_SECG_P256K1", "ECC_NIST_EDWARDS25519"]);
    let jwk = |spec| world.run(&["pubkey", "--slot", spec, "--jwk"]).json();
    let bytes = |value: &Value| Base64UrlUnpadded::decode_vec(value.as_str().unwrap()).unwrap();
    let rsa = jwk("RSA_2048");
    world.run(&["pubkey", "--slot", "RSA_2048", "--out", "key.pem"]).text();
    let modulus = String::from_utf8(output_of(&world, "openssl rsa -pubin -in key.pem -noout -modulus")).unwrap();
    let hex: String = bytes(&rsa["n"]).iter().map(|byte| format!("{byte:02X}")).collect();
    assert_eq!(
        (modulus.trim_end(), &rsa["e"], &rsa["kty"]),
        (&*format!("Modulus={hex}"), &json!("AQAB"), &json!("RSA"))
    );
    for (spec, curve) in [("ECC_NIST_P521", "P-521"), ("ECC_SECG_P256K1", "secp256k1")] {
        let (ec, der) = (jwk(spec), world.run(&["pubkey", "--slot", spec, "--der"]).stdout);
        assert_eq!((&ec["kty"], &ec["crv"]), (&json!("EC"), &json!(curve)));
        assert!(der.ends_with(&[bytes(&ec["x"]), bytes(&ec["y"])].concat()), "{ec}");
    }
    let (okp, der) =
        (jwk("ECC_NIST_EDWARDS25519"), world.run(&["pubkey", "--slot", "ECC_NIST_EDWARDS25519", "--der"]).stdout);
    assert_eq!((&okp["kty"], &okp["crv"]), (&json!("OKP"), &json!("Ed25519")));
    assert!(der.ends_with(&bytes(&okp["x"])));
}

#[test]
fn what_has_no_form_is_refused() {
    let world = world(&["ML_DSA_44", "ECC_SECG_P256K1", "HMAC_256"]);
    for (spec, form, words) in [
        ("ML_DSA_44", "--ssh", "OpenSSH has no form for keys of kind ML-DSA-44"),
        ("ECC_SECG_P256K1", "--ssh", "OpenSSH has no form for keys of kind secp256k1"),
        ("ML_DSA_44", "--jwk", "JWK has no form for keys of kind ML-DSA-44"),
        ("HMAC_256", "--der", "has no public half"),
    ] {
        let refused = world.run(&["pubkey", "--slot", spec, form]);
        assert!(refused.error(1).contains(words), "{refused:?}");
    }
    assert_eq!(world.run(&["pubkey", "--slot", "ML_DSA_44", "--ssh", "--der"]).code, Some(2));
}

#[test]
fn several_keys_need_a_label() {
    let world = World::new();
    for name in ["one", "two"] {
        world.emulator.google().create_key(name, GoogleKey::new("EC_SIGN_P256_SHA256")).unwrap();
    }
    world.configure(json!([{ "label": "ring", "discover": true, "google_key_ring": GoogleKey::KEY_RING }]));
    let refused = world.run(&["pubkey", "--slot", "ring"]);
    assert!(refused.error(1).contains("--key") && refused.error(1).contains("\"two\""), "{refused:?}");
    let (one, two) = (
        world.run(&["pubkey", "--slot", "ring", "--key", "one"]),
        world.run(&["pubkey", "--slot", "ring", "--key", "two"]),
    );
    assert_ne!(one.text(), two.text());
}
