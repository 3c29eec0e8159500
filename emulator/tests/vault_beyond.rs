//! What a vault does beyond signing digests: decryption, unwrapping, RSNULL, random bytes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a helper of a test may panic too")]

mod common;

use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, Pkcs1PublicEncryptingKey, PublicEncryptingKey,
};
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA384, UnparsedPublicKey};
use cloud_kms_emulator::{Action, Fault, VaultKey};
use common::{Bench, base64url, bench, digest, unbase64url};
use serde_json::{Value, json};

const ALGORITHMS: [(&str, usize); 3] = [("RSA1_5", 11), ("RSA-OAEP", 42), ("RSA-OAEP-256", 66)];

fn ask(bench: &Bench, path: &str, algorithm: &str, value: &[u8]) -> Value {
    let body = json!({ "alg": algorithm, "value": base64url(value) });
    bench.vault("POST", &format!("/keys/{path}"), Some(&body)).json()
}

/// Made by an independent library.
fn encrypted(spki: &[u8], algorithm: &str, plaintext: &[u8]) -> Vec<u8> {
    let key = PublicEncryptingKey::from_der(spki).unwrap();
    let mut out = vec![0; key.key_size_bytes()];
    let oaep = match algorithm {
        "RSA1_5" => {
            Pkcs1PublicEncryptingKey::new(key).unwrap().encrypt(plaintext, &mut out).unwrap();
            return out;
        }
        "RSA-OAEP" => &OAEP_SHA1_MGF1SHA1,
        _ => &OAEP_SHA256_MGF1SHA256,
    };
    OaepPublicEncryptingKey::new(key).unwrap().encrypt(oaep, plaintext, &mut out, None).unwrap();
    out
}

#[test]
fn rsa_keys_decrypt_and_unwrap() {
    let bench = bench();
    let vault = bench.emulator.vault("default");
    for (name, size) in [("small", 2048), ("large", 3072)] {
        let key = vault.create_key(name, VaultKey::rsa(size)).unwrap();
        let spki = vault.public_key_spki(name, "").unwrap();
        for (algorithm, overhead) in ALGORITHMS {
            for plaintext in [vec![1], vec![2; usize::from(size / 8) - overhead]] {
                let ciphertext = encrypted(&spki, algorithm, &plaintext);
                for operation in ["decrypt", "unwrapkey"] {
                    let reply = ask(&bench, &format!("{name}/{}/{operation}", key.version), algorithm, &ciphertext);
                    assert!(reply["kid"].as_str().unwrap().ends_with(&format!("/keys/{name}/{}", key.version)));
                    assert_eq!(unbase64url(&reply["value"]), plaintext, "{algorithm} {operation}");
                }
                let wrapped = unbase64url(&ask(&bench, &format!("{name}/wrapkey"), algorithm, &plaintext)["value"]);
                let again = ask(&bench, &format!("{name}/decrypt"), algorithm, &wrapped);
                assert_eq!(unbase64url(&again["value"]), plaintext);
            }
        }
    }
    let counts = bench.emulator.control().counts();
    assert_eq!((counts["vault.keys.unwrapkey"], counts["vault.keys.decrypt"]), (12, 24));
}

#[test]
fn wrong_ciphertexts_are_refused_in_the_words_of_the_service() {
    let bench = bench();
    let vault = bench.emulator.vault("default");
    vault.create_key("rsa", VaultKey::rsa(2048)).unwrap();
    vault.create_key("ec", VaultKey::ec("P-256")).unwrap();
    let spki = vault.public_key_spki("rsa", "").unwrap();
    let oaep = json!({ "code": "BadParameter", "message": "Error occurred while decoding OAEP padding." });
    for algorithm in ["RSA-OAEP", "RSA-OAEP-256"] {
        let mut ciphertext = encrypted(&spki, algorithm, b"secret");
        ciphertext[255] ^= 1;
        assert_eq!(ask(&bench, "rsa/decrypt", algorithm, &ciphertext)["error"], oaep);
        assert_eq!(ask(&bench, "rsa/unwrapkey", algorithm, &ciphertext[1..])["error"], oaep);
    }
    // The hash is another.
    let ciphertext = encrypted(&spki, "RSA-OAEP", b"secret");
    assert_eq!(ask(&bench, "rsa/decrypt", "RSA-OAEP-256", &ciphertext)["error"], oaep);
    let code = |path: &str, algorithm: &str, length: usize| {
        let body = json!({ "alg": algorithm, "value": base64url(&vec![7; length]) });
        let (status, code, inner) = bench.vault_error("POST", &format!("/keys/{path}"), &body);
        format!("{status} {code} {inner}")
    };
    assert_eq!(code("rsa/decrypt", "RSA1_5", 256), "400 BadParameter ");
    assert_eq!(code("rsa/decrypt", "A256KW", 256), "400 BadParameter ");
    assert_eq!(code("rsa/encrypt", "RSA-OAEP", 215), "400 BadParameter ");
    assert_eq!(code("ec/decrypt", "RSA-OAEP", 256), "403 Forbidden KeyOperationForbidden");
    assert_eq!(code("none/decrypt", "RSA-OAEP", 256), "404 KeyNotFound ");
    assert_eq!(code("rsa/explode", "RSA-OAEP", 256), "404 NotFound ");
}

