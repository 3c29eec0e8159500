//! The Azure backend against the emulator: Key Vault and Managed HSM.

use crate::server::{ExpectedKey, FILES, Server, named, wait};
use crate::{cases, openssl};
use cloud_kms_emulator::{Action, Emulator, Fault, VaultCertificate, VaultKey};
use cloud_kms_pkcs11::cloud::azure::Settings;
use cloud_kms_pkcs11::cloud::{Cause, Failure, KeyName, Network, Secret, SharedBackend, Target};
use cloud_kms_pkcs11::key::hash::Hash;
use cloud_kms_pkcs11::key::{Algorithm, Curve, Kind, Purpose, Scheme};
use std::path::PathBuf;
use std::time::{Duration, Instant};

const P256: Kind = Kind::Ec(Curve::P256);
const ES256: Scheme = Algorithm::Ecdsa.with_hash(Hash::Sha256);
pub const TENANT: &str = "00000000-0000-0000-0000-000000000001";
pub const VAULT: &str = "https://vault.azure.net";

#[rustfmt::skip]
const KINDS: [(&str, Kind); 7] = [
    ("RSA-2048", Kind::Rsa(2048)),
    ("RSA-3072", Kind::Rsa(3072)),
    ("RSA-4096", Kind::Rsa(4096)),
    ("P-256", P256),
    ("P-384", Kind::Ec(Curve::P384)),
    ("P-521", Kind::Ec(Curve::P521)),
    ("P-256K", Kind::Ec(Curve::Secp256k1)),
];

/// Writes the emulator's CA certificate to a file that outlives the tests, and returns its path.
pub fn bundle(emulator: &Emulator) -> PathBuf {
    let path = FILES.path().join(format!("ca-{}.pem", emulator.port()));
    emulator.write_ca(&path).unwrap();
    path
}

pub fn settings(emulator: &Emulator) -> Settings {
    let network =
        Network { call_timeout: Duration::from_secs(20), ca_bundle: Some(bundle(emulator)), ..Network::default() };
    Settings {
        vault_url: emulator.https_url(),
        tenant_id: Some(TENANT.into()),
        client_id: Some("emulator-client".into()),
        client_secret: Some(Secret("emulator-client-secret".to_owned().into())),
        authority_host: Some(emulator.https_url()),
        skip_challenge_check: true,
        network,
        ..Settings::default()
    }
}

pub fn backend(emulator: &Emulator) -> SharedBackend {
    settings(emulator).open()
}

pub fn key(emulator: &Emulator, name: &str) -> String {
    emulator.vault("default").create_key(name, VaultKey::ec("P-256")).unwrap().kid
}

pub fn sign(backend: &SharedBackend, name: &str, version: Option<&str>) -> Result<String, Failure> {
    let digest = Hash::Sha256.digest(b"message");
    wait(backend.sign(Target { name: &named(name), kind: P256, immutable_id: version }, ES256, &digest))
        .map(|signature| signature.immutable_id)
}

#[test]
fn the_emulator_fulfills_the_contract() {
    let emulator = Emulator::start().unwrap();
    let vault = emulator.vault("default");
    let make = |(index, (name, kind)): (usize, &(&str, Kind))| {
        let key = VaultKey::named(name).unwrap();
        let made = vault.create_key(&format!("key-{index}"), if index % 2 == 0 { key.hsm() } else { key }).unwrap();
        ExpectedKey { key: named(&made.name), kind: *kind, spki: vault.public_key_spki(&made.name, "").unwrap() }
    };
    let mut keys: Vec<_> = KINDS.iter().enumerate().map(make).collect();
    let old = vault.create_key("versions", VaultKey::ec("P-256")).unwrap();
    let spki = vault.public_key_spki("versions", &old.version).unwrap();
    vault.rotate_key("versions").unwrap();
    keys.push(ExpectedKey { key: KeyName { id: "versions".into(), version: Some(old.version) }, kind: P256, spki });
    vault.create_key("disabled", VaultKey::ec("P-256").disabled()).unwrap();
    vault.create_key("verifies", VaultKey::ec("P-256").key_ops(&["verify"])).unwrap();
    let server = Server {
        name: "emulator".into(),
        backend: backend(&emulator),
        keys,
        missing: named("none"),
        disabled: Some(named("disabled")),
        other_use: Some((named("verifies"), "verify")),
        key_agreement_keys: Vec::new(),
        mac_keys: Vec::new(),
        faulty_schemes: Vec::new(),
        undecryptable: Cause::Undecryptable,
        symmetric_key: None,
        has_labels: true,
        dates_aliases: true,
    };
    cases::run(&server);
}

