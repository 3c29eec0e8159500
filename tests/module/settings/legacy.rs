//! The configuration files of the two modules that this module replaces, unchanged and in their original places.
//!
//! The services are reached under their real names, through the emulator as a proxy, because the old files know no
//! other names.

use crate::support::p11::P11;
use crate::support::world::{ecdsa_der, is_child, module_path, name_of, openssl_verifies, run_child};
use cloud_kms_emulator::{Aws, AwsKey, Emulator, EntraClients, VaultCertificate, VaultKey};
use cryptoki_sys::*;
use std::path::{Path, PathBuf};

/// The example in the README of aws-kms-pkcs11: one slot by key id with a certificate, and one slot by alias.
fn aws_config(key: &str, certificate: &str) -> String {
    format!(
        r#"{{
  "slots": [
    {{
      "label": "my-signing-key",
      "kms_key_id": "{key}",
      "aws_region": "us-west-2",
      "certificate_path": "{certificate}"
    }},
    {{
      "kms_key_id": "alias/second",
      "aws_region": "us-west-2",
    }}, // a trailing comma and a comment, as json-c takes them
  ]
}}"#
    )
}

/// The example in the README of azure-keyvault-pkcs11: a label, a key name, a vault.
const AZURE_CONFIG: &str = r#"{
  "slots": [
    { "label": "my-azure-key", "key_name": "mykey", "vault_url": "https://my-vault.vault.azure.net/" },
    { "key_name": "second", "vault_url": "https://my-vault.vault.azure.net" }
  ]
}"#;

struct Clouds {
    emulator: Emulator,
    home: tempfile::TempDir,
}

impl Clouds {
    fn new() -> Self {
        let (emulator, home) = (Emulator::start().unwrap(), tempfile::tempdir().unwrap());
        emulator.write_ca(&home.path().join("ca.pem")).unwrap();
        Self { emulator, home }
    }

