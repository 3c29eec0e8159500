//! The Google backend against the emulator.

use crate::server::{ExpectedKey, FILES, Server, named, wait};
use crate::{cases, openssl};
use aws_lc_rs::signature::{ML_DSA_44, ML_DSA_65, ML_DSA_87, UnparsedPublicKey};
use cloud_kms_emulator::{Action, Emulator, Fault, GoogleKey};
use cloud_kms_pkcs11::cloud::google::{Credentials, Settings, Versions};
use cloud_kms_pkcs11::cloud::{Cause, Failure, KeyDescription, Network, NewKey, SharedBackend, Target};
use cloud_kms_pkcs11::key::hash::Hash;
use cloud_kms_pkcs11::key::ml_dsa::Mu;
use cloud_kms_pkcs11::key::{Algorithm, Curve, Kind, PublicNumbers, Purpose, Scheme};
use std::time::Duration;

pub const P256: Kind = Kind::Ec(Curve::P256);
pub const ES256: Scheme = Algorithm::Ecdsa.with_hash(Hash::Sha256);

/// The algorithms of keys that the `openssl` program verifies.
#[rustfmt::skip]
const SIGNING: [(&str, Kind); 15] = [
    ("EC_SIGN_P256_SHA256", P256),
    ("EC_SIGN_P384_SHA384", Kind::Ec(Curve::P384)),
    ("EC_SIGN_SECP256K1_SHA256", Kind::Ec(Curve::Secp256k1)),
    ("EC_SIGN_ED25519", Kind::Ed25519),
    ("RSA_SIGN_PKCS1_2048_SHA256", Kind::Rsa(2048)),
    ("RSA_SIGN_PKCS1_3072_SHA256", Kind::Rsa(3072)),
    ("RSA_SIGN_PKCS1_4096_SHA256", Kind::Rsa(4096)),
    ("RSA_SIGN_PKCS1_4096_SHA512", Kind::Rsa(4096)),
    ("RSA_SIGN_PSS_2048_SHA256", Kind::Rsa(2048)),
    ("RSA_SIGN_PSS_3072_SHA256", Kind::Rsa(3072)),
    ("RSA_SIGN_PSS_4096_SHA256", Kind::Rsa(4096)),
    ("RSA_SIGN_PSS_4096_SHA512", Kind::Rsa(4096)),
    ("RSA_SIGN_RAW_PKCS1_2048", Kind::Rsa(2048)),
    ("RSA_SIGN_RAW_PKCS1_3072", Kind::Rsa(3072)),
    ("RSA_SIGN_RAW_PKCS1_4096", Kind::Rsa(4096)),
];

const DECRYPTING: [&str; 7] = [
    "RSA_DECRYPT_OAEP_2048_SHA1",
    "RSA_DECRYPT_OAEP_3072_SHA1",
    "RSA_DECRYPT_OAEP_4096_SHA1",
    "RSA_DECRYPT_OAEP_2048_SHA256",
    "RSA_DECRYPT_OAEP_3072_SHA256",
    "RSA_DECRYPT_OAEP_4096_SHA256",
    "RSA_DECRYPT_OAEP_4096_SHA512",
];

/// Returns settings with the credentials of a service account.
pub fn settings(emulator: &Emulator) -> Settings {
    let file = emulator.google().without_proxy(&emulator.google().service_account_file().unwrap());
    let path = FILES.path().join(format!("google-{}.json", emulator.port()));
    std::fs::write(&path, file.to_string()).unwrap();
    let network = Network { call_timeout: Duration::from_secs(20), ..Network::default() };
    Settings {
        endpoint_url: Some(emulator.http_url()),
        key_ring: Some(GoogleKey::KEY_RING.to_owned()),
        credentials: Credentials::File(path),
        network,
        ..Settings::default()
    }
}

pub fn backend(emulator: &Emulator) -> SharedBackend {
    settings(emulator).open()
}

/// Makes a key with this algorithm, and returns the name of its version.
pub fn key(emulator: &Emulator, id: &str, algorithm: &str) -> String {
    emulator.google().create_key(id, GoogleKey::new(algorithm).reuse()).unwrap().version
}

pub fn crypto_key(id: &str) -> String {
    format!("{}/cryptoKeys/{id}", GoogleKey::KEY_RING)
}

