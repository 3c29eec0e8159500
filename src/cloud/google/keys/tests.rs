//! Descriptions against replies in memory.

use super::algorithms::ALGORITHMS;
use super::checksum::crc32c;
use crate::cloud::google::client::testing::{clients, refused};
use crate::cloud::{Cause, Failure, KeyDescription, KeyName};
use crate::fuzzing::replies::block_on;
use crate::key::{Curve, Kind, PublicKey};
use base64ct::{Base64, Encoding};
use serde_json::{Value, json};

const KEY: &str = "projects/p/locations/l/keyRings/r/cryptoKeys/k";
const VERSION: &str = "projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1";

/// Returns a key of this kind, whose numbers no algorithm checks.
fn public_key(kind: Kind) -> PublicKey {
    match kind {
        Kind::Rsa(bits) => PublicKey::rsa(&[&[0x80][..], &vec![1; bits / 8 - 1]].concat(), &[1, 0, 1]),
        Kind::Ec(curve) => PublicKey::ec_coordinates(curve, &[7], &[7]),
        Kind::Ed25519 => PublicKey::ed25519(&[7; 32]),
        Kind::MlDsa(set) => PublicKey::ml_dsa(set, &vec![7; set.public_key_len()]),
        Kind::SlhDsa(set) => PublicKey::slh_dsa(set, &vec![7; set.public_key_len()]),
        other => panic!("{other:?} has no public key"),
    }
    .unwrap()
}

fn pem(key: &PublicKey) -> String {
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", Base64::encode_string(key.spki()))
}

fn reply(algorithm: &str, bytes: &[u8]) -> Value {
    let data = json!({ "data": Base64::encode_string(bytes), "crc32cChecksum": crc32c(bytes).to_string() });
    json!({ "name": VERSION, "algorithm": algorithm, "publicKey": data, "publicKeyFormat": "PEM" })
}

/// Describes a key, and returns the paths of the requests.
fn described(
    id: &str,
    reply: impl Fn(&str) -> (u16, Value) + Send + Sync + 'static,
) -> (Result<KeyDescription, Failure>, Vec<String>) {
    let (clients, requests) = clients(1, move |path, _| reply(path));
    let answer = block_on(clients.describe(&KeyName { id: id.to_owned(), version: None }));
    let paths = requests.lock().unwrap().iter().map(|(path, _)| path.replace(KEY, "K")).collect();
    (answer, paths)
}

const IN_PEM: &str = "K/cryptoKeyVersions/1/publicKey?publicKeyFormat=PEM";
const AS_NIST: &str = "K/cryptoKeyVersions/1/publicKey?publicKeyFormat=NIST_PQC";
const OF_VERSION: &str = "K/cryptoKeyVersions/1";
const VERSIONS: &str = "K/cryptoKeyVersions?filter=state%3DENABLED&pageSize=1000&pageToken=";

#[test]
fn each_algorithm_is_described() {
    for row in ALGORITHMS.iter().filter(|row| !matches!(row.kind, Kind::Hmac(_))) {
        let key = public_key(row.kind);
        let expected = key.clone();
        let (answer, paths) = described(VERSION, move |_| (200, reply(row.name, pem(&key).as_bytes())));
        let facts = answer.unwrap();
        assert_eq!((facts.kind, facts.schemes, facts.public_key), (row.kind, vec![row.scheme], Some(expected)));
        assert_eq!((facts.immutable_id.as_deref(), facts.unusable_reason), (Some(VERSION), None));
        assert!(facts.usage.unwrap().contains(row.name));
        assert_eq!(paths, [IN_PEM]);
    }
}

#[test]
fn a_reply_without_formats_is_read() {
    let key = public_key(Kind::Ed25519);
    let pem = pem(&key);
    let text = json!({ "name": VERSION, "algorithm": "EC_SIGN_ED25519", "pem": pem,
                       "pemCrc32c": crc32c(pem.as_bytes()).to_string() });
    assert_eq!(described(VERSION, move |_| (200, text.clone())).0.unwrap().public_key, Some(key));
}

#[test]
fn a_key_that_has_no_pem_is_requested_in_another_format() {
    for row in ALGORITHMS.iter().filter(|row| row.name.starts_with("PQ_")) {
        let length = match row.kind {
            Kind::MlDsa(set) => set.public_key_len(),
            Kind::SlhDsa(set) => set.public_key_len(),
            other => panic!("{other:?}"),
        };
        let (answer, paths) = described(VERSION, move |path| match path.ends_with("=PEM") {
            true => refused("INVALID_ARGUMENT", "Only NIST_PQC format is supported for this algorithm."),
            false => (200, reply(row.name, &vec![7; length])),
        });
        assert_eq!((answer.unwrap().kind, paths), (row.kind, vec![IN_PEM.to_owned(), AS_NIST.to_owned()]));
    }
    // The list of versions tells the algorithm.
    let (answer, paths) = described(KEY, |path| match path.contains("/publicKey") {
        true => (200, reply("PQ_SIGN_SLH_DSA_SHA2_128S", &[7; 32])),
        false => {
            let version = json!({ "name": VERSION, "state": "ENABLED", "algorithm": "PQ_SIGN_SLH_DSA_SHA2_128S" });
            (200, json!({ "cryptoKeyVersions": [version] }))
        }
    });
    assert!(answer.is_ok(), "{answer:?}");
    assert_eq!(paths, [VERSIONS, AS_NIST]);
}

