//! Hosts that fork: what parent and child can do. They never share a connection or a lock.

use super::processes::{Connections, Signer, configure, sign_denied};
use crate::module_test;
use crate::support::p11::P11;
use crate::support::world::{World, in_child, isolated_with, module_path, rounds};
use cloud_kms_emulator::{Action, Fault};
use cryptoki_sys::*;
use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};

/// Runs `forks` while `threads` other threads do `work`. The threads must not notice the forks.
fn while_threads_work(threads: usize, work: impl Fn(usize) + Sync, forks: impl FnOnce()) {
    let (stop, work) = (AtomicBool::new(false), &work);
    let until_told = |number| {
        let mut done = 0;
        while !stop.load(Ordering::Relaxed) {
            work(number);
            done += 1;
        }
        done
    };
    std::thread::scope(|scope| {
        let busy: Vec<_> = (0..threads).map(|number| scope.spawn(move || until_told(number))).collect();
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(forks));
        stop.store(true, Ordering::Relaxed);
        let done: Vec<usize> = busy.into_iter().map(|thread| thread.join().unwrap()).collect();
        outcome.unwrap();
        assert!(done.iter().all(|count| *count > 0), "{done:?}");
    });
}

/// Work for [`while_threads_work`]: a signature in its own session.
fn signing(p11: P11) -> impl Fn(usize) {
    move |number| Signer::one(p11, number)
}

module_test! {
    fn a_child_goes_on_where_its_parent_was(world) {
        configure(world);
        let signer = Signer::new(world.module());
        let p11 = signer.p11;
        assert!(in_child(|| signer.sign_both(0)), "before the parent's first signature");
        signer.sign_both(0);
        let mut connections = Connections::default();
        while_threads_work(2, signing(p11), || {
            assert!(in_child(|| signer.sign_both(1)), "the child uses inherited sessions at once");
            assert!(in_child(|| {
                p11.initialize().unwrap();
                assert_eq!(p11.initialize(), Err(CKR_CRYPTOKI_ALREADY_INITIALIZED));
                signer.sign_anew(0);
                signer.sign_both(0);
            }), "C_Initialize first, as libp11 does");
            assert!(in_child(|| {
                p11.finalize().unwrap();
                assert_eq!(signer.sign(0), Err(CKR_CRYPTOKI_NOT_INITIALIZED));
                p11.initialize().unwrap();
                assert_eq!(signer.sign(0), Err(CKR_SESSION_HANDLE_INVALID));
                signer.sign_anew(1);
            }), "C_Finalize and C_Initialize, as pkcs11-provider does");
            assert!(in_child(|| p11.finalize().unwrap()), "C_Finalize only");
            assert!(in_child(|| ()), "exits without a call");
            assert!(in_child(|| unsafe { libc::exit(0) }), "exits with the parent's exit handlers");
            assert!(in_child(|| {
                signer.sign_both(0);
                unsafe { libc::exit(0) }
            }), "likewise, after use");
            assert!(in_child(|| {
                signer.sign_both(0);
                assert!(in_child(|| signer.sign_both(1)));
                assert!(in_child(|| assert!(in_child(|| signer.sign_anew(1)))));
                signer.sign_both(0);
            }), "grandchildren and their children");
            connections.check(world);
        });
        signer.sign_both(0);
        assert_eq!(p11.initialize(), Err(CKR_CRYPTOKI_ALREADY_INITIALIZED));
        connections.check(world);
        assert_eq!(connections.processes(), 9, "nine processes signed");
    }
}

module_test! {
    fn the_check_detects_shared_connections_and_tls_sessions(world) {
        configure(world);
        let signer = Signer::new(world.module());
        let seen = |world: &World| {
            let check = || Connections::default().check(world);
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(check));
            outcome.err().map(|panic| *panic.downcast::<String>().unwrap()).unwrap_or_default()
        };
        for cloud in [0, 1] {
            // One process signs under the ids of two processes: first on one connection, then on another
            // connection that resumes the TLS session.
            signer.sign_as(cloud, 1).unwrap();
            assert_eq!(seen(world), "");
            let found = (2..50).any(|process| {
                signer.sign_as(cloud, process).unwrap();
                seen(world).contains("both spoke on connection")
            });
            assert!(found, "{}", seen(world));
            world.emulator.control().reset();
            let closing = Fault::new(["kms.Sign", "vault.keys.sign"][cloud], Action::CloseAfterReply).key("a");
            world.emulator.control().fault(closing);
            // A client may resume any of its earlier sessions.
            let found = (50..100).any(|process| {
                signer.sign_as(cloud, process).unwrap();
                let words = seen(world);
                if words.contains("both spoke on connection") {
                    // The connection was used once more before the client noticed that it had ended. TLS sessions
                    // play no part in this.
                    world.emulator.control().reset();
                }
                words.contains("session of Some(")
            });
            assert!(found, "{:?}", world.emulator.control().log());
            world.emulator.control().clear_faults();
            world.emulator.control().reset();
        }
    }
}

/// Forks `count` times in a row, with a check from time to time. Each child signs with both keys, within the
/// deadlines of its calls.
fn forks_in_a_row(world: &World, signer: Signer, count: usize) {
    let mut connections = Connections::default();
    for number in 0..count {
        assert!(in_child(|| signer.sign_both(number)), "child {number}");
        if number % 5 == 0 {
            connections.check(world);
        }
    }
    connections.check(world);
    assert_eq!(connections.processes(), count + 1);
}

module_test! {
    fn children_forked_amid_eight_busy_threads_sign(world) {
        configure(world);
        let signer = Signer::new(world.module());
        while_threads_work(8, signing(signer.p11), || forks_in_a_row(world, signer, rounds(60, 1000)));
    }
}

