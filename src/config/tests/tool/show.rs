//! Tests of `config show`.

use crate::config::tests::*;
use crate::config::tool::show::{Shown, ShownOption, Source, in_force};
use serde_json::{Value, json};

fn show(world: &TestEnvironment) -> Shown {
    world.with(in_force).unwrap()
}

/// Returns the value of an option, and its source in words.
fn option(options: &[ShownOption], name: &str) -> (Value, String) {
    let found: Vec<_> = options.iter().filter(|option| option.name == name).collect();
    let [found] = found[..] else { panic!("{name}: {found:?}") };
    let source = match &found.source {
        Source::File { line, section, .. } => format!("{line} {section}"),
        Source::OldModule { name } => (*name).to_owned(),
        Source::Variable { name } => (*name).to_owned(),
        Source::Arn => "ARN".to_owned(),
        Source::Default { .. } => "default".to_owned(),
    };
    (found.value.clone(), source)
}

fn row(value: Value, source: &str) -> (Value, String) {
    (value, source.to_owned())
}

fn has(options: &[ShownOption], name: &str) -> bool {
    options.iter().any(|option| option.name == name)
}

#[test]
fn every_value_has_its_source() {
    let text = r#"{
  "log_level": "info",
  "retries": 5,
  "proxy": "http://user:secret@proxy:3128",
  "azure_tenant_id": "t",
  "slots": [
    {"kms_key_arn": "arn:aws:kms:eu-west-1:111122223333:key/k", "retries": 0, "hide_keys": ["rsa2048"]},
    {"kms_key_id": "k"},
    {"label": "several", "call_timeout_ms": 50, "keys": [
      {"kms_key_id": "one"},
      {"kms_key_id": "two", "label": "second"}
    ]}
  ]
}"#;
    let shown = show(
        &own(text).set("CLOUD_KMS_PKCS11_LOG", "debug").set("AWS_REGION", "eu-west-2").set("AZURE_CLIENT_ID", "c"),
    );
    assert_eq!(option(&shown.options, "log_level"), row(json!("debug"), "CLOUD_KMS_PKCS11_LOG"));
    assert_eq!(option(&shown.options, "cache"), row(json!(true), "default"));
    let [first, second, third] = &shown.slots[..] else { panic!("{shown:?}") };
    assert_eq!(option(&first.options, "retries"), row(json!(0), "7 slot"));
    assert_eq!(option(&first.options, "aws_region"), row(json!("eu-west-1"), "ARN"));
    assert_eq!(option(&first.options, "hide_keys"), row(json!(["rsa2048"]), "7 slot"));
    assert_eq!(option(&first.options, "proxy"), row(json!("http://proxy:3128"), "4 top level"));
    assert_eq!(option(&first.options, "label"), row(json!("k"), "default"));
    assert_eq!(option(&second.options, "retries"), row(json!(5), "3 top level"));
    assert_eq!(option(&second.options, "aws_region"), row(json!("eu-west-2"), "AWS_REGION"));
    assert!(!has(&second.options, "azure_tenant_id") && !has(&second.options, "azure_client_id"), "of another cloud");
    assert_eq!(option(&third.options, "connect_timeout_ms"), row(json!(50), "default"));
    assert_eq!(option(&third.keys[1], "label"), row(json!("second"), "11 key"));
    assert_eq!((third.keys.len(), third.label.as_str(), third.cloud), (2, "several", "aws"));
}

#[test]
fn secrets_are_hidden() {
    let text = r#"{"slots": [
        {"key_name": "k", "vault_url": "https://v.vault.azure.net", "azure_client_secret": "hush"},
        {"key_name": "k", "vault_url": "https://v.vault.azure.net"},
        {"transit_key": "k", "vault_address": "https://me:hush@h", "vault_token": "hush"}
    ]}"#;
    let world = own(text).set("AZURE_CLIENT_SECRET", "hush").set("VAULT_TOKEN", "hush");
    let shown = show(&world);
    assert_eq!(option(&shown.slots[0].options, "azure_client_secret"), row(json!("(hidden)"), "2 slot"));
    assert_eq!(option(&shown.slots[1].options, "azure_client_secret"), row(json!("(hidden)"), "AZURE_CLIENT_SECRET"));
    assert_eq!(option(&shown.slots[2].options, "vault_token"), row(json!("(hidden)"), "4 slot"));
    assert_eq!(option(&shown.slots[2].options, "vault_address"), row(json!("https://h"), "4 slot"));
    assert!(!format!("{shown:?}").contains("hush"), "{shown:?}");
}

/// The slot's own credential overrides those at top level, and options override variables.
#[test]
fn overridden_values_are_not_shown() {
    let text = r#"{"azure_client_secret_file": "a", "vault_url": "https://v.vault.azure.net", "vault_address": "https://h",
      "vault_secret_id_file": "s", "vault_role": "r", "aws_profile": "p",
      "slots": [
        {"key_name": "k", "azure_client_certificate_path": "c"},
        {"key_name": "k"},
        {"key_name": "k", "azure_credential": "cli", "login": "none"},
        {"transit_key": "k", "vault_role_id": "i"},
        {"transit_key": "k", "login": "vault_token"},
        {"kms_key_id": "k", "login": "aws_profile"},
        {"kms_key_id": "k"}
    ]}"#;
    let shown = show(
        &own(text).set("HOME", "/h").set("AZURE_CLIENT_SECRET", "x").set("VAULT_TOKEN", "x").set("AWS_PROFILE", "q"),
    );
    let given = |slot: usize, name: &str| {
        let is_given = |option: &&ShownOption| option.name == name && !matches!(option.source, Source::Default { .. });
        shown.slots[slot].options.iter().any(|option| is_given(&option))
    };
    assert!(given(0, "azure_client_certificate_path") && !given(0, "azure_client_secret_file"));
    assert!(given(1, "azure_client_secret_file") && !given(1, "azure_client_secret"));
    assert!(!given(2, "azure_client_secret"));
    assert!(given(3, "vault_secret_id_file") && !given(3, "vault_token") && !given(3, "vault_role"));
    assert!(!given(4, "vault_token") && !given(4, "vault_role") && given(4, "login"));
    assert!(!given(5, "aws_profile") && given(6, "aws_profile"));
}

#[test]
fn old_files_are_shown_as_options_of_this_module() {
    let world = TestEnvironment::new()
        .file(AWS, r#"{"slots": [{"kms_key_id": "k", "label": "a"}]}"#)
        .file(AZURE, r#"{"slots": [{"key_name": "k", "vault_url": "https://v"}]}"#);
    let shown = show(&world);
    assert_eq!((shown.file, shown.slots.len()), (None, 2));
    assert_eq!(option(&shown.slots[0].options, "kms_key_id"), row(json!("k"), "aws-kms-pkcs11"));
    assert_eq!(option(&shown.slots[1].options, "accept_bare_digest"), row(json!(true), "azure-keyvault-pkcs11"));
}

#[test]
fn services_whose_keys_are_listed_are_shown() {
    let shown = show(&TestEnvironment::new().set("AWS_REGION", "r").set("AWS_DEFAULT_REGION", "eu-west-1"));
    assert_eq!((shown.slots.len(), shown.listed), (0, vec!["aws eu-west-1".to_owned()]));
}

#[test]
fn a_mistake_is_an_error() {
    let error = own(r#"{"slots": [{"kms_key_id": 5}]}"#).with(in_force).unwrap_err();
    assert!(error.message.contains("slots[0].kms_key_id: expected a string"), "{error}");
}
