//! Tests of `config check`.

use crate::config::tests::*;
use crate::config::tool::check::{Findings, findings};

fn check(world: &TestEnvironment) -> Findings {
    world.with(|environment| findings(None, environment))
}

/// Returns messages without the path of the file.
fn short(world: &TestEnvironment, messages: &[String]) -> Vec<String> {
    let short = |text: &String| world.hide_root(text).replace("/etc/cloud-kms-pkcs11/config.json:", "");
    messages.iter().map(short).collect()
}

#[test]
fn a_good_file_has_no_findings() {
    let world = own(r#"{"slots": [{"kms_key_id": "k"}, {"key_name": "l", "vault_url": "https://v.vault.azure.net"}]}"#);
    let found = check(&world);
    let expected = Findings { file: Some(world.path(OWN)), slots: 2, ..Findings::default() };
    assert_eq!(found, expected);
}

#[test]
fn all_mistakes_of_all_slots_are_found() {
    let text = r#"{
  "slots": [
    {"kms_key_id": 5, "labl": "x"},
    {"kms_key_id": "a", "key_name": "b"},
    {"kms_key_id": "good"},
    {"label": "several", "keys": [
      {"kms_key_id": "k"},
      {"kms_key_id": 7},
      {"label": "no key"}
    ]},
    {"kms_key_id": "k", "aws_region": "r", "aws_region": "s"}
  ]
}"#;
    // A fault of the JSON text ends the list.
    let world = own(text);
    let last = short(&world, &check(&world).mistakes).pop().unwrap();
    assert_eq!(last, "11: \"aws_region\" occurs twice in the same object; remove one of the two");
    let world = own(&text.replace(r#", "aws_region": "s""#, ""));
    let found = check(&world);
    let mistakes = short(&world, &found.mistakes);
    let starts = [
        "3: slots[0].kms_key_id: expected a string, found the number 5",
        "3: slots[0]: unknown option \"labl\"; did you mean \"label\"?",
        "4: slots[1].key_name: can't be combined with \"kms_key_id\"",
        "8: slots[3].keys[1].kms_key_id: expected a string, found the number 7",
        "9: slots[3].keys[2]: no key is named",
    ];
    assert_eq!(mistakes.len(), starts.len(), "{mistakes:#?}");
    for (mistake, start) in mistakes.iter().zip(starts) {
        assert!(mistake.starts_with(start), "{mistake:?} does not start with {start:?}");
    }
    assert_eq!(found.slots, 3, "the slot with two bad keys has a good one");
}

#[test]
fn files_that_are_missing_or_have_no_certificate_are_found() {
    let world = own(r#"{
  "ca_bundle": "none.pem",
  "log_file": "none/log",
  "cache_folder": "cache",
  "slots": [
    {"kms_key_id": "a", "certificate_path": "bad.pem"},
    {"kms_key_id": "b", "certificate_path": "missing.pem"},
    {"kms_key_id": "c", "certificate_path": "good.pem"}
  ]
}"#)
    .file("etc/cloud-kms-pkcs11/bad.pem", "nothing")
    .file("etc/cloud-kms-pkcs11/good.pem", certificates().1);
    let found = check(&world);
    assert_eq!(found.mistakes, [""; 0]);
    let mut warnings = short(&world, &found.warnings);
    warnings.sort();
    let starts = [
        "2: ca_bundle: /etc/cloud-kms-pkcs11/none.pem: can't be read: No such file",
        "3: log_file: /etc/cloud-kms-pkcs11/none/log: its folder can't be read: No such file",
        "6: slots[0].certificate_path: /etc/cloud-kms-pkcs11/bad.pem: it contains no certificate",
        "7: slots[1].certificate_path: /etc/cloud-kms-pkcs11/missing.pem: can't be read: No such file",
    ];
    assert_eq!(warnings.len(), starts.len(), "{warnings:#?}");
    for (warning, start) in warnings.iter().zip(starts) {
        assert!(warning.starts_with(start), "{warning:?} does not start with {start:?}");
    }
}

#[test]
fn labels_and_variables_are_checked() {
    let long = "x".repeat(33);
    let world =
        own(&format!(r#"{{"slots": [{{"kms_key_id": "k"}}, {{"kms_key_id": "k"}}, {{"kms_key_id": "{long}"}}]}}"#))
            .set("CLOUD_KMS_PKCS11_LOG", "loud");
    let warnings = check(&world).warnings.join("\n");
    for part in ["both have the label \"k\"", "is longer than 32 bytes", "unknown log level \"loud\""] {
        assert!(warnings.contains(part), "{part}: {warnings}");
    }
}

#[test]
fn old_files_are_checked_as_the_module_reads_them() {
    let world = TestEnvironment::new()
        .file(AWS, r#"{"slots": [{"label": "a"}, {"kms_key_id": "b", "certificate_path": "/none"}]}"#);
    let found = check(&world);
    assert_eq!((found.file, found.slots, found.mistakes.len()), (None, 2, 1));
    assert!(found.mistakes[0].contains("slots[0] (\"a\"): kms_key_id is missing"), "{:?}", found.mistakes);
    assert!(found.warnings[0].contains("token \"b\": certificate_path: /none: can't be read"), "{:?}", found.warnings);
    let world = TestEnvironment::new().set("CLOUD_KMS_PKCS11_CONFIG", "ROOT/none");
    assert!(check(&world).mistakes[0].contains("CLOUD_KMS_PKCS11_CONFIG names"));
}
