//! The AWS backend against the emulator.

use crate::cases;
use crate::server::{CLOSED_PORT, ExpectedKey, FILES, Server, named, wait};
use cloud_kms_emulator::{Action, AwsKey, Emulator, Fault};
use cloud_kms_pkcs11::cloud::aws::Settings;
use cloud_kms_pkcs11::cloud::{Cause, Failure, ListedKey, Network, SharedBackend, Target};
use cloud_kms_pkcs11::key::hash::Hash;
use cloud_kms_pkcs11::key::{Algorithm, Curve, Kind, Scheme};
use std::time::{Duration, Instant};

const P256: Kind = Kind::Ec(Curve::P256);
const ES256: Scheme = Algorithm::Ecdsa.with_hash(Hash::Sha256);

#[rustfmt::skip]
const KINDS: [(&str, Kind); 7] = [
    ("RSA_2048", Kind::Rsa(2048)),
    ("RSA_3072", Kind::Rsa(3072)),
    ("RSA_4096", Kind::Rsa(4096)),
    ("ECC_NIST_P256", P256),
    ("ECC_NIST_P384", Kind::Ec(Curve::P384)),
    ("ECC_NIST_P521", Kind::Ec(Curve::P521)),
    ("ECC_SECG_P256K1", Kind::Ec(Curve::Secp256k1)),
];

pub fn settings(emulator: &Emulator) -> Settings {
    let _ = FILES.path();
    let network = Network { call_timeout: Duration::from_secs(20), ..Network::default() };
    let region = Some(AwsKey::REGION.to_owned());
    Settings { region, endpoint_url: Some(emulator.http_url()), network, ..Settings::default() }
}

fn backend(emulator: &Emulator) -> SharedBackend {
    settings(emulator).open()
}

fn key(emulator: &Emulator) -> String {
    emulator.aws().create_key(AwsKey::new("ECC_NIST_P256").reuse()).unwrap().id
}

pub fn sign(backend: &SharedBackend, id: &str) -> Result<Vec<u8>, Failure> {
    let digest = Hash::Sha256.digest(b"message");
    wait(backend.sign(Target { name: &named(id), kind: P256, immutable_id: None }, ES256, &digest))
        .map(|signature| signature.bytes)
}

#[test]
fn the_emulator_fulfills_the_contract() {
    let emulator = Emulator::start().unwrap();
    let aws = emulator.aws();
    let make = |(spec, kind): &(&str, Kind)| {
        let made = aws.create_key(AwsKey::new(spec)).unwrap();
        ExpectedKey { key: named(&made.id), kind: *kind, spki: aws.public_key_spki(&made.id).unwrap() }
    };
    let mut keys: Vec<_> = KINDS.iter().map(make).collect();
    let aliased = aws.create_key(AwsKey::new("ECC_NIST_P256").alias("alias/release")).unwrap();
    let spki = aws.public_key_spki(&aliased.id).unwrap();
    keys.push(ExpectedKey { key: named("alias/release"), kind: P256, spki: spki.clone() });
    keys.push(ExpectedKey { key: named(&aliased.arn), kind: P256, spki });
    let disabled = key(&emulator);
    aws.disable_key(&disabled).unwrap();
    let decrypts = aws.create_key(AwsKey::new("RSA_2048").usage("ENCRYPT_DECRYPT")).unwrap();
    let agrees = |(spec, curve)| {
        let made = aws.create_key(AwsKey::new(spec).usage("KEY_AGREEMENT")).unwrap();
        ExpectedKey { key: named(&made.id), kind: Kind::Ec(curve), spki: aws.public_key_spki(&made.id).unwrap() }
    };
    let agreeing = [("ECC_NIST_P256", Curve::P256), ("ECC_NIST_P384", Curve::P384), ("ECC_NIST_P521", Curve::P521)];
    let mac = |hash: Hash| {
        let made = aws.create_key(AwsKey::new(&format!("HMAC_{}", 8 * hash.len()))).unwrap();
        (named(&made.id), Kind::Hmac(hash))
    };
    cases::run(&Server {
        name: "emulator".into(),
        backend: backend(&emulator),
        keys,
        missing: named("alias/none"),
        disabled: Some(named(&disabled)),
        other_use: Some((named(&decrypts.id), "ENCRYPT_DECRYPT")),
        key_agreement_keys: agreeing.map(agrees).into(),
        mac_keys: [Hash::Sha224, Hash::Sha256, Hash::Sha384, Hash::Sha512].map(mac).into(),
        faulty_schemes: Vec::new(),
        undecryptable: Cause::Undecryptable,
        has_labels: true,
        dates_aliases: true,
        symmetric_key: Some(named(&aws.create_key(AwsKey::new("SYMMETRIC_DEFAULT")).unwrap().id)),
    });
}

