//! `doctor`: a good set-up has no warning, and each broken one is named, with the fix.

mod configuration;
mod environment;
mod host;
mod machine;
mod setups;

use crate::support::module_path;
use machine::{Machine, is_installed};
use serde_json::json;

#[test]
fn a_good_machine_has_neither_problem_nor_warning() {
    let machine = Machine::good();
    let report = machine.report(&[]);
    assert_eq!(report.troubles(), Vec::<String>::new(), "{report:?}");
    for name in [
        "configuration",
        "cache",
        "secrets",
        "HOME",
        "CLOUD_KMS_PKCS11_CONFIG",
        "module",
        "version",
        "slots",
        "p11-kit",
        "openssl",
        "ssh-agent",
        "denials",
    ] {
        assert!(report.texts(name).iter().all(|text| !text.is_empty()), "{name}");
        assert!(!report.texts(name).is_empty(), "{name} is not in {report:?}");
    }
    assert_eq!(report.code, Some(0));
    assert!(report.texts("slots")[0].contains("3 slots"), "{report:?}");
    let labels: Vec<_> = report.json["slots"].as_array().unwrap().iter().map(|slot| &slot["label"]).collect();
    assert_eq!(labels, ["aws", "azure", "google"]);
}

#[test]
fn the_report_is_a_line_for_each_check() {
    let machine = Machine::good();
    let text = machine.run(&["doctor"], &[]).text();
    assert!(text.starts_with("configuration\n  ok       configuration  "), "{text}");
    let loads = format!("{} loads, and C_Initialize succeeds", module_path().display());
    let line = text.lines().find(|line| line.ends_with(&loads)).unwrap();
    assert!(line.starts_with("  ok       module  "), "{text}");
    assert!(text.ends_with("\nno problem, no warning\n"), "{text}");
    assert!(!text.contains('\x1b'), "colors are for terminals only: {text:?}");
}

#[test]
fn a_problem_is_a_line_with_its_fix_and_exit_code_1() {
    let machine = Machine::good();
    machine.write("config.json", "{ \"slots\": [\n{ \"key_name\": 5 } ] }");
    let run = machine.run(&["doctor"], &[]);
    assert_eq!(run.code, Some(1), "{run:?}");
    let text = run.stdout();
    assert!(text.contains("  problem  configuration"), "{text}");
    assert!(text.contains("config.json:2: slots[0].key_name: expected a string, found the number 5\n"), "{text}");
    assert!(text.contains("\n           fix: write it in double quotes\n"), "{text}");
    assert!(text.ends_with("\n1 problem, no warning\n"), "{text}");
}

#[test]
fn one_slot_is_chosen_by_its_label() {
    let machine = Machine::good();
    let report = machine.report(&["--slot", "azure"]);
    assert_eq!(report.json["slots"].as_array().unwrap().len(), 1, "{report:?}");
    assert_eq!(report.json["slots"][0]["label"], json!("azure"));
    let run = machine.run(&["doctor", "--slot", "none"], &[]);
    let error = run.error(1);
    assert!(
        error.contains("no slot has the label \"none\"") && error.contains("\"aws\", \"azure\", \"google\""),
        "{error}"
    );
}

#[test]
fn sign_says_that_it_makes_signatures() {
    let machine = Machine::good();
    let run = machine.run(&["doctor", "--sign"], &[]);
    assert!(run.stderr.contains("makes one signature with each key that signs"), "{run:?}");
    assert!(!machine.run(&["doctor"], &[]).stderr.contains("signature"));
}

#[test]
fn openssl_sees_the_module_by_p11_kit_or_by_a_variable() {
    let machine = Machine::good();
    let report = machine.report(&[]);
    if report.texts("openssl-engine")[0].starts_with("not installed") {
        eprintln!("skipped: libengine-pkcs11-openssl is not installed");
        return;
    }
    assert!(is_installed("openssl"));
    assert_eq!(report.texts("openssl-engine"), ["the engine pkcs11 (libp11) sees the module"]);
    machine.remove(machine::REGISTRATION);
    let text = machine.report(&[]).texts("openssl-engine").remove(0);
    assert!(text.ends_with(&format!("sees the module with PKCS11_MODULE_PATH={}", module_path().display())), "{text}");
}
