//! The contract that every server has to fulfill.

use crate::openssl;
use crate::server::{ExpectedKey, Server, wait};
use cloud_kms_pkcs11::certificate::Certificate;
use cloud_kms_pkcs11::cloud::{Cause, CertificateName, KeyDescription, KeyName, Target, purposes_of, schemes_for};
use cloud_kms_pkcs11::key::{Algorithm, Kind, PublicKey, Purpose, Scheme};
use std::collections::HashSet;

/// Runs all cases.
pub fn run(server: &Server) {
    eprintln!("{}: {:?}", server.name, server.backend);
    let facts: Vec<_> = server.keys.iter().map(|known| described(server, known)).collect();
    for (known, facts) in server.keys.iter().zip(&facts) {
        signs_with_every_scheme(server, known, facts);
        decrypts(server, &known.key, facts);
    }
    for known in &server.key_agreement_keys {
        agrees(server, known);
    }
    for (key, kind) in &server.mac_keys {
        authenticates(server, key, *kind);
    }
    many_requests_at_once(server);
    each_failure_has_its_cause(server);
    every_key_is_listed(server);
    if server.backend.key_management().is_some() {
        labels_are_listed(server);
    }
}

fn described(server: &Server, known: &ExpectedKey) -> KeyDescription {
    let facts = wait(server.backend.describe(&known.key)).unwrap();
    assert_eq!(facts.public_key.as_ref().unwrap().spki(), known.spki, "{:?}", known.key);
    assert_eq!(facts.kind, known.kind);
    assert!(facts.immutable_id.is_some() && facts.unusable_reason.is_none());
    let sorted = |schemes: &[_]| schemes.iter().map(|scheme| format!("{scheme:?}")).collect::<HashSet<_>>();
    // These keys sign. Where the service has keys for a single purpose, these keys do nothing else.
    let purposes = match server.backend.has_single_purpose() {
        true => vec![Purpose::Sign],
        false => purposes_of(&*server.backend, known.kind),
    };
    let expected = sorted(&schemes_for(&*server.backend, known.kind, &purposes));
    match server.backend.has_single_scheme() {
        true => assert!(facts.schemes.len() == 1 && sorted(&facts.schemes).is_subset(&expected), "{facts:?}"),
        false => assert_eq!(sorted(&facts.schemes), expected),
    }
    facts
}

fn of_purpose(facts: &KeyDescription, purpose: Purpose) -> Vec<Scheme> {
    facts.schemes.iter().copied().filter(|scheme| scheme.family.purpose() == purpose).collect()
}

fn signs_with_every_scheme(server: &Server, known: &ExpectedKey, facts: &KeyDescription) {
    let schemes = of_purpose(facts, Purpose::Sign);
    assert!(!schemes.is_empty());
    for scheme in schemes {
        let message = format!("{scheme:?}").into_bytes();
        // Ed25519 signs the message itself.
        let digest = scheme.hash.map_or(message.clone(), |hash| hash.digest(&message));
        for id in [facts.immutable_id.as_deref(), None] {
            let target = Target { name: &known.key, kind: known.kind, immutable_id: id };
            let signature = wait(server.backend.sign(target, scheme, &digest)).unwrap();
            assert_eq!(signature.bytes.len(), facts.kind.signature_len());
            assert_eq!(Some(&signature.immutable_id), facts.immutable_id.as_ref());
            assert!(openssl::verifies(&known.spki, scheme, &digest, &signature.bytes), "{:?} {scheme:?}", known.key);
            let mut other = digest.clone();
            other[0] ^= 1;
            assert!(
                !openssl::verifies(&known.spki, scheme, &other, &signature.bytes),
                "the other library accepts a wrong signature"
            );
        }
    }
}

fn many_requests_at_once(server: &Server) {
    let keys: Vec<_> = server.keys.iter().cycle().take(100).collect();
    let under_way: Vec<_> = keys.iter().map(|known| server.backend.describe(&known.key)).collect();
    for (known, pending) in keys.iter().zip(under_way) {
        assert_eq!(wait(pending).unwrap().public_key.unwrap().spki(), known.spki);
    }
}

fn each_failure_has_its_cause(server: &Server) {
    let failure = wait(server.backend.describe(&server.missing)).unwrap_err();
    assert_eq!(failure.cause, Cause::NotFound, "{failure}");
    if let Some(key) = &server.disabled {
        // For a disabled key, a service reports that the key is disabled (Key Vault), or returns only the public
        // key (KMS), or fails.
        match wait(server.backend.describe(key)) {
            Ok(facts) => assert!(facts.unusable_reason.is_none_or(|refusal| refusal.contains("disabled"))),
            Err(failure) => assert_eq!(failure.cause, Cause::Disabled, "{failure}"),
        }
        let ExpectedKey { kind, .. } = server.keys[0];
        let scheme = server.backend.schemes(kind)[0];
        let digest = scheme.hash.unwrap().digest(b"");
        let target = Target { name: key, kind, immutable_id: None };
        let failure = wait(server.backend.sign(target, scheme, &digest)).unwrap_err();
        assert_eq!(failure.cause, Cause::Disabled, "{failure}");
    }
    if let Some((key, word)) = &server.other_use {
        let facts = wait(server.backend.describe(key)).unwrap();
        assert!(of_purpose(&facts, Purpose::Sign).is_empty());
        assert!(facts.usage.as_ref().unwrap().contains(word), "{facts:?}");
        decrypts(server, key, &facts);
    }
    if let Some(key) = &server.symmetric_key {
        let failure = wait(server.backend.describe(key)).unwrap_err();
        assert_eq!(failure.cause, Cause::Unsupported, "{failure}");
    }
}

