//! Signatures of a real Vault that go together in one request.

use crate::front::Front;
use crate::server::{named, wait};
use crate::vault::{described, front, server, settings};
use cloud_kms_pkcs11::cloud::{Cause, Failure, Pending, SharedBackend, Signature, Target};
use cloud_kms_pkcs11::key::hash::Hash;
use cloud_kms_pkcs11::key::{Algorithm, Curve, Kind, Scheme};
use p256::ecdsa::VerifyingKey;
use p256::ecdsa::signature::hazmat::PrehashVerifier;
use p256::pkcs8::DecodePublicKey;
use serde_json::Value;
use std::time::{Duration, Instant};

const P256: Scheme = Algorithm::Ecdsa.with_hash(Hash::Sha256);

/// Starts many signatures at the same time: of the digests that consist of the bytes 0, 1, 2 and so on.
fn start(backend: &SharedBackend, count: u8) -> Vec<Pending<Signature>> {
    let name = named("p256");
    let target = Target { name: &name, kind: Kind::Ec(Curve::P256), immutable_id: Some("transit/p256/1") };
    (0..count).map(|byte| backend.sign(target, P256, &[byte; 32])).collect()
}

/// Makes the server slow, and shows that to the backend.
fn make_busy(front: &Front, backend: &SharedBackend) {
    let before = Instant::now();
    wait(start(backend, 1).remove(0)).unwrap();
    front.delay(before.elapsed() * 4);
    wait(start(backend, 1).remove(0)).unwrap();
    front.seen();
}

/// Returns the public key of the signatures.
fn public_key(server: &Value) -> VerifyingKey {
    let public = described(&settings(server), "p256").unwrap().public_key.unwrap();
    VerifyingKey::from_public_key_der(public.spki()).unwrap()
}

/// Returns whether the signature is one of the digest that consists of this byte.
fn is_of(key: &VerifyingKey, byte: u8, signature: &Signature) -> bool {
    key.verify_prehash(&[byte; 32], &p256::ecdsa::Signature::from_slice(&signature.bytes).unwrap()).is_ok()
}

#[test]
fn many_signatures_share_requests_and_none_is_mixed_up() {
    let Some(server) = server() else { return };
    let ((front, settings), key) = (front(&server), public_key(&server));
    let backend = settings.open();
    make_busy(&front, &backend);
    let signatures: Vec<_> = start(&backend, 64).into_iter().map(|pending| wait(pending).unwrap()).collect();
    let requests = front.lines().len();
    assert!(requests < 30, "{requests} requests for 64 signatures");
    for (byte, signature) in (0..).zip(&signatures) {
        assert!(is_of(&key, byte, signature) && !is_of(&key, byte + 1, signature));
        assert_eq!(signature.immutable_id, "transit/p256/1");
    }
}

#[test]
fn nobody_waits_for_others_if_the_server_is_not_busy() {
    let Some(server) = server() else { return };
    let (front, settings) = front(&server);
    front.delay(Duration::from_millis(100));
    let backend = settings.open();
    wait(start(&backend, 1).remove(0)).unwrap();
    front.seen();
    start(&backend, 32).into_iter().for_each(|pending| drop(wait(pending).unwrap()));
    assert_eq!(front.lines().len(), 32);
}

#[test]
fn what_a_batch_does_not_sign_is_signed_alone() {
    let Some(server) = server() else { return };
    let ((front, settings), key) = (front(&server), public_key(&server));
    let backend = settings.open();
    make_busy(&front, &backend);
    // One error, and fewer results than inputs.
    front.reply(
        "batch_input",
        "200 OK",
        r#"{"data": {"batch_results": [{"error": "for a reason of its own", "key_version": 0}]}}"#,
    );
    for (byte, pending) in (0..).zip(start(&backend, 24)) {
        assert!(is_of(&key, byte, &wait(pending).unwrap()));
    }
    front.reply("batch_input", "200 OK", r#"{"data": {}}"#);
    let failures: Vec<Failure> = start(&backend, 24).into_iter().filter_map(|pending| wait(pending).err()).collect();
    assert!(!failures.is_empty() && failures.iter().all(|failure| failure.cause == Cause::Malformed), "{failures:?}");
}

#[test]
fn a_batch_that_fails_is_tried_again_by_each_of_its_callers() {
    let Some(server) = server() else { return };
    let ((front, mut settings), key) = (front(&server), public_key(&server));
    settings.network.retries = 3;
    let backend = settings.open();
    make_busy(&front, &backend);
    front.reply("batch_input", "500 Internal", r#"{"errors": ["for a moment"]}"#);
    front.reply("batch_input", "429 Too Many", r#"{"errors": ["quota"]}"#);
    for (byte, pending) in (0..).zip(start(&backend, 64)) {
        assert!(is_of(&key, byte, &wait(pending).unwrap()));
    }
}

#[test]
fn callers_that_give_up_hold_up_no_others() {
    let Some(server) = server() else { return };
    let ((front, settings), key) = (front(&server), public_key(&server));
    let backend = settings.open();
    make_busy(&front, &backend);
    for _ in 0..20 {
        drop(start(&backend, 64));
    }
    for (byte, pending) in (0..).zip(start(&backend, 16)) {
        assert!(is_of(&key, byte, &wait(pending).unwrap()));
    }
}