pub fn describe(backend: &SharedBackend, name: &str) -> Result<KeyDescription, Failure> {
    wait(backend.describe(&named(name)))
}

pub fn sign(backend: &SharedBackend, name: &str, version: Option<&str>) -> Result<String, Failure> {
    let digest = Hash::Sha256.digest(b"message");
    wait(backend.sign(Target { name: &named(name), kind: P256, immutable_id: version }, ES256, &digest))
        .map(|signature| signature.immutable_id)
}

#[test]
fn the_emulator_fulfills_the_contract() {
    let emulator = Emulator::start().unwrap();
    let google = emulator.google();
    let make = |(index, (algorithm, kind)): (usize, &(&str, Kind))| {
        let key = GoogleKey::new(algorithm).protection_level(if index % 2 == 0 { "HSM" } else { "SOFTWARE" }).reuse();
        let version = google.create_key(&format!("key-{index}"), key).unwrap().version;
        ExpectedKey { key: named(&version), kind: *kind, spki: google.public_key_spki(&version).unwrap() }
    };
    let keys = SIGNING.iter().enumerate().map(make).collect();
    google.disable(&key(&emulator, "disabled", "EC_SIGN_P256_SHA256")).unwrap();
    let mac = |hash: Hash| {
        let name = if hash == Hash::Sha1 { "HMAC_SHA1".to_owned() } else { format!("HMAC_SHA{}", 8 * hash.len()) };
        (named(&key(&emulator, &name, &name)), Kind::Hmac(hash))
    };
    cases::run(&Server {
        name: "emulator".into(),
        backend: backend(&emulator),
        keys,
        missing: named(&crypto_key("none")),
        disabled: Some(named(&crypto_key("disabled"))),
        other_use: Some((named(&key(&emulator, "decrypts", DECRYPTING[0])), "RSA_DECRYPT_OAEP_2048_SHA1")),
        key_agreement_keys: Vec::new(),
        mac_keys: [Hash::Sha1, Hash::Sha224, Hash::Sha256, Hash::Sha384, Hash::Sha512].map(mac).into(),
        faulty_schemes: Vec::new(),
        undecryptable: Cause::Undecryptable,
        symmetric_key: Some(named(&key(&emulator, "symmetric", "GOOGLE_SYMMETRIC_ENCRYPTION"))),
        has_labels: true,
        dates_aliases: true,
    });
}

#[test]
fn every_decryption_algorithm_is_used() {
    let emulator = Emulator::start().unwrap();
    let backend = backend(&emulator);
    for algorithm in DECRYPTING {
        let version = key(&emulator, algorithm, algorithm);
        let facts = describe(&backend, &version).unwrap();
        let [scheme] = *facts.schemes else { panic!("{:?}", facts.schemes) };
        let mut ciphertext = openssl::encrypted(facts.public_key.as_ref().unwrap().spki(), scheme, b"a secret");
        let name = named(&version);
        let target = Target { name: &name, kind: facts.kind, immutable_id: None };
        assert_eq!(**wait(backend.decrypt(target, scheme, &ciphertext)).unwrap(), *b"a secret", "{algorithm}");
        ciphertext[9] ^= 1;
        let failure = wait(backend.decrypt(target, scheme, &ciphertext)).unwrap_err();
        assert_eq!(failure.cause, Cause::Undecryptable, "{failure}");
    }
}

