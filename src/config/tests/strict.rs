//! Our own file.

use super::*;
use crate::backend::Network;
use crate::backend::azure::Credential;
use proptest::prelude::*;
use std::time::Duration;

const VAULT: &str = r#""vault_url": "https://v.vault.azure.net""#;

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
        manner: Manner::default(),
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
fn all_settings_arrive() {
    let aws = r#""kms_key_id": "k", "aws_region": "r", "aws_profile": "p", "aws_role_arn": "a", "aws_external_id": "e",
        "aws_endpoint_url": "http://localhost:1", "ca_bundle": "ca.pem", "proxy": "http://p:1", "connect_timeout_ms": 5,
        "call_timeout_ms": 6, "retries": 0, "hide_keys": ["rsa2048"], "accept_bare_digest": true"#;
    let mut world = slot(aws);
    let config = world.config();
    let network = Network {
        ca_bundle: Some(world.path("etc/cloud-kms-pkcs11/ca.pem")),
        proxy: Some("http://p:1".to_owned().into()),
        connect_timeout: Duration::from_millis(5),
        call_timeout: Duration::from_millis(6),
        retries: 0,
    };
    let expected = aws::Settings {
        region: Some("r".into()),
        profile: Some("p".into()),
        role_arn: Some("a".into()),
        external_id: Some("e".into()),
        login: None,
        endpoint_url: Some("http://localhost:1".into()),
        network,
    };
    assert_eq!(aws_of(&config.slots[0]), &expected);
    assert_eq!(config.slots[0].hide_keys, ["rsa2048"]);
    assert!(config.slots[0].manner.accept_bare_digest);

    let azure = r#""key_name": "k", "vault_url": "https://v:1", "azure_credential": "cli", "azure_tenant_id": "t",
        "azure_client_id": "c", "azure_client_secret": "s", "azure_client_certificate_path": "/c.pem",
        "azure_federated_token_file": "/f", "azure_auth_file": "/a", "azure_authority_host": "https://l",
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
        federated_token_file: Some("/f".into()),
        auth_files: vec!["/a".into()],
        authority_host: Some("https://l".into()),
        rsnull: false,
        skip_challenge_check: true,
        network: Network::default(),
    };
    assert_eq!(settings, &expected);
    assert_eq!(settings.client_secret.as_ref().unwrap().expose(), "s");
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
fn a_slots_options_win_over_the_top_levels() {
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
    assert_eq!((a.manner.accept_bare_digest, b.manner.accept_bare_digest), (true, false));
    assert_eq!((&*azure_of(c).vault_url, &*azure_of(d).vault_url), ("https://top", "https://own"));
    assert_eq!((azure_of(c).client_id.as_deref(), azure_of(d).client_id.as_deref()), (Some("top"), Some("own")));
    assert!(azure_of(c).client_secret.is_some() && azure_of(d).client_secret.is_none());
    assert_eq!(azure_of(d).client_secret_file, Some("/f".into()));
}

