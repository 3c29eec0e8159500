//! The same cases against servers of other projects: the servers in the file that CONTRACT_SERVERS names.

use crate::server::{ExpectedKey, FILES, Server, named};
use crate::{cases, openssl};
use cloud_kms_pkcs11::cloud::{Cause, Network, SharedBackend, aws, azure, google, vault};
use cloud_kms_pkcs11::key::hash::Hash;
use cloud_kms_pkcs11::key::{Algorithm, Curve, Kind};
use serde_json::Value;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

#[test]
fn other_servers_fulfill_the_contract() {
    LazyLock::force(&FILES);
    let Some(path) = std::env::var_os("CONTRACT_SERVERS") else {
        eprintln!("CONTRACT_SERVERS names no file: nothing to do");
        return;
    };
    let file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    for (name, server) in file["servers"].as_object().unwrap() {
        let backend = match server["cloud"].as_str() {
            Some("aws") => on_aws(server),
            Some("azure") => on_azure(server),
            Some("vault") => on_vault(server),
            Some("google") => on_google(server),
            other => {
                eprintln!("skipped {name}: there is no backend for the cloud {other:?} yet");
                continue;
            }
        };
        let described = described(name, server, backend);
        cases::run(&described);
        for certificate in server["certificates"].as_array().into_iter().flatten() {
            let pem = std::fs::read(certificate["file"].as_str().unwrap()).unwrap();
            cases::stores_certificate(&described, certificate["arn"].as_str().unwrap(), &pem);
        }
    }
}

fn text(value: &Value, name: &str) -> Option<String> {
    value[name].as_str().map(str::to_owned)
}

fn on_aws(server: &Value) -> SharedBackend {
    let name = format!("other_servers_fulfill_the_contract-{}", text(server, "access_key_id").unwrap());
    let file = FILES.path().join("credentials");
    let mut profiles = std::fs::read_to_string(&file).unwrap();
    let (id, secret) = (text(server, "access_key_id").unwrap(), text(server, "secret_access_key").unwrap());
    // The slot's endpoint is that of KMS. The profile's is that of the other services.
    let endpoint = text(server, "endpoint").unwrap();
    profiles +=
        &format!("[{name}]\naws_access_key_id = {id}\naws_secret_access_key = {secret}\nendpoint_url = {endpoint}\n");
    // Other tests may read this file at any time, so it is replaced by a rename.
    let new = FILES.path().join(format!("{name}.new"));
    std::fs::write(&new, profiles).unwrap();
    std::fs::rename(new, file).unwrap();
    aws::Settings {
        region: text(server, "region"),
        profile: Some(name),
        endpoint_url: Some(endpoint),
        network: Network { call_timeout: Duration::from_secs(50), ..Network::default() },
        ..aws::Settings::default()
    }
    .open()
}

fn on_azure(server: &Value) -> SharedBackend {
    azure::Settings {
        vault_url: text(server, "vault_url").unwrap(),
        tenant_id: text(server, "tenant_id"),
        client_id: text(server, "client_id"),
        client_secret_file: text(server, "client_secret_file").map(Into::into),
        authority_host: text(server, "authority_host"),
        skip_challenge_check: true,
        network: Network { ca_bundle: text(server, "ca_bundle").map(Into::into), ..Network::default() },
        ..azure::Settings::default()
    }
    .open()
}

fn on_vault(server: &Value) -> SharedBackend {
    vault::Settings {
        address: text(server, "address").unwrap(),
        auth: vault::Auth::Token(text(server, "token").unwrap().into()),
        network: Network { ca_bundle: text(server, "ca_bundle").map(Into::into), ..Network::default() },
        ..vault::Settings::default()
    }
    .open()
}

fn on_google(server: &Value) -> SharedBackend {
    google::Settings {
        endpoint_url: text(server, "endpoint"),
        key_ring: text(server, "key_ring"),
        credentials: google::Credentials::File(text(server, "credentials_file").unwrap().into()),
        network: Network { call_timeout: Duration::from_secs(50), ..Network::default() },
        ..google::Settings::default()
    }
    .open()
}

/// How keys are named on the servers of a cloud: the field with the name, the name of a key that does not exist, and a word
/// that tells what a key for decryption is for.
fn naming(server: &Value) -> (&'static str, String, &'static str) {
    match server["cloud"].as_str() {
        Some("aws") => ("id", "alias/none".to_owned(), "ENCRYPT_DECRYPT"),
        Some("google") => {
            ("version", format!("{}/cryptoKeys/none", text(server, "key_ring").unwrap()), "RSA_DECRYPT_OAEP_")
        }
        _ => ("name", "none".to_owned(), "key_ops"),
    }
}

fn described(name: &str, server: &Value, backend: SharedBackend) -> Server {
    let keys = server["keys"].as_array().unwrap();
    let (field, missing, decryption) = naming(server);
    let id = |key: &Value| text(key, field).unwrap();
    let enabled = |key: &Value| key["enabled"] != Value::Bool(false);
    let with_usage = |usage: &str| keys.iter().find(|key| key["usage"] == usage).map(|key| named(&id(key)));
    let known = |key: &Value| {
        let spki = openssl::spki_of_pem(Path::new(key["public"].as_str()?));
        Some(ExpectedKey { key: named(&id(key)), kind: kind(key)?, spki })
    };
    let signing = keys.iter().filter(|key| key["usage"] == "sign" && enabled(key));
    Server {
        name: name.to_owned(),
        backend,
        keys: signing.filter_map(known).collect(),
        key_agreement_keys: keys.iter().filter(|key| key["usage"] == "agree").filter_map(known).collect(),
        mac_keys: keys.iter().filter(|key| key["usage"] == "mac").map(|key| (named(&id(key)), secret(key))).collect(),
        missing: named(&missing),
        disabled: keys.iter().find(|key| !enabled(key)).map(|key| named(&id(key))),
        other_use: with_usage("decrypt").map(|key| (key, decryption)),
        // tests/servers/README.md: LocalStack cannot decrypt OAEP with SHA-1, and reports an InternalError for an
        // invalid ciphertext.
        faulty_schemes: if name == "localstack" {
            vec![Algorithm::RsaesOaep.with_hash(Hash::Sha1)]
        } else {
            Vec::new()
        },
        undecryptable: if name == "localstack" { Cause::Internal } else { Cause::Undecryptable },
        symmetric_key: with_usage("encrypt"),
        has_labels: server["cloud"] != "vault",
        // tests/servers/README.md: ministack's dates are whole seconds, and LocalStack's aliases have no
        // LastUpdatedDate.
        dates_aliases: !["ministack", "localstack"].contains(&name),
    }
}

fn secret(key: &Value) -> Kind {
    Kind::Hmac(match key["bits"].as_u64() {
        Some(1) => Hash::Sha1,
        Some(224) => Hash::Sha224,
        Some(256) => Hash::Sha256,
        Some(384) => Hash::Sha384,
        _ => Hash::Sha512,
    })
}

/// Returns None for kinds that the `openssl` program does not verify (ML-DSA). A client script verifies those.
fn kind(key: &Value) -> Option<Kind> {
    if key["kind"] == "ed25519" {
        return Some(Kind::Ed25519);
    }
    let curve = match key["curve"].as_str() {
        None => return (key["kind"] == "rsa").then(|| Kind::Rsa(key["bits"].as_u64().unwrap() as usize)),
        Some("P-256") => Curve::P256,
        Some("P-384") => Curve::P384,
        Some("P-521") => Curve::P521,
        Some("P-256K") => Curve::Secp256k1,
        Some(_) => return None,
    };
    Some(Kind::Ec(curve))
}
