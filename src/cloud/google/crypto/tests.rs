//! Operations against replies in memory.

use crate::cloud::google::client::Clients;
use crate::cloud::google::client::testing::{Requests, clients, refused};
use crate::cloud::google::keys::algorithms::{ALGORITHMS, DATA, Row};
use crate::cloud::google::keys::checksum::crc32c;
use crate::cloud::key::KeyRequest;
use crate::cloud::{Cause, Failure, KeyName, Signature, Target};
use crate::fuzzing::replies::block_on;
use crate::key::hash::Hash;
use crate::key::{Algorithm, Curve, Kind, Purpose};
use base64ct::{Base64, Encoding};
use serde_json::{Value, json};
use std::sync::Arc;

const KEY: &str = "projects/p/locations/l/keyRings/r/cryptoKeys/k";
const VERSION: &str = "projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1";

fn order(row: &Row, id: &str, data: &[u8]) -> KeyRequest {
    let name = KeyName { id: id.to_owned(), version: None };
    KeyRequest::new(Target { name: &name, kind: row.kind, immutable_id: Some(VERSION) }, row.scheme, data)
}

fn row(name: &str) -> &'static Row {
    ALGORITHMS.iter().find(|row| row.name == name).unwrap()
}

fn sum(bytes: &[u8]) -> String {
    crc32c(bytes).to_string()
}

/// Returns what the service returns for a signature of this kind: ECDSA in DER, and others as they are.
fn signature_of(kind: Kind) -> Vec<u8> {
    match kind {
        Kind::Ec(_) => vec![0x30, 6, 2, 1, 7, 2, 1, 9],
        _ => vec![7; kind.signature_len()],
    }
}

fn signed(row: &Row) -> Value {
    let bytes = signature_of(row.kind);
    let (verified, [signature, checksum]) = match row.kind {
        Kind::Hmac(_) => ("verifiedDataCrc32c", ["mac", "macCrc32c"]),
        _ if row.field == DATA => ("verifiedDataCrc32c", ["signature", "signatureCrc32c"]),
        _ => ("verifiedDigestCrc32c", ["signature", "signatureCrc32c"]),
    };
    json!({ "name": VERSION, verified: true, signature: Base64::encode_string(&bytes), checksum: sum(&bytes) })
}

fn sign(row: &'static Row, reply: Value) -> (Result<Signature, Failure>, usize) {
    let (clients, requests) = clients(1, move |_, _| (200, reply.clone()));
    let answer = block_on(clients.sign(&order(row, VERSION, &[7; 32])));
    (answer, requests.lock().unwrap().len())
}

#[test]
fn each_algorithm_is_requested_by_its_method_and_field() {
    for row in ALGORITHMS.iter().filter(|row| row.scheme.family.purpose() == Purpose::Sign) {
        let (clients, requests) = clients(0, |_, _| (200, signed(row)));
        let data = vec![5; row.scheme.hash.map_or(70, Hash::len)];
        let signature = block_on(clients.sign(&order(row, KEY, &data))).unwrap();
        assert_eq!(signature.bytes.len(), row.kind.signature_len(), "{}", row.name);
        assert_eq!(signature.immutable_id, VERSION);
        let requests = requests.lock().unwrap();
        let (path, body) = &requests[0];
        let is_mac = matches!(row.kind, Kind::Hmac(_));
        let method = if is_mac { "macSign" } else { "asymmetricSign" };
        assert_eq!((requests.len(), path.clone()), (1, format!("{VERSION}:{method}")), "{}", row.name);
        let encoded = Base64::encode_string(&data);
        let expected = match (row.scheme.family, row.scheme.hash) {
            (Algorithm::RsaPkcs1 | Algorithm::RsaPss | Algorithm::Ecdsa | Algorithm::SlhDsa, Some(hash)) => {
                let name = hash.name().to_lowercase().replace('-', "");
                json!({ "digest": { name: encoded }, "digestCrc32c": sum(&data) })
            }
            _ if row.name.ends_with("_EXTERNAL_MU") => {
                json!({ "digest": { "externalMu": encoded }, "digestCrc32c": sum(&data) })
            }
            _ => json!({ "data": encoded, "dataCrc32c": sum(&data) }),
        };
        assert_eq!(*body, expected, "{}", row.name);
    }
}

#[test]
fn no_scheme_of_another_algorithm_is_sent() {
    let (clients, requests) = clients(0, |_, _| (200, json!({})));
    let mut wrong = order(row("EC_SIGN_P256_SHA256"), VERSION, &[7; 48]);
    wrong.scheme = Algorithm::Ecdsa.with_hash(Hash::Sha384);
    assert_eq!(block_on(clients.sign(&wrong)).unwrap_err().cause, Cause::Unsupported);
    assert!(requests.lock().unwrap().is_empty());
}

