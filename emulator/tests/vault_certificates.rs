//! Certificates of a vault through the API: imported, self-signed, requested and merged, deleted.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a helper of a test may panic too")]

mod common;

use cloud_kms_emulator::{Action, Fault, VaultCertificate, VaultKey};
use common::{Bench, base64, base64url, bench, der, unbase64, unbase64url};
use serde_json::{Value, json};
use std::process::Command;

/// An authority and what it has signed, by openssl; the files are `ca.key` and `authority.pem`.
fn authority(bench: &Bench) {
    let (key, certificate) = (bench.path("ca.key"), bench.path("authority.pem"));
    let request = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=Outside", "-days", "30"];
    run(&[&request[..], &["-keyout", &key, "-out", &certificate]].concat());
}

fn run(arguments: &[&str]) {
    let output = Command::new("openssl").args(arguments).output().expect("openssl runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The certificate that the authority makes of a request.
fn signed(bench: &Bench, csr: &Value) -> Vec<u8> {
    let (key, certificate) = (bench.path("ca.key"), bench.path("authority.pem"));
    let command = ["x509", "-req", "-inform", "DER", "-CA", &certificate, "-CAkey", &key, "-CAcreateserial"];
    bench.openssl(&[&command[..], &["-outform", "DER", "-days", "30"]].concat(), &unbase64(csr))
}

/// A key and its certificate in PEM, by openssl.
fn pair(bench: &Bench, options: &[&str]) -> String {
    let (key, certificate) = (bench.path("leaf.key"), bench.path("leaf.pem"));
    let request = ["req", "-x509", "-nodes", "-subj", "/CN=leaf", "-days", "30", "-keyout", &key, "-out", &certificate];
    run(&[&request[..], options].concat());
    std::fs::read_to_string(key).unwrap() + &std::fs::read_to_string(certificate).unwrap()
}

fn post(bench: &Bench, path: &str, body: &Value) -> (u16, Value) {
    let answer = bench.vault("POST", &format!("/certificates/{path}"), Some(body));
    (answer.status, answer.json())
}

fn policy(issuer: &str, key: Value) -> Value {
    let names = json!({ "dns_names": ["a.example", "b.example"] });
    json!({ "policy": {
        "key_props": key, "issuer": { "name": issuer }, "x509_props": { "subject": "CN=me, O=mine", "sans": names },
    } })
}

/// Whether the key of the certificate's name signs what the certificate verifies.
fn signs(bench: &Bench, name: &str, algorithm: &str) -> bool {
    let certificate = unbase64(&bench.vault("GET", &format!("/certificates/{name}"), None).json()["cer"]);
    let spki = bench.openssl(&["x509", "-inform", "DER", "-noout", "-pubkey"], &certificate);
    let spki = bench.openssl(&["pkey", "-pubin", "-outform", "DER"], &spki);
    let body = json!({ "alg": algorithm, "value": base64url(&common::digest("256", b"m")) });
    let signature = unbase64url(&bench.vault("POST", &format!("/keys/{name}/sign"), Some(&body)).json()["value"]);
    let signature = if algorithm.starts_with('E') { der(&signature) } else { signature };
    bench.openssl_verifies(&spki, &signature, b"m", &["-sha256"])
}

#[test]
fn a_certificate_is_imported_with_its_key() {
    let bench = bench();
    let ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
    for (name, options, algorithm) in [("rsa", &["-newkey", "rsa:2048"][..], "RS256"), ("ec", &ec, "ES256")] {
        let pem = pair(&bench, options);
        for value in [base64(pem.as_bytes()), pem] {
            let body = json!({ "value": value, "tags": { "a": "1" }, "attributes": { "enabled": true } });
            let (status, made) = post(&bench, &format!("{name}/import"), &body);
            assert_eq!((status, &made["tags"]), (200, &json!({ "a": "1" })));
            assert_eq!(made["policy"]["secret_props"]["contentType"], "application/x-pem-file");
            assert!(made["kid"].as_str().unwrap().contains(&format!("/keys/{name}/")));
            assert!(signs(&bench, name, algorithm));
        }
        assert_eq!(bench.vault("GET", &format!("/keys/{name}"), None).json()["managed"], true);
        let versions = bench.vault("GET", &format!("/certificates/{name}/versions"), None).json();
        assert_eq!(versions["value"].as_array().unwrap().len(), 2);
    }
}

#[test]
fn what_is_no_certificate_with_its_key_is_not_imported() {
    let bench = bench();
    let pem = pair(&bench, &["-newkey", "rsa:2048"]);
    let (key, certificate) = pem.split_once("-----BEGIN CERTIFICATE").unwrap();
    let certificate = format!("-----BEGIN CERTIFICATE{certificate}");
    let other = pair(&bench, &["-newkey", "rsa:2048"]);
    let other = other.split_once("-----BEGIN CERTIFICATE").unwrap().0.to_owned();
    let refused = |body: Value| {
        let (status, error) = post(&bench, "c/import", &body);
        assert_eq!((status, &error["error"]["code"]), (400, &json!("BadParameter")));
        error["error"]["message"].as_str().unwrap().to_owned()
    };
    assert!(refused(json!({})).contains("'value' is required"));
    assert!(refused(json!({ "value": base64(&[0x30, 0x82, 0xff]) })).contains("PKCS#12"));
    assert!(refused(json!({ "value": key })).contains("valid PEM format"));
    assert!(refused(json!({ "value": certificate })).contains("valid PEM format"));
    assert!(refused(json!({ "value": other + &certificate })).contains("does not match the public part"));
    assert_eq!(bench.vault("GET", "/certificates/c", None).status, 404);
}

#[test]
fn a_request_is_answered_and_merged() {
    let bench = bench();
    authority(&bench);
    let outside = bench.openssl(&["x509", "-outform", "DER"], &std::fs::read(bench.path("authority.pem")).unwrap());
    let ec = json!({ "kty": "EC", "crv": "P-256" });
    for (name, key, algorithm) in [("rsa", json!({ "kty": "RSA", "key_size": 2048 }), "RS256"), ("ec", ec, "ES256")] {
        let (status, operation) = post(&bench, &format!("{name}/create"), &policy("Unknown", key));
        assert_eq!((status, &operation["status"]), (202, &json!("inProgress")));
        let base = bench.emulator.http_url();
        assert_eq!(operation["id"], format!("{base}/certificates/{name}/pending"));
        assert_eq!(bench.vault("GET", &format!("/certificates/{name}/pending"), None).json(), operation);
        assert_eq!(bench.vault("GET", &format!("/certificates/{name}"), None).status, 404);
        let request = ["req", "-inform", "DER", "-verify", "-noout", "-text"];
        let request = String::from_utf8(bench.openssl(&request, &unbase64(&operation["csr"]))).unwrap();
        // OpenSSL 3.0 prints spaces.
        let request = request.replace(" = ", "=");
        assert!(request.contains("CN=me, O=mine") && request.contains("DNS:a.example, DNS:b.example"));

        let leaf = signed(&bench, &operation["csr"]);
        // The leaf need not be the first of the chain.
        let chain = json!({ "x5c": [base64(&outside), base64(&leaf)], "tags": { "a": "1" } });
        let (status, merged) = post(&bench, &format!("{name}/pending/merge"), &chain);
        assert_eq!((status, unbase64(&merged["cer"])), (201, leaf));
        assert_eq!((&merged["tags"], &merged["policy"]["issuer"]["name"]), (&json!({ "a": "1" }), &json!("Unknown")));
        assert!(signs(&bench, name, algorithm));
        let done = bench.vault("GET", &format!("/certificates/{name}/pending"), None).json();
        assert_eq!(
            (&done["status"], &done["target"]),
            (&json!("completed"), &json!(format!("{base}/certificates/{name}")))
        );
        assert_eq!(post(&bench, &format!("{name}/pending/merge"), &chain).0, 403);
    }
    let counts = bench.emulator.control().counts();
    assert_eq!((counts["vault.certificates.create"], counts["vault.certificates.merge"]), (2, 4));
}

#[test]
fn wrong_answers_are_not_merged() {
    let bench = bench();
    authority(&bench);
    let key = json!({ "kty": "EC", "crv": "P-384" });
    let error = |path: &str, body: Value| {
        let (status, reply) = post(&bench, path, &body);
        (status, reply["error"]["code"].as_str().unwrap().to_owned())
    };
    let code = |status: u16, code: &str| (status, code.to_owned());
    assert_eq!(error("c/pending/merge", json!({ "x5c": [] })), code(404, "PendingCertificateNotFound"));
    let csr = post(&bench, "c/create", &policy("Unknown", key.clone())).1["csr"].clone();
    let other = post(&bench, "d/create", &policy("unknown", key.clone())).1["csr"].clone();
    assert_ne!(csr, other);
    assert_eq!(error("c/create", policy("Unknown", key.clone())), code(409, "Conflict"));
    assert_eq!(error("c/import", json!({ "value": "x" })), code(409, "Conflict"));
    assert_eq!(error("c/pending/merge", json!({})), code(400, "BadParameter"));
    assert_eq!(error("c/pending/merge", json!({ "x5c": ["%"] })), code(400, "BadParameter"));
    let (_, reply) = post(&bench, "c/pending/merge", &json!({ "x5c": [base64(&signed(&bench, &other))] }));
    assert!(reply["error"]["message"].as_str().unwrap().contains("does not match the public part"));
    bench.emulator.control().fault(Fault::new("vault.certificates.merge", Action::Deny).key("c").times(1));
    assert_eq!(error("c/pending/merge", json!({ "x5c": [] })), code(403, "Forbidden"));
    assert_eq!(bench.vault("DELETE", "/certificates/c/pending", None).json()["csr"], csr);
    assert_eq!(bench.vault("GET", "/certificates/c/pending", None).status, 404);
    assert_eq!(post(&bench, "c/create", &policy("Unknown", key)).0, 202);
}

#[test]
fn a_self_signed_certificate_is_there_at_once() {
    let bench = bench();
    let (status, operation) = post(&bench, "own/create", &policy("Self", json!({ "kty": "RSA", "key_size": 2048 })));
    assert_eq!((status, &operation["status"]), (202, &json!("completed")));
    let made = bench.vault("GET", "/certificates/own", None).json();
    assert_eq!(made["policy"]["x509_props"]["subject"], "CN=me, O=mine");
    assert_eq!(made["policy"]["issuer"]["name"], "Self");
    assert!(signs(&bench, "own", "RS256"));
    let refused = |body: Value| assert_eq!(post(&bench, "bad/create", &body).0, 400, "{body}");
    refused(json!({}));
    refused(json!({ "policy": { "issuer": { "name": "Self" } } }));
    refused(json!({ "policy": { "x509_props": { "subject": "me" } } }));
    refused(policy("DigiCert", json!({})));
    refused(policy("Self", json!({ "kty": "EC", "crv": "P-256K" })));
    refused(policy("Self", json!({ "kty": "RSA", "key_size": 99_999 })));
}

#[test]
fn a_certificate_is_deleted_with_its_key() {
    let bench = bench();
    let vault = bench.emulator.vault("default");
    vault.create_certificate("c", VaultCertificate::new(VaultKey::ec("P-256"))).unwrap();
    vault.create_key("plain", VaultKey::ec("P-256")).unwrap();
    let made = bench.vault("GET", "/certificates/c", None).json();
    let status = |method: &str, path: &str| bench.vault(method, path, None).status;
    assert_eq!(status("DELETE", "/certificates/plain"), 404);
    let deleted = bench.vault("DELETE", "/certificates/c", None).json();
    assert_eq!((&deleted["cer"], &deleted["id"]), (&made["cer"], &made["id"]));
    assert_eq!(deleted["recoveryId"], format!("{}/deletedcertificates/c", bench.emulator.http_url()));
    for path in ["/certificates/c", "/keys/c"] {
        assert_eq!(status("GET", path), 404);
    }
    assert_eq!(bench.vault("GET", "/deletedcertificates/c", None).json(), deleted);
    let (code, conflict) = post(&bench, "c/create", &policy("Self", json!({ "kty": "EC" })));
    assert_eq!((code, &conflict["error"]["innererror"]["code"]), (409, &json!("ObjectIsDeletedButRecoverable")));
    assert_eq!(bench.vault("POST", "/deletedcertificates/c/recover", None).json()["cer"], made["cer"]);
    assert!(signs(&bench, "c", "ES256"));
    bench.vault("DELETE", "/certificates/c", None);
    assert_eq!(status("DELETE", "/deletedcertificates/c"), 204);
    for (method, path) in [("GET", ""), ("POST", "/recover"), ("DELETE", "")] {
        assert_eq!(status(method, &format!("/deletedcertificates/c{path}")), 404);
    }
    assert_eq!(post(&bench, "c/create", &policy("Self", json!({ "kty": "EC" }))).0, 202);
}