/// The service decrypts what the `openssl` program encrypts. It does not decrypt a modified ciphertext.
fn decrypts(server: &Server, key: &KeyName, facts: &KeyDescription) {
    let spki = facts.public_key.as_ref().unwrap().spki();
    for scheme in of_purpose(facts, Purpose::Decrypt) {
        let mut ciphertext = openssl::encrypted(spki, scheme, b"a secret");
        let target = Target { name: key, kind: facts.kind, immutable_id: facts.immutable_id.as_deref() };
        let plain = wait(server.backend.decrypt(target, scheme, &ciphertext)).map(|plain| plain.to_vec());
        if server.faulty_schemes.contains(&scheme) {
            eprintln!("{}: {} is skipped, it is wrong there: {plain:?}", server.name, scheme.name());
            continue;
        }
        assert_eq!(plain, Ok(b"a secret".to_vec()), "{}", scheme.name());
        assert_eq!(*wait(server.backend.unwrap(target, scheme, &ciphertext)).unwrap(), b"a secret");
        ciphertext[100] ^= 1;
        let decrypted = wait(server.backend.decrypt(target, scheme, &ciphertext));
        for failure in [decrypted, wait(server.backend.unwrap(target, scheme, &ciphertext))].map(Result::unwrap_err) {
            assert_eq!(failure.cause, server.undecryptable, "{failure}");
        }
    }
}

/// Both sides derive the same secret. Another peer key leads to another secret.
fn agrees(server: &Server, known: &ExpectedKey) {
    let facts = wait(server.backend.describe(&known.key)).unwrap();
    assert_eq!(facts.public_key.as_ref().unwrap().spki(), known.spki);
    assert_eq!(facts.schemes, [Algorithm::Ecdh.without_hash()]);
    let Kind::Ec(curve) = known.kind else { panic!("{:?}", known.kind) };
    let target = Target { name: &known.key, kind: known.kind, immutable_id: facts.immutable_id.as_deref() };
    let mut secrets = HashSet::new();
    for _ in 0..2 {
        let (own, secret) = openssl::agreed(curve.name(), &known.spki);
        let peer = PublicKey::from_spki(&own).unwrap();
        let derived = wait(server.backend.derive(target, &peer)).unwrap();
        assert_eq!(*derived, secret);
        secrets.insert(secret);
    }
    assert_eq!(secrets.len(), 2, "different keys agree on different secrets");
}

/// No one else knows the secret key, so the service itself is asked whether a MAC is valid.
fn authenticates(server: &Server, key: &KeyName, kind: Kind) {
    let facts = wait(server.backend.describe(key)).unwrap();
    assert_eq!((facts.kind, &facts.public_key), (kind, &None));
    let [scheme] = *facts.schemes else { panic!("{:?}", facts.schemes) };
    let target = Target { name: key, kind, immutable_id: facts.immutable_id.as_deref() };
    for message in [&b"a message"[..], &[7; 4096]] {
        let mac = wait(server.backend.sign(target, scheme, message)).unwrap();
        assert_eq!(mac.bytes.len(), kind.signature_len());
        assert_eq!(wait(server.backend.verify(target, scheme, message, &mac.bytes)), Ok(true));
        assert_eq!(wait(server.backend.verify(target, scheme, b"another", &mac.bytes)), Ok(false));
        let mut changed = mac.bytes.clone();
        changed[0] ^= 1;
        assert_eq!(wait(server.backend.verify(target, scheme, message, &changed)), Ok(false));
    }
}

fn every_key_is_listed(server: &Server) {
    let listed = wait(server.backend.list(false)).unwrap();
    let listed: HashSet<_> = listed.iter().map(|key| &key.name.id).collect();
    for known in server.keys.iter().filter(|known| !known.key.id.starts_with("alias/") && !known.key.id.contains(':')) {
        assert!(listed.contains(&known.key.id), "{:?} in {listed:?}", known.key);
    }
}

/// The next listing shows each label that a key is given. This also holds for a label that the key had before, if
/// the server dates aliases as KMS does. Otherwise, of aliases with the same date, the first by name counts.
fn labels_are_listed(server: &Server) {
    let listed = wait(server.backend.list(true)).unwrap();
    let known = listed.iter().find(|listed| server.keys.iter().any(|known| known.key == listed.name));
    let key = &known.expect("a key by the name that listings have").name;
    let [first, then] = ["b", "a"].map(|name| format!("{name}-{}", std::process::id()));
    if !server.has_labels {
        assert!(server.backend.check_label(&first).is_err() && wait(server.backend.relabel(key, &first)).is_err());
        return;
    }
    let again = server.dates_aliases.then_some(&first);
    for label in [&first, &then].into_iter().chain(again) {
        server.backend.check_label(label).unwrap();
        wait(server.backend.relabel(key, label)).unwrap();
        let listed = wait(server.backend.list(true)).unwrap();
        let labels: Vec<_> = listed.iter().filter(|listed| listed.name == *key).map(|listed| &listed.label).collect();
        assert_eq!(labels, [&Some(label.clone())]);
    }
}

/// The service returns the certificate of this ARN, followed by its chain.
pub fn stores_certificate(server: &Server, arn: &str, pem: &[u8]) {
    let name = CertificateName { id: arn.to_owned(), authority: None };
    let found = wait(server.backend.named_certificates().unwrap().named_certificate(&name)).unwrap();
    assert_eq!(found, Some(Certificate::parse_all(pem).unwrap().0), "{}", server.name);
    let other = CertificateName { id: format!("{arn}0"), authority: None };
    let failure = wait(server.backend.named_certificates().unwrap().named_certificate(&other)).unwrap_err();
    assert_eq!(failure.cause, Cause::NotFound, "{}: {failure}", server.name);
}
