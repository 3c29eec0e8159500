//! Hosts with many threads: own sessions per thread, sessions shared against the rules, and C_Finalize during calls.

use crate::module_test;
use crate::support::p11::P11;
use crate::support::world::{World, holds_soon, rounds};
use cloud_kms_emulator::{Action, AwsKey, Fault, VaultKey};
use cryptoki_sys::*;
use p256::ecdsa::signature::hazmat::PrehashVerifier;
use p256::ecdsa::{Signature, VerifyingKey};
use p256::pkcs8::DecodePublicKey;
use serde_json::json;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// The operation that signs, for the cloud of each slot.
const SIGN: [&str; 2] = ["kms.Sign", "vault.keys.sign"];

/// A call that does not wait ends long before this, on any machine. A call that waits takes longer.
const PROMPT: Duration = Duration::from_secs(20);

/// Configures a P-256 key of each cloud. Returns their public keys as the services report them.
fn two_keys(world: &World) -> [VerifyingKey; 2] {
    let aws = world.emulator.aws().create_key(AwsKey::new("ECC_NIST_P256").alias("alias/a")).unwrap();
    let vault = world.emulator.vault("default");
    vault.create_key("z", VaultKey::ec("P-256")).unwrap();
    world.configure_with(
        json!([{ "label": "a", "kms_key_id": "alias/a" }, { "label": "z", "key_name": "z" }]),
        json!({ "call_timeout_ms": 60_000 }),
    );
    let spki = [world.emulator.aws().public_key_spki(&aws.id).unwrap(), vault.public_key_spki("z", "").unwrap()];
    spki.map(|spki| VerifyingKey::from_public_key_der(&spki).unwrap())
}

fn names_of_threads() -> Vec<String> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    tasks.filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok()).collect()
}

fn module_threads() -> usize {
    names_of_threads().iter().filter(|name| name.trim() == "cloud-kms").count()
}

module_test! {
    fn sixty_four_threads_each_get_their_own_signatures(world) {
        let public = two_keys(world);
        let p11 = world.module();
        let public = &public;
        std::thread::scope(|scope| {
            for number in 0..64u8 {
                scope.spawn(move || {
                    let sessions = [p11.open(0), p11.open(1)];
                    let keys = sessions.map(|session| p11.private_key(session));
                    for round in 0..rounds(4, 20) as u8 {
                        for cloud in [0, 1] {
                            let mut digest = [number; 32];
                            digest[0] = round;
                            let signature = p11.sign(sessions[cloud], keys[cloud], CKM_ECDSA, &[], &digest).unwrap();
                            // Each thread gets the signature of its own digest.
                            let signature = Signature::from_slice(&signature).unwrap();
                            public[cloud].verify_prehash(&digest, &signature).unwrap();
                        }
                    }
                    crate::c!(p11, C_CloseSession(sessions[0])).unwrap();
                });
            }
        });
        assert_eq!((world.count("kms.GetPublicKey"), world.count("vault.keys.get")), (1, 1), "one request for each key");
        assert_eq!(module_threads(), 1, "the number of module threads does not depend on the host's threads");
    }
}

module_test! {
    fn threads_share_the_first_request(world) {
        two_keys(world);
        world.emulator.control().fault(Fault::new("kms.GetPublicKey", Action::Delay { ms: 100 }));
        let p11 = world.module();
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(move || sign(&p11, 0).unwrap());
            }
        });
        assert_eq!(world.count("kms.GetPublicKey"), 1, "one request for all threads");
        assert_eq!(world.count("kms.Sign"), 16);
    }
}

