//! Failures of Cloud KMS: the return code, ulDeviceError, and the words in the log.

use super::{DATA, P256, configure, key, sign, verifies};
use crate::support::front::Front;
use crate::support::p11::P11;
use crate::support::world::World;
use crate::{c, module_test};
use cloud_kms_emulator::{Action, Fault};
use cryptoki_sys::*;
use serde_json::json;
use std::time::{Duration, Instant};

const SIGN: &str = "google.AsymmetricSign";

/// A program that has signed once.
struct Host<'a> {
    world: &'a World,
    version: String,
    p11: P11,
    session: CK_SESSION_HANDLE,
}

fn host(world: &World, options: serde_json::Value) -> Host<'_> {
    let version = key(world, "k", P256);
    configure(world, json!([{ "label": "k", "google_key": version }]), options);
    let p11 = world.module();
    let host = Host { world, version, p11, session: p11.open(0) };
    host.signs();
    host
}

impl Host<'_> {
    fn sign(&self) -> Result<Vec<u8>, CK_RV> {
        self.p11.sign(self.session, self.p11.private_key(self.session), CKM_ECDSA_SHA256, &[], DATA)
    }

    fn signs(&self) {
        let signature = self.sign().unwrap_or_else(|rv| panic!("{rv:x}: {}", self.world.log()));
        assert!(verifies(self.world, &self.version, &signature));
    }

    /// Checks that a signature fails in this way, with one line in the log that has these words.
    fn fails(&self, case: &str, rv: CK_RV, number: CK_ULONG, words: &str) {
        let key = self.p11.private_key(self.session);
        let before = self.world.log().len();
        let outcome = self.p11.sign(self.session, key, CKM_ECDSA_SHA256, &[], DATA);
        let mut info: CK_SESSION_INFO = unsafe { std::mem::zeroed() };
        c!(self.p11, C_GetSessionInfo(self.session, &mut info)).unwrap();
        let log = self.world.log()[before..].to_owned();
        assert_eq!((outcome, info.ulDeviceError), (Err(rv), number), "{case}: {log}");
        let lines: Vec<_> = log.lines().filter(|line| line.contains("] error: ")).collect();
        let is_told = |line: &str| line.contains(words) && line.contains("C_Sign: ") && line.contains(&self.version);
        assert!(matches!(lines[..], [line] if is_told(line)), "{case}: one line with {words:?}: {log}");
    }
}

fn error(status: u16, code: &str, reason: Option<&str>) -> Action {
    let message = format!("a message of {code}");
    Action::Error { status, code: code.into(), message, innererror: reason.map(Into::into) }
}

module_test! {
    fn each_failure_has_its_code_device_error_and_log_line(world) {
        let host = host(world, json!({ "retries": 0 }));
        #[rustfmt::skip]
        let cases = [
            (Action::Deny, CKR_FUNCTION_REJECTED, 1, "cloudkms.cryptoKeyVersions.useToSign"),
            (Action::PolicyViolated, CKR_FUNCTION_REJECTED, 1, "a perimeter of VPC Service Controls prohibits the request"),
            (error(403, "PERMISSION_DENIED", Some("USER_PROJECT_DENIED")), CKR_FUNCTION_REJECTED, 1, "\"google_quota_project\""),
            (error(404, "NOT_FOUND", None), CKR_KEY_HANDLE_INVALID, 2, "a message of NOT_FOUND"),
            (error(429, "RESOURCE_EXHAUSTED", None), CKR_DEVICE_ERROR, 4, "request a higher quota"),
            (Action::ResetBeforeReply, CKR_DEVICE_ERROR, 6, "can't reach"),
            (Action::TruncatedBody, CKR_DEVICE_ERROR, 6, "can't reach"),
            (Action::ExpiredToken, CKR_DEVICE_ERROR, 7, "the access token was not accepted; check the credentials and this machine's clock"),
            (Action::ServiceDisabled, CKR_FUNCTION_FAILED, 8, "gcloud services enable cloudkms.googleapis.com"),
            (error(403, "PERMISSION_DENIED", Some("BILLING_DISABLED")), CKR_FUNCTION_FAILED, 8, "enable billing"),
            (error(400, "INVALID_ARGUMENT", None), CKR_FUNCTION_FAILED, 8, "a message of INVALID_ARGUMENT"),
            (error(500, "INTERNAL", None), CKR_DEVICE_ERROR, 9, "a message of INTERNAL"),
            (error(503, "UNAVAILABLE", None), CKR_DEVICE_ERROR, 9, "a message of UNAVAILABLE"),
            (Action::WrongChecksum, CKR_DEVICE_ERROR, 10, "checksum"),
            (Action::Unverified, CKR_DEVICE_ERROR, 10, "checksum"),
            (Action::WrongName, CKR_DEVICE_ERROR, 10, "cryptoKeyVersions/"),
            (Action::GarbageBody, CKR_DEVICE_ERROR, 10, "unexpected reply from the service"),
            (Action::EmptyBody, CKR_DEVICE_ERROR, 10, "unexpected reply from the service"),
            (Action::OversizedBody { bytes: 8 << 20 }, CKR_DEVICE_ERROR, 10, "the reply is larger than 4 MiB"),
            (Action::WrongLengthSignature, CKR_DEVICE_ERROR, 10, "the signature is not one of P-256 in DER"),
            (Action::WrongSignature, CKR_DEVICE_ERROR, 10, "the signature in the reply does not verify under the key's public key"),
        ];
        for (action, rv, number, words) in cases {
            world.emulator.control().fault(Fault::new(SIGN, action.clone()));
            host.fails(&format!("{action:?}"), rv, number, words);
            world.emulator.control().clear_faults();
            host.signs();
        }
    }
}

