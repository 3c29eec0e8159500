//! From C_Initialize to C_Finalize in a host process: threads and files of the process, keys that change,
//! failures, and a bad configuration.

use crate::module_test;
use crate::support::p11::P11;
use crate::support::world::{World, holds_soon, module_path, redirected};
use cloud_kms_emulator::{Action, AwsKey, Fault, VaultKey};
use cryptoki_sys::*;
use serde_json::json;
use std::ptr::null_mut;

/// Returns the names of all threads except the emulator's, sorted.
fn threads() -> Vec<String> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok());
    let mut names: Vec<_> = names.filter(|name| !name.starts_with("emulator")).collect();
    names.sort();
    names
}

/// Configures one key of each cloud.
fn two_keys(world: &World) {
    world.emulator.aws().create_key(AwsKey::new("ECC_NIST_P256").alias("alias/a")).unwrap();
    world.emulator.vault("default").create_key("z", VaultKey::rsa(2048)).unwrap();
    world.configure(json!([{ "label": "a", "kms_key_id": "alias/a" }, { "label": "z", "key_name": "z" }]));
}

fn sign(p11: &P11, slot: CK_SLOT_ID) -> Result<Vec<u8>, CK_RV> {
    let session = p11.open(slot);
    let key = p11.private_key(session);
    let ckm = if slot == 0 { CKM_ECDSA_SHA256 } else { CKM_SHA256_RSA_PKCS };
    p11.sign(session, key, ckm, &[], b"data")
}

module_test! {
    fn finalize_leaves_no_thread_and_initialize_works_again(world) {
        two_keys(world);
        let before = threads();
        for _ in 0..5 {
            let p11 = world.module();
            assert_eq!(threads(), before, "no thread runs before the first request");
            sign(&p11, 0).unwrap();
            sign(&p11, 1).unwrap();
            assert_eq!(threads().len(), before.len() + 1, "one worker: {:?}", threads());
            p11.finalize().unwrap();
            assert!(holds_soon(|| threads() == before), "{:?}", threads());
            assert_eq!(p11.finalize(), Err(CKR_CRYPTOKI_NOT_INITIALIZED));
        }
    }
}

module_test! {
    fn a_failed_key_is_tried_again_and_named_in_the_log(world) {
        two_keys(world);
        world.emulator.control().fault(Fault::new("kms.GetPublicKey", Action::Deny).times(1));
        let p11 = world.module();
        let session = p11.open(0);
        assert!(p11.find_class(session, CKO_PRIVATE_KEY).is_empty());
        assert!(p11.find_class(session, CKO_PRIVATE_KEY).is_empty(), "a failed key is not requested again for some seconds");
        assert_eq!(world.count("kms.GetPublicKey"), 1);
        assert_eq!(p11.find_class(p11.open(1), CKO_PRIVATE_KEY).len(), 1, "the failed key hides no other key");
        let log = world.log();
        let errors: Vec<_> = log.lines().filter(|line| line.contains("] error: ")).collect();
        assert!(matches!(errors[..], [one] if one.contains("needed: kms:GetPublicKey")), "the log names the permission once: {log}");
        let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while p11.find_class(session, CKO_PRIVATE_KEY).is_empty() {
            assert!(std::time::Instant::now() < end, "it is never tried again: {}", world.log());
            std::thread::yield_now();
        }
    }
}

module_test! {
    fn a_key_that_is_enabled_again_signs_with_the_same_handle(world) {
        let aws = world.emulator.aws().create_key(AwsKey::new("ECC_NIST_P256").alias("alias/a")).unwrap();
        let vault = world.emulator.vault("default");
        vault.create_key("z", VaultKey::ec("P-256")).unwrap();
        world.configure(json!([{ "label": "a", "kms_key_id": "alias/a" }, { "label": "z", "key_name": "z" }]));
        let p11 = world.module();
        for slot in [0, 1] {
            let session = p11.open(slot);
            let key = p11.private_key(session);
            let sign = || p11.sign(session, key, CKM_ECDSA_SHA256, &[], b"x");
            sign().unwrap();
            let able = |enabled| match (slot, enabled) {
                (0, false) => world.emulator.aws().disable_key(&aws.id),
                (0, true) => world.emulator.aws().enable_key(&aws.id),
                _ => vault.set_enabled("z", "", enabled),
            };
            able(false).unwrap();
            assert_eq!(sign(), Err(CKR_KEY_FUNCTION_NOT_PERMITTED), "{}", world.log());
            able(true).unwrap();
            sign().unwrap();
        }
    }
}

