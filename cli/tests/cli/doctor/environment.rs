//! Variables that keep the module from what it needs.

use super::machine::{Machine, is_root};
use cloud_kms_emulator::{Aws, EntraClients};

#[test]
fn no_home_directory() {
    let machine = Machine::good();
    let report = machine.report_with(&[("HOME", None)]);
    report.assert_has("warning HOME", "is not set, so that no file in a home directory is found", "set HOME");
    let report = machine.report_with(&[("HOME", Some("none"))]);
    report.assert_has("warning HOME", "none is a relative path", "absolute path");
    if is_root() {
        let report = machine.report_with(&[("HOME", Some("/root"))]);
        report.assert_has("warning HOME", "/root belongs to another user (uid 0)", "sudo -H");
    }
}

#[test]
fn a_proxy_that_is_no_url() {
    let machine = Machine::good();
    let report =
        machine.report_with(&[("HTTPS_PROXY", Some("http://me:hush@no host:1")), ("NO_PROXY", Some("127.0.0.1"))]);
    report.assert_only("warning HTTPS_PROXY", "is not the URL of a proxy, so that it is ignored", "http://HOST:PORT");
    assert_eq!(report.texts("NO_PROXY"), ["127.0.0.1; reached without a proxy"]);
}

#[test]
fn paths_that_are_relative_or_lead_nowhere() {
    let machine = Machine::good();
    let report = machine.report_with(&[("GOOGLE_APPLICATION_CREDENTIALS", Some("google.json"))]);
    let text = "google.json is a relative path, so that it depends on the directory in which a program runs";
    report.assert_only("warning GOOGLE_APPLICATION_CREDENTIALS", text, "set it to an absolute path");
    let report = machine.report_with(&[("SSL_CERT_FILE", Some("/none.pem"))]);
    report.assert_has(
        "warning SSL_CERT_FILE",
        "names /none.pem, which can't be opened",
        "correct the path, or unset it",
    );
}

#[test]
fn half_of_an_access_key() {
    let machine = Machine::good();
    let report = machine.report_with(&[("AWS_SECRET_ACCESS_KEY", None)]);
    let text = "is set without AWS_SECRET_ACCESS_KEY, so that it is not used";
    report.assert_has("warning AWS_ACCESS_KEY_ID", text, "set AWS_SECRET_ACCESS_KEY as well");
}

#[test]
fn urls_that_are_not_encrypted_or_no_urls() {
    let machine = Machine::good();
    // The slots have their own endpoints.
    let report = machine.report_with(&[("AWS_ENDPOINT_URL_KMS", Some("http://me:hush@kms.example"))]);
    report.assert_only("warning AWS_ENDPOINT_URL_KMS", "http://kms.example: requests are not encrypted", "https://");
    let report = machine.report_with(&[("AWS_ENDPOINT_URL_KMS", Some("kms.example"))]);
    report.assert_only("warning AWS_ENDPOINT_URL_KMS", "kms.example is no URL", "https://HOST");
}

#[test]
fn variables_of_clouds_without_a_slot_do_not_matter() {
    let machine = Machine::good();
    let report = machine.report_with(&[("VAULT_SKIP_VERIFY", Some("1"))]);
    assert_eq!((report.troubles(), report.texts("VAULT_SKIP_VERIFY")), (Vec::new(), Vec::new()));
    let slots = serde_json::json!([{ "label": "v", "transit_key": "web", "vault_address": "http://127.0.0.1:1" }]);
    machine.world.configure(slots);
    let report = machine.report_with(&[("VAULT_SKIP_VERIFY", Some("1"))]);
    report.assert_has("warning VAULT_SKIP_VERIFY", "the module ignores this variable", "\"ca_bundle\"");
}

#[test]
fn a_list_of_directories_is_checked_one_by_one() {
    let machine = Machine::good();
    let report = machine.report_with(&[("SSL_CERT_DIR", Some("/etc:/usr"))]);
    assert_eq!(report.texts("SSL_CERT_DIR"), ["/etc:/usr; in place of the system's certificate authorities"]);
    let report = machine.report_with(&[("SSL_CERT_DIR", Some("/etc:/none"))]);
    report.assert_has("warning SSL_CERT_DIR", "names /none, which can't be opened", "correct the path");
}

#[test]
fn values_of_secrets_are_never_shown() {
    let machine = Machine::good();
    let proxy = Some("http://me:hush@127.0.0.1:1");
    let variables = [
        ("HTTP_PROXY", proxy),
        ("ALL_PROXY", Some("me:hush@127.0.0.1:1")),
        ("NO_PROXY", Some("127.0.0.1")),
        ("AWS_SESSION_TOKEN", Some("hush-token")),
    ];
    let report = machine.report_with(&variables);
    let text = report.json.to_string();
    for secret in [Aws::SECRET_KEY, EntraClients::SECRET, "hush"] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
    assert_eq!(report.texts("AWS_SECRET_ACCESS_KEY"), ["(a secret); for slots without \"aws_profile\""]);
    assert_eq!(report.texts("HTTP_PROXY"), ["http://127.0.0.1:1; for slots without \"proxy\""]);
    assert!(report.texts("AZURE_CLIENT_ID")[0].starts_with(EntraClients::CLIENT), "{report:?}");
}