/// Signs in a new session. Every call may be the one that fails.
fn sign(p11: &P11, slot: CK_SLOT_ID) -> Result<Vec<u8>, CK_RV> {
    let mut session = 0;
    crate::c!(p11, C_OpenSession(slot, CKF_SERIAL_SESSION, std::ptr::null_mut(), None, &mut session))?;
    let mut class = CKO_PRIVATE_KEY;
    let mut template = CK_ATTRIBUTE {
        type_: CKA_CLASS,
        pValue: (&raw mut class).cast(),
        ulValueLen: size_of::<CK_OBJECT_CLASS>() as CK_ULONG,
    };
    crate::c!(p11, C_FindObjectsInit(session, &mut template, 1))?;
    let (mut key, mut count) = (0, 0);
    crate::c!(p11, C_FindObjects(session, &mut key, 1, &mut count))?;
    crate::c!(p11, C_FindObjectsFinal(session))?;
    let signature = p11.sign(session, key, CKM_ECDSA, &[], &[7; 32])?;
    crate::c!(p11, C_CloseSession(session))?;
    Ok(signature)
}

module_test! {
    fn sessions_shared_between_threads_stay_safe(world) {
        two_keys(world);
        let p11 = world.module();
        let (session, other) = (p11.open(0), p11.open(1));
        let (key, others) = (p11.private_key(session), p11.private_key(other));
        let allowed = [CKR_OPERATION_ACTIVE, CKR_OPERATION_NOT_INITIALIZED];
        std::thread::scope(|scope| {
            for number in 0..32 {
                scope.spawn(move || {
                    let (session, key) = if number % 2 == 0 { (session, key) } else { (other, others) };
                    for _ in 0..rounds(20, 200) {
                        match p11.sign(session, key, CKM_ECDSA_SHA256, &[], b"x") {
                            Ok(signature) => assert_eq!(signature.len(), 64),
                            Err(rv) => assert!(allowed.contains(&rv), "{rv:x}"),
                        }
                        let found = || -> Result<(), CK_RV> {
                            crate::c!(p11, C_FindObjectsInit(session, std::ptr::null_mut(), 0))?;
                            let (mut batch, mut count) = ([0; 2], 0);
                            crate::c!(p11, C_FindObjects(session, batch.as_mut_ptr(), 2, &mut count))?;
                            crate::c!(p11, C_FindObjectsFinal(session))
                        };
                        assert!(found().map_or_else(|rv| allowed.contains(&rv), |()| true));
                    }
                });
            }
        });
        crate::c!(p11, C_CloseAllSessions(0)).unwrap();
        assert_eq!(p11.sign_init(session, key, CKM_ECDSA, &[]), Err(CKR_SESSION_HANDLE_INVALID));
        assert!(sign(&p11, 1).is_ok(), "sessions of the other slot remain");
    }
}

/// Runs `end` while eight threads wait for signatures, four from each service. Returns the results of the eight
/// signatures.
fn during_signatures(world: &World, p11: P11, action: Action, end: impl FnOnce()) -> Vec<Result<Vec<u8>, CK_RV>> {
    let control = world.emulator.control();
    SIGN.iter().for_each(|operation| control.fault(Fault::new(operation, action.clone())));
    let asked = SIGN.map(|operation| world.count(operation) + 4);
    let running: Vec<_> = (0..8)
        .map(|number| {
            let session = p11.open(number % 2);
            let key = p11.private_key(session);
            std::thread::spawn(move || p11.sign(session, key, CKM_ECDSA, &[], &[7; 32]))
        })
        .collect();
    for (operation, asked) in SIGN.iter().zip(asked) {
        assert!(control.wait_for(operation, asked, Duration::from_secs(50)), "{operation}");
    }
    let start = Instant::now();
    end();
    assert!(start.elapsed() < PROMPT, "{:?}", start.elapsed());
    let ended = running.into_iter().map(|thread| thread.join().unwrap()).collect();
    control.clear_faults();
    ended
}

