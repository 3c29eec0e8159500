//! Failures of a service, and what the caller and the log learn about them: docs/errors.md, line by line.

use crate::module_test;
use crate::support::p11::P11;
use crate::support::world::World;
use cloud_kms_emulator::{Action, AwsKey, Fault, VaultKey};
use cryptoki_sys::*;
use serde_json::{Value, json};
use std::ptr::null_mut;
use std::time::{Duration, Instant};

/// The operation that signs, for the cloud of each slot.
pub(super) const SIGN: [&str; 2] = ["kms.Sign", "vault.keys.sign"];

/// A program with a session and a key of each cloud.
pub(super) struct Host {
    pub(super) p11: P11,
    pub(super) sessions: [CK_SESSION_HANDLE; 2],
    pub(super) keys: [CK_OBJECT_HANDLE; 2],
}

/// Returns a host that has signed once with a key of each cloud.
pub(super) fn host(world: &World, options: Value) -> Host {
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
    pub(super) fn sign(&self, slot: usize) -> Result<Vec<u8>, CK_RV> {
        self.p11.sign(self.sessions[slot], self.keys[slot], CKM_ECDSA_SHA256, &[], b"data")
    }

    pub(super) fn device_error(&self, slot: usize) -> CK_ULONG {
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

/// The fault of a signature in each slot, the return code of C_Sign, ulDeviceError, and the words in the log for
/// each slot.
type FailureCase = ([Action; 2], CK_RV, CK_ULONG, [&'static str; 2]);

fn both(action: Action) -> [Action; 2] {
    [action.clone(), action]
}

fn assert_each_is_reported(world: &World, host: &Host, troubles: &[FailureCase]) {
    for (actions, rv, number, words) in troubles {
        for slot in [0, 1] {
            world.emulator.control().fault(Fault::new(SIGN[slot], actions[slot].clone()));
            let before = world.log().len();
            assert_eq!(host.sign(slot), Err(*rv), "{} {:?}: {}", SIGN[slot], actions[slot], &world.log()[before..]);
            assert_eq!(
                host.device_error(slot),
                *number,
                "{} {:?}: {}",
                SIGN[slot],
                actions[slot],
                &world.log()[before..]
            );
            let log = world.log()[before..].to_owned();
            let lines: Vec<_> = log.lines().filter(|line| line.contains("] error: ")).collect();
            assert!(
                matches!(lines[..], [one] if one.contains(words[slot]) && one.contains("C_Sign: ")),
                "one line with {}: {log}",
                words[slot]
            );
            world.emulator.control().clear_faults();
            assert!(host.sign(slot).is_ok(), "the next signature after {:?}: {}", actions[slot], world.log());
        }
    }
}

module_test! {
    fn each_failure_has_its_code_device_error_and_log_line(world) {
        let host = host(world, json!({ "retries": 0 }));
        let troubles = [
            (both(Action::Deny), CKR_FUNCTION_REJECTED, 1, ["needed: kms:Sign", "keys/sign"]),
            ([error(400, "DisabledException", None), error(403, "Forbidden", Some("KeyDisabled"))], CKR_KEY_FUNCTION_NOT_PERMITTED, 3, ["a message of DisabledException", "a message of Forbidden"]),
            (both(Action::Throttle { retry_after: None }), CKR_DEVICE_ERROR, 4, ["ThrottlingException", "too many requests"]),
            (both(Action::ResetBeforeReply), CKR_DEVICE_ERROR, 6, ["can't reach"; 2]),
            (both(Action::ResetMidReply), CKR_DEVICE_ERROR, 6, ["reset"; 2]),
            (both(Action::TruncatedBody), CKR_DEVICE_ERROR, 6, ["can't reach"; 2]),
            ([error(400, "UnrecognizedClientException", None), Action::ExpiredToken], CKR_DEVICE_ERROR, 7, ["UnrecognizedClientException", "no valid credentials"]),
            ([Action::ExpiredToken, Action::ClaimsChallenge], CKR_DEVICE_ERROR, 7, ["ExpiredTokenException", "no valid credentials"]),
            ([Action::ClockSkew, error(401, "Unauthorized", None)], CKR_DEVICE_ERROR, 7, ["check this machine's clock, which shows", "no valid credentials"]),
            ([error(400, "ValidationException", None), error(400, "BadParameter", None)], CKR_FUNCTION_FAILED, 8, ["a message of ValidationException", "a message of BadParameter"]),
            ([error(500, "KMSInternalException", None), error(500, "InternalServerError", None)], CKR_DEVICE_ERROR, 9, ["a message of KMSInternalException", "a message of InternalServerError"]),
            (both(Action::GarbageBody), CKR_DEVICE_ERROR, 10, ["unexpected reply from the service"; 2]),
            (both(Action::EmptyBody), CKR_DEVICE_ERROR, 10, ["unexpected reply from the service"; 2]),
            (both(Action::OversizedBody { bytes: 64 << 20 }), CKR_DEVICE_ERROR, 10, ["the reply is larger than 4 MiB"; 2]),
            (both(Action::WrongLengthSignature), CKR_DEVICE_ERROR, 10, ["bytes"; 2]),
            ([Action::InvalidDer, Action::WrongLengthSignature], CKR_DEVICE_ERROR, 10, ["not a signature of kind P-256", "63 bytes instead of 64"]),
            (both(Action::WrongSignature), CKR_DEVICE_ERROR, 10, ["the signature in the reply does not verify under the key's public key"; 2]),
        ];
        assert_each_is_reported(world, &host, &troubles);
        // Emulators and older services report this without an innererror.
        let forbidden = |message: &str| Action::Error { status: 403, code: "Forbidden".into(), message: message.into(), innererror: None };
        for message in [
            "Operation sign is not allowed on a disabled key.",
            "Operation sign is not allowed on an expired key.",
            "The key is not yet valid.",
        ] {
            world.emulator.control().fault(Fault::new(SIGN[1], forbidden(message)));
            let before = world.log().len();
            assert_eq!(host.sign(1), Err(CKR_KEY_FUNCTION_NOT_PERMITTED));
            assert_eq!(host.device_error(1), 3);
            let log = world.log()[before..].to_owned();
            assert!(log.contains(message) && !log.contains("needed: "), "the line names no permission: {log}");
            world.emulator.control().clear_faults();
        }
    }
}

module_test! {
    fn a_timeout_has_its_code_device_error_and_log_line(world) {
        let host = host(world, json!({ "retries": 0, "call_timeout_ms": 3000, "connect_timeout_ms": 2000 }));
        let silences = [
            (both(Action::Hang), CKR_DEVICE_ERROR, 5, ["no reply before the deadline"; 2]),
            (both(Action::Drip { ms: 1000 }), CKR_DEVICE_ERROR, 5, ["no reply before the deadline"; 2]),
        ];
        assert_each_is_reported(world, &host, &silences);
    }
}

module_test! {
    fn temporary_failures_are_retried(world) {
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
            Action::ClaimsChallenge,
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
    fn five_seconds_of_throttling_are_waited_out(world) {
        let (host, world) = (&host(world, json!({})), &*world);
        std::thread::scope(|scope| {
            for slot in [0, 1] {
                let throttle = Action::Throttle { retry_after: (slot == 1).then_some(1) };
                world.emulator.control().fault(Fault::new(SIGN[slot], throttle).lasting(Duration::from_secs(5)));
                // Several threads at once would use up the retry budget of an SDK.
                for _ in 0..8 {
                    let (session, key) = (host.p11.open(slot as CK_SLOT_ID), host.keys[slot]);
                    scope.spawn(move || {
                        let p11 = host.p11;
                        let answers = || p11.sign(session, key, CKM_ECDSA_SHA256, &[], b"data");
                        assert!(answers().is_ok(), "{}", world.log());
                    });
                }
            }
        });
        assert!(world.log().contains("; next attempt in "), "some were throttled: {}", world.log());
    }
}

module_test! {
    fn clock_skew_is_corrected_by_the_services_date(world) {
        let host = host(world, json!({}));
        for shift in [1800, -1800] {
            world.emulator.control().shift_clock(shift);
            let asked = world.count("kms.Sign");
            for slot in [0, 1] {
                assert!(host.sign(slot).is_ok(), "{} s, {}: {}", shift, SIGN[slot], world.log());
            }
            assert_eq!(world.count("kms.Sign"), asked + 2, "refused once");
            assert!(host.sign(0).is_ok());
            assert_eq!(world.count("kms.Sign"), asked + 3, "the clock's offset is known");
        }
    }
}

module_test! {
    fn a_moved_alias_leads_to_a_new_handle(world) {
        let aws = world.emulator.aws();
        let host = host(world, json!({}));
        let first = aws.create_key(AwsKey::new("ECC_NIST_P256").alias("alias/first")).unwrap();
        let second = aws.create_key(AwsKey::new("ECC_NIST_P256")).unwrap();
        aws.set_alias("alias/a", &first.id).unwrap();
        assert!(host.sign(0).is_ok(), "a handle never changes its key");
        host.p11.finalize().unwrap();
        let p11 = world.module();
        let session = p11.open(0);
        let key = p11.private_key(session);
        let sign = |key| p11.sign(session, key, CKM_ECDSA_SHA256, &[], b"data");
        sign(key).unwrap();
        aws.set_alias("alias/a", &second.id).unwrap();
        sign(key).unwrap();
        aws.schedule_deletion(&first.id).unwrap();
        assert_eq!(sign(key), Err(CKR_KEY_HANDLE_INVALID));
        assert!(world.log().contains("the alias moved from "), "{}", world.log());
        let renewed = p11.private_key(session);
        assert_ne!(renewed, key);
        sign(renewed).unwrap();
    }
}

module_test! {
    fn a_deleted_key_has_an_invalid_handle(world) {
        let host = host(world, json!({}));
        world.emulator.aws().delete_key("alias/a").unwrap();
        world.emulator.vault("default").delete_key("z").unwrap();
        for slot in [0, 1] {
            assert_eq!(host.sign(slot), Err(CKR_KEY_HANDLE_INVALID), "{}", world.log());
            assert_eq!(host.device_error(slot), 2);
            assert!(host.p11.find_class(host.sessions[slot], CKO_PRIVATE_KEY).is_empty());
        }
    }
}

module_test! {
    fn dead_connections_cost_one_timeout(world) {
        let host = host(world, json!({ "aws_endpoint_url": world.emulator.https_url(), "call_timeout_ms": 6000 }));
        // Opens several pooled connections to each cloud.
        let host = &host;
        for slot in [0, 1] {
            world.emulator.control().fault(Fault::new(SIGN[slot], Action::Delay { ms: 200 }).times(4));
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    let session = host.p11.open(slot as CK_SLOT_ID);
                    scope.spawn(move || host.p11.sign(session, host.keys[slot], CKM_ECDSA_SHA256, &[], b"data").unwrap());
                }
            });
        }
        world.emulator.control().silence_open_connections();
        for slot in [0, 1] {
            assert!(host.sign(slot).is_ok(), "{}: {}", SIGN[slot], world.log());
        }
        // Both clouds share one HTTP client, because both are at the same address.
        assert_eq!(world.log().matches("; next attempt in ").count(), 1, "{}", world.log());
    }
}

module_test! {
    fn a_silent_service_holds_no_caller_longer_than_its_deadline(world) {
        let limits = json!({ "call_timeout_ms": 1500, "connect_timeout_ms": 1000, "aws_endpoint_url": world.emulator.https_url() });
        let host = host(world, limits);
        let control = world.emulator.control();
        for fault in [
            Fault::new("kms.", Action::Hang),
            Fault::new("vault.", Action::Hang),
            Fault::new("kms.", Action::Drip { ms: 1000 }),
            Fault::new("vault.", Action::Drip { ms: 1000 }),
            Fault::black_hole(),
            Fault::tls_stall(),
        ] {
            // The last two faults affect only new connections.
            control.silence_open_connections();
            control.fault(fault.clone());
            for slot in [0, 1] {
                if fault.operation != "connection" && !SIGN[slot].starts_with(&fault.operation) {
                    continue;
                }
                let start = Instant::now();
                assert_eq!(host.sign(slot), Err(CKR_DEVICE_ERROR), "{fault:?}");
                // The limit allows for a slow machine. Without a deadline the call would take minutes.
                assert!(start.elapsed() < Duration::from_secs(30), "{fault:?} {:?}", start.elapsed());
                assert_eq!(host.device_error(slot), 5, "{fault:?}: {}", world.log());
            }
            control.clear_faults();
        }
        assert!(host.sign(0).and(host.sign(1)).is_ok(), "{}", world.log());
    }
}

module_test! {
    fn a_deadline_covers_credentials_and_searches(world) {
        let host = host(world, json!({ "call_timeout_ms": 1500, "connect_timeout_ms": 1000 }));
        host.p11.finalize().unwrap();
        let control = world.emulator.control();
        for operation in ["token", "vault.", "kms."] {
            control.fault(Fault::new(operation, Action::Hang));
            let p11 = world.module();
            let start = Instant::now();
            let slot = CK_SLOT_ID::from(operation != "kms.");
            assert!(p11.find_class(p11.open(slot), CKO_PRIVATE_KEY).is_empty());
            assert!(start.elapsed() < Duration::from_secs(30), "{operation}: {:?}", start.elapsed());
            assert!(world.log().contains("no reply"), "{}", world.log());
            p11.finalize().unwrap();
            control.clear_faults();
        }
    }
}

module_test! {
    fn c_finalize_does_not_wait_for_a_silent_service(world) {
        let patient = json!({ "call_timeout_ms": 600_000, "connect_timeout_ms": 600_000, "aws_endpoint_url": world.emulator.https_url() });
        let control = world.emulator.control();
        let two = host(world, patient);
        two.p11.finalize().unwrap();
        for fault in [Fault::black_hole(), Fault::tls_stall(), Fault::new("*", Action::Hang), Fault::new("token", Action::Hang)] {
            for slot in [0, 1] {
                if fault.operation == "token" && slot == 0 {
                    continue;
                }
                control.fault(fault.clone());
                let ended = || {
                    let p11 = world.module();
                    let before = control.count("connections");
                    let session = p11.open(slot);
                    let caller = std::thread::spawn(move || crate::c!(p11, C_FindObjectsInit(session, null_mut(), 0)));
                    assert!(control.wait_for("connections", before + 1, Duration::from_secs(30)), "{fault:?}");
                    p11.finalize().unwrap();
                    caller.join().unwrap()
                };
                // A connection from before C_Finalize may be counted late. The caller then runs only after C_Finalize.
                let ended = (0..20).map(|_| ended()).find(|ended| *ended != Err(CKR_CRYPTOKI_NOT_INITIALIZED));
                assert_eq!(ended, Some(Err(CKR_FUNCTION_CANCELED)), "{fault:?}");
                control.clear_faults();
            }
        }
    }
}
