//! What goes wrong in a service, and what the caller and the log learn: docs/errors.md, line by line.

use super::p11::P11;
use super::world::World;
use crate::module_test;
use cloud_kms_emulator::{Action, AwsKey, Fault, VaultKey};
use cryptoki_sys::*;
use serde_json::{Value, json};
use std::time::Duration;

/// The operation that signs, of each slot's cloud.
const SIGN: [&str; 2] = ["kms.Sign", "vault.keys.sign"];

struct Host {
    p11: P11,
    sessions: [CK_SESSION_HANDLE; 2],
    keys: [CK_OBJECT_HANDLE; 2],
}

/// A host that has signed once with a key of each cloud.
fn host(world: &World, options: Value) -> Host {
    world.emulator.aws().create_key(AwsKey::new("ECC_NIST_P256").alias("alias/a")).unwrap();
    world.emulator.vault("default").create_key("z", VaultKey::ec("P-256")).unwrap();
    world
        .configure_with(json!([{ "label": "a", "kms_key_id": "alias/a" }, { "label": "z", "key_name": "z" }]), options);
    let p11 = world.module();
    let sessions = [p11.open(0), p11.open(1)];
    let keys = sessions.map(|session| p11.private_key(session));
    let host = Host { p11, sessions, keys };
    assert!([0, 1].iter().all(|slot| host.sign(*slot).is_ok()), "{}", world.log());
    host
}

impl Host {
    fn sign(&self, slot: usize) -> Result<Vec<u8>, CK_RV> {
        self.p11.sign(self.sessions[slot], self.keys[slot], CKM_ECDSA_SHA256, &[], b"data")
    }

    fn device_error(&self, slot: usize) -> CK_ULONG {
        let mut info: CK_SESSION_INFO = unsafe { std::mem::zeroed() };
        crate::c!(self.p11, C_GetSessionInfo(self.sessions[slot], &mut info)).unwrap();
        info.ulDeviceError
    }
}

fn error(status: u16, code: &str, inner: Option<&str>) -> Action {
    Action::Error {
        status,
        code: code.into(),
        message: format!("a message of {code}"),
        innererror: inner.map(Into::into),
    }
}

module_test! {
    fn each_trouble_has_a_code_a_number_and_a_line(world) {
        let host = host(world, json!({ "retries": 0, "call_timeout_ms": 1500, "connect_timeout_ms": 1000 }));
        let troubles: [([Action; 2], CK_RV, CK_ULONG, [&str; 2]); 9] = [
            ([Action::Deny, Action::Deny], CKR_FUNCTION_REJECTED, 1, ["needed: kms:Sign", "keys/sign"]),
            ([error(400, "DisabledException", None), error(403, "Forbidden", Some("KeyDisabled"))], CKR_KEY_FUNCTION_NOT_PERMITTED, 3, ["a message of DisabledException", "a message of Forbidden"]),
            ([Action::Throttle { retry_after: None }, Action::Throttle { retry_after: None }], CKR_DEVICE_ERROR, 4, ["ThrottlingException", "too many requests"]),
            ([Action::Hang, Action::Hang], CKR_DEVICE_ERROR, 5, ["no answer in time", "no answer in time"]),
            ([Action::ResetBeforeReply, Action::ResetBeforeReply], CKR_DEVICE_ERROR, 6, ["can't reach", "can't reach"]),
            ([error(400, "UnrecognizedClientException", None), Action::ExpiredToken], CKR_DEVICE_ERROR, 7, ["UnrecognizedClientException", "no valid credentials"]),
            ([error(400, "ValidationException", None), error(400, "BadParameter", None)], CKR_FUNCTION_FAILED, 8, ["a message of ValidationException", "a message of BadParameter"]),
            ([error(500, "KMSInternalException", None), error(500, "InternalServerError", None)], CKR_DEVICE_ERROR, 9, ["a message of KMSInternalException", "a message of InternalServerError"]),
            ([Action::GarbageBody, Action::GarbageBody], CKR_DEVICE_ERROR, 10, ["makes no sense", "makes no sense"]),
        ];
        for (actions, rv, number, words) in troubles {
            for slot in [0, 1] {
                world.emulator.control().fault(Fault::new(SIGN[slot], actions[slot].clone()));
                let before = world.log().len();
                assert_eq!(host.sign(slot), Err(rv), "{} {:?}: {}", SIGN[slot], actions[slot], &world.log()[before..]);
                assert_eq!(host.device_error(slot), number, "{} {:?}", SIGN[slot], actions[slot]);
                let log = world.log()[before..].to_owned();
                let lines: Vec<_> = log.lines().filter(|line| line.contains("] error: ")).collect();
                assert!(matches!(lines[..], [one] if one.contains(words[slot]) && one.contains("C_Sign: ")), "one line with {}: {log}", words[slot]);
                world.emulator.control().clear_faults();
                assert!(host.sign(slot).is_ok(), "the next signature after {:?}: {}", actions[slot], world.log());
            }
        }
    }
}

module_test! {
    fn passing_trouble_is_ridden_out(world) {
        let host = host(world, json!({}));
        for action in [
            Action::Throttle { retry_after: None },
            error(500, "KMSInternalException", None),
            error(503, "ServiceUnavailable", None),
            Action::ResetBeforeReply,
            Action::ResetMidReply,
            Action::TruncatedBody,
            Action::CloseAfterReply,
            Action::ExpiredToken,
        ] {
            for slot in [0, 1] {
                world.emulator.control().fault(Fault::new(SIGN[slot], action.clone()).times(1));
                assert!(host.sign(slot).is_ok(), "{} {action:?}: {}", SIGN[slot], world.log());
                assert!(host.sign(slot).is_ok(), "{} after {action:?}: {}", SIGN[slot], world.log());
                world.emulator.control().clear_faults();
            }
        }
    }
}

module_test! {
    fn a_silent_service_holds_no_caller_longer_than_its_deadline(world) {
        let host = host(world, json!({ "call_timeout_ms": 1500, "connect_timeout_ms": 1000 }));
        for action in [Action::Hang, Action::Drip { ms: 1000 }] {
            for slot in [0, 1] {
                world.emulator.control().fault(Fault::new(SIGN[slot], action.clone()));
                let start = std::time::Instant::now();
                assert_eq!(host.sign(slot), Err(CKR_DEVICE_ERROR));
                // The bound is far above the deadline, for slow machines; without a deadline it would be minutes.
                assert!(start.elapsed() < Duration::from_secs(20), "{action:?} {:?}", start.elapsed());
                assert_eq!(host.device_error(slot), 5, "{action:?}: {}", world.log());
                world.emulator.control().clear_faults();
            }
        }
    }
}