#[test]
fn the_cloud_is_what_the_options_tell() {
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
        assert!(discover(top, "").unwrap_err().contains(":1: slots[0]: missing \"cloud\""));
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
    assert_eq!(config.slots[0].keys, Keys::Discover);
    let config = slot(&format!(r#""key_name": "k", {VAULT}, "discover": false"#)).config();
    assert_eq!(only_key(&config).name.id, "k");
}

#[test]
fn an_arn_tells_the_region() {
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
fn paths_start_at_the_files_folder_or_at_home() {
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
    assert_eq!(error, "1: slots[0].certificate_path: starts with ~/, but HOME is not set");
}

#[test]
fn an_auth_file_is_the_named_one_or_in_the_usual_places() {
    let mut world = slot(&format!(r#""key_name": "k", {VAULT}"#)).set("HOME", "/home/me");
    let expected = vec![
        PathBuf::from("/home/me/.config/azure-keyvault-pkcs11/azureauth.json"),
        world.path("etc/azure-keyvault-pkcs11/azureauth.json"),
    ];
    assert_eq!(azure_of(&world.config().slots[0]).auth_files, expected);
    let mut world = slot(&format!(r#""key_name": "k", {VAULT}, "azure_auth_file": "a.json""#));
    assert_eq!(azure_of(&world.config().slots[0]).auth_files, [world.path("etc/cloud-kms-pkcs11/a.json")]);
}

#[test]
fn certificates_are_read_now_if_they_stand_in_the_file() {
    let (base64, pem) = certificates();
    for text in [base64.clone(), pem.replace('\n', "\\n")] {
        let config = slot(&format!(r#""kms_key_id": "k", "certificate": "{text}""#)).config();
        assert!(matches!(&only_key(&config).certificate, CertificateSource::Inline(chain) if chain.len() == 1));
    }
    let error = error_of(slot(r#""kms_key_id": "k", "certificate": "AAAA""#));
    assert!(error.starts_with("1: slots[0].certificate: no X.509 certificate"), "{error}");
    let error = error_of(slot(r#""kms_key_id": "k", "certificate_path": "c", "certificate": "AAAA""#));
    assert_eq!(error, "1: slots[0].certificate_path: can't stand beside \"certificate\"");
}

#[test]
fn a_short_call_timeout_shortens_the_default_of_connecting() {
    let network = aws_of(&slot(r#""kms_key_id": "k", "call_timeout_ms": 100"#).config().slots[0]).network.clone();
    assert_eq!(network.connect_timeout, Duration::from_millis(100));
}

#[test]
fn doubtful_labels_are_noted() {
    let long = "x".repeat(33);
    let mut world = own(&format!(
        r#"{{"slots": [{{"kms_key_id": "{long}"}}, {{"kms_key_id": "a", "label": "x"}}, {{"kms_key_id": "b", "label": "x"}}]}}"#
    ));
    assert_eq!(world.config().slots.len(), 3);
    let notes = world.notes(Level::Warn);
    assert!(notes.contains("is longer than 32 bytes"), "{notes}");
    assert!(notes.contains("slots[1] and slots[2] both have the label \"x\""), "{notes}");
    let exactly = "ü".repeat(16);
    world = slot(&format!(r#""kms_key_id": "{exactly}""#));
    world.config();
    assert_eq!(world.notes(Level::Warn), "");
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let key = r#""kms_key_id": "k""#;
    let azure = format!(r#""key_name": "k", {VAULT}"#);
    for (members, message) in [
        (
            "".to_owned(),
            r#"1: slots[0]: missing the key: one of "kms_key_id", "kms_key_arn", "key_name", "keys", "discover""#,
        ),
        (
            format!("{key}, \n\"kms_keyid\": 1"),
            r#"2: slots[0]: unknown option "kms_keyid"; did you mean "kms_key_id"?"#,
        ),
        (format!("{key}, \"region\": 1"), r#"1: slots[0]: unknown option "region"; did you mean "aws_region"?"#),
        (format!("{key}, \"vaultUrl\": 1"), r#"1: slots[0]: unknown option "vaultUrl"; did you mean "vault_url"?"#),
        (
            format!("{key}, \"log_level\": \"info\""),
            r#"1: slots[0]: option "log_level" can't stand here; its place: top level"#,
        ),
        (format!("{key}, {key}"), r#"1: "kms_key_id" stands here twice"#),
        (r#""key_name": 5"#.into(), "1: slots[0].key_name: expected a string, found the number 5"),
        (format!("{key}, \"label\": null"), "1: slots[0].label: expected a string, found null"),
        (format!("{key}, \"label\": \"\""), "1: slots[0].label: must not be empty"),
        (
            format!("{key}, \"accept_bare_digest\": \"true\""),
            "1: slots[0].accept_bare_digest: expected true or false, found a string",
        ),
        (
            format!("{key}, \"retries\": 1.5"),
            "1: slots[0].retries: expected a whole number from 0 to 4294967295, found the number 1.5",
        ),
        (
            format!("{key}, \"retries\": -1"),
            "1: slots[0].retries: expected a whole number from 0 to 4294967295, found the number -1",
        ),
        (
            format!("{key}, \"call_timeout_ms\": 0"),
            "1: slots[0].call_timeout_ms: expected a whole number of milliseconds from 1 to 4294967295, found the number 0",
        ),
        (
            format!("{key}, \"connect_timeout_ms\": 20000"),
            r#"1: slots[0].connect_timeout_ms: is 20000, more than "call_timeout_ms", 10000"#,
        ),
        (
            format!("{key}, \"hide_keys\": [\n\"P-256\",\n\"P256\"]"),
            "3: slots[0].hide_keys[1]: expected one of rsa2048, rsa3072, rsa4096, P-256, P-384, P-521, secp256k1, Ed25519, ML-DSA-44, ML-DSA-65, ML-DSA-87, HMAC-SHA-224, HMAC-SHA-256, HMAC-SHA-384, HMAC-SHA-512, found \"P256\"",
        ),
        (format!("{key}, \"hide_keys\": [1]"), "1: slots[0].hide_keys[0]: expected a string, found the number 1"),
        (format!("{key}, \"cloud\": \"gcp\""), "1: slots[0].cloud: expected one of aws, azure, found \"gcp\""),
        (format!("{key}, \"proxy\": \"secret@p\""), "1: slots[0].proxy: must start with http:// or https://"),
        (
            format!("{key}, {VAULT}"),
            r#"1: slots[0].vault_url: is an option for azure, but "kms_key_id" is one for aws"#,
        ),
        (
            format!("{azure}, \"cloud\": \"aws\""),
            r#"1: slots[0].key_name: is an option for azure, but "cloud" is "aws""#,
        ),
        (format!("{key}, \"keys\": []"), r#"1: slots[0].keys: can't stand beside "kms_key_id""#),
        (r#""label": "x", "keys": []"#.into(), "1: slots[0].keys: must not be empty"),
        (
            format!(r#""label": "x", "aws_region": "r", "keys": [{{"kms_key_id": "{ARN}"}}]"#),
            r#"1: slots[0].keys[0].kms_key_id: the ARN is of region "eu-west-1", but "aws_region" is "r""#,
        ),
        (
            format!(r#""kms_key_arn": "{ARN}", "aws_region": "r""#),
            r#"1: slots[0].kms_key_arn: the ARN is of region "eu-west-1", but "aws_region" is "r""#,
        ),
        (
            r#""label": "x", "keys": [{"kms_key_id": "k"}, {"key_name": "k"}]"#.into(),
            r#"1: slots[0].keys[1].key_name: is an option for azure, but "kms_key_id" is one for aws"#,
        ),
        (format!("{key}, \"discover\": true"), r#"1: slots[0].discover: can't stand beside "kms_key_id""#),
        (format!("{key}, \"kms_key_arn\": \"{ARN}\""), r#"1: slots[0].kms_key_arn: can't stand beside "kms_key_id""#),
        (
            r#""kms_key_arn": "arn:aws:kms:r:1:alias/x""#.into(),
            "1: slots[0].kms_key_arn: is no ARN of a KMS key; other names of keys go into \"kms_key_id\"",
        ),
        (r#""kms_key_id": "arn:aws:s3:::bucket""#.into(), "1: slots[0].kms_key_id: is no ARN of a KMS key or alias"),
        (
            format!(r#""kms_key_id": "{ARN}", "aws_region": "us-east-1""#),
            r#"1: slots[0].kms_key_id: the ARN is of region "eu-west-1", but "aws_region" is "us-east-1""#,
        ),
        (r#""key_name": "k""#.into(), "1: slots[0]: missing \"vault_url\""),
        (
            r#""key_name": "k_1""#.into(),
            "1: slots[0].key_name: \"k_1\" can't be the name of a key: 1 to 127 ASCII letters, digits and hyphens, without a version",
        ),
        (
            r#""key_name": "k", "key_version": "../x""#.into(),
            "1: slots[0].key_version: \"../x\" can't be a key's version: only ASCII letters and digits",
        ),
        (
            r#""key_name": "k", "vault_url": "http://v""#.into(),
            "1: slots[0].vault_url: must start with https://: tokens are sent there",
        ),
        (
            r#""key_name": "k", "vault_url": "https://v/keys/k""#.into(),
            "1: slots[0].vault_url: must be https:// and a host, with nothing behind it",
        ),
        (r#""discover": true, "cloud": "aws""#.into(), r#"1: slots[0]: missing "label", which "discover" needs"#),
        (r#""keys": [{"kms_key_id": "k"}]"#.into(), r#"1: slots[0]: missing "label", which "keys" needs"#),
        (
            r#""label": "x", "keys": ["#.to_owned() + "\n{\"label\": \"x\"}]",
            r#"2: slots[0].keys[0]: missing the key: one of "kms_key_id", "key_name""#,
        ),
        (r#""label": "x", "keys": [7]"#.into(), "1: slots[0].keys[0]: expected an object, found the number 7"),
        (
            r#""label": "x", "keys": [{"kms_key_id": "k", "aws_region": "r"}]"#.into(),
            r#"1: slots[0].keys[0]: option "aws_region" can't stand here; its place: top level, slot"#,
        ),
        (
            r#""label": "x", "certificate_path": "c", "keys": [{"kms_key_id": "k"}]"#.into(),
            r#"1: slots[0].certificate_path: belongs to one key, and this slot has "keys""#,
        ),
        (
            format!("{azure}, \"azure_client_secret\": \"s3cret\", \"azure_client_secret_file\": \"f\""),
            r#"1: slots[0].azure_client_secret_file: can't stand beside "azure_client_secret""#,
        ),
        (
            format!("{azure}, \"azure_client_secret\": 12345"),
            "1: slots[0].azure_client_secret: expected a string, found a number",
        ),
    ] {
        let error = error_of(slot(&members));
        assert_eq!(error, message, "{members}");
    }
}

#[test]
fn what_is_wrong_at_top_level_is_said_with_its_place() {
    for (text, message) in [
        ("[]", "1: expected an object, found an array"),
        ("{}", "1: missing \"slots\""),
        (r#"{"slots": {}}"#, "1: slots: expected an array of objects, found an object"),
        (r#"{"slots": [1]}"#, "1: slots[0]: expected an object, found the number 1"),
        (
            r#"{"slots": [], "log_level": "loud"}"#,
            "1: log_level: expected one of off, error, warn, info, debug, found \"loud\"",
        ),
        ("{\"slots\": [],\n\"label\": \"x\"}", r#"2: option "label" can't stand here; its place: slot, key"#),
        (
            "{\"connect_timeout_ms\": 5,\n\"slots\": [{\"kms_key_id\": \"k\",\n\"call_timeout_ms\": 4}]}",
            r#"1: connect_timeout_ms: is 5, more than "call_timeout_ms", 4"#,
        ),
        (r#"{"slots": [] // comment"#, "1: comments are not allowed in this file"),
    ] {
        assert_eq!(error_of(own(text)), message, "{text}");
    }
    let error = error_of(own(r#"{"frobnicate": 1}"#));
    assert!(
        error.starts_with("1: unknown option \"frobnicate\"; allowed here: slots, log_level, log_file, log_destination, cache, cache_folder, aws_region,"),
        "{error}"
    );
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
            let _ = World::new().file(AWS, &text).file(AZURE, &text).read();
        }
    }
}

fn names() -> Vec<&'static str> {
    super::super::options::OPTIONS.iter().map(|row| row.name).collect()
}

#[test]
fn the_cache_is_where_it_is_said_or_switched_off() {
    let with = |options: &str| own(&format!(r#"{{"slots": [], {options}}}"#));
    assert_eq!(with(r#""cache": false"#).config().cache, None);
    let mut world = with(r#""cache_folder": "kept""#);
    assert_eq!(world.config().cache, Some(world.path("etc/cloud-kms-pkcs11/kept")));
    let error = error_of(with(r#""cache": false, "cache_folder": "kept""#));
    assert!(error.contains("cache_folder: can't stand beside"), "{error}");
}

#[test]
fn the_log_goes_where_it_is_said() {
    let with = |options: &str| own(&format!(r#"{{"slots": [], {options}}}"#));
    let destination = |options: &str| {
        let config = with(options).config();
        (config.log_to_syslog, config.log_file.is_some())
    };
    assert_eq!(destination(r#""log_file": "log""#), (false, true));
    assert_eq!(destination(r#""log_file": "log", "log_destination": "file""#), (false, true));
    assert_eq!(destination(r#""log_file": "log", "log_destination": "stderr""#), (false, false));
    assert!(destination(r#""log_destination": "syslog""#).0);
    assert!(error_of(with(r#""log_destination": "file""#)).contains("there is no \"log_file\""));
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
    // The same cloud is not taken for granted: what the slot says of it is looked at.
    let mixed = r#"{"kms_key_id": "a", "aws_region": "r"}, {"kms_key_id": "b", "aws_region": "r", "key_version": "1"}"#;
    let error = error_of(own(&format!("{{\"slots\": [{mixed}]}}")));
    assert!(error.contains("slots[1].key_version: is an option for azure"), "{error}");
    let same =
        own(r#"{"slots": [{"kms_key_id": "a", "aws_region": "r"}, {"kms_key_id": "b", "aws_region": "r"}]}"#).config();
    assert!(Arc::ptr_eq(&same.slots[0].service, &same.slots[1].service));
}
