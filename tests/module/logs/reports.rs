//! Faults that users have reported of other modules and of other clients of these services. Each is a test that
//! names its report.

use crate::support::p11::P11;
use crate::support::world::{World, in_child, isolated_with, module_path, rounds};
use cloud_kms_emulator::{Action, AwsKey, Emulator, Fault, VaultKey};
use cryptoki_sys::*;
use p256::ecdsa::signature::Verifier;
use p256::ecdsa::{Signature, VerifyingKey};
use p256::pkcs8::DecodePublicKey;
use serde_json::json;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A P-256 key of each cloud, whose signatures are verified by a library of another project.
struct Keys([VerifyingKey; 2]);

impl Keys {
    fn new(world: &World) -> Self {
        let keys = Self::in_both(&world.emulator);
        world.configure(json!([{ "label": "a", "kms_key_id": "alias/a" }, { "label": "z", "key_name": "z" }]));
        keys
    }

    fn in_both(emulator: &Emulator) -> Self {
        let key = emulator.aws().create_key(AwsKey::new("ECC_NIST_P256").alias("alias/a")).unwrap();
        let vault = emulator.vault("default");
        vault.create_key("z", VaultKey::ec("P-256")).unwrap();
        let spki = [emulator.aws().public_key_spki(&key.id).unwrap(), vault.public_key_spki("z", "").unwrap()];
        Self(spki.map(|spki| VerifyingKey::from_public_key_der(&spki).unwrap()))
    }

    /// Signs with both keys, in new sessions.
    fn sign(&self, p11: P11) -> Result<(), CK_RV> {
        (0..2).try_for_each(|slot| {
            let session = p11.open(slot);
            let signature = p11.sign(session, p11.private_key(session), CKM_ECDSA_SHA256, &[], b"data")?;
            let signature = Signature::from_slice(&signature).unwrap();
            self.0[slot as usize].verify(b"data", &signature).expect("a signature by this key");
            crate::c!(p11, C_CloseSession(session))
        })
    }
}

/// Returns this process's descriptors and what they refer to: "socket:[1]", "anon_inode:[eventpoll]", a path.
fn descriptors() -> Vec<(i32, String)> {
    let entries = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let named = entries.filter_map(|entry| {
        let target = std::fs::read_link(entry.path()).ok()?;
        Some((entry.file_name().to_str()?.parse().ok()?, target.to_string_lossy().into_owned()))
    });
    named.collect()
}

crate::module_test! {
    /// rsyslog#1526, livegrep#129, ConnectivityFoundry/AwaLWM2M#288: a daemon runs without standard descriptors,
    /// the sockets of a library get their numbers, and output of any code in the process goes to the peer of a
    /// connection.
    fn what_a_host_without_standard_descriptors_prints_reaches_no_service(world) {
        let keys = Keys::new(world);
        let kept = [0, 1, 2].map(|standard| unsafe { libc::dup(standard) });
        (0..3).for_each(|standard| unsafe { assert_eq!(libc::close(standard), 0) });
        let p11 = world.module();
        let mut outcomes = vec![keys.sign(p11)];
        let standard = || descriptors().into_iter().filter(|(number, _)| *number < 3).collect::<Vec<_>>();
        let mut ours = standard();
        // A daemon closes the descriptors once more. Its output then goes nowhere, and the connections are not
        // affected.
        (0..3).for_each(|standard| unsafe { assert_eq!(libc::close(standard), 0) });
        outcomes.push(keys.sign(p11));
        ours.extend(standard());
        (0..3).for_each(|standard| unsafe {
            libc::write(standard, b"printed".as_ptr().cast(), 7);
        });
        outcomes.push(keys.sign(p11));
        outcomes.push(p11.finalize());
        (0..3).for_each(|standard| unsafe {
            libc::dup2(kept[standard as usize], standard);
        });
        assert_eq!(outcomes, [Ok(()); 4], "{}", world.log());
        assert_eq!(ours.len(), 6);
        let is_harmless = |target: &str| target == "/dev/null";
        assert!(ours.iter().all(|(_, target)| is_harmless(target)), "{ours:?}");
    }
}