#[test]
fn kinds_of_key_that_are_not_served_are_unsupported() {
    let emulator = Emulator::start().unwrap();
    let made = emulator.aws().create_key(AwsKey::new("SYMMETRIC_DEFAULT")).unwrap();
    let failure = wait(backend(&emulator).describe(&named(&made.id))).unwrap_err();
    assert_eq!(failure.cause, Cause::Unsupported, "{failure}");
    assert!(failure.message.contains("SYMMETRIC_DEFAULT"), "{failure}");
}

#[test]
fn an_alias_is_pinned_to_the_key_that_was_described() {
    let emulator = Emulator::start().unwrap();
    let backend = backend(&emulator);
    let first = emulator.aws().create_key(AwsKey::new("ECC_NIST_P256").alias("alias/a")).unwrap();
    let facts = wait(backend.describe(&named("alias/a"))).unwrap();
    assert_eq!(facts.immutable_id.as_deref(), Some(first.arn.as_str()));
    emulator.aws().set_alias("alias/a", &key(&emulator)).unwrap();
    let digest = Hash::Sha256.digest(b"");
    let pinned = wait(backend.sign(
        Target { name: &named("alias/a"), kind: P256, immutable_id: Some(&first.arn) },
        ES256,
        &digest,
    ))
    .unwrap();
    assert!(facts.public_key.as_ref().unwrap().verifies(ES256, &digest, &pinned.bytes));
    let unpinned =
        wait(backend.sign(Target { name: &named("alias/a"), kind: P256, immutable_id: None }, ES256, &digest)).unwrap();
    assert_ne!(unpinned.immutable_id, first.arn);
}

#[test]
fn the_region_is_that_of_the_arn_unless_it_is_set() {
    let emulator = Emulator::start().unwrap();
    let backend = Settings { region: None, ..settings(&emulator) }.open();
    for region in ["eu-central-1", "us-west-2"] {
        let made = emulator.aws().create_key(AwsKey::new("ECC_NIST_P256").region(region)).unwrap();
        assert!(wait(backend.describe(&named(&made.arn))).is_ok());
        let failure = wait(backend.describe(&named(&made.id))).unwrap_err();
        assert!(failure.message.contains("the region is missing"), "{failure}");
    }
}

#[test]
fn lists_of_many_pages_are_complete() {
    let emulator = Emulator::start().unwrap();
    let backend = backend(&emulator);
    assert_eq!(wait(backend.list(true)).unwrap(), []);
    let mut made: Vec<_> = (0..2345).map(|_| key(&emulator)).collect();
    for empty_page in [false, true] {
        emulator.control().switches(|switches| switches.kms_empty_page = empty_page);
        let mut listed: Vec<_> = wait(backend.list(false)).unwrap().into_iter().map(|key| key.name.id).collect();
        listed.sort();
        made.sort();
        assert_eq!(listed, made);
    }
    assert_eq!(emulator.control().count("kms.ListAliases"), 1, "aliases are listed only if labels are needed");
}

#[test]
fn labels_of_many_pages_are_complete() {
    let emulator = Emulator::start().unwrap();
    let mut made = Vec::new();
    for number in 0..230 {
        let key = emulator.aws().create_key(AwsKey::new("ECC_NIST_P256").reuse().alias(&format!("alias/k{number}")));
        made.push((key.unwrap().id, Some(format!("k{number}"))));
    }
    made.sort();
    for empty_page in [false, true] {
        emulator.control().switches(|switches| switches.kms_empty_page = empty_page);
        let listed = wait(backend(&emulator).list(true)).unwrap();
        let mut listed: Vec<_> = listed.into_iter().map(|key| (key.name.id, key.label)).collect();
        listed.sort();
        assert_eq!(listed, made);
    }
    let throttle = Action::Throttle { retry_after: None };
    for (action, labels) in
        [(Action::Deny, Ok(0)), (Action::GarbageBody, Err(Cause::Malformed)), (throttle, Err(Cause::Throttled))]
    {
        emulator.control().clear_faults();
        emulator.control().fault(Fault::new("kms.ListAliases", action));
        let network = Network { retries: 0, ..settings(&emulator).network };
        let listed = wait(Settings { network, ..settings(&emulator) }.open().list(true));
        // A temporary failure fails the listing. Otherwise keys would appear under other names for as long as the
        // process lives.
        let labelled = |keys: Vec<ListedKey>| keys.iter().filter(|key| key.label.is_some()).count();
        assert_eq!(listed.map(labelled).map_err(|failure| failure.cause), labels);
    }
}

