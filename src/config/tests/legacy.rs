//! Tests of the files and variables of the modules that this one replaces.

use crate::config::tests::*;

fn old_aws(text: &str) -> TestEnvironment {
    TestEnvironment::new().file(AWS, text)
}

fn old_azure(text: &str) -> TestEnvironment {
    TestEnvironment::new().file(AZURE, text)
}

/// Creates the file of aws-kms-pkcs11 with a single slot that has these members.
fn aws_slot(members: &str) -> TestEnvironment {
    old_aws(&format!("{{\"slots\": [{{{members}}}]}}"))
}

fn azure_slot(members: &str) -> TestEnvironment {
    old_azure(&format!("{{\"slots\": [{{{members}}}]}}"))
}

#[test]
fn the_example_of_aws_kms_pkcs11() {
    let config = old_aws(&format!(
        r#"{{
  "slots": [
    {{
      "label": "my-signing-key",
      "kms_key_id": "{UUID}",
      "aws_region": "us-west-2",
      "certificate_path": "/etc/aws-kms-pkcs11/cert.pem"
    }}
  ]
}}
"#
    ))
    .config();
    let key = Key {
        name: KeyName { id: UUID.into(), version: None },
        label: "my-signing-key".into(),
        certificate: CertificateSource::File("/etc/aws-kms-pkcs11/cert.pem".into()),
    };
    let settings = aws::Settings { region: Some("us-west-2".into()), ..aws::Settings::default() };
    let slot = Slot {
        label: "my-signing-key".into(),
        service: Arc::new(Service::Aws(settings)),
        keys: Keys::Named(vec![key]),
        hide_keys: vec![],
        quirks: Quirks { accept_bare_digest: true, identity: SlotIdentity::SerialZero, ..Quirks::default() },
        management: None,
    };
    assert_eq!(config, Config { slots: vec![slot], ..Config::default() });
}

#[test]
fn the_example_of_azure_keyvault_pkcs11() {
    let mut world = old_azure(
        r#"{
  "slots": [
    {
      "label": "my-signing-key",
      "key_name": "my-remote-key-name",
      "vault_url": "https://my-vault.vault.azure.net/",
      "certificate_path": "/etc/azure-keyvault-pkcs11/cert.pem"
    }
  ]
}
"#,
    )
    .set("AZURE_AUTH_LOCATION", "/auth.json")
    .set("HOME", "/home/me");
    let config = world.config();
    assert_eq!(config.slots[0].label, "my-signing-key");
    assert!(config.slots[0].quirks.accept_bare_digest);
    assert_eq!(only_key(&config).name.id, "my-remote-key-name");
    assert_eq!(only_key(&config).label, "my-signing-key");
    let expected = azure::Settings {
        vault_url: "https://my-vault.vault.azure.net".into(),
        auth_files: vec![
            "/auth.json".into(),
            "/home/me/.config/azure-keyvault-pkcs11/azureauth.json".into(),
            world.path("etc/azure-keyvault-pkcs11/azureauth.json"),
        ],
        ..azure::Settings::default()
    };
    assert_eq!(azure_of(&config.slots[0]), &expected);
    assert_eq!(world.notes(Level::Error) + &world.notes(Level::Warn), "");
}

#[test]
fn the_dialect_of_json_c() {
    let text = "\u{feff}{ // comment\r\n 'slots': [ /* more */ {'kms_key_id': 'a', \"kms_key_id\": 'b',}, ],\r\n}\r\n}";
    let mut world = old_aws(text);
    assert_eq!(labels(&world.config()), ["b"]);
    let ignored = "the text from here on is ignored; remove it, or correct the brackets before it";
    assert_eq!(world.notes(Level::Warn), format!("/etc/aws-kms-pkcs11/config.json:4: {ignored}"));
}

#[test]
fn other_types_count_as_absent_and_other_items_take_no_slot() {
    let mut world = old_aws(
        r#"{"aws_region": 5, "more": {}, "slots": [1, null, "x", [],
            {"kms_key_id": "a", "label": 7, "aws_region": true, "certificate": {}, "unknown": 1},
            {"label": "empty", "kms_key_id": 5}]}"#,
    );
    let config = world.config();
    assert_eq!(labels(&config), ["a", "empty"]);
    assert_eq!(aws_of(&config.slots[0]).region, None);
    assert_eq!(config.slots[1].keys, Keys::Named(vec![]));
    assert_eq!(
        world.notes(Level::Error),
        "/etc/aws-kms-pkcs11/config.json:3: slots[5] (\"empty\"): kms_key_id is missing, so the token is empty; add the \
         name of the key"
    );
}

