//! Tests of the configuration file of libkmsp11, Google's module for Cloud KMS.

use crate::cloud::google::{Credentials, Settings};
use crate::config::tests::*;
use std::time::Duration;

/// The sample of libkmsp11's user guide.
const SAMPLE: &str = r#"---
tokens:
  - key_ring: "projects/my-project/locations/us/keyRings/my-key-ring"
    label: "my key ring"
  - key_ring: "projects/my-project/locations/us/keyRings/second-ring"
log_directory: "/var/log/kmsp11"
"#;
const RING: &str = "projects/p/locations/l/keyRings/r";

fn file(text: &str) -> TestEnvironment {
    TestEnvironment::new().file("kms.yaml", text).set("KMS_PKCS11_CONFIG", "ROOT/kms.yaml")
}

/// Creates a file with one token and these options at top level.
fn options(lines: &str) -> TestEnvironment {
    file(&format!("tokens:\n- key_ring: {RING}\n{lines}\n"))
}

fn google_of(slot: &Slot) -> &Settings {
    match &*slot.service {
        Service::Google(settings) => settings,
        other => panic!("{other:?}"),
    }
}

fn settings(lines: &str) -> Settings {
    google_of(&options(lines).config().slots[0]).clone()
}

#[test]
fn the_sample_of_the_user_guide() {
    let mut world = file(SAMPLE);
    let config = world.config();
    assert_eq!(labels(&config), ["my key ring", ""]);
    let rings: Vec<_> = config.slots.iter().map(|slot| google_of(slot).key_ring.as_deref().unwrap()).collect();
    let ring = |name: &str| format!("projects/my-project/locations/us/keyRings/{name}");
    assert_eq!(rings, [ring("my-key-ring"), ring("second-ring")]);
    let quirks = Quirks { random_from_service: true, identity: SlotIdentity::Libkmsp11, ..Quirks::default() };
    for slot in &config.slots {
        assert_eq!((&slot.keys, slot.quirks, &slot.management), (&Keys::Discovered, quirks, &None));
        assert_eq!(serial_number(slot), "0000000000000000");
        assert!(google_of(slot).hides_software_keys);
        assert_eq!(google_of(slot).network.call_timeout, Duration::from_secs(30));
        assert_eq!(google_of(slot).endpoint_url, None);
    }
    assert_eq!((config.log_file, config.log_level), (Some("/var/log/kmsp11/libkmsp11.log".into()), Some(Level::Info)));
    assert_eq!(world.notes(Level::Warn), "");
}

#[test]
fn every_option_that_has_a_meaning_is_used() {
    let found = settings(
        "rpc_timeout_secs: 2\nkms_endpoint: cloudkms.us.rep.googleapis.com:443\nuser_project_override: q\n\
         allow_software_keys: yes\nuse_google_compute_engine_credentials: true\nrequire_fips_mode: false",
    );
    assert_eq!(
        (found.network.call_timeout, found.network.connect_timeout),
        (Duration::from_secs(2), Duration::from_secs(2))
    );
    assert_eq!(found.endpoint_url.as_deref(), Some("https://cloudkms.us.rep.googleapis.com:443"));
    assert_eq!((found.quota_project.as_deref(), found.hides_software_keys), (Some("q"), false));
    assert_eq!(found.credentials, Credentials::Metadata);
    assert_eq!(settings("kms_endpoint: cloudkms.googleapis.com:443\nrpc_timeout_secs: 0"), settings(""));
    let emulator = settings("kms_endpoint: 127.0.0.1:9000\nuse_insecure_grpc_channel_credentials: 1");
    assert_eq!(
        (emulator.endpoint_url.as_deref(), emulator.credentials),
        (Some("http://127.0.0.1:9000"), Credentials::None)
    );
    let adc = options("").set("GOOGLE_APPLICATION_CREDENTIALS", "/a.json").config();
    assert_eq!(google_of(&adc.slots[0]).credentials, Credentials::File("/a.json".into()));
    for name in ["generate_certs", "experimental_generate_certs"] {
        assert!(options(&format!("{name}: true")).config().slots[0].quirks.generate_certificate);
    }
    let log = options("log_directory: /l\nlog_filename_suffix: s").config();
    assert_eq!(log.log_file, Some("/l/libkmsp11.log-s".into()));
}

#[test]
fn certificates_are_those_of_the_token() {
    let (_, pem) = certificates();
    let indented = pem.replace('\n', "\n      ");
    for name in ["certs", "experimental_certs"] {
        let config = file(&format!("tokens:\n- key_ring: {RING}\n  {name}:\n    - |\n      {indented}\n")).config();
        assert_eq!(config.slots[0].management.as_ref().unwrap().certificates.len(), 1);
    }
}

