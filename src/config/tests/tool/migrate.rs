//! Tests of `config migrate`: the slots stay the same, and what changes is said.

use crate::cloud::google;
use crate::config::tests::*;
use crate::config::tool::migrate::{Migration, of_files};

fn migrate(world: &TestEnvironment) -> Migration {
    world.with(|environment| of_files(None, None, environment)).unwrap_or_else(|error| panic!("{error}"))
}

/// Returns the slots of the new file.
fn slots(world: &TestEnvironment, migration: &Migration) -> Vec<Slot> {
    let read = |environment: &Environment| {
        let path = Path::new("/new/config.json");
        crate::config::file::strict::parse(
            migration.text.as_bytes(),
            path,
            environment,
            None,
            &mut PendingMessages::new(),
        )
    };
    let config = world.with(read).unwrap_or_else(|error| panic!("{error}:\n{}", migration.text));
    config.slots.iter().collect()
}

/// Returns the slots of the old file, with what the new file can't express replaced by what is there instead.
fn expected(mut world: TestEnvironment) -> Vec<Slot> {
    let change = |mut slot: Slot| {
        slot.quirks.identity = SlotIdentity::Own;
        if let Service::Google(settings) = &*slot.service {
            slot.service =
                Arc::new(Service::Google(google::Settings { hides_software_keys: false, ..settings.clone() }));
        }
        slot
    };
    world.config().slots.into_iter().map(change).collect()
}

fn old(path: &str, text: &str) -> TestEnvironment {
    TestEnvironment::new().file(path, text).set("HOME", "/home/me")
}