#[test]
fn an_empty_label_is_replaced_by_the_name_of_the_key() {
    assert_eq!(labels(&aws_slot(r#""kms_key_id": "k", "label": """#).config()), ["k"]);
    assert_eq!(labels(&aws_slot(r#""kms_key_id": "k""#).config()), ["k"]);
    let config = azure_slot(r#""key_name": "k", "vault_url": "https://v""#).config();
    assert_eq!((labels(&config), only_key(&config).label.as_str()), (vec!["k"], "k"));
}

#[test]
fn equal_labels_and_keys_are_accepted() {
    let mut world = old_aws(r#"{"slots": [{"kms_key_id": "k"}, {"kms_key_id": "k"}]}"#);
    assert_eq!(labels(&world.config()), ["k", "k"]);
    assert_eq!(world.notes(Level::Warn) + &world.notes(Level::Error), "");
}

#[test]
fn the_region_is_the_slots_then_the_files_then_the_arns_then_the_variables() {
    let region = |top: &str, members: &str| {
        let mut world =
            old_aws(&format!(r#"{{{top} "slots": [{{{members}}}]}}"#)).set("AWS_DEFAULT_REGION", "variable");
        aws_of(&world.config().slots[0]).region.clone().unwrap()
    };
    let (top, own) = (r#""aws_region": "top","#, r#", "aws_region": "own""#);
    assert_eq!(region(top, &format!(r#""kms_key_id": "k" {own}"#)), "own");
    assert_eq!(region(top, r#""kms_key_id": "k""#), "top");
    assert_eq!(region("", &format!(r#""kms_key_id": "{ARN}""#)), "eu-west-1");
    assert_eq!(region("", r#""kms_key_id": "k""#), "variable");
    assert_eq!(region("", r#""kms_key_id": "k", "aws_region": """#), "variable");
    assert_eq!(aws_of(&aws_slot(r#""kms_key_id": "k""#).set("AWS_REGION", "r").config().slots[0]).region, None);
}

#[test]
fn aws_default_region_wins_and_a_difference_is_noted_once() {
    let mut world = old_aws(r#"{"slots": [{"kms_key_id": "a"}, {"kms_key_id": "b"}]}"#)
        .set("AWS_REGION", "r")
        .set("AWS_DEFAULT_REGION", "d");
    assert_eq!(aws_of(&world.config().slots[1]).region.as_deref(), Some("d"));
    let note = "AWS_DEFAULT_REGION is d, but AWS_REGION is r; the module uses AWS_DEFAULT_REGION; unset one of the two";
    assert_eq!(world.notes(Level::Warn), note);
    let mut world = world.set("AWS_REGION", "d");
    world.config();
    assert_eq!(world.notes(Level::Warn), "");
}

#[test]
fn a_region_that_contradicts_an_arn_is_noted() {
    let mut world = aws_slot(&format!(r#""kms_key_id": "{ARN}", "aws_region": "r""#));
    assert_eq!(aws_of(&world.config().slots[0]).region.as_deref(), Some("r"));
    let note = "aws_region is r, but the key's ARN names the region eu-west-1; correct one of the two";
    assert!(world.notes(Level::Warn).ends_with(note));
}

#[test]
fn kms_key_arn_gives_region_id_and_label() {
    let config =
        aws_slot(&format!(r#""kms_key_arn": "{ARN}", "label": "x", "kms_key_id": "y", "aws_region": "z""#)).config();
    assert_eq!(aws_of(&config.slots[0]).region.as_deref(), Some("eu-west-1"));
    assert_eq!(labels(&config), [UUID]);
    assert_eq!((only_key(&config).name.id.as_str(), only_key(&config).label.as_str()), (UUID, UUID));
}

#[test]
fn later_certificates_replace_earlier_ones() {
    let (base64, pem) = certificates();
    let certificate =
        |members: &str| only_key(&aws_slot(&format!(r#""kms_key_id": "k", {members}"#)).config()).certificate.clone();
    for text in [base64.clone(), base64.trim_end_matches('=').to_owned(), pem.replace('\n', "\\n")] {
        let found = certificate(&format!(r#""certificate": "{text}""#));
        assert!(matches!(found, CertificateSource::Inline(chain) if chain.len() == 1));
    }
    let both = certificate(&format!(r#""certificate_path": "c.pem", "certificate": "{base64}""#));
    assert_eq!(both, CertificateSource::File("c.pem".into()));
    assert_eq!(certificate(r#""certificate_path": "", "other": 1"#), CertificateSource::Service);
}

#[test]
fn a_bad_certificate_is_logged_and_the_slot_stays() {
    let mut world = azure_slot(r#""key_name": "k", "vault_url": "https://v", "certificate": "AAAA""#);
    assert_eq!(only_key(&world.config()).certificate, CertificateSource::Service);
    assert!(world.notes(Level::Error).contains("slots[0]: certificate is ignored: it contains no certificate"));
}

#[test]
fn certificate_arn_names_a_certificate_of_the_private_authority() {
    let authority = "arn:aws:acm-pca:r:1:certificate-authority/a";
    let id = format!("{authority}/certificate/c");
    let named = |members: &str| {
        only_key(&aws_slot(&format!(r#""kms_key_id": "k", "certificate_path": "c.pem", {members}"#)).config())
            .certificate
            .clone()
    };
    let source = |id: &str, authority: Option<&str>| {
        CertificateSource::Named(CertificateName { id: id.to_owned(), authority: authority.map(str::to_owned) })
    };
    assert_eq!(named(&format!(r#""certificate_arn": "{id}""#)), source(&id, Some(authority)));
    assert_eq!(named(&format!(r#""certificate_arn": "{id}", "ca_arn": "other""#)), source(&id, Some("other")));
    let acm = "arn:aws:acm:r:1:certificate/c";
    assert_eq!(named(&format!(r#""certificate_arn": "{acm}", "ca_arn": "other""#)), source(acm, None), "new");
}

#[test]
fn a_bad_certificate_arn_is_logged_and_the_slot_stays() {
    let mut world = aws_slot(r#""kms_key_id": "k", "label": "x", "certificate_arn": "arn:aws:acm-pca:r:1:x""#);
    assert_eq!(only_key(&world.config()).certificate, CertificateSource::Service);
    let note = "slots[0] (\"x\"): certificate_arn is ignored: it is not the ARN of a certificate; expected \
                arn:aws:acm-pca:REGION:ACCOUNT:certificate-authority/ID/certificate/ID";
    assert!(world.notes(Level::Error).ends_with(note), "{}", world.notes(Level::Error));
    let mut world = aws_slot(r#""kms_key_id": "k", "label": "x", "ca_arn": "arn:aws:acm-pca:r:1:x""#);
    assert_eq!(only_key(&world.config()).certificate, CertificateSource::Service);
    let note = "slots[0] (\"x\"): ca_arn is ignored, because there is no certificate_arn; add it, or remove ca_arn";
    assert!(world.notes(Level::Warn).ends_with(note), "{}", world.notes(Level::Warn));
}

#[test]
fn a_vaults_url_may_come_from_the_variable() {
    let vault = |mut world: TestEnvironment| azure_of(&world.config().slots[0]).vault_url.clone();
    let set = |world: TestEnvironment| world.set("AZURE_KEYVAULT_URL", "https://variable/");
    assert_eq!(vault(set(azure_slot(r#""key_name": "k""#))), "https://variable");
    assert_eq!(vault(set(azure_slot(r#""key_name": "k", "vault_url": "https://own//""#))), "https://own");
    let mut world = azure_slot(r#""key_name": "k""#);
    assert_eq!(azure_of(&world.config().slots[0]).vault_url, "");
    let example = "write https://NAME.vault.azure.net";
    assert!(world.notes(Level::Error).ends_with(&format!("slots[0]: vault_url is missing; {example}")));
    world = azure_slot(r#""key_name": "k", "vault_url": "http://v""#);
    world.config();
    let note = format!("slots[0]: vault_url is \"http://v\", but must start with https://; {example}");
    assert!(world.notes(Level::Error).ends_with(&note));
}

/// Returns the services whose keys are listed, as "aws REGION" or the URL of a vault.
fn listed(world: &mut TestEnvironment) -> Vec<String> {
    let config = world.config();
    let name = |service: &Service| match service {
        Service::Aws(settings) => format!("aws {}", settings.region.as_deref().unwrap_or("-")),
        Service::Azure(settings) => settings.vault_url.clone(),
        other => panic!("{other:?}"),
    };
    config.listed.iter().map(name).collect()
}

#[test]
fn keys_are_listed_where_there_are_no_slots() {
    let none: [&str; 0] = [];
    for text in ["{}", r#"{"slots": []}"#, r#"{"slots": [1]}"#, r#"{"slots": 1}"#, "[]"] {
        assert_eq!(listed(&mut old_aws(text)), ["aws -"], "{text}");
        assert_eq!(listed(&mut old_azure(text).set("AZURE_KEYVAULT_URL", "https://v/")), ["https://v"], "{text}");
    }
    assert_eq!(listed(&mut old_aws(r#"{"aws_region": "r"}"#)), ["aws r"]);
    assert_eq!(listed(&mut aws_slot(r#""kms_key_id": "k""#).set("AWS_REGION", "r")), none);
    let mut world = old_azure("{}");
    assert_eq!(listed(&mut world), none);
    assert!(world.notes(Level::Warn).contains("AZURE_KEYVAULT_URL is not set"));
}

#[test]
fn keys_are_listed_where_a_variable_means_a_cloud_and_there_is_no_file() {
    let none: [&str; 0] = [];
    assert_eq!(listed(&mut TestEnvironment::new().set("AWS_REGION", "r")), ["aws -"]);
    assert_eq!(listed(&mut TestEnvironment::new().set("AWS_DEFAULT_REGION", "r")), ["aws r"]);
    assert_eq!(listed(&mut TestEnvironment::new().set("AWS_PROFILE", "p")), ["aws -"]);
    assert_eq!(listed(&mut TestEnvironment::new().set("AWS_REGION", "")), none);
    let both = TestEnvironment::new().set("AWS_REGION", "r").set("AZURE_KEYVAULT_URL", "https://v/");
    assert_eq!(listed(&mut { both }), ["aws -", "https://v"]);
    let azure = azure_slot(r#""key_name": "k", "vault_url": "https://v""#);
    assert_eq!(listed(&mut azure.set("AWS_REGION", "r")), none);
    let aws = aws_slot(r#""kms_key_id": "k""#);
    assert_eq!(listed(&mut aws.set("AZURE_KEYVAULT_URL", "https://v")), ["https://v"]);
}

#[test]
fn the_debug_variables_set_the_level() {
    for name in ["AWS_KMS_PKCS11_DEBUG", "AZURE_KEYVAULT_PKCS11_DEBUG"] {
        assert_eq!(TestEnvironment::new().set(name, "1").config().log_level, Some(Level::Debug));
        assert_eq!(TestEnvironment::new().set(name, "").config().log_level, None);
        assert_eq!(
            TestEnvironment::new().set(name, "1").set("CLOUD_KMS_PKCS11_LOG", "off").config().log_level,
            Some(Level::Off)
        );
        assert_eq!(own(r#"{"slots": []}"#).set(name, "1").config().log_level, None);
    }
}

#[test]
fn files_and_variables_for_a_cloud_that_the_build_lacks_are_ignored() {
    let mut world = old_aws(r#"{"slots": [{"kms_key_id": "k"}]}"#).file(AZURE, r#"{"slots": [{"key_name": "k"}]}"#);
    world = world.set("AZURE_KEYVAULT_URL", "https://v.vault.azure.net");
    world.clouds = vec![Cloud::Azure];
    assert_eq!(labels(&world.config()), ["k"]);
    let advice = "this build of the module has no support for aws; it has: azure; remove the file, or use a build with the \
                  cargo feature aws";
    assert_eq!(world.notes(Level::Error), format!("/{AWS}: ignored: {advice}"));

    let mut world =
        TestEnvironment { clouds: vec![Cloud::Azure], ..TestEnvironment::new().set("AWS_REGION", "eu-west-1") };
    let config = world.config();
    assert!(config.slots.is_empty() && config.listed.is_empty() && world.notes(Level::Error).is_empty());
    assert!(
        world.notes(Level::Info).starts_with("the environment variables for aws: ignored: this build of the module")
    );
}