    fn write(&self, path: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.home.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    fn run(&self, test: &str, more: &[(&str, &str)]) {
        let proxy = self.emulator.http_url();
        let authorities = self.home.path().join("ca.pem");
        let mut environment = vec![
            ("HTTPS_PROXY", proxy.as_str()),
            ("SSL_CERT_FILE", authorities.to_str().unwrap()),
            ("AWS_ACCESS_KEY_ID", Aws::ACCESS_KEY),
            ("AWS_SECRET_ACCESS_KEY", Aws::SECRET_KEY),
            ("AZURE_TENANT_ID", EntraClients::TENANT),
            ("AZURE_CLIENT_ID", EntraClients::CLIENT),
            ("AZURE_CLIENT_SECRET", EntraClients::SECRET),
        ];
        environment.extend_from_slice(more);
        run_child(test, self.home.path(), &environment);
    }
}

fn home() -> PathBuf {
    PathBuf::from(std::env::var_os("HOME").unwrap())
}

/// Returns the label, manufacturer, model and serial number of a token, as they appear in a `pkcs11:` URI.
fn identity(p11: &P11, slot: CK_SLOT_ID) -> [String; 4] {
    let mut info: CK_TOKEN_INFO = unsafe { std::mem::zeroed() };
    crate::c!(p11, C_GetTokenInfo(slot, &mut info)).unwrap();
    let text = |field: &[u8]| String::from_utf8_lossy(field).trim_end().to_owned();
    [text(&info.label), text(&info.manufacturerID), text(&info.model), text(&info.serialNumber)]
}

fn signs(p11: &P11, slot: CK_SLOT_ID, spki: &Path, id: &str, label: &str) {
    let session = p11.open(slot);
    let key = p11.private_key(session);
    assert_eq!(p11.attribute(session, key, CKA_ID).unwrap(), id.as_bytes());
    assert_eq!(p11.attribute(session, key, CKA_LABEL).unwrap(), label.as_bytes());
    let digest = [7; 32];
    let rsa = p11.number(session, key, CKA_KEY_TYPE).unwrap() == CKK_RSA;
    // Without a DigestInfo, as `openssl pkeyutl -sign` sends the digest if no digest algorithm is named.
    let signature = p11.sign(session, key, if rsa { CKM_RSA_PKCS } else { CKM_ECDSA }, &[], &digest).unwrap();
    let signature = if rsa { signature } else { ecdsa_der(&signature) };
    let options: &[&str] = if rsa { &["-pkeyopt", "digest:sha256"] } else { &[] };
    assert!(openssl_verifies(&home(), &std::fs::read(spki).unwrap(), &digest, &signature, options));
}

#[test]
fn both_old_files_work_where_they_lie() {
    let test = name_of(concat!(module_path!(), "::both_old_files_work_where_they_lie"));
    if !is_child(test) {
        let clouds = Clouds::new();
        let aws = clouds.emulator.aws();
        let key = aws.create_key(AwsKey::new("RSA_2048").region("us-west-2")).unwrap();
        let second = aws.create_key(AwsKey::new("ECC_NIST_P256").region("us-west-2").alias("alias/second")).unwrap();
        let vault = clouds.emulator.vault("my-vault");
        vault.create_certificate("mykey", VaultCertificate::new(VaultKey::rsa(2048))).unwrap();
        vault.create_key("second", VaultKey::ec("P-384")).unwrap();
        clouds.write("aws-id", &key.id);
        clouds.write("spki-0", aws.public_key_spki(&key.id).unwrap());
        clouds.write("spki-1", aws.public_key_spki(&second.id).unwrap());
        clouds.write("spki-2", vault.public_key_spki("mykey", "").unwrap());
        clouds.write("spki-3", vault.public_key_spki("second", "").unwrap());
        let nowhere = clouds.home.path().join("missing.pem");
        let config = aws_config(&key.id, nowhere.to_str().unwrap());
        clouds.write(".config/aws-kms-pkcs11/config.json", config);
        clouds.write(".config/azure-keyvault-pkcs11/config.json", AZURE_CONFIG);
        return clouds.run(test, &[]);
    }
    let p11 = P11::load(&module_path());
    p11.initialize().unwrap();
    assert_eq!(p11.slots(), [0, 1, 2, 3]);
    let id = std::fs::read_to_string(home().join("aws-id")).unwrap();
    assert_eq!(identity(&p11, 0), ["my-signing-key", "aws_kms", "0", "0"]);
    assert_eq!(identity(&p11, 1), ["alias/second", "aws_kms", "0", "0"]);
    assert_eq!(identity(&p11, 2), ["my-azure-key", "Microsoft", "Azure Key Vault", "0"]);
    assert_eq!(identity(&p11, 3), ["second", "Microsoft", "Azure Key Vault", "0"]);
    signs(&p11, 0, &home().join("spki-0"), &id, "my-signing-key");
    signs(&p11, 1, &home().join("spki-1"), "alias/second", "alias/second");
    signs(&p11, 2, &home().join("spki-2"), "mykey", "my-azure-key");
    signs(&p11, 3, &home().join("spki-3"), "second", "second");
    let certificates = |slot| p11.find_class(p11.open(slot), CKO_CERTIFICATE).len();
    assert_eq!([0, 1, 2, 3].map(certificates), [0, 0, 1, 0], "the vault's certificate of the same name");
}

#[test]
fn without_a_file_the_environment_s_clouds_are_listed() {
    let test = name_of(concat!(module_path!(), "::without_a_file_the_environment_s_clouds_are_listed"));
    if !is_child(test) {
        let clouds = Clouds::new();
        for _ in 0..3 {
            clouds.emulator.aws().create_key(AwsKey::new("ECC_NIST_P256").region("eu-west-1").reuse()).unwrap();
        }
        let vault = clouds.emulator.vault("my-vault");
        vault.create_key("one", VaultKey::ec("P-256")).unwrap();
        vault.create_key("two", VaultKey::rsa(2048)).unwrap();
        clouds.write("spki", vault.public_key_spki("two", "").unwrap());
        let before = clouds.emulator.control().counts();
        assert!(!before.contains_key("kms.ListKeys"));
        clouds.run(test, &[("AWS_REGION", "eu-west-1"), ("AZURE_KEYVAULT_URL", "https://my-vault.vault.azure.net")]);
        let count = |operation| clouds.emulator.control().count(operation);
        assert_eq!((count("kms.ListKeys"), count("vault.keys.list")), (1, 1), "each service was listed once");
        assert_eq!((count("vault.keys.get"), count("kms.GetPublicKey")), (1, 0), "only the used key was loaded");
        return;
    }
    let p11 = P11::load(&module_path());
    p11.initialize().unwrap();
    let slots = p11.slots();
    assert_eq!(slots.len(), 5);
    let two = slots.iter().find(|slot| p11.token_label(**slot) == "two").unwrap();
    signs(&p11, *two, &home().join("spki"), "two", "two");
}

#[test]
fn without_any_configuration_there_are_no_slots_or_requests() {
    let test = name_of(concat!(module_path!(), "::without_any_configuration_there_are_no_slots_or_requests"));
    if !is_child(test) {
        let clouds = Clouds::new();
        clouds.run(test, &[]);
        assert!(clouds.emulator.control().counts().is_empty(), "{:?}", clouds.emulator.control().counts());
        return;
    }
    let p11 = P11::load(&module_path());
    p11.initialize().unwrap();
    assert!(p11.slots().is_empty());
    p11.finalize().unwrap();
}