crate::module_test! {
    /// nut#642: descriptors that a library left open in programs that its host starts.
    fn programs_that_the_host_starts_inherit_nothing(world) {
        let keys = Keys::new(world);
        let list = || {
            let output = std::process::Command::new("ls").args(["-l", "/proc/self/fd"]).output().unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            let targets = text.lines().filter_map(|line| line.split_once(" -> ")).map(|(_, target)| target.to_owned());
            targets.filter(|target| !target.starts_with("pipe:") && !target.starts_with("/proc/")).collect::<Vec<_>>()
        };
        let before = list();
        keys.sign(world.module()).unwrap();
        assert!(descriptors().iter().any(|(_, target)| target.contains("eventpoll")), "the module has no such descriptor open");
        assert_eq!(list(), before);
    }
}

crate::module_test! {
    /// A case like OpenSC#1279: a host with more descriptors than select(2) can handle.
    fn a_host_with_thousands_of_descriptors_signs(world) {
        let keys = Keys::new(world);
        let limit = libc::rlimit { rlim_cur: 4096, rlim_max: 4096 };
        unsafe { assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &limit), 0) };
        let held: Vec<_> = (0..2000).map(|_| std::fs::File::open("/dev/null").unwrap()).collect();
        let p11 = world.module();
        keys.sign(p11).unwrap();
        drop(held);
    }
}

crate::module_test! {
    /// A case like golang/go#37486: a profiler's timer interrupts every system call that can be interrupted.
    fn interrupted_system_calls_are_resumed(world) {
        static TICKS: AtomicUsize = AtomicUsize::new(0);
        extern "C" fn tick(_: i32) {
            TICKS.fetch_add(1, Ordering::Relaxed);
        }
        let keys = Keys::new(world);
        let every = libc::timeval { tv_sec: 0, tv_usec: 500 };
        unsafe {
            // Without SA_RESTART.
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = tick as extern "C" fn(i32) as usize;
            libc::sigaction(libc::SIGALRM, &action, std::ptr::null_mut());
            let timer = libc::itimerval { it_interval: every, it_value: every };
            assert_eq!(libc::syscall(libc::SYS_setitimer, libc::ITIMER_REAL, &timer, std::ptr::null_mut::<libc::itimerval>()), 0);
        }
        let p11 = world.module();
        let outcomes: Vec<_> = (0..50).map(|_| keys.sign(p11)).collect();
        let never = libc::itimerval { it_interval: libc::timeval { tv_sec: 0, tv_usec: 0 }, it_value: libc::timeval { tv_sec: 0, tv_usec: 0 } };
        unsafe { libc::syscall(libc::SYS_setitimer, libc::ITIMER_REAL, &never, std::ptr::null_mut::<libc::itimerval>()) };
        assert!(outcomes.iter().all(Result::is_ok), "{}", world.log());
        assert!(TICKS.load(Ordering::Relaxed) > 0, "the timer interrupted no system call");
    }
}

crate::module_test! {
    /// The module is loaded by p11-kit and by its own path (openssl-projects/pkcs11-provider, libp11): two copies
    /// in one process.
    fn two_copies_in_one_process_are_independent(world) {
        let keys = Keys::new(world);
        let copy = world.home.join("copy.so");
        std::fs::copy(module_path(), &copy).unwrap();
        let both = [P11::load(&module_path()), P11::load(&copy)];
        assert_ne!(both[0].list(), both[1].list(), "the loader returned the same library twice");
        both.iter().for_each(|p11| p11.initialize().unwrap());
        both.iter().for_each(|p11| keys.sign(*p11).unwrap());
        for _ in 0..rounds(5, 50) {
            assert!(in_child(|| both.iter().for_each(|p11| keys.sign(*p11).unwrap())), "{}", world.log());
        }
        both[0].finalize().unwrap();
        keys.sign(both[1]).unwrap();
        both[1].finalize().unwrap();
    }
}

crate::module_test! {
    /// AzureSignTool#330: "AKV10046: Unable to resolve the key used for signature validation", from time to time.
    fn a_vault_that_does_not_know_the_authority_s_key_for_a_moment_is_asked_again(world) {
        let keys = Keys::new(world);
        let p11 = world.module();
        keys.sign(p11).unwrap();
        let message = "AKV10046: Unable to resolve the key used for signature validation.";
        let action = Action::Error { status: 401, code: "Unauthorized".into(), message: message.into(), innererror: None };
        world.emulator.control().fault(Fault::new("vault.keys.sign", action).times(1));
        keys.sign(p11).unwrap();
    }
}

