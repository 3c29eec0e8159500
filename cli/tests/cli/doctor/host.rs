//! A module that does not load, registrations that lead nowhere, and agents that refuse the module.

use super::machine::{Machine, REGISTRATION, Report, is_root};
use crate::support::module_path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const MODULE: &str = "CLOUD_KMS_PKCS11_MODULE";

/// The module of p11-kit itself, where distributions have it.
const OTHER_MODULES: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/pkcs11/p11-kit-trust.so",
    "/usr/lib/aarch64-linux-gnu/pkcs11/p11-kit-trust.so",
    "/usr/lib64/pkcs11/p11-kit-trust.so",
];

#[test]
fn a_module_of_another_project() {
    let Some(other) = OTHER_MODULES.iter().find(|path| std::fs::exists(path).unwrap()) else {
        eprintln!("skipped: p11-kit-modules is not installed");
        return;
    };
    let report = Machine::good().report_with(&[(MODULE, Some(other))]);
    report.assert_has("problem module", "is another module, of \"PKCS#11 Kit\"", "libcloud_kms_pkcs11.so");
}

#[test]
fn a_module_without_registration() {
    let machine = Machine::good();
    machine.remove(REGISTRATION);
    let line =
        format!("printf 'module: %s\\n' {} >/etc/pkcs11/modules/cloud-kms-pkcs11.module", module_path().display());
    machine.report(&[]).assert_only("warning p11-kit", "the module is not registered", &line);
}

#[test]
fn a_registration_of_another_copy() {
    let machine = Machine::good();
    machine.write("libcloud_kms_pkcs11.so", "");
    let copy = machine.path("libcloud_kms_pkcs11.so");
    machine.write(REGISTRATION, &format!("module: {}\n", copy.display()));
    machine.report(&[]).assert_only("warning p11-kit", "which is another file than", "or remove it");
}

#[test]
fn two_registrations() {
    let machine = Machine::good();
    let text = format!("module: {}\n", module_path().display());
    machine.write(".config/pkcs11/modules/other.module", &text);
    machine.report(&[]).assert_only("warning p11-kit", "registered 2 times", "remove all files but one");
}

#[test]
fn a_registration_in_the_home_directory_of_root() {
    if !is_root() {
        eprintln!("skipped: this test is not run by root");
        return;
    }
    let machine = Machine::good();
    let report = Report::of(&machine.world.run(&["doctor", "--json"]));
    report.assert_only("warning p11-kit", "which p11-kit ignores for root", "/etc/pkcs11/modules");
}

#[test]
fn an_agent_that_loads_modules_from_other_folders() {
    let machine = Machine::good();
    let path = module_path().canonicalize().unwrap();
    let path = path.to_str().unwrap();
    for (patterns, is_allowed) in [(None, path.starts_with("/usr/lib")), (Some(path), true), (Some("/opt/*"), false)] {
        let agent = Agent::start(&machine, patterns);
        let id = agent.process.id().to_string();
        let report = machine.report_with(&[("SSH_AUTH_SOCK", agent.socket.to_str()), ("SSH_AGENT_PID", Some(&id))]);
        match is_allowed {
            true => assert_eq!(report.troubles(), Vec::<String>::new(), "{patterns:?}"),
            false => report.assert_only("warning ssh-agent", "refuses the module: it loads only /", "ssh-agent -P"),
        }
    }
}

/// An ssh-agent of the user, until it is dropped.
struct Agent {
    process: Child,
    socket: std::path::PathBuf,
}

impl Agent {
    fn start(machine: &Machine, patterns: Option<&str>) -> Self {
        let socket = machine.path("agent");
        let _ = std::fs::remove_file(&socket);
        let mut command = Command::new("ssh-agent");
        command.arg("-D").arg("-a").arg(&socket).args(patterns.iter().flat_map(|patterns| ["-P", patterns]));
        machine.run_as_user(&mut command);
        let process = command.stdout(Stdio::null()).spawn().unwrap();
        let agent = Self { process, socket };
        let deadline = Instant::now() + Duration::from_secs(60);
        while !agent.socket.exists() {
            assert!(Instant::now() < deadline, "ssh-agent has no socket after a minute");
            std::thread::yield_now();
        }
        agent
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
