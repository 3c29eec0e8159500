//! What happens before the first signature: the challenge of a vault, the credentials, and the connection to the service.

use crate::azure::*;
use crate::server::FILES;
use crate::{aws, google};
use cloud_kms_emulator::{Action, AwsKey, Emulator, Fault, GoogleKey, VaultKey};
use cloud_kms_pkcs11::cloud::Network;
use cloud_kms_pkcs11::cloud::azure::Settings;
use cloud_kms_pkcs11::cloud::google::Credentials;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(60);

/// Returns the settings of a vault with Azure's own name, which the emulator serves as a proxy.
fn real_vault(emulator: &Emulator) -> Settings {
    emulator.vault("contoso").create_key("web", VaultKey::ec("P-256")).unwrap();
    let network = Network { proxy: Some(emulator.http_url().into()), ..settings(emulator).network };
    let vault_url = "https://contoso.vault.azure.net".to_owned();
    Settings { vault_url, network, authority_host: None, skip_challenge_check: false, ..settings(emulator) }
}

#[test]
fn a_signature_needs_no_challenge_if_the_cloud_is_known() {
    let emulator = Emulator::start().unwrap();
    let vault = real_vault(&emulator).open();
    sign(&vault, "web", None).unwrap();
    let count = |operation| emulator.control().count(operation);
    assert_eq!(count("vault.challenge"), 0, "{:?}", emulator.control().counts());
    assert_eq!((count("token"), count("vault.keys.sign")), (1, 1), "{:?}", emulator.control().counts());
    assert_eq!(count("connect"), 2, "one connection to the authority, and one to the vault");
}

#[test]
fn a_vault_of_another_name_is_asked_for_its_challenge() {
    let emulator = Emulator::start().unwrap();
    emulator.vault("default").create_key("web", VaultKey::ec("P-256")).unwrap();
    let strict = Settings { skip_challenge_check: false, ..settings(&emulator) }.open();
    sign(&strict, "web", None).unwrap_err();
    assert_eq!(emulator.control().count("vault.challenge"), 1, "{:?}", emulator.control().counts());
    assert_eq!(emulator.control().count("token"), 0, "a token is only for the cloud that the name belongs to");
}

#[test]
fn the_connection_to_the_vault_is_opened_while_the_token_is_requested() {
    let emulator = Emulator::start().unwrap();
    let settings = real_vault(&emulator);
    // The first reply with a token waits for the second request for a token.
    emulator.control().fault(Fault::new("token", Action::Await { requests: 2 }));
    let (first, second) = (settings.clone().open(), settings.open());
    std::thread::scope(|scope| {
        let signing = scope.spawn(|| sign(&first, "web", None));
        let both = emulator.control().wait_for("tls_handshakes", 2, LONG);
        assert!(both, "the authority and the vault: {:?}", emulator.control().counts());
        assert_eq!(emulator.control().count("vault.keys.sign"), 0, "the token has not arrived");
        sign(&second, "web", None).unwrap();
        signing.join().unwrap().unwrap();
    });
    assert_eq!(emulator.control().count("vault.keys.sign"), 2);
}

#[test]
fn a_rejected_token_is_replaced_although_the_challenge_was_not_requested() {
    let emulator = Emulator::start().unwrap();
    let vault = real_vault(&emulator).open();
    emulator.control().fault(Fault::new("vault.keys.sign", Action::ExpiredToken).times(1));
    sign(&vault, "web", None).unwrap();
    assert_eq!(emulator.control().count("token"), 2, "{:?}", emulator.control().counts());
}

#[test]
fn the_connection_to_kms_is_opened_while_the_role_is_assumed() {
    let emulator = Emulator::start().unwrap();
    let key = emulator.aws().create_key(AwsKey::new("ECC_NIST_P256")).unwrap().id;
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("ca.pem");
    emulator.write_ca(&bundle).unwrap();
    let network = Network { ca_bundle: Some(bundle), proxy: Some(emulator.http_url().into()), ..Network::default() };
    let role = |external_id: &str| cloud_kms_pkcs11::cloud::aws::Settings {
        endpoint_url: None,
        network: network.clone(),
        role_arn: Some("arn:aws:iam::111122223333:role/signer".into()),
        external_id: Some(external_id.into()),
        ..aws::settings(&emulator)
    };
    // The first reply of STS waits for the second request.
    emulator.control().fault(Fault::new("sts.AssumeRole", Action::Await { requests: 2 }));
    let (first, second) = (role("first").open(), role("second").open());
    std::thread::scope(|scope| {
        let signing = scope.spawn(|| aws::sign(&first, &key));
        let both = emulator.control().wait_for("tls_handshakes", 2, LONG);
        assert!(both, "STS and KMS: {:?}", emulator.control().counts());
        assert_eq!(emulator.control().count("kms.Sign"), 0, "the role is not assumed yet");
        aws::sign(&second, &key).unwrap();
        signing.join().unwrap().unwrap();
    });
    assert_eq!(emulator.control().count("kms.Sign"), 2);
}

#[test]
fn the_connection_to_google_is_opened_while_the_token_is_requested() {
    let emulator = Emulator::start().unwrap();
    let key = emulator.google().create_key("k", GoogleKey::new("EC_SIGN_P256_SHA256").reuse()).unwrap().version;
    let file = FILES.path().join(format!("user-{}.json", emulator.port()));
    std::fs::write(&file, emulator.google().authorized_user_file().to_string()).unwrap();
    let network = Network {
        ca_bundle: Some(bundle(&emulator)),
        proxy: Some(emulator.http_url().into()),
        ..google::settings(&emulator).network
    };
    let own = |project: &str| cloud_kms_pkcs11::cloud::google::Settings {
        endpoint_url: None,
        credentials: Credentials::File(file.clone()),
        quota_project: Some(project.into()),
        network: network.clone(),
        ..google::settings(&emulator)
    };
    // The first reply with a token waits for the second request for a token.
    emulator.control().fault(Fault::new("google.Token", Action::Await { requests: 2 }));
    let (first, second) = (own("first").open(), own("second").open());
    std::thread::scope(|scope| {
        let signing = scope.spawn(|| google::sign(&first, &key, None));
        let both = emulator.control().wait_for("tls_handshakes", 2, LONG);
        assert!(both, "the token server and the service: {:?}", emulator.control().counts());
        assert_eq!(emulator.control().count("google.AsymmetricSign"), 0, "the token has not arrived");
        google::sign(&second, &key, None).unwrap();
        signing.join().unwrap().unwrap();
    });
    assert_eq!(emulator.control().count("google.AsymmetricSign"), 2);
}