#[test]
fn an_ecdsa_signature_is_converted() {
    let (answer, count) = sign(row("EC_SIGN_P256_SHA256"), signed(row("EC_SIGN_P256_SHA256")));
    let mut expected = vec![0; 64];
    (expected[31], expected[63]) = (7, 9);
    assert_eq!((answer.unwrap().bytes, count), (expected, 1));
    let other = Curve::P384;
    let raw = vec![7; 2 * other.field_len()];
    let reply = json!({ "name": VERSION, "verifiedDigestCrc32c": true,
                        "signature": Base64::encode_string(&raw), "signatureCrc32c": sum(&raw) });
    assert_eq!(sign(row("EC_SIGN_P256_SHA256"), reply).0.unwrap_err().cause, Cause::Malformed);
}

#[test]
fn a_signature_that_was_damaged_is_requested_again() {
    let row = row("RSA_SIGN_PSS_2048_SHA256");
    let good = signed(row);
    let with = |name: &str, value: Value| {
        let mut reply = good.clone();
        reply[name] = value;
        reply
    };
    let damaged = [
        with("signatureCrc32c", json!("7")),
        with("signatureCrc32c", Value::Null),
        with("signature", json!(Base64::encode_string(&[8; 256]))),
        with("verifiedDigestCrc32c", json!(false)),
        with("verifiedDigestCrc32c", json!(false))
            .as_object()
            .map(|reply| {
                // The flag of the other field does not count.
                let mut reply = reply.clone();
                reply.insert("verifiedDataCrc32c".into(), json!(true));
                Value::Object(reply)
            })
            .unwrap(),
    ];
    for reply in damaged {
        let (answer, count) = sign(row, reply.clone());
        assert_eq!((answer.unwrap_err().cause, count), (Cause::Malformed, 2), "{reply}");
    }
    // These are whole, so the service would send them again.
    for reply in [
        with("name", json!(format!("{KEY}/cryptoKeyVersions/2"))),
        with("signature", json!("!")),
        with("signatureCrc32c", json!([])),
    ] {
        let (answer, count) = sign(row, reply.clone());
        assert_eq!((answer.unwrap_err().cause, count), (Cause::Malformed, 1), "{reply}");
    }
    let (clients, requests) = clients(1, move |_, _| refused("INVALID_ARGUMENT", "digest_crc32c does not match"));
    let failure = block_on(clients.sign(&order(row, VERSION, &[7; 32]))).unwrap_err();
    assert_eq!((failure.cause, requests.lock().unwrap().len()), (Cause::Malformed, 2));
}

/// Returns a server on which version 1 can't be used, and version 2 can.
fn rotated(row: &'static Row) -> (Arc<Clients>, Requests) {
    let second = format!("{KEY}/cryptoKeyVersions/2");
    clients(0, move |path, _| {
        if path.contains("/cryptoKeyVersions?") {
            let version = |state: &str, number: u32| json!({ "name": format!("{KEY}/cryptoKeyVersions/{number}"), "state": state, "algorithm": row.name });
            // The server ignores the filter.
            return (200, json!({ "cryptoKeyVersions": [version("DISABLED", 3), version("ENABLED", 2)] }));
        }
        if path.starts_with(VERSION) {
            return refused("FAILED_PRECONDITION", &format!("{VERSION} is not enabled, current state is: DISABLED."));
        }
        let mut reply = signed(row);
        reply["name"] = json!(second);
        (200, reply)
    })
}

#[test]
fn after_a_rotation_the_newest_version_is_looked_for_once() {
    let (ec, mac) = (row("EC_SIGN_P256_SHA256"), row("HMAC_SHA256"));
    let (clients, requests) = rotated(ec);
    let failure = block_on(clients.sign(&order(ec, KEY, &[7; 32]))).unwrap_err();
    assert_eq!(failure.cause, Cause::NotFound);
    assert!(failure.message.contains("rotated") && failure.message.contains("DISABLED"), "{failure}");
    assert_eq!(requests.lock().unwrap().len(), 2);
    // A version that the user has named stays.
    let failure = block_on(clients.sign(&order(ec, VERSION, &[7; 32]))).unwrap_err();
    assert_eq!((failure.cause, requests.lock().unwrap().len()), (Cause::Disabled, 3));
    let (clients, requests) = rotated(mac);
    let signature = block_on(clients.sign(&order(mac, KEY, b"abc"))).unwrap();
    assert_eq!(signature.immutable_id, format!("{KEY}/cryptoKeyVersions/2"));
    assert_eq!(requests.lock().unwrap().len(), 3);
}