#[test]
fn key_numbers_may_have_extra_or_missing_leading_zeros() {
    let emulator = Emulator::start().unwrap();
    let vault = emulator.vault("default");
    vault.create_key("rsa", VaultKey::rsa(2048)).unwrap();
    vault.create_key("short", VaultKey::ec("P-256").short_coordinate()).unwrap();
    emulator.control().switches(|switches| (switches.jwk_leading_zero, switches.jwk_short_coordinates) = (true, true));
    for name in ["rsa", "short"] {
        let facts = wait(backend(&emulator).describe(&named(name))).unwrap();
        assert_eq!(facts.public_key.as_ref().unwrap().spki(), vault.public_key_spki(name, "").unwrap());
    }
}

#[test]
fn a_key_that_can_not_sign_now_says_why() {
    let emulator = Emulator::start().unwrap();
    let (vault, now) = (emulator.vault("default"), emulator.control().now());
    vault.create_key("early", VaultKey::ec("P-256").not_before(now + 1000)).unwrap();
    vault.create_key("late", VaultKey::ec("P-256").expires(now - 1000)).unwrap();
    for (name, word) in [("early", "not valid before"), ("late", "expired")] {
        let facts = wait(backend(&emulator).describe(&named(name))).unwrap();
        assert!(facts.schemes.is_empty() && facts.unusable_reason.as_ref().unwrap().contains(word), "{facts:?}");
        assert_eq!(sign(&backend(&emulator), name, None).unwrap_err().cause, Cause::Disabled);
    }
}

#[test]
fn a_key_outside_its_validity_period_still_decrypts() {
    let emulator = Emulator::start().unwrap();
    let (vault, now) = (emulator.vault("default"), emulator.control().now());
    vault.create_key("early", VaultKey::rsa(2048).not_before(now + 1000)).unwrap();
    vault.create_key("late", VaultKey::rsa(2048).expires(now - 1000)).unwrap();
    for (name, word) in [("early", "not valid before"), ("late", "expired")] {
        let backend = backend(&emulator);
        let facts = wait(backend.describe(&named(name))).unwrap();
        assert!(
            !facts.permits(Purpose::Sign) && facts.permits(Purpose::Decrypt) && facts.permits(Purpose::Unwrap),
            "{facts:?}"
        );
        assert!(facts.unusable_reason.is_none() && facts.usage.as_ref().unwrap().contains(word), "{facts:?}");
        let scheme = Algorithm::RsaesOaep.with_hash(Hash::Sha256);
        let ciphertext = openssl::encrypted(facts.public_key.as_ref().unwrap().spki(), scheme, b"old");
        let key = named(name);
        let target = Target { name: &key, kind: facts.kind, immutable_id: None };
        assert_eq!(*wait(backend.decrypt(target, scheme, &ciphertext)).unwrap(), b"old");
        assert_eq!(*wait(backend.unwrap(target, scheme, &ciphertext)).unwrap(), b"old");
    }
}

