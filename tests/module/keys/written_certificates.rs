//! Certificates that are written beside keys and deleted, in both clouds, and the requests that are refused.

use crate::module_test;
use crate::support::world::World;
use crate::support::writer::{Writer, all, label, slots, writers};
use cloud_kms_emulator::{VaultCertificate, VaultKey};
use cryptoki_sys::*;
use serde_json::{Value, json};
use std::process::Command;

/// Issues a certificate for that public key with the `openssl` program. Returns the certificate and that of the
/// issuing authority.
fn issued(world: &World, spki: &[u8]) -> [Vec<u8>; 2] {
    std::fs::write(world.home.join("key.der"), spki).unwrap();
    let script = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.crt \
        -subj /CN=authority -days 30 && openssl pkey -pubin -inform DER -in key.der -out key.pem && \
        openssl req -new -key ca.key -subj /CN=leaf -out leaf.csr && \
        openssl x509 -req -in leaf.csr -force_pubkey key.pem -CA ca.crt -CAkey ca.key -days 30 -outform DER -out leaf.der && \
        openssl x509 -in ca.crt -outform DER -out ca.der";
    let output = Command::new("sh").args(["-c", script]).current_dir(&world.home).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    ["leaf.der", "ca.der"].map(|name| std::fs::read(world.home.join(name)).unwrap())
}

module_test! {
    fn a_certificate_is_written_and_deleted(world) {
        let [aws, azure] = writers(world, slots(all()), json!({ "certificate_store": "store" }));
        for writer in [&aws, &azure] {
            let key = writer.p11.private_key(writer.session);
            let [leaf, authority] = issued(world, &writer.value(key, CKA_PUBLIC_KEY_INFO));
            assert_eq!(writer.certificate(&authority), Err(CKR_ATTRIBUTE_VALUE_INVALID), "the token has no certificate of this issuer");
            let own = writer.certificate(&leaf).unwrap_or_else(|rv| panic!("{rv:x}: {}", world.log()));
            assert_eq!(writer.value(own, CKA_VALUE), leaf);
            assert_eq!(writer.value(own, CKA_ID), writer.value(key, CKA_ID));
            assert_eq!(writer.value(own, CKA_DESTROYABLE), [CK_TRUE]);
            assert_eq!(writer.certificate(&leaf), Err(CKR_ACTION_PROHIBITED), "the certificate already exists");
            let issuer = writer.certificate(&authority).unwrap_or_else(|rv| panic!("{rv:x}: {}", world.log()));
            assert_eq!(writer.value(issuer, CKA_LABEL), b"authority");
            assert_eq!(writer.p11.find_class(writer.session, CKO_CERTIFICATE).len(), 2);
            assert_eq!(writer.p11.find(writer.session, &[label("authority")]).len(), 1);
        }
        // Another program finds the certificates.
        aws.p11.finalize().unwrap();
        aws.p11.initialize().unwrap();
        for writer in [Writer::new(aws.p11, 0), Writer::new(aws.p11, 1)] {
            let certificates = writer.p11.find_class(writer.session, CKO_CERTIFICATE);
            assert_eq!(certificates.len(), 2, "{}", world.log());
            let issuer = certificates.iter().find(|object| writer.value(**object, CKA_LABEL) == b"authority").unwrap();
            writer.destroy(*issuer).unwrap();
            let certificates = writer.p11.find_class(writer.session, CKO_CERTIFICATE);
            assert_eq!(certificates.len(), 1);
            writer.destroy(certificates[0]).unwrap();
            assert!(writer.p11.find_class(writer.session, CKO_CERTIFICATE).is_empty());
            assert_eq!(writer.p11.find_class(writer.session, CKO_PRIVATE_KEY).len(), 1, "the key remains");
        }
    }
}

