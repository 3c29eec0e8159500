//! What keeps a client from its service is told apart, on both clouds: name, port, proxy, certificate, silence.

use crate::server::{named, wait};
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

/// An address where nobody listens.
fn nobody() -> String {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

#[test]
fn what_is_in_the_way_is_told_apart() {
    let emulator = Emulator::start().unwrap();
    emulator.aws().create_key(AwsKey::new("ECC_NIST_P256").alias("alias/web")).unwrap();
    emulator.vault("default").create_key("web", VaultKey::ec("P-256")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("ca.pem");
    emulator.write_ca(&bundle).unwrap();
    let good =
        Network { ca_bundle: Some(bundle), call_timeout: Duration::from_secs(20), retries: 1, ..Network::default() };
    let proxy = |url: String| Network { proxy: Some(url.into()), ..good.clone() };
    let local = emulator.https_url();
    for answer in described(&emulator, &local, &good) {
        assert_eq!(answer, Ok(()));
    }
    let gone = nobody();
    for (what, url, network, cause, words) in [
        ("name", "https://kms.invalid", good.clone(), Cause::Unresolved, "region"),
        ("port", &format!("https://{gone}"), good.clone(), Cause::Unreachable, "refused"),
        ("trust", &local, Network { ca_bundle: None, ..good.clone() }, Cause::Untrusted, "ca_bundle"),
        ("proxy", &local, proxy(format!("http://{gone}")), Cause::Proxy, "\"proxy\""),
        ("proxy's name", &local, proxy("http://proxy.invalid:3128".into()), Cause::Proxy, "dns error"),
    ] {
        for failure in described(&emulator, url, &network).map(Result::unwrap_err) {
            assert_eq!(failure.cause, cause, "{what}: {failure}");
            assert!(failure.message.contains(words), "{what}: {failure}");
        }
    }
}
