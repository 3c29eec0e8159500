//! The file of the metrics, as Prometheus's own client library for Python reads it.

use super::{configure, sign};
use crate::module_test;
use crate::support::world::{World, in_child, isolated, rounds};
use cloud_kms_emulator::{Action, Fault};
use cryptoki_sys::*;
use serde_json::{Map, Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// Prints the samples of a file as `[[name, labels, value], ...]`. The parser of OpenMetrics is strict. The parser of the
/// older format, which node_exporter expects, must find the same samples.
const PARSER: &str = "
import json, sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families as strict
from prometheus_client.parser import text_string_to_metric_families as classic
text = open(sys.argv[1]).read()
read = lambda parser: [[s.name, s.labels, s.value] for family in parser(text) for s in family.samples]
samples = read(strict)
assert samples == read(classic), 'the two formats differ'
json.dump(samples, sys.stdout)
";

/// The samples of a file.
struct Samples(Vec<(String, Map<String, Value>, f64)>);

fn parse(path: &Path) -> Output {
    // The system's own Python, which has the package python3-prometheus-client.
    Command::new("/usr/bin/python3").args(["-c", PARSER]).arg(path).output().unwrap()
}

impl Samples {
    fn read(path: &Path) -> Self {
        let parsed = parse(path);
        assert!(parsed.status.success(), "{}", String::from_utf8_lossy(&parsed.stderr));
        Self(serde_json::from_slice(&parsed.stdout).unwrap())
    }

    /// Returns the value of the only sample with that name and, among others, these labels.
    fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let has = |own: &Map<String, Value>| labels.iter().all(|(label, value)| own.get(*label) == Some(&json!(value)));
        let found: Vec<_> = self.0.iter().filter(|(own, with, _)| own == name && has(with)).collect();
        let [(_, _, value)] = &found[..] else { panic!("{name} {labels:?}: {found:?}") };
        *value
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(own, ..)| own == name)
    }

    fn requests(&self, cloud: &str, operation: &str, outcome: &str) -> f64 {
        let labels = [("cloud", cloud), ("operation", operation), ("outcome", outcome)];
        self.value("cloud_kms_pkcs11_requests_total", &labels)
    }

    fn signatures(&self, mechanism: &str, result: &str) -> f64 {
        let labels = [("operation", "sign"), ("mechanism", mechanism), ("result", result)];
        self.value("cloud_kms_pkcs11_key_uses_total", &labels)
    }
}

/// Returns the files of metrics in the home directory, temporary ones as well.
fn files(world: &World) -> Vec<PathBuf> {
    let all = std::fs::read_dir(&world.home).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = all.filter(|path| path.to_str().unwrap().contains(".prom")).collect();
    files.sort_unstable();
    files
}

