//! Readers of the log: one that has closed its end, one that does not read, a full disk, a terminal.

use crate::module_test;
use crate::support::p11::P11;
use crate::support::world::{World, in_child};
use cloud_kms_emulator::{Action, AwsKey, Fault, VaultKey};
use cryptoki_sys::*;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Configures a key of each cloud. The options say where the log goes.
fn host(world: &World, options: Value) {
    world.emulator.aws().create_key(AwsKey::new("ECC_NIST_P256").alias("alias/a")).unwrap();
    world.emulator.vault("default").create_key("z", VaultKey::ec("P-256")).unwrap();
    let slots = json!([{ "label": "a", "kms_key_id": "alias/a" }, { "label": "z", "key_name": "z" }]);
    world.configure_with(slots, options);
}

fn sign(p11: P11) {
    for slot in 0..2 {
        let session = p11.open(slot);
        p11.sign(session, p11.private_key(session), CKM_ECDSA_SHA256, &[], b"data").unwrap();
    }
}

/// Lets SIGPIPE end this process. This is the default action. A Rust program ignores the signal instead.
fn die_by_sigpipe() {
    unsafe { assert_ne!(libc::signal(libc::SIGPIPE, libc::SIG_DFL), libc::SIG_ERR) };
}

/// Replaces standard error with a pipe. Returns the pipe's other end.
fn pipe_for_stderr() -> i32 {
    let mut ends = [0; 2];
    unsafe {
        assert_eq!(libc::pipe(ends.as_mut_ptr()), 0);
        libc::dup2(ends[1], 2);
        libc::close(ends[1]);
    }
    ends[0]
}

fn is_pending(signal: i32) -> bool {
    unsafe {
        let mut pending = std::mem::zeroed();
        libc::sigpending(&mut pending);
        libc::sigismember(&pending, signal) == 1
    }
}

module_test! {
    fn a_closed_standard_error_does_not_end_the_host(world) {
        host(world, json!({ "log_destination": "stderr" }));
        let signs = |then: fn()| {
            in_child(|| {
                die_by_sigpipe();
                unsafe { libc::close(pipe_for_stderr()) };
                let p11 = world.module();
                sign(p11);
                p11.finalize().unwrap();
                assert!(!is_pending(libc::SIGPIPE));
                then();
            })
        };
        assert!(signs(|| ()), "the log's SIGPIPE ended the host");
        assert!(!signs(|| {
            unsafe { libc::raise(libc::SIGPIPE) };
        }), "the host's own SIGPIPE no longer ends it");
    }
}

module_test! {
    fn a_pending_sigpipe_of_the_host_stays_pending(world) {
        host(world, json!({ "log_destination": "stderr" }));
        assert!(in_child(|| {
            die_by_sigpipe();
            unsafe {
                let mut pipe = std::mem::zeroed();
                libc::sigemptyset(&mut pipe);
                libc::sigaddset(&mut pipe, libc::SIGPIPE);
                libc::pthread_sigmask(libc::SIG_BLOCK, &pipe, std::ptr::null_mut());
                libc::raise(libc::SIGPIPE);
                libc::close(pipe_for_stderr());
            }
            sign(world.module());
            assert!(is_pending(libc::SIGPIPE));
        }));
    }
}

module_test! {
    fn a_full_log_pipe_does_not_block_the_host(world) {
        host(world, json!({ "log_destination": "stderr" }));
        assert!(in_child(|| {
            let reader = pipe_for_stderr();
            let p11 = world.module();
            let begun = Instant::now();
            // Each signature logs several hundred bytes, and a pipe has room for 64 KB.
            (0..200).for_each(|_| sign(p11));
            assert!(begun.elapsed() < Duration::from_secs(50), "the log blocks the host");
            let mut text = vec![0; 1 << 20];
            let read = unsafe { libc::read(reader, text.as_mut_ptr().cast(), text.len()) };
            assert!(read > 50_000, "{read} bytes: the pipe was not full");
            sign(p11);
            let read = unsafe { libc::read(reader, text.as_mut_ptr().cast(), text.len()) };
            let text = String::from_utf8_lossy(&text[..read as usize]);
            assert!(text.contains("lines of the log could not be written"), "{text}");
        }));
    }
}

module_test! {
    fn a_named_pipe_without_reader_does_not_block_the_host(world) {
        let pipe = world.home.join("pipe");
        let name = std::ffi::CString::new(pipe.to_str().unwrap()).unwrap();
        unsafe { assert_eq!(libc::mkfifo(name.as_ptr(), 0o600), 0) };
        host(world, json!({ "log_file": pipe }));
        assert!(in_child(|| sign(world.module())), "C_Initialize waits for a reader");
        let reader = unsafe { libc::open(name.as_ptr(), libc::O_RDONLY | libc::O_NONBLOCK) };
        assert!(in_child(|| {
            die_by_sigpipe();
            let p11 = world.module();
            sign(p11);
            unsafe { libc::close(reader) };
            sign(p11);
        }));
    }
}

module_test! {
    fn a_file_size_limit_does_not_end_the_host(world) {
        host(world, json!({}));
        assert!(in_child(|| {
            let limit = libc::rlimit { rlim_cur: 200, rlim_max: 200 };
            unsafe {
                libc::signal(libc::SIGXFSZ, libc::SIG_DFL);
                assert_eq!(libc::setrlimit(libc::RLIMIT_FSIZE, &limit), 0);
            }
            sign(world.module());
        }), "SIGXFSZ ended the host");
        assert!(world.log().len() <= 200);
    }
}

module_test! {
    /// Anyone who may tag a key, or who can reply in place of a service, can write to an operator's terminal.
    fn control_characters_are_escaped_in_the_log(world) {
        let evil = "\u{1b}]0;pwned\u{7}\u{9b}2J\r\nfaked line\u{202e}";
        world.emulator.aws().create_key(AwsKey::new("ECC_NIST_P256").alias("alias/a")).unwrap();
        world.emulator.vault("default").create_key("z", VaultKey::ec("P-256")).unwrap();
        world.configure(json!([{ "label": format!("a{evil}"), "kms_key_id": "alias/a" }, { "label": format!("z{evil}"), "key_name": "z" }]));
        for (operation, status, code) in [("kms.Sign", 400, "ValidationException"), ("vault.keys.sign", 400, "BadParameter")] {
            let action = Action::Error { status, code: code.into(), message: format!("message {evil}"), innererror: None };
            world.emulator.control().fault(Fault::new(operation, action));
        }
        let p11 = world.module();
        for slot in 0..2 {
            let session = p11.open(slot);
            assert!(p11.sign(session, p11.private_key(session), CKM_ECDSA_SHA256, &[], b"data").is_err());
        }
        let log = world.log();
        assert!(log.lines().all(|line| line.starts_with("cloud-kms-pkcs11[")), "{log:?}");
        assert!(!log.contains(|sign: char| sign.is_control() && sign != '\n' || sign == '\u{202e}'), "{log:?}");
        assert!(log.matches("message \\u{1b}]0;pwned\\u{7}").count() >= 2, "{log}");
    }
}