#[test]
fn the_slots_stay_the_same() {
    let (base64, pem) = certificates();
    let chain = format!("{pem}{pem}").replace('\n', "\\n");
    let acm = "arn:aws:acm:eu-west-1:111122223333:certificate/12345678-1234-1234-1234-123456789012";
    let authority = "arn:aws:acm-pca:r:1:certificate-authority/11111111-2222-3333-4444-555555555555";
    let aws = [
        format!(r#"{{"kms_key_id": "{UUID}", "label": "a", "aws_region": "us-west-2", "certificate_path": "/c.pem"}}"#),
        format!(r#"{{"kms_key_id": "{ARN}"}}"#),
        format!(r#"{{"kms_key_arn": "{ARN}", "label": "not used"}}"#),
        r#"{"kms_key_id": "alias/x", "label": "long \" label of more than thirty-two bytes \u00e4"}"#.to_owned(),
        format!(r#"{{"kms_key_id": "mrk-1", "certificate": "{base64}"}}"#),
        format!(r#"{{"kms_key_id": "chain", "certificate": "{chain}"}}"#),
        format!(r#"{{"kms_key_id": "acm", "certificate_arn": "{acm}"}}"#),
        format!(r#"{{"kms_key_id": "pca", "certificate_arn": "{authority}/certificate/1", "ca_arn": "{authority}"}}"#),
        r#"{"kms_key_id": "same"}, {"kms_key_id": "same"}"#.to_owned(),
    ];
    for region in ["", r#""aws_region": "eu-central-1","#] {
        // The ARN of the second and third slot is in another region than the file's.
        let slots_of_aws: Vec<_> = aws
            .iter()
            .enumerate()
            .filter(|(i, _)| region.is_empty() || *i != 1)
            .map(|(_, slot)| slot.as_str())
            .collect();
        let text = format!(
            r#"{{{region} "slots": [{}], // comment
            }}"#,
            slots_of_aws.join(",")
        );
        for variable in ["AWS_DEFAULT_REGION", "UNUSED"] {
            let world = old(AWS, &text).set(variable, "eu-west-3");
            assert_eq!(slots(&world, &migrate(&world)), expected(world), "{text}");
        }
    }
    let text =
        r#"{"slots": [{"key_name": "a", "vault_url": "https://v.vault.azure.net/", "label": "l"}, {"key_name": "b"}]}"#;
    let world = old(AZURE, text)
        .file(AWS, r#"{"slots": [{"kms_key_id": "first"}]}"#)
        .set("AZURE_KEYVAULT_URL", "https://w.vault.azure.net");
    let migration = migrate(&world);
    assert_eq!(migration.sources.len(), 2);
    assert_eq!(slots(&world, &migration), expected(world));
}

#[test]
fn the_tokens_of_libkmsp11_stay_the_same() {
    for options in [
        "generate_certs: true\nrpc_timeout_secs: 7\nuser_project_override: q\nallow_software_keys: true",
        "log_directory: /l\nkms_endpoint: kms.example:443",
    ] {
        let ring = "projects/p/locations/l/keyRings/r";
        let text = format!("tokens:\n- key_ring: {ring}\n  label: one\n- key_ring: {ring}2\n  label: two\n{options}\n");
        let mut world = old("kms.yaml", &text).set("KMS_PKCS11_CONFIG", "ROOT/kms.yaml");
        let migration = migrate(&world);
        let (log_file, log_level) = {
            let config = world.config();
            (config.log_file, config.log_level)
        };
        assert_eq!(migration.text.contains("\"log_file\": \"/l/libkmsp11.log\",\n"), log_file.is_some());
        assert_eq!(migration.text.contains("\"log_level\": \"info\",\n"), log_level.is_some());
        assert_eq!(slots(&world, &migration), expected(world));
    }
}

/// The path of the old file, its text, and what the tool says about it.
const CHANGES: &[(&str, &str, &str)] = &[
    (AWS, r#"{"slots": [{"kms_key_id": "k"}]}"#, "slot 0 (\"k\"): the serial number of the token was 0, and is now "),
    (
        AWS,
        r#"{"slots": [{"kms_key_id": "k", "colour": 1}]}"#,
        ":1: slots[0].colour: is left out: the old module has no such option",
    ),
    (AWS, r#"{"slots": [{"kms_key_id": "k", "label": 1}]}"#, ":1: slots[0].label: is left out: it is no string"),
    (AWS, r#"{"slots": [1, {"kms_key_id": "k"}]}"#, ":1: slots[0]: is left out: it is no object"),
    (AWS, r#"{"slots": [{"kms_key_id": "k",}]}"#, "comments, if there are any, are left out"),
    (
        AWS,
        r#"{"slots": [{"label": "l"}, {"kms_key_id": "k"}]}"#,
        "slot 0 (\"l\") is left out, because this module's own file can't express it: no key is named",
    ),
    (
        AWS,
        r#"{"slots": [{"kms_key_id": "k", "certificate_path": "c.pem"}]}"#,
        "slot 0 (\"k\"): certificate_path c.pem started at the working directory",
    ),
    (
        AWS,
        r#"{"slots": [{"kms_key_id": "k", "certificate_path": "/c", "certificate": "x"}]}"#,
        "slots[0].certificate: is left out: certificate_path takes precedence",
    ),
    (
        AWS,
        r#"{"slots": [{"kms_key_id": "arn:aws:kms:r:1:key/k", "aws_region": "s"}]}"#,
        "aws_region s is left out, because the key's ARN names the region r",
    ),
    (AWS, r#"{"slots": []}"#, "the token \"aws\" has all keys"),
    (AWS, r#"{"slots": [{"kms_key_id": "k", "ca_arn": "x"}]}"#, "ca_arn is ignored"),
    (
        AZURE,
        r#"{"slots": [{"key_name": "k", "vault_url": "http://v"}, {"key_name": "k", "vault_url": "https://v"}]}"#,
        "slot 0 (\"k\") is left out, because this module's own file can't express it: vault_url: must start with https://",
    ),
    (
        AZURE,
        r#"{"slots": [{"key_name": "k", "vault_url": "https://v", "kms_key_id": "x"}]}"#,
        "slots[0].kms_key_id: is left out: the old module has no such option",
    ),
    ("kms.yaml", "tokens:\n- key_ring: projects/p/locations/l/keyRings/r\n# c\n", "it is now \"r\""),
    ("kms.yaml", "tokens:\n- key_ring: projects/p/locations/l/keyRings/r\n# c\n", "comments are left out"),
    ("kms.yaml", "tokens:\n- key_ring: projects/p/locations/l/keyRings/r\nfoo: 1\n", ":3: foo: is unknown"),
    (
        "kms.yaml",
        "tokens:\n- key_ring: projects/p/locations/l/keyRings/r\nskip_fork_handlers: true\n",
        ":3: skip_fork_handlers: is ignored",
    ),
    (
        "kms.yaml",
        "tokens:\n- key_ring: projects/p/locations/l/keyRings/r\n",
        "keys with the protection level SOFTWARE are now shown",
    ),
    (
        "kms.yaml",
        "tokens:\n- key_ring: projects/p/locations/l/keyRings/r\nuse_google_compute_engine_credentials: 1\n",
        "use_google_compute_engine_credentials has no counterpart",
    ),
];

#[test]
fn what_changes_is_said() {
    for (path, text, message) in CHANGES {
        let mut world = old(path, text);
        if *path == "kms.yaml" {
            world = world.set("KMS_PKCS11_CONFIG", "ROOT/kms.yaml");
        }
        let migration = migrate(&world);
        slots(&world, &migration);
        let found = migration.changes.iter().filter(|change| change.contains(message)).count();
        assert_eq!(found, 1, "{text}: {message}: {:#?}", migration.changes);
    }
    let world = old(
        "kms.yaml",
        &format!("tokens:\n- key_ring: projects/p/locations/l/keyRings/r\n  certs: ['{}']\n", certificates().0),
    );
    let changes = migrate(&world.set("KMS_PKCS11_CONFIG", "ROOT/kms.yaml")).changes.join("\n");
    assert!(changes.contains("\"certs\" are left out (certificates: 1)"), "{changes}");
}

#[test]
fn the_module_of_a_file_is_found_by_its_contents() {
    let kind = |text: &str, module: Option<&str>| {
        let world = TestEnvironment::new().file("old", text);
        let path = world.path("old");
        world
            .with(|environment| of_files(Some(&path), module, environment))
            .map(|made| made.text)
            .map_err(|error| world.hide_root(&error.message))
    };
    let azure = r#"{"slots": [{"key_name": "k", "vault_url": "https://v"}]}"#;
    assert!(kind(azure, None).unwrap().contains("\"key_name\": \"k\""));
    assert!(kind(r#"{"slots": [{"kms_key_id": "k"}]}"#, None).unwrap().contains("\"kms_key_id\": \"k\""));
    assert!(
        kind("tokens:\n- key_ring: projects/p/locations/l/keyRings/r\n", None).unwrap().contains("google_key_ring")
    );
    assert!(kind(azure, Some("aws-kms-pkcs11")).unwrap().contains("\"slots\": [\n\n  ]"), "no slot names a key of KMS");
    assert_eq!(
        kind(r#"{"slots": [{"transit_key": "k"}]}"#, None).unwrap_err(),
        "/old: is a file of this module already; there is nothing to migrate"
    );
    for module in [None, Some("aws-kms-pkcs11")] {
        assert!(kind("{\"slots\": [}", module).unwrap_err().starts_with("/old:1: "));
    }
    let nothing = TestEnvironment::new().with(|environment| of_files(None, None, environment));
    assert!(nothing.unwrap_err().message.starts_with("there is no file of an old module"));
}