#[test]
fn post_quantum_signatures_are_verified() {
    let emulator = Emulator::start().unwrap();
    let backend = backend(&emulator);
    for (algorithm, witness) in [
        ("PQ_SIGN_ML_DSA_44", Some(&ML_DSA_44)),
        ("PQ_SIGN_ML_DSA_65", Some(&ML_DSA_65)),
        ("PQ_SIGN_ML_DSA_87", Some(&ML_DSA_87)),
        ("PQ_SIGN_ML_DSA_44_EXTERNAL_MU", Some(&ML_DSA_44)),
        ("PQ_SIGN_ML_DSA_65_EXTERNAL_MU", Some(&ML_DSA_65)),
        ("PQ_SIGN_ML_DSA_87_EXTERNAL_MU", Some(&ML_DSA_87)),
        ("PQ_SIGN_SLH_DSA_SHA2_128S", None),
        ("PQ_SIGN_HASH_SLH_DSA_SHA2_128S_SHA256", None),
    ] {
        let version = key(&emulator, algorithm, algorithm);
        let facts = describe(&backend, &version).unwrap();
        assert_eq!(describe(&backend, &crypto_key(algorithm)).unwrap(), facts);
        let public = facts.public_key.as_ref().unwrap();
        assert_eq!(public.spki(), emulator.google().public_key_spki(&version).unwrap(), "{algorithm}");
        let [scheme] = *facts.schemes else { panic!("{:?}", facts.schemes) };
        let input = match (public.material(), scheme.family, scheme.hash) {
            (PublicNumbers::MlDsa { key, .. }, Algorithm::MlDsaMu, _) => {
                let mut mu = Mu::new(key, &[], None);
                mu.update(b"message");
                mu.finish()
            }
            (_, _, Some(hash)) => hash.digest(b"message"),
            _ => b"message".to_vec(),
        };
        let name = named(&version);
        let target = Target { name: &name, kind: facts.kind, immutable_id: None };
        let signature = wait(backend.sign(target, scheme, &input)).unwrap().bytes;
        match (public.material(), witness) {
            (PublicNumbers::MlDsa { key, .. }, Some(witness)) => {
                let verifies =
                    |message: &[u8]| UnparsedPublicKey::new(witness, key).verify(message, &signature).is_ok();
                assert!(verifies(b"message") && !verifies(b"another"), "{algorithm}");
            }
            // The emulator signs with another library than that of the module.
            _ => {
                let other: Vec<u8> = input.iter().map(|byte| byte ^ 1).collect();
                assert!(public.verifies(scheme, &input, &signature), "{algorithm}");
                assert!(!public.verifies(scheme, &other, &signature), "{algorithm}");
            }
        }
    }
}

#[test]
fn a_signature_costs_one_request_and_a_description_one_more() {
    let emulator = Emulator::start().unwrap();
    let version = key(&emulator, "k", "EC_SIGN_P256_SHA256");
    let backend = backend(&emulator);
    let count = || {
        let counts = emulator.control().counts();
        counts.iter().filter(|(name, _)| name.starts_with("google.")).map(|(_, count)| count).sum::<u64>()
    };
    // A service account signs its tokens itself.
    let id = describe(&backend, &version).unwrap().immutable_id;
    assert_eq!((id.as_deref(), count()), (Some(version.as_str()), 1), "{:?}", emulator.control().counts());
    sign(&backend, &version, id.as_deref()).unwrap();
    assert_eq!(count(), 2);
    // Without a version, the versions are listed once.
    assert_eq!(describe(&backend, &crypto_key("k")).unwrap().immutable_id, id);
    assert_eq!(count(), 4);
    sign(&backend, &crypto_key("k"), id.as_deref()).unwrap();
    assert_eq!(count(), 5);
    // The versions tell the algorithm of a key for MACs.
    key(&emulator, "mac", "HMAC_SHA256");
    assert!(describe(&backend, &crypto_key("mac")).unwrap().public_key.is_none());
    assert_eq!(count(), 6);
}

#[test]
fn the_newest_enabled_version_is_described() {
    let emulator = Emulator::start().unwrap();
    let google = emulator.google();
    let key = google.create_key("k", GoogleKey::new("EC_SIGN_P256_SHA256").versions(11).reuse()).unwrap().name;
    let backend = backend(&emulator);
    let newest = || describe(&backend, &key).map(|facts| facts.immutable_id.unwrap());
    let version = |number: u32| format!("{key}/cryptoKeyVersions/{number}");
    // The service sorts by text.
    assert_eq!(newest().unwrap(), version(11));
    google.disable(&version(11)).unwrap();
    assert_eq!(newest().unwrap(), version(10));
    (1..=10).for_each(|number| google.destroy(&version(number)).unwrap());
    let failure = newest().unwrap_err();
    assert!(failure.cause == Cause::Disabled && failure.message.contains("versions enable"), "{failure}");
}

