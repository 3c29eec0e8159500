//! Clocks that stand still, run slow or fast, or jump: `faketime`, as reproducible builds use it.
//!
//! `faketime` changes the clocks of the whole process, including the monotonic clock. These tests therefore
//! measure time with the kernel's own file.

use super::faults::{Host, SIGN, host};
use crate::support::p11::P11;
use crate::support::world::{World, isolated_with, module_path};
use cloud_kms_emulator::{Action, Fault};
use cryptoki_sys::*;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Duration;

const LIMIT: Duration = Duration::from_millis(1500);
/// Additional time for a slow machine. A call without a deadline takes minutes, or never returns.
const SLACK: Duration = Duration::from_secs(15);

/// Runs `body` in a process whose clock these variables control.
fn under(clock: &[(&str, &str)], path: &str, body: impl FnOnce(&mut World)) {
    let library = libfaketime();
    let faked = [("LD_PRELOAD", library.to_str().unwrap()), ("FAKETIME_DONT_FAKE_MONOTONIC", "0")];
    isolated_with(path, &[&faked, clock].concat(), |world| {
        ends_within(Duration::from_secs(180));
        body(world);
        // When the process ends, libfaketime unmaps memory that its stat(2) and clock_gettime(2) use in other threads
        // (`ft_cleanup`). So the threads of the module end before.
        let _ = P11::load(&module_path()).finalize();
    });
}

/// Returns the path of libfaketime, where the distribution's package installs it.
fn libfaketime() -> PathBuf {
    let folders = [
        "/usr/lib/x86_64-linux-gnu/faketime",
        "/usr/lib/aarch64-linux-gnu/faketime",
        "/usr/lib64/faketime",
        "/usr/lib/faketime",
    ];
    let found =
        folders.map(|folder| Path::new(folder).join("libfaketimeMT.so.1")).into_iter().find(|path| path.is_file());
    found
        .expect("libfaketime is missing: please install it, as `bash scripts/install-tools.sh faketime` does on Debian")
}

/// Lets a signal end this process after `limit`, measured by the kernel's clock: faketime does not change setitimer(2).
fn ends_within(limit: Duration) {
    let time = |seconds| libc::timeval { tv_sec: seconds, tv_usec: 0 };
    let timer = libc::itimerval { it_interval: time(0), it_value: time(limit.as_secs() as i64) };
    assert_eq!(unsafe { libc::setitimer(libc::ITIMER_REAL, &timer, std::ptr::null_mut()) }, 0);
}

/// Returns the kernel's time.
fn now() -> Duration {
    let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
    Duration::from_secs_f64(uptime.split(' ').next().unwrap().parse().unwrap())
}

/// Returns a host whose calls have the deadline [`LIMIT`].
fn limited(world: &World) -> Host {
    let limit = LIMIT.as_millis() as u64;
    let endpoint = world.emulator.https_url();
    let options = json!({ "call_timeout_ms": limit, "connect_timeout_ms": limit - 500, "aws_endpoint_url": endpoint });
    host(world, options)
}

/// Tries everything in a service that needs a deadline or a pause, on both clouds.
fn each_deadline_comes(world: &World) {
    let host = limited(world);
    let control = world.emulator.control();
    let silences = [
        Fault::new("*", Action::Hang),
        Fault::new("*", Action::Drip { ms: 1000 }),
        Fault::black_hole(),
        Fault::tls_stall(),
    ];
    for fault in silences {
        for slot in [0, 1] {
            // The last two faults affect only new connections.
            control.silence_open_connections();
            control.fault(fault.clone());
            let start = now();
            assert_eq!(host.sign(slot), Err(CKR_DEVICE_ERROR), "{fault:?}");
            let elapsed = now() - start;
            assert!(elapsed < LIMIT + SLACK, "{fault:?} {elapsed:?}: {}", world.log());
            assert!(elapsed > LIMIT / 2, "{fault:?}: given up after {elapsed:?}: {}", world.log());
            assert_eq!(host.device_error(slot), 5, "{fault:?}: {}", world.log());
            control.clear_faults();
            assert!(host.sign(slot).is_ok(), "the next one after {fault:?}: {}", world.log());
        }
    }
    each_pause_ends(world, &host);
    control.fault(Fault::new("*", Action::Hang));
    let start = now();
    std::thread::scope(|scope| {
        scope.spawn(|| host.sign(0));
        host.p11.finalize().unwrap();
    });
    assert!(now() - start < LIMIT + SLACK, "C_Finalize");
    let p11 = world.module();
    for slot in [0, 1] {
        let start = now();
        assert!(p11.find_class(p11.open(slot), CKO_PRIVATE_KEY).is_empty(), "the service does not reply");
        assert!(now() - start < LIMIT + SLACK, "C_FindObjectsInit: {}", world.log());
    }
}