/// With backtraces, each error that an SDK creates takes a lock of the whole process.
#[test]
fn children_forked_amid_failures_with_backtraces_sign() {
    let path = concat!(module_path!(), "::children_forked_amid_failures_with_backtraces_sign");
    isolated_with(path, &[("RUST_BACKTRACE", "1")], |world| {
        configure(world);
        let signer = Signer::new(world.module());
        let work = |number| if number < 2 { sign_denied(signer.p11, number) } else { Signer::one(signer.p11, number) };
        while_threads_work(6, work, || forks_in_a_row(world, signer, rounds(40, 300)));
    });
}

/// Runs `body` in a daemon: a process after a double fork, with its own process session and without standard
/// files. The daemon reports through a pipe whether `body` succeeded.
fn daemonized(before: impl FnOnce(), body: impl FnOnce()) -> bool {
    let (mut reader, mut writer) = std::io::pipe().unwrap();
    let started = in_child(|| {
        before();
        match unsafe { libc::fork() } {
            0 => {
                let parent = unsafe { libc::setsid() };
                if unsafe { libc::fork() } != 0 {
                    unsafe { libc::_exit(0) };
                }
                unsafe { libc::alarm(60) };
                let null = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null").unwrap();
                for standard in 0..3 {
                    unsafe { libc::dup2(std::os::fd::AsRawFd::as_raw_fd(&null), standard) };
                }
                while unsafe { libc::getppid() } == parent {
                    std::thread::yield_now();
                }
                let held = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)).is_ok();
                let _ = writer.write_all(if held { b"good" } else { b"bad" });
                unsafe { libc::_exit(0) };
            }
            child => assert!(child > 0),
        }
    });
    drop(writer);
    let mut answer = String::new();
    reader.read_to_string(&mut answer).unwrap();
    started && answer == "good"
}

module_test! {
    fn a_daemon_signs_whenever_it_was_started(world) {
        configure(world);
        let p11 = P11::load(&module_path());
        assert!(daemonized(|| p11.initialize().unwrap(), || {
            Signer::new(p11).sign_both(0);
            p11.finalize().unwrap();
        }), "between C_Initialize and first use: {}", world.log());
        p11.initialize().unwrap();
        let signer = Signer::new(p11);
        assert!(daemonized(|| (), || signer.sign_both(0)), "before the first signature: {}", world.log());
        signer.sign_both(0);
        assert!(daemonized(|| (), || signer.sign_both(1)), "after use: {}", world.log());
        assert!(daemonized(|| signer.sign_both(1), || signer.sign_both(1)), "after use in between: {}", world.log());
        signer.sign_both(0);
        Connections::default().check(world);
    }
}

module_test! {
    fn programs_that_the_host_starts_do_not_disturb_signing(world) {
        configure(world);
        let signer = Signer::new(world.module());
        while_threads_work(4, signing(signer.p11), || {
            for _ in 0..rounds(20, 100) {
                // system(3) and posix_spawn(3), with which std starts programs, run no fork handlers.
                assert_eq!(libc::WEXITSTATUS(unsafe { libc::system(c"exit 3".as_ptr()) }), 3);
                let status = std::process::Command::new("sh").args(["-c", "exit 4"]).status().unwrap();
                assert_eq!(status.code(), Some(4));
                // vfork(2): the child uses the parent's memory until the child ends.
                #[allow(deprecated, reason = "hosts do it")]
                let child = unsafe { libc::vfork() };
                if child == 0 {
                    unsafe { libc::_exit(5) };
                }
                let mut status = 0;
                assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
                assert_eq!(libc::WEXITSTATUS(status), 5);
                signer.sign_both(0);
            }
        });
    }
}

module_test! {
    fn a_child_of_raw_clone_signs_on_its_own_connections(world) {
        configure(world);
        let signer = Signer::new(world.module());
        signer.sign_both(0);
        for _ in 0..5 {
            // As in a library that calls clone(2) itself. No other thread may run at that moment, because no fork
            // handler waits for it.
            let child = unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) };
            if child == 0 {
                unsafe { libc::alarm(60) };
                let held = std::panic::catch_unwind(|| signer.sign_both(0)).is_ok();
                unsafe { libc::_exit(i32::from(!held)) };
            }
            let mut status = -1;
            assert_eq!(i64::from(unsafe { libc::waitpid(child as i32, &mut status, 0) }), child);
            assert_eq!(status, 0);
            signer.sign_both(1);
        }
        let mut connections = Connections::default();
        connections.check(world);
        assert_eq!(connections.processes(), 6);
    }
}

module_test! {
    fn a_child_forked_during_initialize_or_finalize_signs(world) {
        configure(world);
        let p11 = world.module();
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            // Another thread calls C_Finalize and C_Initialize continuously, so that forks meet first searches and
            // new clients.
            let lives = scope.spawn(|| {
                let mut lives = 0;
                while !stop.load(Ordering::Relaxed) {
                    Signer::new(p11).sign_both(lives);
                    p11.finalize().unwrap();
                    p11.initialize().unwrap();
                    lives += 1;
                }
                lives
            });
            let held: Vec<_> = (0..rounds(60, 300)).map(|number| in_child(|| {
                let code = p11.initialize();
                assert!(matches!(code, Ok(()) | Err(CKR_CRYPTOKI_ALREADY_INITIALIZED)), "{code:x?}");
                Signer::new(p11).sign_both(number);
                p11.finalize().unwrap();
            })).collect();
            stop.store(true, Ordering::Relaxed);
            assert!(lives.join().unwrap() > 2);
            assert!(held.iter().all(|held| *held), "{held:?} {}", world.log());
        });
        let mut connections = Connections::default();
        connections.check(world);
        assert!(connections.processes() > 1);
    }
}