#[test]
fn each_state_of_a_version_has_its_cause_and_advice() {
    let emulator = Emulator::start().unwrap();
    let backend = backend(&emulator);
    let version = key(&emulator, "k", "EC_SIGN_P256_SHA256");
    for (state, cause, advice) in [
        ("DISABLED", Cause::Disabled, "gcloud kms keys versions enable"),
        ("DESTROY_SCHEDULED", Cause::Disabled, "gcloud kms keys versions restore"),
        ("DESTROYED", Cause::NotFound, "use another version"),
        ("PENDING_GENERATION", Cause::Disabled, "still being generated"),
        ("PENDING_IMPORT", Cause::Disabled, "still being imported"),
        ("IMPORT_FAILED", Cause::Disabled, "shows the reason"),
        ("GENERATION_FAILED", Cause::Disabled, "shows the reason"),
    ] {
        emulator.google().set_state(&version, state).unwrap();
        for failure in [describe(&backend, &version).unwrap_err(), sign(&backend, &version, None).unwrap_err()] {
            assert_eq!(failure.cause, cause, "{failure}");
            assert!(failure.message.contains(state) && failure.message.contains(advice), "{failure}");
        }
    }
    emulator.google().enable(&version).unwrap();
    sign(&backend, &version, None).unwrap();
}

#[test]
fn a_key_is_pinned_and_a_rotation_is_noticed() {
    let emulator = Emulator::start().unwrap();
    let (backend, google) = (backend(&emulator), emulator.google());
    let first = key(&emulator, "k", "EC_SIGN_P256_SHA256");
    let name = crypto_key("k");
    let second = google.create_version(&name).unwrap().version;
    assert_eq!(sign(&backend, &name, Some(&first)).unwrap(), first, "the described version signs");
    assert_eq!(sign(&backend, &name, None).unwrap(), second, "the newest version signs");
    google.disable(&first).unwrap();
    let failure = sign(&backend, &name, Some(&first)).unwrap_err();
    assert_eq!(failure.cause, Cause::NotFound, "{failure}");
    assert!(failure.message.contains("rotated") && failure.message.contains(&second), "{failure}");
    // A version that the configuration names is never replaced by another version.
    assert_eq!(sign(&backend, &first, Some(&first)).unwrap_err().cause, Cause::Disabled);
}

#[test]
fn versions_are_listed_with_their_labels() {
    let emulator = Emulator::start().unwrap();
    let google = emulator.google();
    let ec = || GoogleKey::new("EC_SIGN_P256_SHA256").reuse();
    let many = google.create_key("many", ec().versions(3)).unwrap().name;
    google.disable(&format!("{many}/cryptoKeyVersions/2")).unwrap();
    google.create_key("labeled", ec().label("pkcs11-label", "mine").protection_level("SOFTWARE")).unwrap();
    key(&emulator, "symmetric", "GOOGLE_SYMMETRIC_ENCRYPTION");
    let list = |settings: Settings| {
        let mut listed: Vec<_> = wait(settings.open().list(true)).unwrap();
        listed.sort_by(|one, other| one.name.id.cmp(&other.name.id));
        let short = |name: &str| name.trim_start_matches(GoogleKey::KEY_RING).to_owned();
        listed.iter().map(|key| (short(&key.name.id), key.label.clone().unwrap())).collect::<Vec<_>>()
    };
    let row = |name: &str, version: u32, label: &str| {
        (format!("/cryptoKeys/{name}/cryptoKeyVersions/{version}"), label.to_owned())
    };
    let all = [row("labeled", 1, "mine"), row("many", 1, "many"), row("many", 3, "many")];
    assert_eq!(list(settings(&emulator)), all);
    let newest = Settings { versions: Versions::Newest, ..settings(&emulator) };
    assert_eq!(list(newest), [all[0].clone(), all[2].clone()]);
    let hidden = Settings { hides_software_keys: true, ..settings(&emulator) };
    assert_eq!(list(hidden), all[1..]);
}

#[test]
fn a_key_that_must_not_be_read_does_not_hide_the_others() {
    let emulator = Emulator::start().unwrap();
    let own = key(&emulator, "own", "EC_SIGN_P256_SHA256");
    key(&emulator, "foreign", "EC_SIGN_P256_SHA256");
    emulator.control().fault(Fault::new("google.ListCryptoKeyVersions", Action::Deny).key("foreign"));
    let listed = wait(backend(&emulator).list(true)).unwrap();
    assert_eq!(listed.iter().map(|key| key.name.id.as_str()).collect::<Vec<_>>(), [own]);
    emulator.control().fault(Fault::new("google.ListCryptoKeys", Action::Deny));
    let failure = wait(backend(&emulator).list(true)).unwrap_err();
    assert!(failure.cause == Cause::Denied && failure.message.contains("cloudkms.cryptoKeys.list"), "{failure}");
}

