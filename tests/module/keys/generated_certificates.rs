//! Certificates that the module makes for keys without one, as Java's SunPKCS11 needs them.

use crate::support::p11::{P11, number};
use crate::support::world::{World, in_child};
use crate::{c, module_test};
use cloud_kms_emulator::{Action, AwsKey, Fault, VaultCertificate, VaultKey};
use cryptoki_sys::*;
use serde_json::json;
use std::process::Command;

/// Returns the certificates with the CKA_ID of the private key, as SunPKCS11 looks for them.
fn certificates_of(p11: P11, session: CK_SESSION_HANDLE, key: CK_OBJECT_HANDLE) -> Vec<CK_OBJECT_HANDLE> {
    let id = p11.attribute(session, key, CKA_ID).unwrap();
    p11.find(session, &[(CKA_TOKEN, vec![CK_TRUE]), number(CKA_CLASS, CKO_CERTIFICATE), (CKA_ID, id)])
}

/// Returns what openssl prints about a certificate.
fn openssl(world: &World, der: &[u8], arguments: &[&str]) -> String {
    let path = world.home.join("generated.der");
    std::fs::write(&path, der).unwrap();
    let output = Command::new("openssl")
        .args(["x509", "-inform", "DER", "-noout", "-in"])
        .arg(path)
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

module_test! {
    fn every_public_key_has_a_certificate_without_a_further_request(world) {
        let aws = world.emulator.aws();
        let vault = world.emulator.vault("default");
        let keys = [
            ("RSA_2048", "SIGN_VERIFY", "Digital Signature"),
            ("RSA_3072", "ENCRYPT_DECRYPT", "Key Encipherment, Data Encipherment"),
            ("ECC_NIST_P384", "SIGN_VERIFY", "Digital Signature"),
            ("ECC_NIST_P256", "KEY_AGREEMENT", "Key Agreement"),
            ("ECC_NIST_EDWARDS25519", "SIGN_VERIFY", "Digital Signature"),
            ("ML_DSA_44", "SIGN_VERIFY", "Digital Signature"),
        ];
        let mut slots = Vec::new();
        let mut publics = Vec::new();
        for (kind, usage, _) in keys {
            let key = aws.create_key(AwsKey::new(kind).usage(usage)).unwrap();
            publics.push(aws.public_key_spki(&key.id).unwrap());
            slots.push(json!({ "label": kind, "kms_key_id": key.id }));
        }
        vault.create_key("z", VaultKey::rsa(2048)).unwrap();
        publics.push(vault.public_key_spki("z", "").unwrap());
        slots.push(json!({ "label": "z", "key_name": "z" }));
        world.configure_with(json!(slots), json!({ "generate_certificate": true, "cache": false }));
        let p11 = world.module();
        for (slot, spki) in publics.iter().enumerate() {
            let session = p11.open(slot as CK_SLOT_ID);
            let key = p11.private_key(session);
            let before = world.requests();
            let found = certificates_of(p11, session, key);
            // Key Vault is asked for its own certificate.
            let of_vault = if slot == keys.len() { 1 } else { 0 };
            assert_eq!((found.len(), world.requests() - before), (1, of_vault), "{}", world.log());
            let own = found[0];
            assert_eq!(p11.attribute(session, own, CKA_LABEL), p11.attribute(session, key, CKA_LABEL));
            let der = p11.attribute(session, own, CKA_VALUE).unwrap();
            assert!(der.windows(spki.len()).any(|part| part == spki), "the public key is the key's");
            let text = openssl(world, &der, &["-text"]);
            let (label, usage) = keys.get(slot).map_or(("z", "Digital Signature, Key Encipherment, Data Encipherment"), |row| (row.0, row.2));
            assert!(text.contains(&format!("Subject: CN = {label}\n")), "{text}");
            assert!(text.contains(&format!("Key Usage: critical\n                {usage}\n")), "{text}");
            assert_eq!(p11.attribute(session, own, CKA_SUBJECT).unwrap()[..2], [0x30, 0x0d + label.len() as u8 - 2]);
        }
    }
}

module_test! {
    /// Java reads a certificate whenever it loads the key store, also in a forked child.
    fn a_certificate_stays_the_same(world) {
        world.emulator.aws().create_key(AwsKey::new("ECC_NIST_P256").alias("alias/a")).unwrap();
        world.configure_with(json!([{ "kms_key_id": "alias/a" }]), json!({ "generate_certificate": true }));
        let p11 = world.module();
        let session = p11.open(0);
        let own = p11.only(session, CKO_CERTIFICATE);
        let der = p11.attribute(session, own, CKA_VALUE).unwrap();
        let is_same = |session| {
            let again = p11.only(session, CKO_CERTIFICATE);
            assert_eq!((again, p11.attribute(session, again, CKA_VALUE).unwrap()), (own, der.clone()));
        };
        is_same(session);
        is_same(p11.open(0));
        assert!(in_child(|| is_same(session)), "a forked child");
        // After an error of this kind, the module forgets what it knows of a key.
        let missing = Action::Error { status: 400, code: "NotFoundException".into(), message: "none".into(), innererror: None };
        world.emulator.control().fault(Fault::new("kms.Sign", missing).times(1));
        assert!(p11.sign(session, p11.private_key(session), CKM_ECDSA_SHA256, &[], b"data").is_err());
        let again = p11.only(p11.open(0), CKO_CERTIFICATE);
        assert_ne!(again, own, "the module has forgotten the objects");
        assert_eq!(p11.attribute(session, again, CKA_VALUE).unwrap(), der);
        assert_eq!(c!(p11, C_DestroyObject(session, again)), Err(CKR_SESSION_READ_ONLY));
    }
}

module_test! {
    fn a_key_with_another_certificate_keeps_that_one(world) {
        let vault = world.emulator.vault("default");
        vault.create_certificate("own", VaultCertificate::new(VaultKey::ec("P-256"))).unwrap();
        world.emulator.aws().create_key(AwsKey::new("HMAC_256").usage("GENERATE_VERIFY_MAC").alias("alias/mac")).unwrap();
        world.emulator.aws().create_key(AwsKey::new("ECC_NIST_P256").alias("alias/off")).unwrap();
        world.configure_with(
            json!([
                { "key_name": "own" },
                { "kms_key_id": "alias/mac" },
                { "kms_key_id": "alias/off", "generate_certificate": false },
            ]),
            json!({ "generate_certificate": true }),
        );
        let p11 = world.module();
        let session = p11.open(0);
        let der = p11.attribute(session, p11.only(session, CKO_CERTIFICATE), CKA_VALUE).unwrap();
        assert!(!openssl(world, &der, &["-issuer"]).contains("cloud-kms-pkcs11-"));
        for slot in [1, 2] {
            assert!(p11.find_class(p11.open(slot), CKO_CERTIFICATE).is_empty(), "a secret key, and an option that is off");
        }
    }
}
