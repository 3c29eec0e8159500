//! Tests of the module's own configuration file.

use crate::cloud::Network;
use crate::cloud::azure::Credential;
use crate::config::tests::*;
use proptest::prelude::*;
use std::time::Duration;

#[test]
fn a_slot_of_one_kms_key() {
    let config = slot(&format!(r#""kms_key_id": "{UUID}", "label": "boot", "aws_region": "eu-central-1""#)).config();
    let settings = aws::Settings { region: Some("eu-central-1".into()), ..aws::Settings::default() };
    let key = Key {
        name: KeyName { id: UUID.into(), version: None },
        label: "boot".into(),
        certificate: CertificateSource::Service,
    };
    let slot = Slot {
        label: "boot".into(),
        service: Arc::new(Service::Aws(settings)),
        keys: Keys::Named(vec![key]),
        hide_keys: vec![],
        quirks: Quirks::default(),
        management: None,
    };
    assert_eq!(config, Config { slots: vec![slot], ..Config::default() });
}

#[test]
fn a_slot_of_one_key_vault_key() {
    let members = r#""key_name": "k-1", "key_version": "0a", "vault_url": "https://v.vault.azure.net/""#;
    let config = slot(members).config();
    assert_eq!(config.slots[0].label, "k-1");
    assert_eq!(only_key(&config).label, "k-1");
    assert_eq!(only_key(&config).name, KeyName { id: "k-1".into(), version: Some("0a".into()) });
    assert_eq!(azure_of(&config.slots[0]).vault_url, "https://v.vault.azure.net");
    assert!(!azure_of(&config.slots[0]).skip_challenge_check);
}

#[test]
fn all_settings_of_aws_arrive() {
    let aws = r#""kms_key_id": "k", "aws_region": "r", "aws_profile": "p", "aws_role_arn": "a", "aws_external_id": "e",
        "aws_endpoint_url": "http://localhost:1", "aws_use_fips_endpoint": false, "ca_bundle": "ca.pem", "proxy": "http://p:1", "connect_timeout_ms": 5,
        "call_timeout_ms": 6, "retries": 0, "hide_keys": ["rsa2048"], "accept_bare_digest": true"#;
    let mut world = slot(aws);
    let config = world.config();
    let network = Network {
        ca_bundle: Some(world.path("etc/cloud-kms-pkcs11/ca.pem")),
        proxy: Some("http://p:1".to_owned().into()),
        connect_timeout: Duration::from_millis(5),
        call_timeout: Duration::from_millis(6),
        retries: 0,
        ..Network::default()
    };
    let expected = aws::Settings {
        region: Some("r".into()),
        failover_regions: vec![],
        profile: Some("p".into()),
        role_arn: Some("a".into()),
        external_id: Some("e".into()),
        login: None,
        endpoint_url: Some("http://localhost:1".into()),
        use_fips_endpoint: Some(false),
        use_dualstack_endpoint: None,
        network,
    };
    assert_eq!(aws_of(&config.slots[0]), &expected);
    assert_eq!(config.slots[0].hide_keys, ["rsa2048"]);
    assert!(config.slots[0].quirks.accept_bare_digest);
}

#[test]
fn all_settings_of_azure_arrive() {
    let azure = r#""key_name": "k", "vault_url": "https://v:1", "azure_credential": "cli", "azure_tenant_id": "t",
        "azure_client_id": "c", "azure_client_secret": "s", "azure_client_certificate_path": "/c.pem",
        "azure_client_certificate_password_file": "/p", "azure_federated_token_file": "/f", "azure_auth_file": "/a", "azure_authority_host": "https://l",
        "verify_challenge_resource": false"#;
    let config = slot(azure).config();
    let settings = azure_of(&config.slots[0]);
    let expected = azure::Settings {
        vault_url: "https://v:1".into(),
        credential: Credential::Cli,
        tenant_id: Some("t".into()),
        client_id: Some("c".into()),
        client_secret: settings.client_secret.clone(),
        client_secret_file: None,
        client_certificate_path: Some("/c.pem".into()),
        client_certificate_password_file: Some("/p".into()),
        federated_token_file: Some("/f".into()),
        auth_file: Some("/a".into()),
        auth_files: Vec::new(),
        authority_host: Some("https://l".into()),
        rsnull: false,
        skip_challenge_check: true,
        network: Network::default(),
    };
    assert_eq!(settings, &expected);
    assert_eq!(settings.client_secret.as_ref().unwrap().expose(), "s");
}

#[test]
fn an_endpoint_url_excludes_the_endpoint_flags() {
    let config =
        slot(r#""kms_key_id": "k", "aws_use_fips_endpoint": true, "aws_use_dualstack_endpoint": true"#).config();
    let settings = aws_of(&config.slots[0]);
    assert_eq!((settings.use_fips_endpoint, settings.use_dualstack_endpoint), (Some(true), Some(true)));
    for name in ["aws_use_fips_endpoint", "aws_use_dualstack_endpoint"] {
        let error = error_of(slot(&format!(r#""kms_key_id": "k", "aws_endpoint_url": "https://k", "{name}": true"#)));
        let said = format!(
            "1: slots[0].{name}: can't be true together with \"aws_endpoint_url\"; remove this option, and write the URL \
             of the endpoint that you need in \"aws_endpoint_url\""
        );
        assert_eq!(error, said);
    }
}

#[test]
fn credentials_have_their_names() {
    for (name, credential) in [
        ("default", Credential::Default),
        ("environment", Credential::Environment),
        ("workload_identity", Credential::WorkloadIdentity),
        ("auth_file", Credential::AuthFile),
        ("cli", Credential::Cli),
        ("managed_identity", Credential::ManagedIdentity),
    ] {
        let config = slot(&format!(r#""key_name": "k", {VAULT}, "azure_credential": "{name}""#)).config();
        assert_eq!(azure_of(&config.slots[0]).credential, credential);
    }
}

#[test]
fn options_of_a_slot_override_those_at_top_level() {
    let config = own(r#"{
        "aws_region": "top", "retries": 7, "hide_keys": ["P-256"], "accept_bare_digest": true,
        "vault_url": "https://top", "azure_client_id": "top", "azure_client_secret": "top",
        "slots": [
            {"kms_key_id": "a"},
            {"kms_key_id": "b", "aws_region": "own", "retries": 1, "hide_keys": [], "accept_bare_digest": false},
            {"key_name": "c"},
            {"key_name": "d", "vault_url": "https://own", "azure_client_id": "own", "azure_client_secret_file": "/f"}
        ]}"#)
    .config();
    let [a, b, c, d] = &config.slots[..] else { panic!() };
    assert_eq!((aws_of(a).region.as_deref(), aws_of(b).region.as_deref()), (Some("top"), Some("own")));
    assert_eq!((aws_of(a).network.retries, aws_of(b).network.retries), (7, 1));
    assert_eq!((a.hide_keys.len(), b.hide_keys.len()), (1, 0));
    assert_eq!((a.quirks.accept_bare_digest, b.quirks.accept_bare_digest), (true, false));
    assert_eq!((&*azure_of(c).vault_url, &*azure_of(d).vault_url), ("https://top", "https://own"));
    assert_eq!((azure_of(c).client_id.as_deref(), azure_of(d).client_id.as_deref()), (Some("top"), Some("own")));
    assert!(azure_of(c).client_secret.is_some() && azure_of(d).client_secret.is_none());
    assert_eq!(azure_of(d).client_secret_file, Some("/f".into()));
}

#[test]
fn the_options_determine_the_cloud() {
    let discover = |top: &str, own_members: &str| {
        own(&format!(r#"{{{top} "slots": [{{"label": "x", "discover": true {own_members}}}]}}"#)).read()
    };
    let is_aws = |config: Result<Config, String>| matches!(*config.unwrap().slots[0].service, Service::Aws(_));
    assert!(is_aws(discover("", r#", "cloud": "aws""#)));
    assert!(is_aws(discover("", r#", "aws_region": "r""#)));
    assert!(is_aws(discover(r#""aws_region": "r","#, "")));
    assert!(is_aws(discover(r#""aws_region": "r", "vault_url": "https://v","#, r#", "cloud": "aws""#)));
    assert!(!is_aws(discover("", &format!(", {VAULT}"))));
    assert!(!is_aws(discover(r#""vault_url": "https://v","#, "")));
    assert!(!is_aws(discover(r#""aws_region": "r","#, &format!(", {VAULT}"))));
    for top in ["", r#""aws_region": "r", "vault_url": "https://v","#] {
        assert!(discover(top, "").unwrap_err().contains(":1: slots[0]: missing option \"cloud\""));
    }
}

#[test]
fn several_keys_and_discovery() {
    let config = slot(&format!(
        r#""label": "many", {VAULT}, "keys": [{{"key_name": "a"}}, {{"key_name": "b", "label": "B", "key_version": "1", "certificate_path": "b.pem"}}]"#
    ))
    .config();
    let Keys::Named(keys) = &config.slots[0].keys else { panic!() };
    assert_eq!((config.slots[0].label.as_str(), keys.len()), ("many", 2));
    assert_eq!((keys[0].label.as_str(), keys[1].label.as_str()), ("a", "B"));
    assert!(matches!(&keys[1].certificate, CertificateSource::File(path) if path.ends_with("cloud-kms-pkcs11/b.pem")));

    let config = slot(&format!(r#""label": "all", {VAULT}, "discover": true"#)).config();
    assert_eq!(config.slots[0].keys, Keys::Discovered);
    let config = slot(&format!(r#""key_name": "k", {VAULT}, "discover": false"#)).config();
    assert_eq!(only_key(&config).name.id, "k");
}

#[test]
fn an_arn_determines_the_region() {
    let region = |members: &str| aws_of(&slot(members).config().slots[0]).region.clone();
    assert_eq!(region(&format!(r#""kms_key_id": "{ARN}""#)).as_deref(), Some("eu-west-1"));
    assert_eq!(region(&format!(r#""kms_key_arn": "{ARN}""#)).as_deref(), Some("eu-west-1"));
    assert_eq!(region(r#""kms_key_id": "alias/x""#), None);
    let other = ARN.replace("west", "east");
    let both = |one: &str, two: &str| {
        region(&format!(r#""label": "x", "keys": [{{"kms_key_id": "{one}"}}, {{"kms_key_id": "{two}"}}]"#))
    };
    assert_eq!(both(ARN, ARN).as_deref(), Some("eu-west-1"));
    assert_eq!(both(ARN, &other), None);
    assert_eq!(both(ARN, UUID), None);

    let config = slot(&format!(r#""kms_key_arn": "{ARN}""#)).config();
    assert_eq!((config.slots[0].label.as_str(), only_key(&config).name.id.as_str()), (UUID, UUID));
    let config = slot(&format!(r#""kms_key_id": "{ARN}""#)).config();
    assert_eq!((config.slots[0].label.as_str(), only_key(&config).name.id.as_str()), (ARN, ARN));
}

#[test]
fn paths_start_at_the_directory_of_the_file_or_at_home() {
    let path = |text: &str| {
        let mut world = slot(&format!(r#""kms_key_id": "k", "certificate_path": "{text}""#)).set("HOME", "/home/me");
        match &only_key(&world.config()).certificate {
            CertificateSource::File(path) => world.hide_root(path.to_str().unwrap()),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(path("c.pem"), "/etc/cloud-kms-pkcs11/c.pem");
    assert_eq!(path("/c.pem"), "/c.pem");
    assert_eq!(path("~/c.pem"), "/home/me/c.pem");
    let error = error_of(slot(r#""kms_key_id": "k", "certificate_path": "~/c.pem""#));
    assert_eq!(
        error,
        "1: slots[0].certificate_path: starts with ~/, but the variable HOME is not set; set it, or write an absolute path"
    );
}

#[test]
fn an_auth_file_is_configured_or_in_a_default_location() {
    let mut world = slot(&format!(r#""key_name": "k", {VAULT}"#)).set("HOME", "/home/me");
    let expected = vec![
        PathBuf::from("/home/me/.config/azure-keyvault-pkcs11/azureauth.json"),
        world.path("etc/azure-keyvault-pkcs11/azureauth.json"),
    ];
    assert_eq!(azure_of(&world.config().slots[0]).auth_files, expected);
    let mut world = slot(&format!(r#""key_name": "k", {VAULT}, "azure_auth_file": "a.json""#));
    let config = world.config();
    let settings = azure_of(&config.slots[0]);
    assert_eq!(settings.auth_file, Some(world.path("etc/cloud-kms-pkcs11/a.json")));
    assert!(settings.auth_files.is_empty(), "{settings:?}");
}

#[test]
fn a_credential_of_a_slot_hides_those_at_top_level() {
    let top =
        format!(r#"{VAULT}, "azure_client_secret": "s", "azure_federated_token_file": "/t", "azure_auth_file": "/a""#);
    let slots = r#"{"key_name": "k", "azure_client_certificate_path": "/c.pem"}, {"key_name": "k"}"#;
    let config = own(&format!(r#"{{{top}, "slots": [{slots}]}}"#)).config();
    let settings = azure_of(&config.slots[0]);
    assert_eq!(settings.client_certificate_path, Some("/c.pem".into()));
    assert_eq!((&settings.client_secret, &settings.federated_token_file, &settings.auth_file), (&None, &None, &None));
    let settings = azure_of(&config.slots[1]);
    assert!(settings.client_secret.is_some() && settings.auth_file.is_some(), "{settings:?}");
}

#[test]
fn inline_certificates_are_parsed_with_the_file() {
    let (base64, pem) = certificates();
    for text in [base64.clone(), pem.replace('\n', "\\n")] {
        let config = slot(&format!(r#""kms_key_id": "k", "certificate": "{text}""#)).config();
        assert!(matches!(&only_key(&config).certificate, CertificateSource::Inline(chain) if chain.len() == 1));
    }
    let error = error_of(slot(r#""kms_key_id": "k", "certificate": "AAAA""#));
    assert!(error.starts_with("1: slots[0].certificate: it contains no certificate"), "{error}");
    let error = error_of(slot(r#""kms_key_id": "k", "certificate_path": "c", "certificate": "AAAA""#));
    assert_eq!(error, "1: slots[0].certificate_path: can't be combined with \"certificate\"; remove one of the two");
}

#[test]
fn a_short_call_timeout_shortens_the_default_of_connecting() {
    let network = aws_of(&slot(r#""kms_key_id": "k", "call_timeout_ms": 100"#).config().slots[0]).network.clone();
    assert_eq!(network.connect_timeout, Duration::from_millis(100));
}

#[test]
fn long_and_duplicate_labels_cause_warnings() {
    let long = "x".repeat(33);
    let mut world = own(&format!(
        r#"{{"slots": [{{"kms_key_id": "{long}"}}, {{"kms_key_id": "a", "label": "x"}}, {{"kms_key_id": "b", "label": "x"}}]}}"#
    ));
    assert_eq!(world.config().slots.len(), 3);
    let notes = world.notes(Level::Warn);
    assert!(
        notes.contains("is longer than 32 bytes, so programs see only its beginning; set a shorter \"label\""),
        "{notes}"
    );
    assert!(notes.contains("slots[1] and slots[2] both have the label \"x\"; programs can't"), "{notes}");
    let exactly = "ü".repeat(16);
    world = slot(&format!(r#""kms_key_id": "{exactly}""#));
    world.config();
    assert_eq!(world.notes(Level::Warn), "");
}

#[test]
fn secrets_are_not_shown() {
    let config = slot(&format!(r#""key_name": "k", {VAULT}, "azure_client_secret": "s3cret""#)).config();
    assert!(!format!("{config:?}").contains("s3cret"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_file_panics(name in proptest::sample::select(names()), value in "[0-9a-z\\[\\]{}:,\"é/]{0,12}", more in "[ -~]{0,20}") {
        for text in [
            format!(r#"{{"slots": [{{"kms_key_id": "k", "{name}": {value}}}]}}"#),
            format!(r#"{{"slots": [{{"key_name": "k", "{name}": "{more}"}}], "{name}": "{more}"}}"#),
            more.clone(),
        ] {
            let _ = own(&text).read();
            let _ = TestEnvironment::new().file(AWS, &text).file(AZURE, &text).read();
        }
    }
}

fn names() -> Vec<&'static str> {
    crate::config::options::OPTIONS.iter().map(|row| row.name).collect()
}

#[test]
fn the_cache_directory_is_configurable() {
    let with = |options: &str| own(&format!(r#"{{"slots": [], {options}}}"#));
    assert_eq!(with(r#""cache": false"#).config().cache, None);
    let mut world = with(r#""cache_folder": "kept""#);
    assert_eq!(world.config().cache, Some(world.path("etc/cloud-kms-pkcs11/kept")));
    let error = error_of(with(r#""cache": false, "cache_folder": "kept""#));
    assert!(error.contains("cache_folder: can't be combined with \"cache\": false"), "{error}");
}

#[test]
fn the_log_destination_is_configurable() {
    let with = |options: &str| own(&format!(r#"{{"slots": [], {options}}}"#));
    let destination = |options: &str| {
        let config = with(options).config();
        (config.log_to_syslog, config.log_file.is_some())
    };
    assert_eq!(destination(r#""log_file": "log""#), (false, true));
    assert_eq!(destination(r#""log_file": "log", "log_destination": "file""#), (false, true));
    assert_eq!(destination(r#""log_file": "log", "log_destination": "stderr""#), (false, false));
    assert!(destination(r#""log_destination": "syslog""#).0);
    assert!(
        error_of(with(r#""log_destination": "file""#)).contains("is \"file\", but there is no \"log_file\"; add it")
    );
}

#[test]
fn slots_with_the_same_options_share_their_service() {
    let config = own(r#"{"retries": 1, "slots": [
        {"kms_key_id": "a", "aws_region": "eu-west-1", "label": "A"},
        {"kms_key_id": "b", "aws_region": "eu-west-1", "accept_bare_digest": false},
        {"kms_key_id": "c", "aws_region": "eu-west-2"},
        {"kms_key_id": "d"},
        {"kms_key_id": "arn:aws:kms:eu-west-3:111122223333:key/e"},
        {"kms_key_id": "f", "retries": 2},
        {"key_name": "g", "vault_url": "https://v.vault.azure.net"},
        {"key_name": "h", "vault_url": "https://v.vault.azure.net", "key_version": "1"},
        {"key_name": "i", "vault_url": "https://w.vault.azure.net", "key_version": "1"}
    ]}"#)
    .config();
    let region = |slot: usize| aws_of(&config.slots[slot]).region.clone();
    let regions: Vec<_> = (0..6).map(region).collect();
    let (one, two, three) = (Some("eu-west-1".to_owned()), Some("eu-west-2".to_owned()), Some("eu-west-3".to_owned()));
    assert_eq!(regions, [one.clone(), one, two, None, three, None]);
    assert_eq!((aws_of(&config.slots[4]).network.retries, aws_of(&config.slots[5]).network.retries), (1, 2));
    assert_eq!(azure_of(&config.slots[7]).vault_url, "https://v.vault.azure.net");
    assert_eq!(azure_of(&config.slots[8]).vault_url, "https://w.vault.azure.net");
    // The cloud of the previous slot is not assumed: the slot's own options are checked.
    let mixed = r#"{"kms_key_id": "a", "aws_region": "r"}, {"kms_key_id": "b", "aws_region": "r", "key_version": "1"}"#;
    let error = error_of(own(&format!("{{\"slots\": [{mixed}]}}")));
    assert!(error.contains("slots[1].key_version: is an option for azure"), "{error}");
    let same =
        own(r#"{"slots": [{"kms_key_id": "a", "aws_region": "r"}, {"kms_key_id": "b", "aws_region": "r"}]}"#).config();
    assert!(Arc::ptr_eq(&same.slots[0].service, &same.slots[1].service));
}