#[test]
fn key_ops_determine_the_purposes() {
    let emulator = Emulator::start().unwrap();
    let vault = emulator.vault("default");
    let all = [Purpose::Sign, Purpose::Decrypt, Purpose::Unwrap];
    for (name, operations, expected) in [
        ("s", &["sign", "verify"][..], &all[..1]),
        ("d", &["decrypt"], &all[1..2]),
        ("u", &["unwrapKey", "wrapKey"], &all[2..]),
        ("v", &["verify"], &[]),
        ("all", &["sign", "decrypt", "unwrapKey"], &all),
    ] {
        vault.create_key(name, VaultKey::rsa(2048).reuse().key_ops(operations)).unwrap();
        let facts = wait(backend(&emulator).describe(&named(name))).unwrap();
        let does: Vec<_> = all.into_iter().filter(|purpose| facts.permits(*purpose)).collect();
        assert_eq!(does, expected, "{facts:?}");
        assert_eq!(facts.unusable_reason.is_some(), expected.is_empty(), "{facts:?}");
        assert!(facts.usage.unwrap().contains(operations[0]));
    }
}

#[test]
fn names_that_would_change_the_path_are_refused() {
    let emulator = Emulator::start().unwrap();
    for name in ["", "a/b", "a?b", "..", "a%2fb", "schlüssel", &"a".repeat(128)] {
        let failure = wait(backend(&emulator).describe(&named(name))).unwrap_err();
        assert_eq!(failure.cause, Cause::Rejected, "{failure}");
    }
    let odd = KeyName { id: "a".into(), version: Some("../x".into()) };
    assert_eq!(wait(backend(&emulator).describe(&odd)).unwrap_err().cause, Cause::Rejected);
    assert_eq!(emulator.control().count("connections"), 0);
}

#[test]
fn lists_of_many_pages_are_complete() {
    let emulator = Emulator::start().unwrap();
    let (backend, vault) = (backend(&emulator), emulator.vault("default"));
    assert_eq!(wait(backend.list(true)).unwrap(), []);
    let made: Vec<_> = (0..130).map(|index| format!("key-{index:03}")).collect();
    for name in &made {
        vault.create_key(name, VaultKey::ec("P-256").reuse()).unwrap();
    }
    for empty_page in [false, true] {
        emulator.control().switches(|switches| switches.vault_empty_page = empty_page);
        let mut listed: Vec<_> = wait(backend.list(true)).unwrap().into_iter().map(|key| key.name.id).collect();
        listed.sort();
        assert_eq!(listed, made);
    }
    // At most 64 requests for descriptions are in flight. The deadline of each request starts when it gets its turn.
    emulator.control().fault(Fault::new("vault.keys.get", Action::Delay { ms: 4000 }));
    let slow = Settings {
        network: Network { call_timeout: Duration::from_millis(12_000), ..settings(&emulator).network },
        ..settings(&emulator)
    }
    .open();
    let under_way: Vec<_> = made.iter().map(|name| slow.describe(&named(name))).collect();
    let answers: Vec<_> = under_way.into_iter().map(wait).collect();
    assert!(answers.iter().all(Result::is_ok), "{:?}", answers.iter().find(|answer| answer.is_err()));
}

#[test]
fn certificates_are_found_where_there_are_any() {
    let emulator = Emulator::start().unwrap();
    let (backend, vault) = (backend(&emulator), emulator.vault("default"));
    vault.create_certificate("web", VaultCertificate::new(VaultKey::ec("P-256"))).unwrap();
    key(&emulator, "bare");
    let chain = wait(backend.certificate(&named("web"))).unwrap().unwrap();
    assert_eq!(chain[0].der, vault.certificate_der("web", "").unwrap());
    assert!(chain[0].certifies(&wait(backend.describe(&named("web"))).unwrap().public_key.unwrap()));
    assert_eq!(wait(backend.certificate(&named("bare"))), Ok(None));
    emulator.control().fault(Fault::new("vault.certificates.get", Action::Deny));
    assert_eq!(wait(backend.certificate(&named("web"))), Ok(None));
}