#[test]
fn a_version_that_is_not_known_yet_is_looked_for() {
    let ec = row("EC_SIGN_P256_SHA256");
    let (clients, requests) = rotated(ec);
    let signature = block_on(clients.sign(&KeyRequest { immutable_id: None, ..order(ec, KEY, &[7; 32]) })).unwrap();
    assert_eq!(signature.immutable_id, format!("{KEY}/cryptoKeyVersions/2"));
    let requests = requests.lock().unwrap();
    assert_eq!(requests[0].0, format!("{KEY}/cryptoKeyVersions?filter=state%3DENABLED&pageSize=1000&pageToken="));
    assert_eq!(requests.len(), 2);
}

#[test]
fn a_mac_is_verified_if_every_check_agrees() {
    let verify = |reply: Value| {
        let (clients, requests) = clients(1, move |_, _| (200, reply.clone()));
        let answer = block_on(clients.verify_mac(&order(row("HMAC_SHA256"), VERSION, b"abc"), &[7; 32]));
        let requests = requests.lock().unwrap();
        let expected = json!({ "data": "YWJj", "dataCrc32c": sum(b"abc"),
                               "mac": Base64::encode_string(&[7; 32]), "macCrc32c": sum(&[7; 32]) });
        assert_eq!(requests[0], (format!("{VERSION}:macVerify"), expected));
        (answer.map_err(|failure| failure.cause), requests.len())
    };
    let all = json!({ "name": VERSION, "success": true, "verifiedSuccessIntegrity": true,
                      "verifiedDataCrc32c": true, "verifiedMacCrc32c": true });
    let without = |names: &[&str]| {
        let mut reply = all.clone();
        names.iter().for_each(|name| drop(reply.as_object_mut().unwrap().remove(*name)));
        reply
    };
    assert_eq!(verify(all.clone()), (Ok(true), 1));
    assert_eq!(verify(without(&["success", "verifiedSuccessIntegrity"])), (Ok(false), 1));
    for missing in ["verifiedSuccessIntegrity", "success", "verifiedDataCrc32c", "verifiedMacCrc32c"] {
        assert_eq!(verify(without(&[missing])), (Err(Cause::Malformed), 2), "{missing}");
    }
}

#[test]
fn a_plaintext_is_checked() {
    let decrypt = |reply: (u16, Value)| {
        let (clients, requests) = clients(1, move |_, _| reply.clone());
        let answer = block_on(clients.decrypt(&order(row("RSA_DECRYPT_OAEP_2048_SHA256"), VERSION, &[7; 256])));
        let requests = requests.lock().unwrap();
        assert_eq!(requests[0].0, format!("{VERSION}:asymmetricDecrypt"));
        assert_eq!(requests[0].1["ciphertextCrc32c"], sum(&[7; 256]));
        (answer.map(|plaintext| plaintext.to_vec()).map_err(|failure| failure.cause), requests.len())
    };
    let good = json!({ "plaintext": "YWJj", "plaintextCrc32c": sum(b"abc"), "verifiedCiphertextCrc32c": true });
    let with = |name: &str, value: Value| {
        let mut reply = good.clone();
        reply[name] = value;
        (200, reply)
    };
    assert_eq!(decrypt((200, good.clone())), (Ok(b"abc".to_vec()), 1));
    let empty = json!({ "plaintextCrc32c": "0", "verifiedCiphertextCrc32c": true });
    assert_eq!(decrypt((200, empty)), (Ok(Vec::new()), 1));
    assert_eq!(decrypt(with("plaintext", json!("YWJk"))), (Err(Cause::Malformed), 2));
    assert_eq!(decrypt(with("verifiedCiphertextCrc32c", json!(false))), (Err(Cause::Malformed), 2));
    assert_eq!(decrypt(refused("INVALID_ARGUMENT", "Decryption failed")), (Err(Cause::Undecryptable), 1));
}

#[test]
fn random_bytes_come_in_requests_of_8_to_1024_bytes() {
    let random = |length: usize, shorter: usize| {
        let (clients, requests) = clients(0, move |_, body| {
            let count = body["lengthBytes"].as_u64().unwrap() as usize;
            let bytes = vec![7; count - shorter];
            (200, json!({ "data": Base64::encode_string(&bytes), "dataCrc32c": sum(&bytes) }))
        });
        let answer = block_on(clients.random(length)).map(|bytes| bytes.len()).map_err(|failure| failure.cause);
        let requests = requests.lock().unwrap();
        assert!(requests.iter().all(|(path, _)| path == "projects/p/locations/l:generateRandomBytes"));
        assert!(requests.iter().all(|(_, body)| body["protectionLevel"] == "HSM"));
        let counts: Vec<_> = requests.iter().map(|(_, body)| body["lengthBytes"].as_u64().unwrap()).collect();
        (answer, counts)
    };
    assert_eq!(random(1, 0), (Ok(1), vec![8]));
    assert_eq!(random(1024, 0), (Ok(1024), vec![1024]));
    assert_eq!(random(2050, 0), (Ok(2050), vec![1024, 1024, 8]));
    assert_eq!(random(100, 1), (Err(Cause::Malformed), vec![100]));
}
