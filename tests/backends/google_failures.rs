//! Failures of the Google backend against the emulator: damaged replies, refusals, silence and forks.

use crate::google::*;
use crate::server::holds_in_child;
use cloud_kms_emulator::{Action, Emulator, Fault};
use cloud_kms_pkcs11::cloud::google::Settings;
use cloud_kms_pkcs11::cloud::{Cause, Network};
use std::time::{Duration, Instant};

#[test]
fn what_was_damaged_is_requested_again() {
    let emulator = Emulator::start().unwrap();
    let backend = backend(&emulator);
    let version = key(&emulator, "k", "EC_SIGN_P256_SHA256");
    for action in [Action::WrongChecksum, Action::Unverified] {
        emulator.control().fault(Fault::new("google.AsymmetricSign", action.clone()).times(1));
        let answer = sign(&backend, &version, None);
        assert!(answer.is_ok(), "{action:?}: {answer:?}");
        emulator.control().fault(Fault::new("google.AsymmetricSign", action.clone()));
        let failure = sign(&backend, &version, None).unwrap_err();
        assert!(failure.cause == Cause::Malformed && failure.message.contains("checksum"), "{failure}");
        emulator.control().clear_faults();
    }
    emulator.control().fault(Fault::new("google.GetPublicKey", Action::WrongChecksum).times(1));
    assert!(describe(&backend, &version).is_ok());
    for action in [Action::WrongName, Action::WrongLengthSignature, Action::GarbageBody, Action::EmptyBody] {
        emulator.control().fault(Fault::new("google.AsymmetricSign", action.clone()));
        let failure = sign(&backend, &version, None).unwrap_err();
        assert_eq!(failure.cause, Cause::Malformed, "{action:?}: {failure}");
        emulator.control().clear_faults();
    }
}

#[test]
fn each_failure_has_its_cause() {
    let emulator = Emulator::start().unwrap();
    let network = Network { retries: 0, ..settings(&emulator).network };
    let backend = Settings { network, ..settings(&emulator) }.open();
    let version = key(&emulator, "k", "EC_SIGN_P256_SHA256");
    let error = |status, code: &str, reason: Option<&str>| {
        let innererror = reason.map(str::to_owned);
        Action::Error { status, code: code.into(), message: "words".into(), innererror }
    };
    for (action, cause, words) in [
        (Action::Throttle { retry_after: None }, Cause::Throttled, "cloudkms.googleapis.com/crypto_requests"),
        (Action::Deny, Cause::Denied, "roles/cloudkms.signer"),
        (Action::ServiceDisabled, Cause::Rejected, "gcloud services enable cloudkms.googleapis.com"),
        (Action::PolicyViolated, Cause::Denied, "unique identifier"),
        (error(403, "PERMISSION_DENIED", Some("BILLING_DISABLED")), Cause::Rejected, "enable billing"),
        (error(403, "PERMISSION_DENIED", Some("USER_PROJECT_DENIED")), Cause::Denied, "google_quota_project"),
        (error(403, "PERMISSION_DENIED", Some("CONSUMER_INVALID")), Cause::Rejected, "check the project"),
        (error(503, "UNAVAILABLE", None), Cause::Internal, "words"),
        (error(500, "INTERNAL", None), Cause::Internal, "words"),
        (error(404, "NOT_FOUND", None), Cause::NotFound, "words"),
        (error(400, "INVALID_ARGUMENT", None), Cause::Rejected, "words"),
        (error(401, "UNAUTHENTICATED", None), Cause::Credentials, "service account"),
        (Action::ResetBeforeReply, Cause::Unreachable, ""),
    ] {
        emulator.control().fault(Fault::new("google.AsymmetricSign", action.clone()));
        let failure = sign(&backend, &version, None).unwrap_err();
        assert_eq!(failure.cause, cause, "{action:?}: {failure}");
        assert!(failure.message.contains(words), "{failure}");
        emulator.control().clear_faults();
    }
    emulator.control().fault(Fault::new("google.AsymmetricSign", Action::PolicyViolated));
    assert!(sign(&backend, &version, None).unwrap_err().request_id.is_some());
}

#[test]
fn temporary_failures_are_retried() {
    let emulator = Emulator::start().unwrap();
    let backend = backend(&emulator);
    let version = key(&emulator, "k", "EC_SIGN_P256_SHA256");
    let start = Instant::now();
    let throttle = Action::Throttle { retry_after: Some(1) };
    emulator.control().fault(Fault::new("google.AsymmetricSign", throttle).times(2));
    let answer = sign(&backend, &version, None);
    assert!(answer.is_ok(), "{answer:?}");
    assert!(start.elapsed() > Duration::from_millis(1900), "RetryInfo is honoured: {:?}", start.elapsed());
    let unavailable = Action::Error { status: 503, code: "UNAVAILABLE".into(), message: "x".into(), innererror: None };
    for action in [unavailable, Action::ResetBeforeReply, Action::CloseAfterReply, Action::ExpiredToken] {
        emulator.control().fault(Fault::new("google.AsymmetricSign", action.clone()).times(1));
        let answer = sign(&backend, &version, None);
        assert!(answer.is_ok(), "{action:?}: {answer:?}");
        emulator.control().clear_faults();
    }
}

#[test]
fn names_that_would_change_the_path_are_refused() {
    let emulator = Emulator::start().unwrap();
    let backend = backend(&emulator);
    let name = crypto_key("k");
    for wrong in ["", "k", &format!("{name}/.."), &format!("{name}?a"), &format!("{name}/cryptoKeyVersions/x")] {
        for failure in [describe(&backend, wrong).unwrap_err(), sign(&backend, wrong, None).unwrap_err()] {
            assert_eq!(failure.cause, Cause::Settings, "{failure}");
        }
    }
    assert_eq!(emulator.control().count("connections"), 0);
}

#[test]
fn the_quota_project_is_told() {
    let emulator = Emulator::start().unwrap();
    let version = key(&emulator, "k", "EC_SIGN_P256_SHA256");
    let backend = Settings { quota_project: Some("payer".into()), ..settings(&emulator) }.open();
    sign(&backend, &version, None).unwrap();
    let log = emulator.control().log();
    assert_eq!(log.last().unwrap().quota_project.as_deref(), Some("payer"), "{log:?}");
}

#[test]
fn a_silent_service_ends_a_call_in_time() {
    let emulator = Emulator::start().unwrap();
    let version = key(&emulator, "k", "EC_SIGN_P256_SHA256");
    let network = Network { call_timeout: Duration::from_secs(2), ..settings(&emulator).network };
    let backend = Settings { network, ..settings(&emulator) }.open();
    for action in [Action::Hang, Action::Drip { ms: 400 }] {
        emulator.control().fault(Fault::new("google.AsymmetricSign", action.clone()));
        let start = Instant::now();
        let failure = sign(&backend, &version, None).unwrap_err();
        assert_eq!(failure.cause, Cause::TimedOut, "{failure}");
        // The limit allows for a slow machine. Without a deadline the call would take minutes.
        assert!(start.elapsed() < Duration::from_secs(30), "{action:?}: {:?}", start.elapsed());
        emulator.control().clear_faults();
    }
}

#[test]
fn a_forked_child_and_its_parent_both_sign() {
    let emulator = Emulator::start().unwrap();
    let backend = backend(&emulator);
    let version = key(&emulator, "k", "EC_SIGN_P256_SHA256");
    for _ in 0..5 {
        assert!(sign(&backend, &version, None).is_ok());
        assert!(holds_in_child(|| sign(&backend, &version, None).is_ok()));
    }
}
