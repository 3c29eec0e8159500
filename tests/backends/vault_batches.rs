//! Signatures of a real Vault that go together in one request.

use crate::server::{named, wait};
use crate::vault::{described, front, server};
use cloud_kms_pkcs11::cloud::vault::Settings;
use cloud_kms_pkcs11::cloud::{Cause, Failure, Pending, ServiceSettings, SharedBackend, Signature, Target};
use cloud_kms_pkcs11::key::hash::Hash;
use cloud_kms_pkcs11::key::{Algorithm, Curve, Kind, Scheme};
use p256::ecdsa::signature::hazmat::PrehashVerifier;
use p256::pkcs8::DecodePublicKey;

const P256: Scheme = Algorithm::Ecdsa.with_hash(Hash::Sha256);

/// Starts many signatures at the same time: of the digests that consist of the bytes 0, 1, 2 and so on.
fn start(backend: &SharedBackend, count: u8) -> Vec<Pending<Signature>> {
    let name = named("p256");
    let target = Target { name: &name, kind: Kind::Ec(Curve::P256), immutable_id: Some("transit/p256/1") };
    (0..count).map(|byte| backend.sign(target, P256, &[byte; 32])).collect()
}

/// Returns whether the signature is one of the digest that consists of this byte.
fn is_of(settings: &Settings, byte: u8, signature: &Signature) -> bool {
    let public = described(settings, "p256").unwrap().public_key.unwrap();
    let key = p256::ecdsa::VerifyingKey::from_public_key_der(public.spki()).unwrap();
    key.verify_prehash(&[byte; 32], &p256::ecdsa::Signature::from_slice(&signature.bytes).unwrap()).is_ok()
}

#[test]
fn many_signatures_share_requests_and_none_is_mixed_up() {
    let Some(server) = server() else { return };
    let (front, settings) = front(&server);
    let backend = settings.open();
    let signatures: Vec<_> = start(&backend, 64).into_iter().map(|pending| wait(pending).unwrap()).collect();
    let requests = front.lines().len();
    assert!(requests < 40, "{requests} requests for 64 signatures");
    for (byte, signature) in (0..).zip(&signatures) {
        assert!(is_of(&settings, byte, signature) && !is_of(&settings, byte + 1, signature));
        assert_eq!(signature.immutable_id, "transit/p256/1");
    }
}

#[test]
fn what_a_batch_does_not_sign_is_signed_alone() {
    let Some(server) = server() else { return };
    let (front, settings) = front(&server);
    let backend = settings.open();
    // One error, and fewer results than inputs.
    front.reply(
        "batch_input",
        "200 OK",
        r#"{"data": {"batch_results": [{"error": "for a reason of its own", "key_version": 0}]}}"#,
    );
    for (byte, pending) in (0..).zip(start(&backend, 24)) {
        assert!(is_of(&settings, byte, &wait(pending).unwrap()));
    }
    front.reply("batch_input", "200 OK", r#"{"data": {}}"#);
    let failures: Vec<Failure> = start(&backend, 24).into_iter().filter_map(|pending| wait(pending).err()).collect();
    assert!(!failures.is_empty() && failures.iter().all(|failure| failure.cause == Cause::Malformed), "{failures:?}");
}

#[test]
fn a_batch_that_fails_is_tried_again_by_each_of_its_callers() {
    let Some(server) = server() else { return };
    let (front, mut settings) = front(&server);
    settings.network.retries = 3;
    let backend = settings.open();
    front.reply("batch_input", "500 Internal", r#"{"errors": ["for a moment"]}"#);
    front.reply("batch_input", "429 Too Many", r#"{"errors": ["quota"]}"#);
    for (byte, pending) in (0..).zip(start(&backend, 64)) {
        assert!(is_of(&settings, byte, &wait(pending).unwrap()));
    }
}

#[test]
fn callers_that_give_up_hold_up_no_others() {
    let Some(server) = server() else { return };
    let (_front, settings) = front(&server);
    let backend = settings.open();
    for _ in 0..20 {
        drop(start(&backend, 64));
    }
    for (byte, pending) in (0..).zip(start(&backend, 16)) {
        assert!(is_of(&settings, byte, &wait(pending).unwrap()));
    }
}