#[test]
fn a_denial_names_the_permission() {
    let emulator = Emulator::start().unwrap();
    let (backend, key) = (backend(&emulator), key(&emulator));
    emulator.control().fault(Fault::new("*", Action::Deny));
    for (failure, permission) in [
        (sign(&backend, &key).unwrap_err(), "kms:Sign"),
        (wait(backend.describe(&named(&key))).unwrap_err(), "kms:GetPublicKey"),
        (wait(backend.list(true)).unwrap_err(), "kms:ListKeys"),
    ] {
        assert_eq!(failure.cause, Cause::Denied, "{failure}");
        assert!(failure.message.contains(permission), "{failure}");
        assert!(failure.request_id.is_some(), "{failure}");
    }
}

#[test]
fn temporary_failures_are_retried() {
    let emulator = Emulator::start().unwrap();
    let (backend, key) = (backend(&emulator), key(&emulator));
    let internal =
        Action::Error { status: 500, code: "KMSInternalException".into(), message: "x".into(), innererror: None };
    for action in [Action::Throttle { retry_after: None }, internal, Action::ResetBeforeReply, Action::CloseAfterReply]
    {
        emulator.control().fault(Fault::new("kms.Sign", action.clone()).times(2));
        let answer = sign(&backend, &key);
        assert!(answer.is_ok(), "{action:?}: {answer:?}");
        assert!(sign(&backend, &key).is_ok());
        emulator.control().clear_faults();
    }
}

#[test]
fn each_failure_has_its_cause() {
    let emulator = Emulator::start().unwrap();
    // With retries, throttling would be waited out, and on a busy machine the deadline may pass within an attempt.
    let network = Network { retries: 0, ..settings(&emulator).network };
    let backend = Settings { network, ..settings(&emulator) }.open();
    let key = key(&emulator);
    let error =
        |code: &str| Action::Error { status: 400, code: code.into(), message: "words".into(), innererror: None };
    for (action, cause) in [
        (Action::Throttle { retry_after: None }, Cause::Throttled),
        (error("KMSInternalException"), Cause::Internal),
        (error("KMSInvalidStateException"), Cause::Disabled),
        (error("NotFoundException"), Cause::NotFound),
        (error("InvalidKeyUsageException"), Cause::Unsupported),
        (error("UnrecognizedClientException"), Cause::Credentials),
        (error("ValidationException"), Cause::Rejected),
        (error("LimitExceededException"), Cause::Rejected),
        (Action::ExpiredToken, Cause::Credentials),
        (Action::ResetBeforeReply, Cause::Unreachable),
        (Action::GarbageBody, Cause::Malformed),
        (Action::EmptyBody, Cause::Malformed),
        (Action::InvalidDer, Cause::Malformed),
        (Action::WrongLengthSignature, Cause::Malformed),
    ] {
        for prefix in [false, true] {
            emulator.control().switches(|switches| switches.kms_type_prefix = prefix);
            emulator.control().switches(|switches| switches.kms_capital_message = prefix);
            emulator.control().fault(Fault::new("kms.Sign", action.clone()));
            let failure = sign(&backend, &key).unwrap_err();
            assert_eq!(failure.cause, cause, "{action:?}: {failure}");
            if let Action::Error { code, .. } = &action {
                assert!(failure.message.contains(code) && failure.message.contains("words"), "{failure}");
            }
            emulator.control().clear_faults();
        }
    }
    assert!(sign(&backend, &key).is_ok());
}

#[test]
fn a_silent_service_ends_a_call_in_time() {
    let emulator = Emulator::start().unwrap();
    let network = Network { call_timeout: Duration::from_secs(1), ..Network::default() };
    let backend = Settings { network, ..settings(&emulator) }.open();
    let key = key(&emulator);
    for fault in [Fault::new("kms.", Action::Hang), Fault::new("kms.", Action::Drip { ms: 1000 }), Fault::black_hole()]
    {
        emulator.control().fault(fault.clone());
        let start = Instant::now();
        let failure = sign(&backend, &key).unwrap_err();
        assert_eq!(failure.cause, Cause::TimedOut, "{fault:?}: {failure}");
        // The limit allows for a slow machine. Without a deadline the call would take minutes.
        assert!(start.elapsed() < Duration::from_secs(30), "{fault:?}: {:?}", start.elapsed());
        emulator.control().clear_faults();
    }
    let network = Network { call_timeout: Duration::from_secs(6), ..Network::default() };
    let backend = Settings { network, ..settings(&emulator) }.open();
    emulator.control().fault(Fault::new("kms.Sign", Action::Hang).times(1));
    assert!(sign(&backend, &key).is_ok(), "the second attempt succeeds");
}