#[test]
fn lists_of_many_pages_are_complete() {
    let emulator = Emulator::start().unwrap();
    let backend = backend(&emulator);
    // A key makes the key ring.
    key(&emulator, "symmetric", "GOOGLE_SYMMETRIC_ENCRYPTION");
    assert_eq!(wait(backend.list(true)).unwrap(), []);
    let made: Vec<_> =
        (0..1100).map(|index| key(&emulator, &format!("key-{index:04}"), "EC_SIGN_P256_SHA256")).collect();
    let listed: Vec<_> = wait(backend.list(true)).unwrap().into_iter().map(|key| key.name.id).collect();
    assert_eq!(listed, made);
}

#[test]
fn keys_are_created_relabeled_and_destroyed() {
    let emulator = Emulator::start().unwrap();
    key(&emulator, "first", "EC_SIGN_P256_SHA256");
    emulator.control().switches(|switches| switches.google_generation_ms = 300);
    let backend = backend(&emulator);
    for (index, (kind, purpose)) in [
        (Kind::Rsa(2048), Purpose::Sign),
        (Kind::Rsa(2048), Purpose::Decrypt),
        (P256, Purpose::Sign),
        (Kind::Ed25519, Purpose::Sign),
        (Kind::Hmac(Hash::Sha256), Purpose::Sign),
    ]
    .into_iter()
    .enumerate()
    {
        let label = format!("created-{index}");
        let new = NewKey { kind, purposes: vec![purpose], label: Some(label.clone()), id: Some(vec![1]) };
        backend.check_new(&new).unwrap();
        let created = wait(backend.create(&new)).unwrap();
        let version = format!("{}/cryptoKeyVersions/1", crypto_key(&label));
        assert_eq!((created.name, created.facts.kind), (named(&version), kind));
        assert!(created.facts.permits(purpose), "{:?}", created.facts);
        assert_eq!(created.config_option, format!("\"google_key\": \"{}\"", crypto_key(&label)));
        let labels = emulator.google().labels(&label).unwrap();
        assert_eq!(labels.get("pkcs11-id").map(String::as_str), Some("01"));
        let failure = wait(backend.create(&new)).unwrap_err();
        assert!(failure.cause == Cause::Rejected && failure.message.contains("already exists"), "{failure}");
        // The label of the service is another one than its others.
        wait(backend.relabel(&named(&version), "other")).unwrap();
        let labels = emulator.google().labels(&label).unwrap();
        assert_eq!(labels.get("pkcs11-label").map(String::as_str), Some("other"));
        assert_eq!(labels.get("pkcs11-id").map(String::as_str), Some("01"));
        let told = wait(backend.destroy(&named(&version), &version, 30)).unwrap();
        assert!(told.contains("versions restore") && told.contains("T"), "{told}");
        assert_eq!(emulator.google().version_state(&version).unwrap(), "DESTROY_SCHEDULED");
    }
}

#[test]
fn a_creation_is_not_repeated() {
    let emulator = Emulator::start().unwrap();
    key(&emulator, "zeroth", "EC_SIGN_P256_SHA256");
    let backend = backend(&emulator);
    let new = |label: &str| NewKey { kind: P256, purposes: vec![Purpose::Sign], label: Some(label.into()), id: None };
    wait(backend.create(&new("first"))).unwrap();
    emulator.control().reset();
    emulator.control().fault(Fault::new("google.CreateCryptoKey", Action::ResetMidReply).times(1));
    let failure = wait(backend.create(&new("second"))).unwrap_err();
    assert!(failure.message.contains("look for the key"), "{failure}");
    assert_eq!(emulator.control().count("google.CreateCryptoKey"), 1);
}

#[test]
fn the_service_makes_random_bytes() {
    let emulator = Emulator::start().unwrap();
    let backend = backend(&emulator);
    let [first, second] = [0; 2].map(|_| wait(backend.random(2000)).unwrap());
    assert!(first.len() == 2000 && first != second);
    assert!(Settings { key_ring: None, ..settings(&emulator) }.open().random_source().is_none());
}