#[test]
fn keys_do_only_what_they_are_for() {
    let bench = bench();
    let vault = bench.emulator.vault("default");
    let now = bench.emulator.control().now();
    vault.create_key("unwrap", VaultKey::rsa(2048).key_ops(&["unwrapKey"])).unwrap();
    vault.create_key("late", VaultKey::rsa(2048).expires(now - 1)).unwrap();
    vault.create_key("off", VaultKey::rsa(2048).disabled()).unwrap();
    let of = |name: &str| encrypted(&vault.public_key_spki(name, "").unwrap(), "RSA-OAEP-256", b"secret");
    let ciphertext = of("unwrap");
    assert_eq!(unbase64url(&ask(&bench, "unwrap/unwrapkey", "RSA-OAEP-256", &ciphertext)["value"]), b"secret");
    for operation in ["decrypt", "encrypt", "wrapkey"] {
        let error = ask(&bench, &format!("unwrap/{operation}"), "RSA-OAEP-256", &ciphertext)["error"].clone();
        assert_eq!(error["message"], format!("Operation {operation} is not permitted on this key."));
        assert_eq!(
            (&error["code"], &error["innererror"]["code"]),
            (&json!("Forbidden"), &json!("KeyOperationForbidden"))
        );
    }
    // What was encrypted in time can be decrypted for ever.
    assert_eq!(unbase64url(&ask(&bench, "late/decrypt", "RSA-OAEP-256", &of("late"))["value"]), b"secret");
    assert_eq!(ask(&bench, "late/encrypt", "RSA-OAEP-256", b"secret")["error"]["innererror"]["code"], "KeyExpired");
    assert_eq!(ask(&bench, "off/decrypt", "RSA-OAEP-256", &of("off"))["error"]["innererror"]["code"], "KeyDisabled");
}

#[test]
fn plaintexts_are_wrong_on_demand() {
    let bench = bench();
    let vault = bench.emulator.vault("default");
    vault.create_key("rsa", VaultKey::rsa(2048)).unwrap();
    let ciphertext = encrypted(&vault.public_key_spki("rsa", "").unwrap(), "RSA-OAEP", b"secret");
    bench.emulator.control().fault(Fault::new("vault.keys.decrypt", Action::WrongPlaintext).key("rsa").times(1));
    let decrypt = || unbase64url(&ask(&bench, "rsa/decrypt", "RSA-OAEP", &ciphertext)["value"]);
    assert_eq!((decrypt(), decrypt()), (b"recret".to_vec(), b"secret".to_vec()));
}

#[test]
fn rsnull_pads_whatever_fits() {
    let bench = bench();
    let vault = bench.emulator.vault("default");
    vault.create_key("rsa", VaultKey::rsa(2048)).unwrap();
    let spki = vault.public_key_spki("rsa", "").unwrap();
    // RFC 8017 section 9.2, note 1: the DigestInfo of SHA-384.
    let prefix = [0x30, 0x41, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 2, 5, 0, 4, 0x30];
    let signed = ask(&bench, "rsa/sign", "RSNULL", &[&prefix[..], &digest("384", b"m")].concat());
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA384, &spki);
    key.verify(b"m", &unbase64url(&signed["value"])).unwrap();
    let public = bench.write("public.der", &spki);
    for length in [1, 36, 245] {
        let signature = unbase64url(&ask(&bench, "rsa/sign", "RSNULL", &vec![9; length])["value"]);
        let command = ["pkeyutl", "-verifyrecover", "-pubin", "-keyform", "DER", "-inkey", &public];
        assert_eq!(bench.openssl(&command, &signature), vec![9; length]);
        let body = json!({ "alg": "RSNULL", "digest": base64url(&vec![9; length]), "value": base64url(&signature) });
        assert_eq!(bench.vault("POST", "/keys/rsa/verify", Some(&body)).json()["value"], true);
    }
    for length in [0, 246] {
        assert_eq!(ask(&bench, "rsa/sign", "RSNULL", &vec![9; length])["error"]["code"], "BadParameter");
    }
}

#[test]
fn a_managed_hsm_has_random_bytes() {
    let bench = bench();
    let token = bench.emulator.entra().issue_token("https://managedhsm.azure.net");
    let url = format!("{}/rng?api-version=2025-07-01", bench.emulator.http_url());
    let random = |count: i64| bench.vault_url("POST", &url, &token, Some(&json!({ "count": count })));
    assert_eq!(bench.vault("POST", "/rng", Some(&json!({ "count": 1 }))).status, 404);
    bench.emulator.vault("default").behave_as_hsm(true);
    for count in [1, 128] {
        assert_eq!(unbase64url(&random(count).json()["value"]).len() as i64, count);
    }
    assert_ne!(random(32).json(), random(32).json());
    for count in [0, 129, -1] {
        assert_eq!((random(count).status, &random(count).json()["error"]["code"]), (400, &json!("BadParameter")));
    }
    bench.emulator.control().fault(Fault::new("vault.rng", Action::Throttle { retry_after: Some(1) }).times(1));
    assert_eq!((random(1).status, random(1).status), (429, 200));
}