/// A throttled request is repeated. The module waits for it no longer than for a silent service.
fn each_pause_ends(world: &World, host: &Host) {
    let control = world.emulator.control();
    for slot in [0, 1] {
        let throttle = Action::Throttle { retry_after: (slot == 1).then_some(1) };
        control.fault(Fault::new(SIGN[slot], throttle.clone()).times(1));
        assert!(host.sign(slot).is_ok(), "{}", world.log());
        control.clear_faults();
        control.fault(Fault::new(SIGN[slot], throttle));
        let start = now();
        assert_eq!(host.sign(slot), Err(CKR_DEVICE_ERROR));
        assert!(now() - start < LIMIT + SLACK, "{}", world.log());
        assert_eq!(host.device_error(slot), 4, "the failure is throttling, not the deadline: {}", world.log());
        control.clear_faults();
        assert!(host.sign(slot).is_ok(), "{}", world.log());
    }
}

macro_rules! clock_test {
    ($name:ident, $clock:expr) => {
        #[test]
        fn $name() {
            let path = concat!(module_path!(), "::", stringify!($name));
            under(&[("FAKETIME", $clock)], path, |world| each_deadline_comes(world));
        }
    };
}

clock_test!(deadlines_hold_when_the_clock_stands_still, "2026-11-26 12:00:00");
clock_test!(deadlines_hold_when_the_clock_starts_at_another_time, "@2026-11-26 12:00:00");
clock_test!(deadlines_hold_when_the_clock_runs_fast, "+0 x10");
clock_test!(deadlines_hold_when_the_clock_runs_slow, "+0 x0.02");

#[test]
fn a_helper_program_that_does_not_end_meets_the_deadline() {
    let path = concat!(module_path!(), "::a_helper_program_that_does_not_end_meets_the_deadline");
    under(&[("FAKETIME", "2026-11-26 12:00:00")], path, |world| {
        std::fs::create_dir(world.home.join(".aws")).unwrap();
        let profile = "[profile slow]\ncredential_process = sleep 1000\n";
        std::fs::write(world.home.join(".aws/config"), profile).unwrap();
        let slots = json!([{ "label": "a", "kms_key_id": "alias/a", "aws_profile": "slow" }]);
        world.configure_with(slots, json!({ "call_timeout_ms": LIMIT.as_millis() as u64 }));
        let p11 = world.module();
        let start = now();
        assert!(p11.find_class(p11.open(0), CKO_PRIVATE_KEY).is_empty());
        assert!(now() - start < LIMIT + SLACK, "{}", world.log());
        assert!(world.log().contains("the program did not end within "), "{}", world.log());
    });
}

#[test]
fn deadlines_hold_when_the_clock_jumps() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("offset");
    let path = concat!(module_path!(), "::deadlines_hold_when_the_clock_jumps");
    let clock = [("FAKETIME_TIMESTAMP_FILE", file.to_str().unwrap()), ("FAKETIME_NO_CACHE", "1")];
    std::fs::write(&file, "+0").unwrap();
    under(&clock, path, |world| {
        let file = PathBuf::from(std::env::var_os("FAKETIME_TIMESTAMP_FILE").unwrap());
        let host = limited(world);
        let control = world.emulator.control();
        for (slot, jump) in [(0, "+2h"), (1, "-3h"), (0, "-3h"), (1, "+0"), (0, "+0"), (1, "+2h")] {
            let asked = control.count(SIGN[slot]);
            control.fault(Fault::new(SIGN[slot], Action::Hang));
            let start = now();
            std::thread::scope(|scope| {
                let waiting = scope.spawn(|| host.sign(slot));
                while control.count(SIGN[slot]) == asked && !waiting.is_finished() {
                    std::thread::yield_now();
                }
                // The file is replaced by a rename, because faketime ends a process that reads an incomplete line.
                let next = file.with_extension("next");
                std::fs::write(&next, jump).unwrap();
                std::fs::rename(next, &file).unwrap();
                assert_eq!(waiting.join().unwrap(), Err(CKR_DEVICE_ERROR));
            });
            assert!(now() - start < LIMIT + SLACK, "{jump}: {}", world.log());
            control.clear_faults();
            // The emulator's clock jumps as well, and the emulator closes connections that appear to be hours old.
            assert!((0..20).any(|_| host.sign(slot).is_ok()), "{jump}: {}", world.log());
        }
    });
}
