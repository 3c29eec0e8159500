//! The whole module with a real Vault: the server "vault" in the file that CONTRACT_SERVERS names.

use crate::support::front::Front;
use crate::support::login_slots::{log_in, log_out};
use crate::support::p11::{P11, oaep, plain, with};
use crate::support::world::{World, holds_soon, in_child, is_child, isolated_with, name_of, openssl_verifies};
use crate::support::writer::{Writer, label, p256};
use cryptoki_sys::*;
use serde_json::{Value, json};
use std::path::PathBuf;

/// The variable that names the file with the servers.
const SERVERS: &str = "CONTRACT_SERVERS";

/// Runs a test in its own process, with the description of the server, if there is one.
fn with_vault(path: &str, body: impl FnOnce(&mut World, &Value)) {
    let Some(file) = std::env::var_os(SERVERS) else {
        return eprintln!("{SERVERS} names no file: nothing to do");
    };
    let servers: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let vault = &servers["servers"]["vault"];
    if vault.is_null() && !is_child(name_of(path)) {
        return eprintln!("{SERVERS} names no Vault: nothing to do");
    }
    isolated_with(path, &[(SERVERS, file.to_str().unwrap())], |world| body(world, vault));
}

fn text(server: &Value, name: &str) -> String {
    server[name].as_str().unwrap().to_owned()
}

/// Writes a configuration with these slots, each with what leads to the server.
fn configure(world: &World, server: &Value, slots: &[Value]) {
    let here = json!({ "vault_address": server["address"], "ca_bundle": server["ca_bundle"] });
    let complete = |slot: &Value| {
        let mut slot = slot.clone();
        slot.as_object_mut().unwrap().extend(here.as_object().unwrap().clone());
        slot
    };
    world.configure(slots.iter().map(complete).collect());
}

/// Writes a file that only its owner may read.
fn file(world: &World, name: &str, text: &str) -> PathBuf {
    let path = world.home.join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    path
}

fn public_key(p11: P11, session: CK_SESSION_HANDLE) -> Vec<u8> {
    p11.attribute(session, p11.only(session, CKO_PUBLIC_KEY), CKA_PUBLIC_KEY_INFO).unwrap()
}

/// Signs with the key of a session. OpenSSL verifies the signature.
fn signs_p256(world: &World, p11: P11, session: CK_SESSION_HANDLE) {
    let signature = p11.sign(session, p11.private_key(session), CKM_ECDSA_SHA256, &[], b"data").unwrap();
    let der = crate::support::world::ecdsa_der(&signature);
    let (spki, options) = (public_key(p11, session), ["-rawin", "-digest", "sha256"]);
    assert!(openssl_verifies(&world.home, &spki, b"data", &der, &options));
    assert!(!openssl_verifies(&world.home, &spki, b"other", &der, &options));
}

/// None of the secrets of these tests is in the log, at the most detailed level.
fn shows_no_secret(world: &World, server: &Value) {
    let secrets = ["token", "root_token", "secret_id"].map(|name| text(server, name));
    let jwt = std::fs::read_to_string(text(server, "jwt_file")).unwrap();
    assert!(world.log().len() > 100, "the log is written");
    for secret in secrets.iter().chain([&jwt]) {
        assert!(!world.log().contains(secret.as_str()), "{}", world.log());
    }
}