#[test]
fn a_key_for_macs_is_described_by_its_version() {
    let version = |algorithm: &str| json!({ "name": VERSION, "state": "ENABLED", "algorithm": algorithm });
    let of = |algorithm: &'static str| {
        described(VERSION, move |path| match path.contains("/publicKey") {
            true => refused("FAILED_PRECONDITION", "there is no public key"),
            false => (200, version(algorithm)),
        })
    };
    let (answer, paths) = of("HMAC_SHA256");
    let facts = answer.unwrap();
    assert_eq!((facts.kind, facts.public_key), (Kind::Hmac(crate::key::hash::Hash::Sha256), None));
    assert_eq!((facts.immutable_id.as_deref(), paths), (Some(VERSION), vec![IN_PEM.into(), OF_VERSION.into()]));
    let failure = of("ML_KEM_768").0.unwrap_err();
    assert!(failure.cause == Cause::Unsupported && failure.message.contains("ML_KEM_768"), "{failure}");
    assert_eq!(of("EC_SIGN_ED25519").0.unwrap_err().cause, Cause::Rejected, "the words of the first reply");
    // Without the permission to read the version, the first reply is the failure.
    let (answer, _) = described(VERSION, |path| match path.contains("/publicKey") {
        true => refused("FAILED_PRECONDITION", "there is no public key"),
        false => refused("PERMISSION_DENIED", "no"),
    });
    assert!(answer.unwrap_err().message.contains("there is no public key"));
}

#[test]
fn the_newest_version_of_all_pages_is_described() {
    let (answer, paths) = described(KEY, |path| {
        let page = |versions: &[u32], next: &str| {
            let version = |number: &u32| json!({ "name": format!("{KEY}/cryptoKeyVersions/{number}"), "state": "ENABLED", "algorithm": "HMAC_SHA512" });
            let versions: Vec<_> = versions.iter().map(version).collect();
            (200, json!({ "cryptoKeyVersions": versions, "nextPageToken": next }))
        };
        match path.rsplit_once("pageToken=").unwrap().1 {
            "" => page(&[9, 10], "a+b"),
            // An empty page, and then a page without a list.
            "a%2Bb" => page(&[], "c"),
            "c" => (200, json!({ "nextPageToken": "d" })),
            "d" => page(&[2], ""),
            other => panic!("{other}"),
        }
    });
    assert_eq!(answer.unwrap().immutable_id, Some(format!("{KEY}/cryptoKeyVersions/10")));
    assert_eq!((paths.len(), paths[0].as_str()), (4, VERSIONS));
}

#[test]
fn versions_of_another_key_and_names_that_are_none_are_left_out() {
    for name in [VERSION.replace("/k/", "/other/"), format!("{VERSION}/../2"), "1".into()] {
        let versions =
            json!({ "cryptoKeyVersions": [{ "name": name, "state": "ENABLED", "algorithm": "HMAC_SHA256" }] });
        let (answer, _) = described(KEY, move |_| (200, versions.clone()));
        assert_eq!(answer.unwrap_err().cause, Cause::Disabled);
    }
}

#[test]
fn a_public_key_is_checked() {
    let ec = Kind::Ec(Curve::P256);
    let good = reply("EC_SIGN_P256_SHA256", pem(&public_key(ec)).as_bytes());
    let with = |path: &str, value: Value| {
        let mut reply = good.clone();
        *reply.pointer_mut(path).unwrap() = value;
        let (answer, paths) = described(VERSION, move |_| (200, reply.clone()));
        (answer.unwrap_err().cause, paths.len())
    };
    // What was damaged is requested again.
    assert_eq!(with("/publicKey/crc32cChecksum", json!("7")), (Cause::Malformed, 2));
    assert_eq!(with("/publicKey/crc32cChecksum", Value::Null), (Cause::Malformed, 2));
    assert_eq!(with("/publicKey/data", json!("AAAA")), (Cause::Malformed, 2));
    assert_eq!(with("/publicKey/data", json!("!")), (Cause::Malformed, 1));
    assert_eq!(with("/name", json!(VERSION.replace("/1", "/2"))), (Cause::Malformed, 1));
    assert_eq!(with("/algorithm", json!("EC_SIGN_P384_SHA384")), (Cause::Malformed, 1));
    assert_eq!(with("/algorithm", json!("ML_KEM_768")), (Cause::Unsupported, 1));
    for bytes in [&b"-----BEGIN PUBLIC KEY-----\n!\n-----END PUBLIC KEY-----\n"[..], b"text", &[0xff, 0xfe]] {
        let reply = reply("EC_SIGN_P256_SHA256", bytes);
        assert_eq!(described(VERSION, move |_| (200, reply.clone())).0.unwrap_err().cause, Cause::Malformed);
    }
}