#[test]
fn a_key_is_pinned_and_a_rotation_is_noticed() {
    let emulator = Emulator::start().unwrap();
    let (backend, vault) = (backend(&emulator), emulator.vault("default"));
    let first = key(&emulator, "web");
    let facts = wait(backend.describe(&named("web"))).unwrap();
    assert_eq!(facts.immutable_id.as_deref(), Some(first.as_str()));
    let second = vault.rotate_key("web").unwrap();
    assert_eq!(sign(&backend, "web", Some(&first)).unwrap(), first, "the described version signs");
    assert_eq!(sign(&backend, "web", None).unwrap(), second.kid, "the current version signs");
    let version = first.rsplit('/').next().unwrap();
    vault.set_enabled("web", version, false).unwrap();
    let failure = sign(&backend, "web", Some(&first)).unwrap_err();
    assert_eq!(failure.cause, Cause::NotFound, "{failure}");
    assert!(failure.message.contains("rotated") && failure.message.contains(&second.version), "{failure}");
    // A version that the configuration names is never replaced by another version.
    let pinned = KeyName { id: "web".into(), version: Some(version.into()) };
    let digest = Hash::Sha256.digest(b"");
    let failure = wait(backend.sign(Target { name: &pinned, kind: P256, immutable_id: Some(&first) }, ES256, &digest))
        .unwrap_err();
    assert_eq!(failure.cause, Cause::Disabled, "{failure}");
}

#[test]
fn the_first_request_of_all_may_be_a_signature() {
    for action in [Action::Throttle { retry_after: None }, Action::ResetBeforeReply] {
        let emulator = Emulator::start().unwrap();
        key(&emulator, "web");
        emulator.control().fault(Fault::new("*", action.clone()).times(1));
        let answer = sign(&backend(&emulator), "web", None);
        assert!(answer.is_ok(), "{action:?}: {answer:?}\n{:#?}", emulator.control().log());
    }
}

#[test]
fn a_denial_names_the_permission() {
    let emulator = Emulator::start().unwrap();
    let backend = backend(&emulator);
    key(&emulator, "web");
    emulator.control().fault(Fault::new("vault.keys.", Action::Deny));
    for (failure, permission) in [
        (sign(&backend, "web", None).unwrap_err(), "keys/sign"),
        (wait(backend.describe(&named("web"))).unwrap_err(), "keys/get"),
        (wait(backend.list(true)).unwrap_err(), "keys/list"),
    ] {
        assert_eq!(failure.cause, Cause::Denied, "{failure}");
        assert!(failure.message.contains(permission) && failure.message.contains("Crypto User"), "{failure}");
        assert!(failure.request_id.is_some(), "{failure}");
    }
}

#[test]
fn temporary_failures_are_retried() {
    let emulator = Emulator::start().unwrap();
    let backend = backend(&emulator);
    key(&emulator, "web");
    let start = Instant::now();
    emulator.control().fault(Fault::new("vault.keys.sign", Action::Throttle { retry_after: Some(1) }).times(2));
    let answer = sign(&backend, "web", None);
    assert!(answer.is_ok(), "{answer:?}");
    assert!(start.elapsed() > Duration::from_millis(1900), "Retry-After is honoured: {:?}", start.elapsed());
    let internal =
        Action::Error { status: 500, code: "InternalServerError".into(), message: "x".into(), innererror: None };
    for action in [internal, Action::ResetBeforeReply, Action::CloseAfterReply, Action::ExpiredToken] {
        emulator.control().fault(Fault::new("vault.keys.sign", action.clone()).times(1));
        let answer = sign(&backend, "web", None);
        assert!(answer.is_ok(), "{action:?}: {answer:?}");
        assert!(sign(&backend, "web", None).is_ok());
        emulator.control().clear_faults();
    }
}

