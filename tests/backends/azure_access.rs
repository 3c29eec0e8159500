//! How Key Vault is reached and who may: challenges, tokens and where they come from.

use crate::azure::*;
use crate::openssl;
use crate::server::{FILES, MACHINE, named, wait};
use cloud_kms_emulator::{Action, Emulator, Fault, VaultKey};
use cloud_kms_pkcs11::backend::azure::{Credential, Secret, Settings, open};
use cloud_kms_pkcs11::backend::{Cause, ListedKey, Network};
use std::path::Path;

#[test]
fn a_challenge_for_another_vault_is_refused() {
    let emulator = Emulator::start().unwrap();
    key(&emulator, "web");
    let strict = open(Settings { skip_challenge_check: false, ..settings(&emulator) });
    let failure = sign(&strict, "web", None).unwrap_err();
    assert_eq!(failure.cause, Cause::Rejected, "{failure}");
    assert!(failure.message.contains("challenge"), "{failure}");
    let plain = open(Settings { vault_url: emulator.http_url(), ..settings(&emulator) });
    let failure = sign(&plain, "web", None).unwrap_err();
    assert!(failure.message.contains("https://"), "{failure}");
}

#[test]
fn the_real_names_work_through_a_proxy_with_the_check() {
    let emulator = Emulator::start().unwrap();
    emulator.vault("contoso").create_key("web", VaultKey::ec("P-256")).unwrap();
    emulator.managed_hsm("contoso").create_key("web", VaultKey::ec("P-256").hsm()).unwrap();
    let network = Network { proxy: Some(emulator.http_url().into()), ..settings(&emulator).network };
    let real = Settings { network, authority_host: None, skip_challenge_check: false, ..settings(&emulator) };
    for host in ["contoso.vault.azure.net", "contoso.managedhsm.azure.net"] {
        let backend = open(Settings { vault_url: format!("https://{host}"), ..real.clone() });
        let facts = wait(backend.describe(&named("web"))).unwrap();
        let id = sign(&backend, "web", facts.immutable_id.as_deref()).unwrap();
        assert!(id.starts_with(&format!("https://{host}/keys/web/")), "{id}");
        assert_eq!(wait(backend.certificate(&named("web"))), Ok(None));
        assert_eq!(
            wait(backend.list(true)).unwrap(),
            [ListedKey { name: named("web"), label: None, is_disabled: false }]
        );
        let random = wait(backend.random(300));
        match host.contains("hsm") {
            true => assert!(random.unwrap().chunks(20).all(|chunk| chunk.iter().any(|byte| *byte != 0))),
            false => assert_eq!(random.unwrap_err().cause, Cause::Unsupported, "a vault has no random bytes"),
        }
    }
    assert_eq!(
        emulator.control().counts().get("vault.rng"),
        Some(&3),
        "128 bytes a request: {:?}",
        emulator.control().counts()
    );
}

#[test]
fn one_token_serves_all_requests() {
    let emulator = Emulator::start().unwrap();
    let backend = backend(&emulator);
    key(&emulator, "web");
    for _ in 0..3 {
        assert!(sign(&backend, "web", None).is_ok());
        assert!(wait(backend.certificate(&named("web"))).is_ok());
    }
    assert_eq!(emulator.control().count("token"), 1);
}

#[test]
fn tokens_come_from_a_secret_a_file_or_a_certificate() {
    let emulator = Emulator::start().unwrap();
    key(&emulator, "web");
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let plain = Settings { client_secret: None, credential: Credential::Environment, ..settings(&emulator) };
    let secret = Some(file("secret", "emulator-client-secret\n"));
    let mut all = vec![Settings { client_secret_file: secret, ..plain.clone() }];
    for traditional in [false, true] {
        let path = folder.path().join(format!("certificate-{traditional}.pem"));
        emulator.entra().register_certificate(TENANT, "emulator-client", &openssl::certificate(&path, traditional));
        all.push(Settings { client_certificate_path: Some(path), ..plain.clone() });
    }
    emulator.entra().allow_federated_token("federated");
    let token = Some(file("token", "federated\n"));
    all.push(Settings { federated_token_file: token, credential: Credential::WorkloadIdentity, ..plain.clone() });
    let text = format!(r#"{{"tenant": "{TENANT}", "appId": "emulator-client", "password": "emulator-client-secret"}}"#);
    let auth_files =
        vec![folder.path().join("none.json"), file("broken.json", "{\"password\": 1}"), file("auth.json", &text)];
    let nobody = Settings { tenant_id: None, client_id: None, ..plain };
    all.push(Settings { auth_files, credential: Credential::AuthFile, ..nobody });
    for settings in all {
        for credential in [settings.credential, Credential::Default] {
            let answer = sign(&open(Settings { credential, ..settings.clone() }), "web", None);
            assert!(answer.is_ok(), "{:?}: {answer:?}", settings.credential);
        }
    }
}

#[test]
fn a_wrong_secret_is_told_in_entras_words_and_not_shown() {
    let emulator = Emulator::start().unwrap();
    let client_secret = Some(Secret("wrong-and-secret".to_owned().into()));
    let wrong = Settings { client_secret, credential: Credential::Environment, ..settings(&emulator) };
    assert!(!format!("{wrong:?}").contains("wrong-and-secret"));
    let failure = sign(&open(wrong), "web", None).unwrap_err();
    assert_eq!(failure.cause, Cause::Credentials, "{failure}");
    assert!(failure.message.contains("AADSTS") && failure.message.contains("client secret"), "{failure}");
    assert!(!failure.message.contains("wrong-and-secret"), "{failure}");
    assert!(failure.message.contains("client certificate: no AZURE_CLIENT_CERTIFICATE_PATH"), "{failure}");
}

/// One test, for both share the machine's files.
#[test]
fn tokens_come_from_az_or_the_machine() {
    let only = |credential| {
        let emulator = &*MACHINE;
        let nobody = Settings { tenant_id: None, client_id: None, client_secret: None, ..settings(emulator) };
        open(Settings { credential, ..nobody })
    };
    key(&MACHINE, "web");
    let identity = sign(&only(Credential::ManagedIdentity), "web", None);
    assert!(identity.is_ok(), "{identity:?}");
    let default = sign(&only(Credential::Default), "web", None);
    assert!(default.is_ok(), "by managed identity: {default:?}");
    let failure = sign(&only(Credential::Cli), "web", None).unwrap_err();
    assert_eq!(failure.cause, Cause::Credentials, "{failure}");
    assert!(failure.message.contains("az login"), "{failure}");
    let refused = Action::Error { status: 400, code: "invalid_request".into(), message: "x".into(), innererror: None };
    MACHINE.control().fault(Fault::new("token", refused.clone()));
    MACHINE.control().fault(Fault::new("imds", refused));
    let failure = sign(&only(Credential::Default), "web", None).unwrap_err();
    for source in
        ["client secret", "client certificate", "workload identity", "azureauth.json", "az", "managed identity"]
    {
        assert!(failure.message.contains(&format!("{source}: ")), "{source} in {failure}");
    }
    let token = MACHINE.entra().issue_token(VAULT);
    let reply = format!(r#"{{"accessToken": "{token}", "expires_on": 4102444800, "tokenType": "Bearer"}}"#);
    std::fs::write(FILES.path().join("token.json"), reply).unwrap();
    for credential in [Credential::Cli, Credential::Default] {
        let answer = sign(&only(credential), "web", None);
        assert!(answer.is_ok(), "{answer:?}");
    }
    std::fs::remove_file(Path::new(FILES.path()).join("token.json")).unwrap();
    MACHINE.control().clear_faults();
}