/// Lets the vault create a key and a certificate request, through the vault's own API. Returns the request.
fn pending(world: &World, name: &str) -> Vec<u8> {
    let policy = json!({ "policy": {
        "key_props": { "kty": "EC", "crv": "P-256" },
        "x509_props": { "subject": "CN=asked" },
        "issuer": { "name": "Unknown" },
    } });
    let token = world.emulator.entra().issue_token("https://vault.azure.net");
    let url = format!("{}/certificates/{name}/create?api-version=2025-07-01", world.emulator.https_url());
    let output = Command::new("curl")
        .args(["--silent", "--cacert", "ca.pem", "--data", &policy.to_string(), &url])
        .args(["--header", &format!("Authorization: Bearer {token}"), "--header", "Content-Type: application/json"])
        .current_dir(&world.home)
        .output()
        .unwrap();
    let reply: Value = serde_json::from_slice(&output.stdout).unwrap();
    let path = world.home.join("request.base64");
    std::fs::write(&path, reply["csr"].as_str().unwrap_or_else(|| panic!("{reply}"))).unwrap();
    Command::new("openssl").args(["base64", "-d", "-A", "-in"]).arg(path).output().unwrap().stdout
}

module_test! {
    fn a_vault_that_waits_for_a_certificate_gets_it(world) {
        let mut slots = slots(all());
        slots[1]["keys"] = json!([{ "key_name": "old" }, { "key_name": "asked" }]);
        let [_, azure] = writers(world, slots, json!({}));
        let request = pending(world, "asked");
        std::fs::write(world.home.join("request.der"), request).unwrap();
        let script = "openssl req -inform DER -in request.der -noout -pubkey -out asked.pem && \
            openssl pkey -pubin -in asked.pem -outform DER -out asked.der";
        assert!(Command::new("sh").args(["-c", script]).current_dir(&world.home).status().unwrap().success());
        let [leaf, _] = issued(world, &std::fs::read(world.home.join("asked.der")).unwrap());
        assert!(azure.p11.find(azure.session, &[label("asked")]).is_empty(), "there is no such key yet");
        let own = azure.certificate(&leaf).unwrap_or_else(|rv| panic!("{rv:x}: {}", world.log()));
        assert_eq!(azure.value(own, CKA_VALUE), leaf);
        assert_eq!(azure.value(own, CKA_ID), b"asked");
        assert_eq!(azure.value(own, CKA_DESTROYABLE), [CK_FALSE], "the vault has the certificate");
        assert_eq!(azure.p11.find(azure.session, &[label("asked")]).len(), 3, "{}", world.log());
        assert_eq!(world.emulator.vault("default").certificate_der("asked", "").unwrap(), leaf);
    }
}

module_test! {
    fn certificates_that_cannot_be_stored_are_refused(world) {
        let vault = world.emulator.vault("default");
        vault.create_certificate("web", VaultCertificate::new(VaultKey::ec("P-256"))).unwrap();
        let mut slots = slots(all());
        slots[1]["keys"] = json!([{ "key_name": "web" }]);
        let [aws, azure] = writers(world, slots, json!({}));
        let key = aws.p11.private_key(aws.session);
        let [leaf, _] = issued(world, &aws.value(key, CKA_PUBLIC_KEY_INFO));
        assert_eq!(aws.certificate(&leaf), Err(CKR_ACTION_PROHIBITED));
        assert!(world.log().contains("\"certificate_store\""), "{}", world.log());
        assert_eq!(azure.certificate(&leaf), Err(CKR_ATTRIBUTE_VALUE_INVALID), "the certificate belongs to another key");
        let key = azure.p11.private_key(azure.session);
        let [leaf, _] = issued(world, &azure.value(key, CKA_PUBLIC_KEY_INFO));
        assert_eq!(azure.certificate(&leaf), Err(CKR_ACTION_PROHIBITED), "Key Vault has another certificate");
        let own = azure.p11.find_class(azure.session, CKO_CERTIFICATE);
        assert_eq!(azure.value(own[0], CKA_DESTROYABLE), [CK_FALSE]);
        assert_eq!(azure.destroy(own[0]), Err(CKR_ACTION_PROHIBITED));
        assert_eq!(azure.certificate(b"no certificate"), Err(CKR_ATTRIBUTE_VALUE_INVALID));
    }
}