module_test! {
    fn c_finalize_ends_running_signatures(world) {
        two_keys(world);
        let p11 = world.module();
        for _ in 0..rounds(3, 20) {
            assert!(sign(&p11, 0).is_ok() && sign(&p11, 1).is_ok());
            let start = Instant::now();
            let ended = during_signatures(world, p11, Action::Hang, || {
                p11.finalize().unwrap();
                assert!(holds_soon(|| module_threads() == 0), "{:?}", names_of_threads());
                p11.initialize().unwrap();
            });
            assert!(ended.iter().all(|outcome| *outcome == Err(CKR_FUNCTION_CANCELED)), "{ended:x?}");
            assert!(start.elapsed() < Duration::from_secs(50), "the calls ended before their deadline");
        }
        assert!(sign(&p11, 0).is_ok() && sign(&p11, 1).is_ok(), "the new life: {}", world.log());
    }
}

module_test! {
    fn c_close_all_sessions_lets_running_signatures_fail(world) {
        two_keys(world);
        let p11 = world.module();
        assert!(sign(&p11, 0).is_ok() && sign(&p11, 1).is_ok());
        let ended = during_signatures(world, p11, Action::Delay { ms: 5000 }, || {
            crate::c!(p11, C_CloseAllSessions(0)).unwrap();
            crate::c!(p11, C_CloseAllSessions(1)).unwrap();
        });
        assert!(ended.iter().all(|outcome| *outcome == Err(CKR_SESSION_CLOSED)), "{ended:x?}");
        assert!(sign(&p11, 0).is_ok() && sign(&p11, 1).is_ok());
    }
}

/// The codes that a call may return while other threads call C_Finalize and C_Initialize.
const ENDED: [CK_RV; 9] = [
    CKR_CRYPTOKI_NOT_INITIALIZED,
    CKR_CRYPTOKI_ALREADY_INITIALIZED,
    CKR_FUNCTION_CANCELED,
    CKR_SESSION_CLOSED,
    CKR_SESSION_HANDLE_INVALID,
    CKR_OPERATION_NOT_INITIALIZED,
    // No object was found, because the search was interrupted.
    CKR_OBJECT_HANDLE_INVALID,
    CKR_KEY_HANDLE_INVALID,
    CKR_OPERATION_ACTIVE,
];

module_test! {
    fn initialize_and_finalize_are_safe_during_any_call(world) {
        two_keys(world);
        let p11 = world.module();
        let (signed, lives) = (&AtomicUsize::new(0), &AtomicUsize::new(0));
        let count = |what: &AtomicUsize| { what.fetch_add(1, Ordering::Relaxed); };
        std::thread::scope(|scope| {
            for number in 0..16u32 {
                scope.spawn(move || {
                    let mut random = number;
                    for _ in 0..rounds(150, 800) {
                        random = random.wrapping_mul(1_103_515_245).wrapping_add(12_345);
                        let slot = CK_SLOT_ID::from(random >> 20 & 1);
                        let outcome = match random >> 24 {
                            0..8 => p11.finalize(),
                            8..40 => p11.initialize().map(|()| count(lives)),
                            40..44 => crate::c!(p11, C_CloseAllSessions(slot)),
                            _ => sign(&p11, slot).map(|_| count(signed)),
                        };
                        assert!(outcome.is_ok() || outcome.is_err_and(|rv| ENDED.contains(&rv)), "{outcome:x?}");
                    }
                });
            }
        });
        let (signed, lives) = (signed.load(Ordering::Relaxed), lives.load(Ordering::Relaxed));
        assert!(signed > 50 && lives > 20, "{signed} signatures in {lives} lives");
        let _ = p11.finalize();
        assert!(holds_soon(|| module_threads() == 0), "{:?}", names_of_threads());
        p11.initialize().unwrap();
        assert!(sign(&p11, 0).is_ok() && sign(&p11, 1).is_ok(), "{}", world.log());
        let log = world.log();
        // A panic is a line of its own, before that of the call.
        let defects: Vec<_> = log.lines().filter(|line| line.contains("a defect") || line.contains("panic")).collect();
        assert!(defects.is_empty(), "{defects:#?}");
    }
}