module_test! {
    fn each_state_of_a_version_has_its_code_and_advice(world) {
        let host = host(world, json!({ "retries": 0 }));
        let google = world.emulator.google();
        for (state, rv, number, words) in [
            ("DISABLED", CKR_KEY_FUNCTION_NOT_PERMITTED, 3, "gcloud kms keys versions enable"),
            ("DESTROY_SCHEDULED", CKR_KEY_FUNCTION_NOT_PERMITTED, 3, "gcloud kms keys versions restore"),
            ("DESTROYED", CKR_KEY_HANDLE_INVALID, 2, "the key material is gone; use another version"),
            ("PENDING_GENERATION", CKR_KEY_FUNCTION_NOT_PERMITTED, 3, "still being generated"),
            ("PENDING_IMPORT", CKR_KEY_FUNCTION_NOT_PERMITTED, 3, "still being imported"),
            ("IMPORT_FAILED", CKR_KEY_FUNCTION_NOT_PERMITTED, 3, "gcloud kms keys versions describe"),
            ("GENERATION_FAILED", CKR_KEY_FUNCTION_NOT_PERMITTED, 3, "gcloud kms keys versions describe"),
        ] {
            google.set_state(&host.version, state).unwrap();
            host.fails(state, rv, number, words);
            google.enable(&host.version).unwrap();
            host.signs();
        }
    }
}

module_test! {
    fn a_used_up_quota_is_waited_for_until_the_deadline(world) {
        let host = host(world, json!({ "call_timeout_ms": 3000 }));
        let asked = world.count(SIGN);
        world.emulator.control().fault(Fault::new(SIGN, Action::Throttle { retry_after: Some(1) }).times(1));
        host.signs();
        assert_eq!(world.count(SIGN), asked + 2, "the second attempt signs: {}", world.log());
        world.emulator.control().fault(Fault::new(SIGN, Action::Throttle { retry_after: None }));
        let begun = Instant::now();
        host.fails("throttled", CKR_DEVICE_ERROR, 4, "the quota is cloudkms.googleapis.com/crypto_requests, CryptoRequestsPerMinutePerProject, 60000; request a higher quota");
        assert!(world.count(SIGN) >= asked + 4, "several attempts: {}", world.log());
        assert!(begun.elapsed() < Duration::from_secs(10), "within the time of the call: {:?}", begun.elapsed());
    }
}

module_test! {
    fn temporary_failures_are_retried(world) {
        let host = host(world, json!({}));
        for action in [
            error(503, "UNAVAILABLE", None),
            error(409, "ABORTED", None),
            Action::ResetBeforeReply,
            Action::ResetMidReply,
            Action::CloseAfterReply,
            Action::ExpiredToken,
            Action::WrongChecksum,
            Action::Unverified,
        ] {
            world.emulator.control().fault(Fault::new(SIGN, action).times(1));
            host.signs();
        }
    }
}

module_test! {
    fn a_place_without_a_service_is_told(world) {
        let version = key(world, "k", P256);
        let slots = json!([
            { "label": "closed", "google_key": version, "google_endpoint_url": "http://127.0.0.1:1" },
            { "label": "k", "google_key": version },
        ]);
        configure(world, slots, json!({ "retries": 0, "call_timeout_ms": 3000 }));
        let p11 = world.module();
        assert!(p11.find_class(p11.open(0), CKO_PRIVATE_KEY).is_empty());
        let log = world.log();
        let line = log.lines().find(|line| line.contains("can't reach")).unwrap_or_else(|| panic!("{log}"));
        assert!(line.contains("127.0.0.1:1") && line.contains(&version), "{line}");
        assert!(verifies(world, &version, &sign(p11, 1).unwrap()));
    }
}

module_test! {
    fn a_page_of_google_is_not_taken_for_one_of_the_proxy(world) {
        let front = Front::of(&world.emulator.http_url());
        let host = host(world, json!({ "retries": 0, "proxy": front.url }));
        assert!(front.lines().iter().any(|line| line.contains(":asymmetricSign")), "requests pass the proxy");
        for (header, number, words) in [
            ("server: ESF", 9, "502"),
            ("via: 1.1 squid, 1.1 google", 9, "502"),
            ("server: squid", 14, "answered 502 Bad Gateway to a request for"),
        ] {
            front.reply(":asymmetricSign", &format!("502 Bad Gateway\r\ncontent-type: text/html\r\n{header}"), "<html>");
            host.fails(header, CKR_DEVICE_ERROR, number, words);
            host.signs();
        }
    }
}