#[test]
fn options_without_a_meaning_are_noted() {
    let mut world = options("skip_fork_handlers: true\nexperimental_allow_mac_keys: false\nrefresh_interval_secs: 0");
    world.config();
    assert!(world.notes(Level::Info).contains("/kms.yaml:3: skip_fork_handlers: is ignored: a forked process"));
    assert!(!world.notes(Level::Info).contains("experimental_allow_mac_keys"), "it is off");
    assert_eq!(world.notes(Level::Warn), "");
    let mut world = options("refresh_interval_secs: 60\nallow_software_key: true\nfrobnicate: [1]");
    world.config();
    let warnings = world.notes(Level::Warn);
    let lines: Vec<&str> = warnings.lines().collect();
    assert!(
        lines[0].starts_with("/kms.yaml:3: refresh_interval_secs: is ignored: a process lists the keys"),
        "{lines:?}"
    );
    assert_eq!(
        lines[1..],
        [
            "/kms.yaml:4: allow_software_key: is unknown, so it is ignored; did you mean \"allow_software_keys\"?",
            "/kms.yaml:5: frobnicate: is unknown, so it is ignored"
        ]
    );
}

/// The text of the file, and the message.
const MISTAKES: &[(&str, &str)] = &[
    ("", "1: missing option \"tokens\"; add a list with an item \"key_ring\" for each token"),
    ("this is not yaml", "1: expected options (NAME: VALUE)"),
    ("tokens:\n  key_ring: r", "2: tokens: expected a list: lines that start with \"- \""),
    (
        "tokens:\n- label: x",
        "2: tokens[0]: missing option \"key_ring\"; add key_ring: projects/PROJECT/locations/LOCATION/keyRings/RING",
    ),
    (
        "tokens:\n- label: x\n  key_ring: foo/bar/baz",
        "3: tokens[0].key_ring: \"foo/bar/baz\" is not the name of a key ring in Google Cloud KMS; write \
         projects/PROJECT/locations/LOCATION/keyRings/RING",
    ),
    ("tokens:\n- {ring}\n- x", "3: tokens[1]: expected options (NAME: VALUE)"),
    ("tokens:\n- {ring}\nlog_directory: [x]", "3: log_directory: expected a single value"),
    ("tokens:\n- {ring}\nrpc_timeout_secs: soon", "3: rpc_timeout_secs: expected a whole number, found \"soon\""),
    ("tokens:\n- {ring}\ngenerate_certs: on", "3: generate_certs: expected true or false, found \"on\""),
    (
        "tokens:\n- {ring}\nrequire_fips_mode: true",
        "3: require_fips_mode: is true, but the cryptography of this module is not in FIPS mode; remove the option, if you \
         do not need it",
    ),
    (
        "tokens:\n- {ring}\n  certs: [x y]",
        "3: tokens[0].certs: it contains no certificate, neither as PEM nor as DER; write the PEM text of a certificate \
         after \"- |\"",
    ),
    ("tokens:\n- {ring}\ntokens: []", "3: \"tokens\" occurs twice; remove one of the two"),
];

#[test]
fn mistakes_are_reported_with_their_line() {
    for (text, message) in MISTAKES {
        let error = file(&text.replace("{ring}", &format!("key_ring: {RING}"))).read().unwrap_err();
        assert_eq!(error, format!("/kms.yaml:{message}"));
    }
    let error = file("tokens: [").read().unwrap_err();
    assert!(error.starts_with("/kms.yaml:1: this is not valid YAML: "), "{error}");
}

#[test]
fn the_file_must_exist_and_be_safe() {
    let missing = TestEnvironment::new().set("KMS_PKCS11_CONFIG", "ROOT/none.yaml").read().unwrap_err();
    assert!(missing.starts_with("KMS_PKCS11_CONFIG names /none.yaml, which can't be opened"), "{missing}");
    let mut world = file(SAMPLE);
    world.set_mode("kms.yaml", 0o666);
    let refused = world.read().unwrap_err();
    assert!(refused.starts_with("/kms.yaml: refused, because it decides what the module trusts"), "{refused}");
}

#[test]
fn this_modules_own_file_comes_first_and_other_old_files_are_read_too() {
    let own = file(SAMPLE).file(OWN, r#"{"slots": [{"kms_key_id": "own"}]}"#);
    let mut own = own.set("AWS_KMS_PKCS11_CONFIG", "ROOT/other.json").file("other.json", "{}");
    assert_eq!(labels(&own.config()), ["own"]);
    for path in ["/kms.yaml", "/other.json"] {
        let note = format!("{path}: not read, because /etc/cloud-kms-pkcs11/config.json takes precedence");
        assert!(own.notes(Level::Info).contains(&note), "{:?}", own.notes);
    }
    let old = file(SAMPLE).file(AWS, r#"{"slots": [{"kms_key_id": "old"}]}"#).config();
    assert_eq!(labels(&old), ["old", "my key ring", ""]);
    let variable = file(SAMPLE).set("AWS_REGION", "r").config();
    assert_eq!((labels(&variable), variable.listed.len()), (vec!["my key ring", ""], 0));
}

#[test]
fn the_file_is_ignored_by_a_build_without_google() {
    let mut world = TestEnvironment { clouds: vec![Cloud::Aws], ..file(SAMPLE) };
    assert!(world.config().slots.is_empty());
    let start = "/kms.yaml: ignored: this build of the module has no support for google; it has: aws; remove the file";
    assert!(world.notes(Level::Error).starts_with(start), "{:?}", world.notes);
}
