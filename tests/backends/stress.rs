//! Forks of a process whose threads sign continuously.

use crate::server::{FILES, holds_in_child, holds_soon, named, wait};
use cloud_kms_emulator::{AwsKey, Emulator, VaultKey};
use cloud_kms_pkcs11::cloud::{Failure, Network, Secret, SharedBackend, Target, aws, azure, runtime};
use cloud_kms_pkcs11::host::fork;
use cloud_kms_pkcs11::key::hash::Hash;
use cloud_kms_pkcs11::key::{Algorithm, Curve, Kind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

fn sign(backend: &SharedBackend, id: &str) -> Result<(), Failure> {
    let scheme = Algorithm::Ecdsa.with_hash(Hash::Sha256);
    let digest = Hash::Sha256.digest(b"");
    // As in a C_ function: the call is inside the fork gate, except while it waits.
    fork::inside_gate(|| {
        wait(backend.sign(
            Target { name: &named(id), kind: Kind::Ec(Curve::P256), immutable_id: None },
            scheme,
            &digest,
        ))
    })
    .map(drop)
}

/// Returns the number of forks: 20, or the number in the variable FORKS.
fn forks() -> usize {
    std::env::var("FORKS").ok().and_then(|text| text.parse().ok()).unwrap_or(20)
}

#[test]
fn children_and_parent_of_a_busy_process_sign() {
    let folder = FILES.path();
    let emulator = Emulator::start().unwrap();
    let bundle = folder.join("stress.pem");
    emulator.write_ca(&bundle).unwrap();
    let network = Network { ca_bundle: Some(bundle), ..Network::default() };
    let key = emulator.aws().create_key(AwsKey::new("ECC_NIST_P256")).unwrap().id;
    emulator.vault("default").create_key("web", VaultKey::ec("P-256")).unwrap();
    let region = Some(AwsKey::REGION.to_owned());
    let endpoint_url = Some(emulator.https_url());
    let aws = aws::Settings { region, endpoint_url, network: network.clone(), ..Default::default() }.open();
    let azure = azure::Settings {
        vault_url: emulator.https_url(),
        tenant_id: Some("00000000-0000-0000-0000-000000000001".into()),
        client_id: Some("emulator-client".into()),
        client_secret: Some(Secret("emulator-client-secret".to_owned().into())),
        authority_host: Some(emulator.https_url()),
        skip_challenge_check: true,
        network,
        ..Default::default()
    }
    .open();
    let both = || sign(&aws, &key).and_then(|()| sign(&azure, "web"));
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !stop.load(Ordering::SeqCst) {
                    let answer = both();
                    assert!(answer.is_ok(), "{answer:?}");
                }
            });
        }
        let held = (0..forks()).all(|_| {
            holds_in_child(|| {
                let own = both().and_then(|()| both());
                let grandchild = holds_in_child(|| both().is_ok());
                runtime::close().join(Duration::from_secs(30));
                let alone =
                    holds_soon(|| std::fs::read_to_string("/proc/self/status").unwrap().contains("Threads:\t1\n"));
                runtime::open();
                own.is_ok() && grandchild && alone && both().is_ok()
            })
        });
        stop.store(true, Ordering::SeqCst);
        assert!(held, "a child hung or failed");
    });
}