#[test]
fn each_way_to_log_in_signs_and_nothing_is_left() {
    with_vault(concat!(module_path!(), "::each_way_to_log_in_signs_and_nothing_is_left"), |world, server| {
        let token = file(world, "token", &text(server, "token"));
        let secret = file(world, "secret-id", &text(server, "secret_id"));
        let role_id = &server["role_id"];
        let jwt = &server["jwt_file"];
        configure(
            world,
            server,
            &[
                json!({ "label": "file", "transit_key": "p256", "vault_token_file": token }),
                json!({ "label": "role", "transit_key": "p256", "vault_role_id": role_id, "vault_secret_id_file": secret }),
                json!({ "label": "jwt", "transit_key": "p256", "vault_jwt_file": jwt, "vault_role": "signer" }),
                json!({ "label": "wrong", "transit_key": "p256", "vault_token": "hvs.wrong" }),
            ],
        );
        let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
        let before = threads();
        let p11 = world.module();
        for slot in 0..3 {
            let session = p11.open(slot);
            signs_p256(world, p11, session);
            assert!(in_child(|| signs_p256(world, p11, session)), "a child logs in by itself");
            signs_p256(world, p11, session);
        }
        assert!(p11.find_class(p11.open(3), CKO_PRIVATE_KEY).is_empty());
        assert!(world.log().contains("the token is not valid, has ended"), "{}", world.log());
        assert!(!world.log().contains("hvs.wrong"));
        let key = |session| p11.private_key(session);
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    let session = p11.open(0);
                    for _ in 0..20 {
                        p11.sign(session, key(session), CKM_ECDSA_SHA256, &[], b"data").unwrap();
                    }
                });
            }
        });
        p11.finalize().unwrap();
        assert!(holds_soon(|| threads() <= before), "no thread is left");
        shows_no_secret(world, server);
    });
}