crate::module_test! {
    /// Programs that fork without the C library (container runtimes, sandboxes): no fork handler runs.
    fn a_child_of_a_fork_without_handlers_signs(world) {
        let keys = Keys::new(world);
        let p11 = world.module();
        keys.sign(p11).unwrap();
        let status = unsafe {
            match libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) {
                0 => {
                    libc::alarm(60);
                    let signed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| keys.sign(p11)));
                    libc::_exit(if matches!(signed, Ok(Ok(()))) { 0 } else { 1 });
                }
                child => {
                    let mut status = -1;
                    libc::waitpid(child as i32, &mut status, 0);
                    status
                }
            }
        };
        assert_eq!(status, 0, "{}", world.log());
        keys.sign(p11).unwrap();
    }
}

crate::module_test! {
    /// openssl-projects/pkcs11-provider#281: after a fork, all threads of the child call C_Finalize and
    /// C_Initialize at once.
    fn all_threads_of_a_child_may_reinitialize_at_once(world) {
        let keys = Keys::new(world);
        let p11 = world.module();
        keys.sign(p11).unwrap();
        for _ in 0..rounds(3, 30) {
            assert!(
                in_child(|| {
                    let barrier = Barrier::new(8);
                    std::thread::scope(|scope| {
                        for _ in 0..8 {
                            scope.spawn(|| {
                                barrier.wait();
                                let _ = p11.finalize();
                                let _ = p11.initialize();
                            });
                        }
                    });
                    let _ = p11.initialize();
                    keys.sign(p11).unwrap();
                }),
                "{}",
                world.log()
            );
        }
    }
}

crate::module_test! {
    /// parallaxsecond/rust-cryptoki and others: the first of many threads initializes the module, and all threads
    /// continue.
    fn one_of_many_threads_initializes(world) {
        let keys = Keys::new(world);
        let p11 = P11::load(&module_path());
        let barrier = Barrier::new(16);
        let begin = || {
            barrier.wait();
            p11.initialize()
        };
        let mut answers: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..16).map(|_| scope.spawn(begin)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        answers.sort_unstable();
        let first = answers.remove(0);
        assert_eq!(first, Ok(()));
        assert!(answers.iter().all(|answer| *answer == Err(CKR_CRYPTOKI_ALREADY_INITIALIZED)), "{answers:?}");
        keys.sign(p11).unwrap();
    }
}

crate::module_test! {
    /// A host name with an IPv6 address where no server listens (localhost, dual-stack hosts without a route).
    fn a_name_whose_first_address_is_dead_is_reached_by_the_next(world) {
        let keys = Keys::new(world);
        let name = |url: String| url.replace("127.0.0.1", "localhost");
        world.configure_with(
            json!([{ "label": "a", "kms_key_id": "alias/a" }, { "label": "z", "key_name": "z" }]),
            json!({ "aws_endpoint_url": name(world.emulator.http_url()), "vault_url": name(world.emulator.https_url()) }),
        );
        keys.sign(world.module()).unwrap();
    }
}

/// bottlerocket#2227, aws-sdk-rust#169: `https-proxy = "my-proxy:9898"`, without a scheme, and the variable in
/// lower case.
#[test]
fn a_proxy_may_be_given_without_scheme_or_in_lower_case() {
    let path = concat!(module_path!(), "::a_proxy_may_be_given_without_scheme_or_in_lower_case");
    isolated_with(path, &[("AWS_REGION", "eu-central-1")], |world| {
        let emulator = &world.emulator;
        emulator.aws().create_key(AwsKey::new("ECC_NIST_P256").region("eu-central-1").alias("alias/a")).unwrap();
        emulator.vault("v").create_key("z", VaultKey::ec("P-256")).unwrap();
        let config = json!({
            "ca_bundle": world.home.join("ca.pem"),
            "slots": [
                { "label": "a", "kms_key_id": "alias/a", "aws_region": "eu-central-1" },
                { "label": "z", "key_name": "z", "vault_url": "https://v.vault.azure.net" },
            ],
        });
        std::fs::write(world.home.join("config.json"), config.to_string()).unwrap();
        let address = emulator.http_url().replace("http://", "");
        // The process has its own environment, and no other thread reads it now.
        unsafe {
            std::env::set_var("https_proxy", address);
            std::env::set_var("NO_PROXY", "localhost,10.0.0.0/8,.example.com");
        }
        let p11 = world.module();
        for slot in 0..2 {
            let session = p11.open(slot);
            p11.sign(session, p11.private_key(session), CKM_ECDSA_SHA256, &[], b"data").unwrap();
        }
        assert!(emulator.control().count("connect") >= 3, "KMS, Entra and the vault are reached through the proxy");
    });
}