#[test]
fn a_closed_port_is_unreachable() {
    let _ = FILES.path();
    let settings = Settings { region: Some("eu-central-1".into()), ..Settings::default() };
    let backend = Settings { endpoint_url: Some(format!("http://{CLOSED_PORT}")), ..settings }.open();
    let failure = sign(&backend, "alias/a").unwrap_err();
    assert_eq!(failure.cause, Cause::Unreachable, "{failure}");
}

#[test]
fn tls_trusts_only_the_configured_ca_bundle() {
    let emulator = Emulator::start().unwrap();
    let key = key(&emulator);
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("ca.pem");
    emulator.write_ca(&bundle).unwrap();
    let network = Network { ca_bundle: Some(bundle), ..Network::default() };
    let trusting = Settings { endpoint_url: Some(emulator.https_url()), network, ..settings(&emulator) };
    assert!(sign(&trusting.clone().open(), &key).is_ok());
    let failure = sign(&Settings { network: Network::default(), ..trusting.clone() }.open(), &key).unwrap_err();
    assert_eq!(failure.cause, Cause::Untrusted, "{failure}");
    let network = Network { ca_bundle: Some("/nowhere.pem".into()), ..Network::default() };
    let failure = sign(&Settings { network, ..trusting.clone() }.open(), &key).unwrap_err();
    assert!(failure.message.contains("/nowhere.pem"), "{failure}");
    // Through the proxy, under the service's real host name.
    let network = Network { proxy: Some(emulator.http_url().into()), ..trusting.network.clone() };
    let real = Settings { endpoint_url: None, network, ..trusting }.open();
    assert!(sign(&real, &key).is_ok());
    assert!(emulator.control().count("connect") > 0);
}

#[test]
fn credentials_come_from_where_the_profile_says() {
    let emulator = Emulator::start().unwrap();
    let key = key(&emulator);
    let by = |profile: &str| {
        let patience = if profile == "slow" { 8 } else { 20 };
        let network = Network { call_timeout: Duration::from_secs(patience), ..Network::default() };
        sign(&Settings { profile: Some(profile.into()), network, ..settings(&emulator) }.open(), &key)
    };
    assert!(by("default").is_ok());
    let process = by("process");
    assert!(process.is_ok(), "{process:?}");
    for (profile, cause, words) in [
        ("unknown", Cause::Credentials, "UnrecognizedClientException"),
        ("failing", Cause::Credentials, "no such user"),
        ("chattering", Cause::Credentials, "line 1"),
        ("none", Cause::Settings, "was not found in the shared AWS files"),
        ("slow", Cause::Credentials, "did not end within 6s"),
    ] {
        let failure = by(profile).unwrap_err();
        assert_eq!(failure.cause, cause, "{profile}: {failure}");
        assert!(failure.message.contains(words), "{profile}: {failure}");
        assert!(!failure.message.contains("secret-output"), "{failure}");
    }
}

#[test]
fn roles_are_assumed_by_settings_and_by_profile() {
    let emulator = Emulator::start().unwrap();
    let key = key(&emulator);
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("ca.pem");
    emulator.write_ca(&bundle).unwrap();
    let network = Network { ca_bundle: Some(bundle), proxy: Some(emulator.http_url().into()), ..Network::default() };
    let plain = Settings { endpoint_url: None, network, ..settings(&emulator) };
    let role_arn = Some("arn:aws:iam::111122223333:role/signer".to_owned());
    let by_settings = Settings { role_arn, external_id: Some("x".into()), ..plain.clone() };
    let by_profile = Settings { profile: Some("role".into()), ..plain };
    for (assumed, settings) in [(1, by_settings), (2, by_profile)] {
        let backend = settings.open();
        let answer = sign(&backend, &key).and_then(|_| sign(&backend, &key));
        assert!(answer.is_ok(), "{answer:?}");
        assert_eq!(emulator.control().count("sts.AssumeRole"), assumed);
    }
}

#[test]
fn expired_credentials_are_read_again() {
    let emulator = Emulator::start().unwrap();
    let (backend, key) = (backend(&emulator), key(&emulator));
    assert!(sign(&backend, &key).is_ok());
    emulator.control().fault(Fault::new("kms.Sign", Action::ExpiredToken).times(1));
    assert!(sign(&backend, &key).is_ok());
}

#[test]
fn a_forked_child_and_its_parent_both_sign() {
    let emulator = Emulator::start().unwrap();
    let (backend, key) = (backend(&emulator), key(&emulator));
    for _ in 0..5 {
        assert!(sign(&backend, &key).is_ok());
        assert!(crate::server::holds_in_child(|| sign(&backend, &key).is_ok()));
    }
}