/// A reply in the place of a signature, the return code of C_Sign, ulDeviceError, and words in the log.
type FailureCase = (&'static str, &'static str, CK_RV, CK_ULONG, &'static str);

const SIGNATURE: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAQ";

#[rustfmt::skip]
const FAILURES: &[FailureCase] = &[
    ("403 Forbidden", r#"{"errors": ["permission denied"]}"#, CKR_FUNCTION_REJECTED, 1, "capability \"update\" on \"transit/sign/p256/sha2-256\""),
    ("400 Bad", r#"{"errors": ["signing key not found"]}"#, CKR_KEY_HANDLE_INVALID, 2, "no such key"),
    ("429 Too Many", r#"{"errors": ["quota exceeded"]}"#, CKR_DEVICE_ERROR, 4, "quota exceeded"),
    ("403 Forbidden", r#"{"errors": ["permission denied", "invalid token"]}"#, CKR_DEVICE_ERROR, 7, "no valid credentials"),
    ("400 Bad", r#"{"errors": ["words of its own"]}"#, CKR_FUNCTION_FAILED, 8, "words of its own"),
    ("500 Internal", r#"{"errors": ["words of its own"]}"#, CKR_DEVICE_ERROR, 9, "words of its own"),
    ("503 Sealed", r#"{"errors": ["Vault is sealed"]}"#, CKR_DEVICE_ERROR, 9, "vault operator unseal"),
    ("200 OK", "garbage", CKR_DEVICE_ERROR, 10, "unexpected reply"),
    ("200 OK", "", CKR_DEVICE_ERROR, 10, "unexpected reply"),
    ("200 OK", r#"{"data": {"signature": "vault:v1:AAAA"}}"#, CKR_DEVICE_ERROR, 10, "3 bytes are not a signature"),
    ("200 OK", r#"{"data": {"signature": "vault:v2:SIGNATURE"}}"#, CKR_DEVICE_ERROR, 10, "version 1 was requested, but version 2 signed"),
    ("200 OK", r#"{"data": {"signature": "vault:v1:SIGNATURE"}}"#, CKR_DEVICE_ERROR, 10, "does not verify under the key's public key"),
];

#[test]
fn each_failure_has_its_code_device_error_and_log_line() {
    with_vault(concat!(module_path!(), "::each_failure_has_its_code_device_error_and_log_line"), |world, server| {
        let front = Front::of(&text(server, "plain_address"));
        let token = file(world, "token", &text(server, "token"));
        let slot =
            json!({ "label": "k", "transit_key": "p256", "vault_token_file": token, "vault_address": front.url });
        world.configure_with(json!([slot]), json!({ "retries": 0 }));
        let p11 = world.module();
        let session = p11.open(0);
        let fails = |rv: CK_RV, number: CK_ULONG, words: &str| {
            // A key that Vault no longer has loses its handles.
            let key = p11.private_key(session);
            let before = world.log().len();
            assert_eq!(p11.sign(session, key, CKM_ECDSA_SHA256, &[], b"data"), Err(rv), "{}", &world.log()[before..]);
            let mut info: CK_SESSION_INFO = unsafe { std::mem::zeroed() };
            crate::c!(p11, C_GetSessionInfo(session, &mut info)).unwrap();
            let log = world.log()[before..].to_owned();
            assert_eq!(info.ulDeviceError, number, "{log}");
            let lines: Vec<_> = log.lines().filter(|line| line.contains("] error: ")).collect();
            assert!(matches!(lines[..], [one] if one.contains(words) && one.contains("C_Sign: ")), "{words}: {log}");
            signs_p256(world, p11, session);
        };
        for (head, body, rv, number, words) in FAILURES {
            front.reply("sign/p256", head, &body.replace("SIGNATURE", SIGNATURE));
            fails(*rv, *number, words);
        }
        front.reply_bytes("sign/p256", String::new());
        fails(CKR_DEVICE_ERROR, 6, "can't reach");
        front.reply_bytes("sign/p256", "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{".to_owned());
        fails(CKR_DEVICE_ERROR, 6, "can't reach");
        front.reply("sign/p256", "200 OK", &" ".repeat(5 << 20));
        fails(CKR_DEVICE_ERROR, 10, "the reply is larger than 4 MiB");
    });
}

#[test]
fn the_pin_is_a_token_or_a_secret_id() {
    with_vault(concat!(module_path!(), "::the_pin_is_a_token_or_a_secret_id"), |world, server| {
        let role_id = &server["role_id"];
        configure(
            world,
            server,
            &[
                json!({ "label": "token", "transit_key": "p256", "login": "vault_token" }),
                json!({ "label": "secret", "transit_key": "p256", "login": "vault_secret_id", "vault_role_id": role_id }),
            ],
        );
        let p11 = world.module();
        for (slot, pin) in [(0, text(server, "token")), (1, text(server, "secret_id"))] {
            let session = p11.open(slot);
            assert!(p11.find_class(session, CKO_PRIVATE_KEY).is_empty());
            assert_eq!(log_in(p11, session, "wrong"), Err(CKR_PIN_INCORRECT));
            log_in(p11, session, &pin).unwrap();
            signs_p256(world, p11, session);
            log_out(p11, session).unwrap();
            assert!(p11.find_class(session, CKO_PRIVATE_KEY).is_empty());
        }
        p11.finalize().unwrap();
        shows_no_secret(world, server);
    });
}

#[test]
fn every_kind_of_key_works() {
    with_vault(concat!(module_path!(), "::every_kind_of_key_works"), |world, server| {
        let token = file(world, "token", &text(server, "token"));
        let slot = |key: &str| json!({ "label": key, "transit_key": key, "vault_token_file": token });
        configure(world, server, &["rsa2048", "ed25519", "hmac"].map(slot));
        let p11 = world.module();
        let session = p11.open(0);
        let (private, public) = (p11.private_key(session), p11.only(session, CKO_PUBLIC_KEY));
        for mechanism in [CKM_SHA1_RSA_PKCS, CKM_SHA224_RSA_PKCS, CKM_SHA256_RSA_PKCS, CKM_SHA512_RSA_PKCS] {
            let signature = p11.sign(session, private, mechanism, &[], b"data").unwrap();
            p11.verify(session, public, &mut plain(mechanism), b"data", &signature).unwrap();
        }
        // pyHanko and mkimage request the longest salt that the key allows: 256 - 32 - 2 bytes.
        for salt in [222, 20] {
            let parameters: Vec<u8> =
                [CKM_SHA256, CKG_MGF1_SHA256, salt].iter().flat_map(|n| n.to_ne_bytes()).collect();
            let signature = p11.sign(session, private, CKM_SHA256_RSA_PKCS_PSS, &parameters, b"data").unwrap();
            let options = ["-rawin", "-digest", "sha256", "-pkeyopt", "rsa_padding_mode:pss", "-pkeyopt"];
            let verifies = |salt: CK_ULONG| {
                let length = format!("rsa_pss_saltlen:{salt}");
                let options = [&options[..], &[&length]].concat();
                openssl_verifies(&world.home, &public_key(p11, session), b"data", &signature, &options)
            };
            assert!(verifies(salt) && !verifies(salt - 1));
        }
        let no_room: Vec<u8> = [CKM_SHA256, CKG_MGF1_SHA256, 223].iter().flat_map(|n| n.to_ne_bytes()).collect();
        let refused = p11.sign_init(session, private, CKM_SHA256_RSA_PKCS_PSS, &no_room);
        assert_eq!(refused, Err(CKR_MECHANISM_PARAM_INVALID));
        let mut parameters = oaep(CKM_SHA256, CKG_MGF1_SHA256);
        let mut mechanism = with(CKM_RSA_PKCS_OAEP, &mut parameters);
        let ciphertext = p11.encrypt(session, public, &mut mechanism, b"a secret").unwrap();
        assert_eq!(p11.decrypt(session, private, &mut mechanism, &ciphertext).unwrap(), b"a secret");
        let session = p11.open(1);
        let message = vec![7; 100_000];
        let signature = p11.sign(session, p11.private_key(session), CKM_EDDSA, &[], &message).unwrap();
        p11.verify(session, p11.only(session, CKO_PUBLIC_KEY), &mut plain(CKM_EDDSA), &message, &signature).unwrap();
        let session = p11.open(2);
        let key = p11.only(session, CKO_SECRET_KEY);
        let mac = p11.sign(session, key, CKM_SHA256_HMAC, &[], b"data").unwrap();
        let mut mechanism = plain(CKM_SHA256_HMAC);
        p11.verify(session, key, &mut mechanism, b"data", &mac).unwrap();
        assert_eq!(p11.verify(session, key, &mut mechanism, b"other", &mac), Err(CKR_SIGNATURE_INVALID));
    });
}

#[test]
fn keys_are_discovered_generated_and_destroyed() {
    with_vault(concat!(module_path!(), "::keys_are_discovered_generated_and_destroyed"), |world, server| {
        let token = file(world, "token", &text(server, "root_token"));
        configure(
            world,
            server,
            &[json!({ "label": "all", "cloud": "vault", "discover": true, "vault_token_file": token, "hide_keys": [],
                      "allow": ["generate", "destroy"], "confirm_destroy": "all" })],
        );
        let p11 = world.module();
        let session = p11.open(0);
        let labels = || {
            let keys = p11.find_class(session, CKO_PRIVATE_KEY);
            keys.iter()
                .map(|key| String::from_utf8(p11.attribute(session, *key, CKA_LABEL).unwrap()).unwrap())
                .collect::<Vec<_>>()
        };
        assert!(
            ["rsa2048", "p521", "ed25519"].iter().all(|name| labels().iter().any(|label| label == name)),
            "{:?}",
            labels()
        );
        assert!(!labels().iter().any(|label| label == "aes"), "a key that only encrypts is left out");
        let name = format!("generated-{}", std::process::id());
        let writer = Writer::new(p11, 0);
        let [public, private] = writer.pair(CKM_EC_KEY_PAIR_GEN, &[p256()], &[label(&name)]).unwrap();
        assert_eq!(writer.value(public, CKA_LABEL), name.as_bytes());
        assert!(labels().contains(&name));
        // Vault's own lock is on.
        assert_eq!(writer.destroy(private), Err(CKR_FUNCTION_REJECTED));
        assert!(
            world.log().contains(&format!("vault write transit/keys/{name}/config deletion_allowed=true")),
            "{}",
            world.log()
        );
        shows_no_secret(world, server);
    });
}
