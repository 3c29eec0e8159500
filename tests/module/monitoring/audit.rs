//! The audit trail.

use super::{configure, sign};
use crate::module_test;
use crate::support::p11::{oaep, plain, with};
use crate::support::world::{World, in_child};
use cloud_kms_emulator::AwsKey;
use cryptoki_sys::*;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

const DATA: &[u8] = b"data to be signed";

/// Returns the lines of the audit file, each of which must be an object.
fn lines(world: &World) -> Vec<Value> {
    let text = std::fs::read_to_string(world.home.join("audit.jsonl")).unwrap_or_default();
    assert!(text.is_empty() || text.ends_with('\n'), "{text}");
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// Returns the SHA-256 digest of `data` by the `openssl` program, in hexadecimal.
fn sha256(world: &World, data: &[u8]) -> String {
    let path = world.home.join("digest.data");
    std::fs::write(&path, data).unwrap();
    let output = Command::new("openssl").args(["dgst", "-sha256", "-r"]).arg(path).output().unwrap();
    String::from_utf8(output.stdout).unwrap()[..64].to_owned()
}

/// Returns the lines of the log about the audit.
fn audit_errors(world: &World) -> usize {
    world.log().lines().filter(|line| line.contains("can't write the audit file")).count()
}

module_test! {
    fn each_signature_has_a_line(world) {
        configure(world, json!({ "audit_file": "audit.jsonl" }));
        let p11 = world.module();
        let before = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        for slot in [0, 1] {
            sign(p11, slot, CKM_ECDSA_SHA256, DATA).unwrap();
        }
        let lines = lines(world);
        assert_eq!(lines.len(), 2);
        let digest = sha256(world, DATA);
        for (line, slot) in lines.iter().zip(["token a", "z"]) {
            let mut fields: Vec<_> = line.as_object().unwrap().keys().map(String::as_str).collect();
            let mut expected = vec![
                "time", "program", "pid", "uid", "slot", "key", "operation", "mechanism", "digest", "digest_type", "result",
                "request_id",
            ];
            fields.sort_unstable();
            expected.sort_unstable();
            assert_eq!(fields, expected);
            assert_eq!(line["program"], std::env::current_exe().unwrap().to_str().unwrap());
            assert_eq!((&line["pid"], &line["uid"]), (&json!(std::process::id()), &json!(unsafe { libc::getuid() })));
            assert_eq!((&line["slot"], &line["operation"]), (&json!(slot), &json!("sign")));
            assert_eq!((&line["mechanism"], &line["result"]), (&json!("CKM_ECDSA_SHA256"), &json!("CKR_OK")));
            assert_eq!((&line["digest"], &line["digest_type"]), (&json!(digest), &json!("SHA-256")));
            assert!(line["request_id"].as_str().is_some_and(|id| id.len() == 36), "{line}");
            let time = line["time"].as_str().unwrap();
            let seconds = Command::new("date").args(["-d", time, "+%s"]).output().unwrap().stdout;
            let seconds: u64 = String::from_utf8(seconds).unwrap().trim().parse().unwrap();
            assert!(time.len() == 24 && time.ends_with('Z') && (before..before + 60).contains(&seconds), "{time}");
        }
        assert!(lines[0]["key"].as_str().unwrap().starts_with("arn:aws:kms:eu-central-1:"), "{}", lines[0]);
        assert!(lines[1]["key"].as_str().unwrap().contains("/keys/z/"), "{}", lines[1]);
        assert_ne!(lines[0]["request_id"], lines[1]["request_id"]);
        let mode = std::fs::metadata(world.home.join("audit.jsonl")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

module_test! {
    fn a_failure_has_a_line_with_its_request_id(world) {
        configure(world, json!({ "audit_file": "audit.jsonl" }));
        let p11 = world.module();
        assert_eq!(sign(p11, 2, CKM_ECDSA, &[0xab; 32]), Err(CKR_FUNCTION_REJECTED));
        let [line] = &lines(world)[..] else { panic!() };
        assert_eq!((&line["result"], &line["digest"]), (&json!("CKR_FUNCTION_REJECTED"), &json!("ab".repeat(32))));
        let id = line["request_id"].as_str().unwrap();
        assert!(line["error"].as_str().unwrap().contains(&format!("(request id {id})")), "{line}");
        // What is refused before a request uses no key.
        assert_eq!(sign(p11, 0, CKM_ECDSA, &[]), Err(CKR_DATA_LEN_RANGE));
        assert_eq!(lines(world).len(), 1);
    }
}

module_test! {
    fn a_decryption_has_a_line_without_the_plaintext(world) {
        let key = AwsKey::new("RSA_2048").usage("ENCRYPT_DECRYPT").alias("alias/d");
        world.emulator.aws().create_key(key).unwrap();
        let options = json!({ "audit_file": "audit.jsonl" });
        world.configure_with(json!([{ "label": "d", "kms_key_id": "alias/d" }]), options);
        let p11 = world.module();
        let session = p11.open(0);
        let (private, public) = (p11.private_key(session), p11.only(session, CKO_PUBLIC_KEY));
        let mut sha256_oaep = oaep(CKM_SHA256, CKG_MGF1_SHA256);
        let mut mechanism = with(CKM_RSA_PKCS_OAEP, &mut sha256_oaep);
        let ciphertext = p11.encrypt(session, public, &mut mechanism, DATA).unwrap();
        assert_eq!(lines(world).len(), 0, "encryption needs no private key");
        assert_eq!(p11.decrypt(session, private, &mut mechanism, &ciphertext).as_deref(), Ok(DATA));
        assert!(p11.decrypt(session, private, &mut mechanism, &[7; 256]).is_err());
        let lines = lines(world);
        assert_eq!(lines.len(), 2);
        assert_eq!((&lines[0]["operation"], &lines[0]["result"]), (&json!("decrypt"), &json!("CKR_OK")));
        assert_eq!(lines[0]["digest"], sha256(world, &ciphertext));
        assert_eq!((&lines[0]["digest_type"], &lines[0]["mechanism"]), (&json!("ciphertext"), &json!("CKM_RSA_PKCS_OAEP")));
        assert!(lines[0]["request_id"].is_string(), "{}", lines[0]);
        assert_eq!(lines[1]["result"], "CKR_ENCRYPTED_DATA_INVALID");
        let text = std::fs::read_to_string(world.home.join("audit.jsonl")).unwrap();
        let hexadecimal: String = DATA.iter().map(|byte| format!("{byte:02x}")).collect();
        for secret in [std::str::from_utf8(DATA).unwrap(), &hexadecimal, &sha256(world, DATA)] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

module_test! {
    fn the_verification_of_a_mac_has_a_line(world) {
        world.emulator.aws().create_key(AwsKey::new("HMAC_256").alias("alias/h")).unwrap();
        let options = json!({ "audit_file": "audit.jsonl" });
        world.configure_with(json!([{ "label": "h", "kms_key_id": "alias/h" }]), options);
        let p11 = world.module();
        let session = p11.open(0);
        let secret = p11.only(session, CKO_SECRET_KEY);
        let mac = p11.sign(session, secret, CKM_SHA256_HMAC, &[], DATA).unwrap();
        assert_eq!(p11.verify(session, secret, &mut plain(CKM_SHA256_HMAC), DATA, &mac), Ok(()));
        let wrong = p11.verify(session, secret, &mut plain(CKM_SHA256_HMAC), b"other", &mac);
        assert_eq!(wrong, Err(CKR_SIGNATURE_INVALID));
        let made: Vec<_> = lines(world).iter().map(|line| json!([line["operation"], line["result"]])).collect();
        let expected = json!([["sign", "CKR_OK"], ["verify", "CKR_OK"], ["verify", "CKR_SIGNATURE_INVALID"]]);
        assert_eq!(json!(made), expected);
        assert_eq!(lines(world)[1]["digest"], sha256(world, DATA));
    }
}

module_test! {
    /// A process and two children that it has forked sign at the same time.
    fn lines_of_several_processes_do_not_mix(world) {
        const COUNT: usize = 50;
        configure(world, json!({ "audit_file": "audit.jsonl" }));
        let p11 = world.module();
        sign(p11, 0, CKM_ECDSA, &[0; 32]).unwrap();
        let sign_many = || {
            for _ in 0..COUNT {
                sign(p11, 0, CKM_ECDSA, &[1; 32]).unwrap();
            }
        };
        std::thread::scope(|scope| {
            let children = [(); 2].map(|()| scope.spawn(|| in_child(sign_many)));
            sign_many();
            assert!(children.into_iter().all(|child| child.join().unwrap()));
        });
        let mut counts = std::collections::BTreeMap::new();
        for line in lines(world) {
            assert_eq!(line["result"], "CKR_OK");
            *counts.entry(line["pid"].as_u64().unwrap()).or_insert(0) += 1;
        }
        assert_eq!(counts.remove(&std::process::id().into()), Some(COUNT + 1));
        assert_eq!(counts.into_values().collect::<Vec<_>>(), [COUNT; 2]);
    }
}

module_test! {
    fn a_line_that_cannot_be_written_does_not_fail_the_signature(world) {
        configure(world, json!({ "audit_file": "missing/audit.jsonl" }));
        let p11 = world.module();
        for _ in 0..3 {
            sign(p11, 0, CKM_ECDSA, &[1; 32]).unwrap();
        }
        assert_eq!(audit_errors(world), 1, "{}", world.log());
        std::fs::create_dir(world.home.join("missing")).unwrap();
        sign(p11, 0, CKM_ECDSA, &[1; 32]).unwrap();
        assert_eq!(std::fs::read_to_string(world.home.join("missing/audit.jsonl")).unwrap().lines().count(), 1);
        std::fs::remove_dir_all(world.home.join("missing")).unwrap();
        sign(p11, 0, CKM_ECDSA, &[1; 32]).unwrap();
        assert_eq!(audit_errors(world), 2, "{}", world.log());
    }
}

module_test! {
    fn a_line_that_is_required_fails_the_signature(world) {
        configure(world, json!({ "audit_file": "missing/audit.jsonl", "audit_required": true }));
        let p11 = world.module();
        assert_eq!(sign(p11, 0, CKM_ECDSA, &[1; 32]), Err(CKR_FUNCTION_FAILED));
        assert_eq!(sign(p11, 2, CKM_ECDSA, &[1; 32]), Err(CKR_FUNCTION_REJECTED), "the service's own refusal is reported");
        std::fs::create_dir(world.home.join("missing")).unwrap();
        sign(p11, 0, CKM_ECDSA, &[1; 32]).unwrap();
    }
}
