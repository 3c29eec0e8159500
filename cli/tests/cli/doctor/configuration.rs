//! Broken configurations, and files with secrets that others can read.

use super::machine::Machine;
use serde_json::json;

const OWN: &str = ".config/cloud-kms-pkcs11/config.json";

#[test]
fn no_configuration() {
    let machine = Machine::good();
    let report = machine.report_with(&[("CLOUD_KMS_PKCS11_CONFIG", None)]);
    report.assert_only("problem configuration", "no configuration file found; searched", "create one of these files");
    assert!(report.troubles()[0].contains(OWN), "{report:?}");
}

#[test]
fn a_mistake_is_named_with_its_line() {
    let machine = Machine::good();
    machine.write("config.json", "{\n  \"slots\": [\n    { \"label\": \"a\", \"kms_key\": \"alias/a\" }\n  ]\n}\n");
    let report = machine.report(&[]);
    report.assert_only("problem configuration", "config.json:3: slots[0]: unknown option \"kms_key\"", "did you mean");
}

#[test]
fn a_configuration_that_others_can_change() {
    let machine = Machine::good();
    machine.set_mode("config.json", 0o646);
    let path = machine.path("config.json");
    let fix = format!("chmod o-w {}", path.display());
    machine.report(&[]).assert_only("problem configuration", "everybody can write to it (mode 0646)", &fix);
    machine.set_mode("config.json", 0o644);
    machine.set_mode("", 0o777);
    machine.report(&[]).assert_has("warning configuration", "everybody can replace it", "chmod o-w");
}

#[test]
fn files_that_were_passed_over_are_named() {
    let machine = Machine::good();
    machine.write(OWN, "{}");
    machine.write(".config/aws-kms-pkcs11/config.json", "{}");
    let report = machine.report(&[]);
    assert_eq!(report.troubles(), Vec::<String>::new());
    let winner = machine.path("config.json");
    for other in [OWN, ".config/aws-kms-pkcs11/config.json"] {
        let other = machine.path(other);
        let text = format!("{}: not read, because {} takes precedence", other.display(), winner.display());
        assert!(report.texts("configuration").contains(&text), "{report:?}");
    }
}

#[test]
fn a_configuration_with_a_secret_that_others_can_read() {
    let machine = Machine::good();
    let slots = json!([{ "label": "azure", "key_name": "web", "azure_client_secret": "hush-hush" }]);
    machine.world.configure(slots);
    let report = machine.report(&[]);
    report.assert_has("warning configuration", "the file contains a secret, and everybody can read it", "chmod o-r");
    assert!(!report.json.to_string().contains("hush-hush"));
}

#[test]
fn files_with_secrets_that_others_can_read() {
    let machine = Machine::good();
    machine.set_mode("google.json", 0o644);
    let path = machine.path("google.json");
    let fix = format!("chmod o-r {}", path.display());
    machine.report(&[]).assert_only(
        "warning secrets",
        "google.json, a file with a secret: everybody can read it",
        &fix,
    );
    machine.set_mode("google.json", 0o600);
    machine.write(".aws/credentials", "[default]\naws_access_key_id = AKIA\naws_secret_access_key = hush\n");
    let keys = [("AWS_ACCESS_KEY_ID", None), ("AWS_SECRET_ACCESS_KEY", None)];
    machine.report_with(&keys).assert_has("warning secrets", ".aws/credentials, a file with a secret", "chmod o-r");
    let report = machine.report(&[]);
    assert_eq!(report.troubles(), Vec::<String>::new(), "the file is not used beside the variables");
}

#[test]
fn a_cache_that_others_can_change_is_not_used() {
    let machine = Machine::good();
    machine.write(".cache/cloud-kms-pkcs11/x", "");
    machine.set_mode(".cache/cloud-kms-pkcs11", 0o777);
    machine.report(&[]).assert_only(
        "warning cache",
        "is not used: it must be a directory that only this user",
        "install -d",
    );
    machine.set_mode(".cache/cloud-kms-pkcs11", 0o700);
    assert_eq!(machine.report(&[]).troubles(), Vec::<String>::new());
}
