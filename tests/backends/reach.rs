//! What keeps a client from its service is told apart, on both clouds: name, port, proxy, certificate, silence.

use crate::server::{NOBODY, named, wait};
use cloud_kms_emulator::{AwsKey, Emulator, EntraClients, VaultKey};
use cloud_kms_pkcs11::backend::azure::Secret;
use cloud_kms_pkcs11::backend::{Cause, Failure, Network, aws, azure};
use std::time::Duration;

/// What each cloud's service says of a key at that URL.
fn described(emulator: &Emulator, url: &str, network: &Network) -> [Result<(), Failure>; 2] {
    let _ = crate::server::FILES.path();
    let aws = aws::open(aws::Settings {
        region: Some(AwsKey::REGION.to_owned()),
        profile: Some("default".to_owned()),
        endpoint_url: Some(url.to_owned()),
        network: network.clone(),
        ..Default::default()
    });
    let azure = azure::open(azure::Settings {
        vault_url: url.to_owned(),
        tenant_id: Some(EntraClients::TENANT.into()),
        client_id: Some(EntraClients::CLIENT.into()),
        client_secret: Some(Secret(EntraClients::SECRET.to_owned().into())),
        authority_host: Some(emulator.https_url()),
        skip_challenge_check: true,
        network: network.clone(),
        ..Default::default()
    });
    [aws.describe(&named("alias/web")), azure.describe(&named("web"))].map(|pending| wait(pending).map(drop))
}

#[test]
fn what_is_in_the_way_is_told_apart() {
    let emulator = Emulator::start().unwrap();
    emulator.aws().create_key(AwsKey::new("ECC_NIST_P256").alias("alias/web")).unwrap();
    emulator.vault("default").create_key("web", VaultKey::ec("P-256")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("ca.pem");
    emulator.write_ca(&bundle).unwrap();
    // A machine's resolver may take its time to find that a name is none.
    let patience = Network {
        call_timeout: Duration::from_secs(60),
        connect_timeout: Duration::from_secs(30),
        ..Network::default()
    };
    let good = Network { ca_bundle: Some(bundle), retries: 1, ..patience };
    let proxy = |url: String| Network { proxy: Some(url.into()), ..good.clone() };
    let local = emulator.https_url();
    for answer in described(&emulator, &local, &good) {
        assert_eq!(answer, Ok(()));
    }
    for (what, url, network, cause, words) in [
        ("name", "https://kms.invalid", good.clone(), Cause::Unresolved, "region"),
        ("port", &format!("https://{NOBODY}"), good.clone(), Cause::Unreachable, "refused"),
        ("trust", &local, Network { ca_bundle: None, ..good.clone() }, Cause::Untrusted, "ca_bundle"),
        ("proxy", &local, proxy(format!("http://{NOBODY}")), Cause::Proxy, "\"proxy\""),
        ("proxy's name", &local, proxy("http://proxy.invalid:3128".into()), Cause::Proxy, "dns error"),
    ] {
        for failure in described(&emulator, url, &network).map(Result::unwrap_err) {
            assert_eq!(failure.cause, cause, "{what}: {failure}");
            assert!(failure.message.contains(words), "{what}: {failure}");
        }
    }
}
