//! `config migrate`: programs see the same tokens, labels and ids with the new file as with the old one.

use crate::support::{Run, World};
use cloud_kms_emulator::{AwsKey, GoogleKey, VaultCertificate, VaultKey};
use serde_json::{Value, json};
use std::process::Command;

const RING: &str = "projects/my-project/locations/us/keyRings/my-key-ring";

/// Returns the tool with the clouds under their real names, which old files use: the emulator is the proxy. There is no
/// configuration, except one that `variable` names.
fn tool(world: &World, arguments: &[&str], variable: Option<(&str, &str)>) -> Command {
    let mut command = world.command(arguments);
    command
        .env_remove("CLOUD_KMS_PKCS11_CONFIG")
        .env("HTTPS_PROXY", world.emulator.http_url())
        .env("SSL_CERT_FILE", world.path("ca.pem"))
        .env("GOOGLE_APPLICATION_CREDENTIALS", world.path("account.json"));
    if let Some((name, file)) = variable {
        command.env(name, world.path(file));
    }
    command
}

/// Returns what programs see, without what is known to change: serial numbers.
fn seen(world: &World, variable: Option<(&str, &str)>) -> Value {
    let tokens = Run::of(&mut tool(world, &["list", "--json"], variable)).json()["tokens"].clone();
    let without_serial = |token: &Value| {
        let mut token = token.clone();
        assert_ne!(token["objects"].as_array().unwrap().len(), 0, "{token}");
        let fields = token.as_object_mut().unwrap();
        fields.retain(|name, _| !["serial", "uri"].contains(&name.as_str()));
        token
    };
    tokens.as_array().unwrap().iter().map(without_serial).collect()
}

fn write(world: &World, name: &str, text: &str) {
    let path = world.path(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

#[test]
fn the_json_files_of_both_old_modules() {
    let world = World::new();
    let aws = world.emulator.aws();
    let key = aws.create_key(AwsKey::new("RSA_2048").region("us-west-2")).unwrap();
    aws.create_key(AwsKey::new("ECC_NIST_P256").region("us-west-2").alias("alias/second")).unwrap();
    let vault = world.emulator.vault("my-vault");
    vault.create_certificate("mykey", VaultCertificate::new(VaultKey::rsa(2048))).unwrap();
    vault.create_key("second", VaultKey::ec("P-384")).unwrap();
    let slots = json!([
        { "label": "my-signing-key", "kms_key_id": key.id, "aws_region": "us-west-2" },
        { "kms_key_id": "alias/second", "aws_region": "us-west-2" },
        { "kms_key_arn": key.arn, "label": "not used" },
    ]);
    write(&world, ".config/aws-kms-pkcs11/config.json", &format!("{{ 'slots': {slots}, /* c */ }}"));
    let azure = r#"{ "slots": [
        { "label": "my-azure-key", "key_name": "mykey", "vault_url": "https://my-vault.vault.azure.net/" },
        { "key_name": "second", "vault_url": "https://my-vault.vault.azure.net" } ] }"#;
    write(&world, ".config/azure-keyvault-pkcs11/config.json", azure);
    let before = seen(&world, None);
    assert_eq!(before.as_array().unwrap().len(), 5);
    let run = Run::of(&mut tool(&world, &["config", "migrate", "--out", "new.json"], None));
    assert!(run.code == Some(0) && run.stdout.is_empty(), "{run:?}");
    for part in [
        "read: ",
        "azure-keyvault-pkcs11/config.json",
        "was 0, and is now ",
        "label: is left out: kms_key_arn takes precedence",
    ] {
        assert!(run.stderr.contains(part), "{part}: {run:?}");
    }
    assert_eq!(seen(&world, Some(("CLOUD_KMS_PKCS11_CONFIG", "new.json"))), before);
    let again = Run::of(&mut tool(&world, &["config", "migrate", "--out", "new.json"], None));
    assert!(again.error(1).contains("fix:   name another file, or overwrite it by --force"), "{again:?}");
}

#[test]
fn the_file_of_libkmsp11() {
    let world = World::new();
    let google = world.emulator.google();
    google.create_key("foo", GoogleKey::new("EC_SIGN_P256_SHA256").key_ring(RING).versions(2)).unwrap();
    google.create_key("edwards", GoogleKey::new("EC_SIGN_ED25519").key_ring(RING)).unwrap();
    write(&world, "account.json", &google.service_account_file().unwrap().to_string());
    write(
        &world,
        "old.yaml",
        &format!("tokens:\n  - key_ring: {RING}\n    label: my key ring\ngenerate_certs: true\n"),
    );
    let before = seen(&world, Some(("KMS_PKCS11_CONFIG", "old.yaml")));
    let run = Run::of(&mut tool(&world, &["config", "migrate", "old.yaml"], None));
    assert!(
        run.code == Some(0) && run.stderr.contains("keys with the protection level SOFTWARE are now shown"),
        "{run:?}"
    );
    write(&world, "new.json", &run.stdout());
    let after = seen(&world, Some(("CLOUD_KMS_PKCS11_CONFIG", "new.json")));
    assert_eq!(after, before);
    assert_eq!(after[0]["label"], json!("my key ring"));
}