module_test! {
    fn c_finalize_writes_what_was_counted(world) {
        configure(world, json!({ "metrics_file": "m.prom" }));
        world.emulator.control().fault(Fault::new("kms.Sign", Action::Throttle { retry_after: None }).key("alias/a").times(1));
        let p11 = world.module();
        for _ in 0..3 {
            sign(p11, 0, CKM_ECDSA_SHA256, b"data").unwrap();
        }
        sign(p11, 1, CKM_ECDSA, &[1; 32]).unwrap();
        assert_eq!(sign(p11, 2, CKM_ECDSA, &[1; 32]), Err(CKR_FUNCTION_REJECTED));
        assert_eq!(files(world), [] as [PathBuf; 0], "the first minute is not over");
        let umask = unsafe { libc::umask(0o077) };
        p11.finalize().unwrap();
        unsafe { libc::umask(umask) };
        let path = world.home.join("m.prom");
        assert_eq!(files(world), std::slice::from_ref(&path));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
        let samples = Samples::read(&path);
        assert_eq!(samples.requests("aws", "Sign", "ok"), 3.0);
        // By the ARN, and by the alias, which may be the only name that a policy permits.
        assert_eq!(samples.requests("aws", "Sign", "denied"), 2.0);
        assert_eq!(samples.requests("aws", "GetPublicKey", "ok"), 2.0);
        assert_eq!(samples.requests("azure", "Sign", "ok"), 1.0);
        let sign = [("cloud", "aws"), ("operation", "Sign")];
        let retries = samples.value("cloud_kms_pkcs11_retries_total", &[&sign[..], &[("cause", "throttled")]].concat());
        assert_eq!(retries, 1.0);
        let duration = |suffix: &str, labels: &[(&str, &str)]| {
            let name = format!("cloud_kms_pkcs11_request_duration_seconds_{suffix}");
            samples.value(&name, &[&sign[..], labels].concat())
        };
        assert_eq!((duration("count", &[]), duration("bucket", &[("le", "+Inf")])), (5.0, 5.0));
        assert!(duration("sum", &[]) > 0.0 && duration("bucket", &[("le", "0.005")]) <= 5.0);
        assert_eq!(samples.signatures("CKM_ECDSA_SHA256", "CKR_OK"), 3.0);
        assert_eq!(samples.signatures("CKM_ECDSA", "CKR_OK"), 1.0);
        assert_eq!(samples.signatures("CKM_ECDSA", "CKR_FUNCTION_REJECTED"), 1.0);
        let calls = |result| [("function", "C_Sign"), ("result", result)];
        assert_eq!(samples.value("cloud_kms_pkcs11_function_calls_total", &calls("CKR_OK")), 4.0);
        assert_eq!(samples.value("cloud_kms_pkcs11_function_calls_total", &calls("CKR_FUNCTION_REJECTED")), 1.0);
        // AWS by plain HTTP, Azure by TLS, and Entra.
        assert!((2.0..=4.0).contains(&samples.value("cloud_kms_pkcs11_connections_total", &[])));
        let start = samples.value("cloud_kms_pkcs11_start_time_seconds", &[]);
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
        assert!(start <= now && start > now - 600.0, "{start} {now}");
        let program = std::env::current_exe().unwrap().file_name().unwrap().to_str().unwrap().to_owned();
        let version = [("version", env!("CARGO_PKG_VERSION")), ("program", &program)];
        assert_eq!(samples.value("cloud_kms_pkcs11_build_info", &version), 1.0);
        assert!(samples.0.iter().all(|(_, labels, _)| labels["program"] == program && !labels.contains_key("pid")));
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains("alias/") && !text.contains("token a"), "names of keys are no labels:\n{text}");
    }
}

module_test! {
    /// Without this, the test above would not show that the file is right.
    fn the_parser_refuses_a_file_with_a_mistake(world) {
        configure(world, json!({ "metrics_file": "m.prom" }));
        let p11 = world.module();
        sign(p11, 0, CKM_ECDSA, &[1; 32]).unwrap();
        p11.finalize().unwrap();
        let path = world.home.join("m.prom");
        let text = std::fs::read_to_string(&path).unwrap();
        for (right, wrong) in [
            ("# EOF\n", ""),
            ("requests_total{", "requests{"),
            ("le=\"1.0\"", "le=\"0.001\""),
            ("# UNIT cloud_kms_pkcs11_start_time_seconds seconds", "# UNIT cloud_kms_pkcs11_start_time_seconds bytes"),
        ] {
            assert!(text.contains(right), "{text}");
            std::fs::write(&path, text.replace(right, wrong)).unwrap();
            assert!(!parse(&path).status.success(), "{right} may be {wrong:?}");
        }
    }
}