module_test! {
    fn a_rotated_key_is_loaded_anew_under_new_handles(world) {
        let vault = world.emulator.vault("default");
        let first = vault.create_key("z", VaultKey::ec("P-256")).unwrap();
        world.configure(json!([{ "label": "z", "key_name": "z" }]));
        let p11 = world.module();
        let session = p11.open(0);
        let key = p11.private_key(session);
        p11.sign(session, key, CKM_ECDSA_SHA256, &[], b"x").unwrap();
        vault.rotate_key("z").unwrap();
        p11.sign(session, key, CKM_ECDSA_SHA256, &[], b"x").unwrap();
        vault.set_enabled("z", &first.version, false).unwrap();
        let gone = p11.sign(session, key, CKM_ECDSA_SHA256, &[], b"x");
        assert_eq!(gone, Err(CKR_KEY_HANDLE_INVALID), "{}", world.log());
        assert!(world.log().contains("rotated"), "{}", world.log());
        let renewed = p11.private_key(session);
        assert_ne!(renewed, key);
        p11.sign(session, renewed, CKM_ECDSA_SHA256, &[], b"x").unwrap();
    }
}

module_test! {
    fn a_small_stack_is_enough(world) {
        two_keys(world);
        world.emulator.aws().create_key(AwsKey::new("ML_DSA_87").alias("alias/m")).unwrap();
        world.configure(json!([
            { "label": "a", "kms_key_id": "alias/a" }, { "label": "z", "cloud": "azure", "discover": true },
            { "label": "m", "kms_key_id": "alias/m" },
        ]));
        let p11 = world.module();
        // stunnel's threads have 64 KB of stack. Without optimization every stack frame is several times as large.
        let size = if cfg!(debug_assertions) { 256 << 10 } else { 64 << 10 };
        for slot in [0, 1] {
            let host = std::thread::Builder::new().stack_size(size).spawn(move || sign(&p11, slot).unwrap());
            host.unwrap().join().unwrap();
        }
        let lattice = move || {
            let session = p11.open(2);
            p11.sign(session, p11.private_key(session), CKM_ML_DSA, &[], b"data").unwrap()
        };
        std::thread::Builder::new().stack_size(size).spawn(lattice).unwrap().join().unwrap();
    }
}

module_test! {
    fn a_configuration_error_names_file_and_line(world) {
        std::fs::write(world.home.join("config.json"), "{\n  \"slots\": [\n    { \"label\": \"x\", \"kms_keyid\": \"y\" }\n  ]\n}").unwrap();
        // If the configuration cannot be read, the path of the log file is unknown. The log then goes to standard
        // error.
        let log = world.home.join("stderr");
        let p11 = P11::load(&module_path());
        let code = redirected(&log, || p11.initialize());
        assert_eq!(code, Err(CKR_GENERAL_ERROR));
        let text = std::fs::read_to_string(&log).unwrap();
        assert!(text.contains("config.json:3: slots[0]") && text.contains("kms_key_id"), "{text}");
        assert_eq!(text.lines().count(), 1, "one clear error: {text}");
        let mut count = 0;
        assert_eq!(crate::c!(p11, C_GetSlotList(CK_TRUE, null_mut(), &mut count)), Err(CKR_CRYPTOKI_NOT_INITIALIZED));
        world.configure(json!([]));
        p11.initialize().unwrap();
    }
}

module_test! {
    fn nothing_is_printed_to_standard_output(world) {
        two_keys(world);
        let printed = world.home.join("stdout");
        let p11 = world.module();
        unsafe {
            let path = std::ffi::CString::new(printed.to_str().unwrap()).unwrap();
            let file = libc::open(path.as_ptr(), libc::O_CREAT | libc::O_WRONLY, 0o600);
            let kept = libc::dup(1);
            libc::dup2(file, 1);
            let signed = sign(&p11, 0).and_then(|_| sign(&p11, 1));
            p11.finalize().unwrap();
            libc::dup2(kept, 1);
            signed.unwrap();
        }
        assert_eq!(std::fs::read(printed).unwrap(), b"");
    }
}