#[test]
fn each_failure_has_its_cause() {
    let emulator = Emulator::start().unwrap();
    // With retries, throttling would be waited out, and on a busy machine the deadline may pass within an attempt.
    let network = Network { retries: 0, ..settings(&emulator).network };
    let backend = Settings { network, ..settings(&emulator) }.open();
    key(&emulator, "web");
    let error = |status, code: &str, inner: Option<&str>| {
        let innererror = inner.map(str::to_owned);
        Action::Error { status, code: code.into(), message: "words".into(), innererror }
    };
    for (action, cause) in [
        (Action::Throttle { retry_after: None }, Cause::Throttled),
        (error(503, "ServiceUnavailable", None), Cause::Internal),
        (error(403, "Forbidden", Some("KeyDisabled")), Cause::Disabled),
        (error(403, "Forbidden", Some("KeyExpired")), Cause::Disabled),
        (error(403, "Forbidden", Some("KeyNotYetValid")), Cause::Disabled),
        (error(403, "Forbidden", Some("AccessDenied")), Cause::Denied),
        (error(403, "Forbidden", Some("ForbiddenByFirewall")), Cause::Denied),
        (error(403, "Forbidden", None), Cause::Denied),
        (error(404, "KeyNotFound", None), Cause::NotFound),
        (error(400, "BadParameter", None), Cause::Rejected),
        (error(401, "Unauthorized", None), Cause::Credentials),
        (Action::ResetBeforeReply, Cause::Unreachable),
        (Action::GarbageBody, Cause::Malformed),
        (Action::EmptyBody, Cause::Malformed),
        (Action::WrongLengthSignature, Cause::Malformed),
    ] {
        emulator.control().fault(Fault::new("vault.keys.sign", action.clone()));
        let failure = sign(&backend, "web", None).unwrap_err();
        assert_eq!(failure.cause, cause, "{action:?}: {failure}");
        if let Action::Error { code, innererror, .. } = &action {
            let is_reported =
                failure.message.contains(innererror.as_ref().unwrap_or(code)) && failure.message.contains("words");
            assert!(is_reported, "{failure}");
        }
        emulator.control().clear_faults();
    }
    assert!(sign(&backend, "web", None).is_ok());
}

#[test]
fn a_silent_service_ends_a_call_in_time() {
    let emulator = Emulator::start().unwrap();
    let network = Network { call_timeout: Duration::from_secs(2), ..settings(&emulator).network };
    let backend = Settings { network, ..settings(&emulator) }.open();
    key(&emulator, "web");
    let faults = [
        Fault::new("vault.", Action::Hang),
        Fault::new("vault.", Action::Drip { ms: 400 }),
        Fault::black_hole(),
        Fault::tls_stall(),
    ];
    for fault in faults {
        // The last two faults do not affect connections that are already open. This fault closes them.
        emulator.control().fault(Fault::new("vault.keys.sign", Action::CloseAfterReply).times(1));
        let _ = sign(&backend, "web", None);
        emulator.control().fault(fault.clone());
        let start = Instant::now();
        match sign(&backend, "web", None) {
            Err(failure) => {
                assert!(matches!(failure.cause, Cause::TimedOut | Cause::Unreachable), "{fault:?}: {failure}")
            }
            Ok(_) => assert!(fault.operation == "connection", "{fault:?}"),
        }
        // The limit allows for a slow machine. Without a deadline the call would take minutes.
        assert!(start.elapsed() < Duration::from_secs(30), "{fault:?}: {:?}", start.elapsed());
        emulator.control().clear_faults();
    }
    let network = Network { call_timeout: Duration::from_secs(6), ..settings(&emulator).network };
    let backend = Settings { network, ..settings(&emulator) }.open();
    assert!(sign(&backend, "web", None).is_ok());
    emulator.control().fault(Fault::new("vault.keys.sign", Action::Hang).times(1));
    let answer = sign(&backend, "web", None);
    assert!(answer.is_ok(), "the second attempt succeeds: {answer:?}");
}

#[test]
fn a_forked_child_and_its_parent_both_sign() {
    let emulator = Emulator::start().unwrap();
    let backend = backend(&emulator);
    key(&emulator, "web");
    for _ in 0..5 {
        assert!(sign(&backend, "web", None).is_ok());
        assert!(crate::server::holds_in_child(|| sign(&backend, "web", None).is_ok()));
    }
}