module_test! {
    fn a_forked_child_counts_from_zero_in_a_file_of_its_own(world) {
        configure(world, json!({ "metrics_file": "m-%p.prom" }));
        let p11 = world.module();
        sign(p11, 0, CKM_ECDSA, &[1; 32]).unwrap();
        sign(p11, 0, CKM_ECDSA, &[2; 32]).unwrap();
        let own = |process: u32| world.home.join(format!("m-{process}.prom"));
        let parent = std::process::id();
        assert!(in_child(|| {
            sign(p11, 0, CKM_ECDSA, &[3; 32]).unwrap();
            p11.finalize().unwrap();
            let samples = Samples::read(&own(std::process::id()));
            assert_eq!((samples.requests("aws", "Sign", "ok"), samples.signatures("CKM_ECDSA", "CKR_OK")), (1.0, 1.0));
            assert!(!own(parent).exists());
        }));
        sign(p11, 0, CKM_ECDSA, &[4; 32]).unwrap();
        p11.finalize().unwrap();
        let samples = Samples::read(&own(parent));
        assert_eq!((samples.requests("aws", "Sign", "ok"), samples.signatures("CKM_ECDSA", "CKR_OK")), (3.0, 3.0));
        let process = parent.to_string();
        assert!(samples.0.iter().all(|(_, labels, _)| labels["pid"] == process));
        assert_eq!(files(world).len(), 2);
        // After C_Initialize, the numbers continue.
        p11.initialize().unwrap();
        sign(p11, 0, CKM_ECDSA, &[5; 32]).unwrap();
        p11.finalize().unwrap();
        assert_eq!(Samples::read(&own(parent)).requests("aws", "Sign", "ok"), 4.0);
    }
}

module_test! {
    fn a_file_that_cannot_be_written_gives_one_line_of_the_log(world) {
        configure(world, json!({ "metrics_file": "missing/m.prom", "log_level": "error" }));
        let p11 = world.module();
        for _ in 0..3 {
            sign(p11, 0, CKM_ECDSA, &[1; 32]).unwrap();
            assert_eq!(p11.finalize(), Ok(()));
            p11.initialize().unwrap();
        }
        let log = world.log();
        assert_eq!(log.lines().count(), 1, "{log}");
        let words = "missing/m.prom: No such file or directory (os error 2); create its directory, or let this user write to it";
        assert!(log.contains(words), "{log}");
        std::fs::create_dir(world.home.join("missing")).unwrap();
        assert_eq!(p11.finalize(), Ok(()));
        assert!(Samples::read(&world.home.join("missing/m.prom")).has("cloud_kms_pkcs11_requests_total"));
    }
}

module_test! {
    fn a_process_without_a_request_writes_no_file(world) {
        configure(world, json!({ "metrics_file": "m-%p.prom" }));
        let p11 = world.module();
        sign(p11, 0, CKM_ECDSA, &[1; 32]).unwrap();
        assert!(in_child(|| p11.finalize().unwrap()));
        p11.slots();
        p11.finalize().unwrap();
        assert_eq!(files(world), [world.home.join(format!("m-{}.prom", std::process::id()))]);
    }
}

module_test! {
    fn without_the_option_nothing_is_written(world) {
        configure(world, json!({}));
        let p11 = world.module();
        sign(p11, 0, CKM_ECDSA, &[1; 32]).unwrap();
        p11.finalize().unwrap();
        let mut left: Vec<_> =
            std::fs::read_dir(&world.home).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        left.sort_unstable();
        assert_eq!(left, ["ca.pem", "config.json", "module.log"]);
    }
}

/// Takes a minute.
#[test]
fn the_file_is_written_each_minute() {
    if rounds(0, 1) == 0 {
        eprintln!("the_file_is_written_each_minute is skipped: it needs LONG_TESTS");
        return;
    }
    isolated(concat!(module_path!(), "::the_file_is_written_each_minute"), |world| {
        configure(world, json!({ "metrics_file": "m.prom" }));
        let p11 = world.module();
        sign(p11, 0, CKM_ECDSA, &[1; 32]).unwrap();
        let (path, end) = (world.home.join("m.prom"), Instant::now() + Duration::from_secs(120));
        while !path.exists() {
            assert!(Instant::now() < end, "no file was written");
            std::thread::sleep(Duration::from_millis(100));
        }
        assert_eq!(Samples::read(&path).requests("aws", "Sign", "ok"), 1.0);
    });
}
