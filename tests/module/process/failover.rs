//! Multi-Region keys: a replica in another region answers while the key's own region fails.
//!
//! The emulator serves every region at one URL. The signature of a request names its region.

use crate::module_test;
use crate::support::login_slots::set;
use crate::support::p11::{P11, attributes, number, oaep, plain, with};
use crate::support::world::{World, holds_soon};
use crate::support::writer::Writer;
use cloud_kms_emulator::{Action, AwsKey, AwsKeyId, Fault};
use cryptoki_sys::*;
use p256::ecdsa::signature::hazmat::PrehashVerifier;
use p256::ecdsa::{Signature, VerifyingKey};
use p256::pkcs8::DecodePublicKey;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

const PRIMARY: &str = "eu-central-1";
const REPLICA: &str = "eu-west-1";

/// Creates a multi-Region key with a replica.
fn replicated(world: &World, key: AwsKey) -> AwsKeyId {
    let aws = world.emulator.aws();
    let made = aws.create_key(key.region(PRIMARY).multi_region()).unwrap();
    aws.replicate_key(&made.id, REPLICA).unwrap();
    made
}

/// Configures one slot for the key of that id or ARN, with a replica.
fn configure(world: &World, ids: &[&str], more: Value) {
    let slots: Vec<_> = ids.iter().map(|id| json!({ "label": id, "kms_key_id": id })).collect();
    let mut options = json!({ "aws_failover_regions": [REPLICA] });
    options.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    world.configure_with(json!(slots), options);
}

/// A session with a P-256 key, and the public key that the service reports.
struct Signer {
    p11: P11,
    session: CK_SESSION_HANDLE,
    key: CK_OBJECT_HANDLE,
    public: VerifyingKey,
}

impl Signer {
    fn new(world: &World, key: &AwsKeyId) -> Self {
        let p11 = world.module();
        let session = p11.open(0);
        let spki = world.emulator.aws().public_key_spki(&key.id).unwrap();
        let public = VerifyingKey::from_public_key_der(&spki).unwrap();
        Self { p11, session, key: p11.private_key(session), public }
    }

    /// Returns a signer with its own session.
    fn another(&self) -> Self {
        let session = self.p11.open(0);
        Self { session, key: self.p11.private_key(session), ..*self }
    }

    /// Signs, and verifies the signature under the key.
    fn sign(&self, digest: [u8; 32]) -> Result<(), CK_RV> {
        let signature = self.p11.sign(self.session, self.key, CKM_ECDSA, &[], &digest)?;
        self.public.verify_prehash(&digest, &Signature::from_slice(&signature).unwrap()).unwrap();
        Ok(())
    }
}

/// Returns the number of requests for an operation that were signed for a region, with or without a reply.
fn requests(world: &World, operation: &str, region: &str) -> usize {
    let log = world.emulator.control().log();
    log.iter().filter(|entry| entry.operation == operation && entry.region.as_deref() == Some(region)).count()
}

fn fail(world: &World, action: Action) {
    world.emulator.control().fault(Fault::new("kms.", action).region(PRIMARY));
}

fn internal_error() -> Action {
    Action::Error { status: 500, code: "KMSInternalException".into(), message: "an accident".into(), innererror: None }
}

fn count(world: &World, words: &str) -> usize {
    world.log().lines().filter(|line| line.contains(words)).count()
}

const FAILED: &str = "] warn: region eu-central-1 failed: ";
const BACK: &str = "] warn: region eu-central-1 answers again";

module_test! {
    fn every_failure_of_a_region_leads_to_the_replica(world) {
        let key = replicated(world, AwsKey::new("ECC_NIST_P256"));
        configure(world, &[&key.id], json!({}));
        let actions = [
            Action::ResetBeforeReply,
            Action::Hang,
            Action::Throttle { retry_after: None },
            Action::Throttle { retry_after: Some(60) },
            internal_error(),
        ];
        for action in actions {
            let signer = Signer::new(world, &key);
            signer.sign([1; 32]).unwrap();
            let (before, log) = (requests(world, "kms.Sign", REPLICA), world.log().len());
            fail(world, action.clone());
            for number in 0..3 {
                assert_eq!(signer.sign([number; 32]), Ok(()), "{action:?}: {}", &world.log()[log..]);
            }
            assert_eq!(requests(world, "kms.Sign", REPLICA), before + 3, "{action:?}");
            let log = world.log()[log..].to_owned();
            assert_eq!(log.matches(FAILED).count(), 1, "{action:?}: {log}");
            assert!(log.contains(", region eu-west-1: ok"), "{action:?}: {log}");
            world.emulator.control().clear_faults();
            signer.p11.finalize().unwrap();
        }
    }
}

/// Derives the secret shared with the key's own public key.
fn derived(p11: P11, session: CK_SESSION_HANDLE, spki: &[u8]) -> Result<Vec<u8>, CK_RV> {
    let mut point = spki[spki.len() - 65..].to_vec();
    let mut parameter = CK_ECDH1_DERIVE_PARAMS {
        kdf: CKD_NULL,
        ulSharedDataLen: 0,
        pSharedData: std::ptr::null_mut(),
        ulPublicDataLen: 65,
        pPublicData: point.as_mut_ptr(),
    };
    let template = [number(CKA_CLASS, CKO_SECRET_KEY), number(CKA_KEY_TYPE, CKK_GENERIC_SECRET)];
    let (mut template, mut secret, key) = (attributes(&template), 0, p11.private_key(session));
    let mut mechanism = with(CKM_ECDH1_DERIVE, &mut parameter);
    crate::c!(p11, C_DeriveKey(session, &mut mechanism, key, template.as_mut_ptr(), 2, &mut secret))?;
    p11.attribute(session, secret, CKA_VALUE)
}

module_test! {
    fn a_shared_secret_is_the_same_in_each_region(world) {
        let key = replicated(world, AwsKey::new("ECC_NIST_P256").usage("KEY_AGREEMENT"));
        let spki = world.emulator.aws().public_key_spki(&key.id).unwrap();
        configure(world, &[&key.id], json!({}));
        let p11 = world.module();
        let session = p11.open(0);
        let secret = derived(p11, session, &spki).unwrap();
        assert_eq!(requests(world, "kms.DeriveSharedSecret", REPLICA), 0);
        fail(world, internal_error());
        assert_eq!(derived(p11, session, &spki), Ok(secret), "{}", world.log());
        assert_eq!(requests(world, "kms.DeriveSharedSecret", REPLICA), 1);
    }
}

module_test! {
    fn keys_are_loaded_and_used_in_the_other_region(world) {
        let aws = world.emulator.aws();
        let [ec, rsa, hmac] = [
            AwsKey::new("ECC_NIST_P256"),
            AwsKey::new("RSA_2048").usage("ENCRYPT_DECRYPT"),
            AwsKey::new("HMAC_256"),
        ].map(|key| replicated(world, key));
        configure(world, &[&ec.arn, &rsa.arn, &hmac.id], json!({}));
        let p11 = world.module();
        let unique_id = |session| p11.attribute(session, p11.only(session, CKO_SECRET_KEY), CKA_UNIQUE_ID).unwrap();
        let before = unique_id(p11.open(2));
        p11.finalize().unwrap();
        fail(world, Action::ResetBeforeReply);
        let signer = Signer::new(world, &ec);
        assert_eq!(signer.sign([1; 32]), Ok(()), "{}", world.log());
        let session = p11.open(1);
        let (public, private) = (p11.only(session, CKO_PUBLIC_KEY), p11.private_key(session));
        let mut parameters = oaep(CKM_SHA256, CKG_MGF1_SHA256);
        let mut mechanism = with(CKM_RSA_PKCS_OAEP, &mut parameters);
        let encrypted = p11.encrypt(session, public, &mut mechanism, b"a text").unwrap();
        assert_eq!(p11.decrypt(session, private, &mut mechanism, &encrypted).unwrap(), b"a text");
        let session = p11.open(2);
        let secret = p11.only(session, CKO_SECRET_KEY);
        assert_eq!(unique_id(session), before, "it is the same key in each region");
        let mac = p11.sign(session, secret, CKM_SHA256_HMAC, &[], b"a message").unwrap();
        assert_eq!(p11.verify(session, secret, &mut plain(CKM_SHA256_HMAC), b"a message", &mac), Ok(()));
        assert_eq!(
            p11.verify(session, secret, &mut plain(CKM_SHA256_HMAC), b"another", &mac),
            Err(CKR_SIGNATURE_INVALID)
        );
        for operation in ["GetPublicKey", "Sign", "Decrypt", "DescribeKey", "GenerateMac", "VerifyMac"] {
            assert!(requests(world, &format!("kms.{operation}"), REPLICA) > 0, "{operation}: {}", world.log());
        }
        assert_eq!(aws.public_key_spki(&ec.arn).unwrap(), aws.public_key_spki(&ec.id).unwrap());
        assert_eq!(count(world, FAILED), 1, "one outage for all keys: {}", world.log());
    }
}

/// A time limit with which a region that failed is tried again after 12 seconds.
fn quick() -> Value {
    json!({ "call_timeout_ms": 4000 })
}

/// Threads that sign until they are stopped. A failed signature stops all threads.
struct Load<'a> {
    world: &'a World,
    signer: &'a Signer,
    is_over: AtomicBool,
    failures: AtomicUsize,
    signatures: AtomicUsize,
}

impl<'a> Load<'a> {
    fn new(world: &'a World, signer: &'a Signer) -> Self {
        let (failures, signatures) = Default::default();
        Self { world, signer, is_over: AtomicBool::new(false), failures, signatures }
    }

    /// Runs `body` while so many threads sign. Then checks that no signature failed.
    fn run(&self, threads: u8, body: impl FnOnce() -> bool) {
        let is_done = std::thread::scope(|scope| {
            for number in 0..threads {
                scope.spawn(move || self.sign([number; 32]));
            }
            let is_done = body();
            self.is_over.store(true, Ordering::SeqCst);
            is_done
        });
        let failures = self.failures.load(Ordering::SeqCst);
        assert!(is_done && failures == 0, "{failures} failures: {}", self.world.log());
    }

    fn sign(&self, mut digest: [u8; 32]) {
        let own = self.signer.another();
        while !self.is_over.load(Ordering::SeqCst) {
            digest[0] = digest[0].wrapping_add(1);
            match own.sign(digest) {
                Ok(()) => self.signatures.fetch_add(1, Ordering::SeqCst),
                Err(_) => self.failures.fetch_add(1, Ordering::SeqCst),
            };
            // The emulator keeps a limited number of requests in its log.
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Waits until `check` is true. Returns false if a signature failed before that.
    fn reaches(&self, check: impl Fn() -> bool) -> bool {
        holds_soon(|| {
            std::thread::sleep(Duration::from_millis(50));
            check() || self.failures.load(Ordering::SeqCst) > 0
        }) && self.failures.load(Ordering::SeqCst) == 0
    }

    /// Waits for so many more signatures.
    fn signs(&self, more: usize) -> bool {
        let goal = self.signatures.load(Ordering::SeqCst) + more;
        self.reaches(|| self.signatures.load(Ordering::SeqCst) >= goal)
    }
}

module_test! {
    fn a_region_that_dies_under_load_and_comes_back_costs_no_call(world) {
        let key = replicated(world, AwsKey::new("ECC_NIST_P256"));
        configure(world, &[&key.id], quick());
        let signer = Signer::new(world, &key);
        let (load, world) = (Load::new(world, &signer), &*world);
        load.run(64, || {
            let works = load.signs(128);
            fail(world, Action::Hang);
            let is_replaced = load.reaches(|| requests(world, "kms.Sign", REPLICA) >= 128);
            world.emulator.control().clear_faults();
            let is_back = load.reaches(|| count(world, BACK) > 0);
            let before = requests(world, "kms.Sign", PRIMARY);
            let is_used = load.reaches(|| requests(world, "kms.Sign", PRIMARY) >= before + 64);
            works && is_replaced && is_back && is_used
        });
        assert_eq!((count(world, FAILED), count(world, BACK)), (1, 1), "{}", world.log());
    }
}

module_test! {
    fn exactly_one_call_tries_a_region_that_failed(world) {
        let key = replicated(world, AwsKey::new("ECC_NIST_P256"));
        configure(world, &[&key.id], quick());
        let signer = Signer::new(world, &key);
        fail(world, Action::Hang);
        assert_eq!(signer.sign([0; 32]), Ok(()), "{}", world.log());
        let before = requests(world, "kms.Sign", PRIMARY);
        let (load, world) = (Load::new(world, &signer), &*world);
        load.run(16, || {
            let is_tried = load.reaches(|| requests(world, "kms.Sign", PRIMARY) > before);
            // The probe hangs. Meanwhile all others go to the replica.
            let signed = requests(world, "kms.Sign", REPLICA);
            is_tried && load.reaches(|| requests(world, "kms.Sign", REPLICA) >= signed + 64)
        });
        assert_eq!(requests(world, "kms.Sign", PRIMARY), before + 1, "{}", world.log());
        assert_eq!((count(world, FAILED), count(world, BACK)), (1, 0), "{}", world.log());
    }
}

module_test! {
    fn a_refusal_stays_in_its_region(world) {
        let aws = world.emulator.aws();
        let key = replicated(world, AwsKey::new("ECC_NIST_P256"));
        configure(world, &[&key.id], json!({}));
        let signer = Signer::new(world, &key);
        signer.sign([1; 32]).unwrap();
        fail(world, Action::Deny);
        assert_eq!(signer.sign([1; 32]), Err(CKR_FUNCTION_REJECTED));
        world.emulator.control().clear_faults();
        aws.disable_key(&key.arn).unwrap();
        assert_eq!(signer.sign([1; 32]), Err(CKR_KEY_FUNCTION_NOT_PERMITTED));
        aws.enable_key(&key.arn).unwrap();
        signer.sign([1; 32]).unwrap();
        aws.delete_key(&key.arn).unwrap();
        assert_eq!(signer.sign([1; 32]), Err(CKR_KEY_HANDLE_INVALID));
        let log = world.emulator.control().log();
        assert!(log.iter().all(|entry| entry.region.as_deref() != Some(REPLICA)), "{}", world.log());
        assert!(!world.log().contains(FAILED), "{}", world.log());
    }
}

module_test! {
    fn without_a_replica_the_failure_of_the_first_region_is_reported(world) {
        let made = world.emulator.aws().create_key(AwsKey::new("ECC_NIST_P256").region(PRIMARY).multi_region()).unwrap();
        configure(world, &[&made.id], json!({ "retries": 0 }));
        let signer = Signer::new(world, &made);
        fail(world, internal_error());
        for _ in 0..2 {
            let log = world.log().len();
            assert_eq!(signer.sign([1; 32]), Err(CKR_DEVICE_ERROR));
            let log = world.log()[log..].to_owned();
            let error = log.lines().find(|line| line.contains("] error: ")).unwrap_or_default();
            assert!(error.contains("an accident") && error.contains("; region eu-west-1: Sign: not found"), "{log}");
        }
        world.emulator.control().clear_faults();
        assert_eq!(signer.sign([1; 32]), Ok(()), "the handle stays valid, and the last resort answers: {}", world.log());
        assert_eq!(count(world, BACK), 1, "{}", world.log());
    }
}

module_test! {
    fn a_region_that_is_silent_has_had_its_share(world) {
        let key = replicated(world, AwsKey::new("ECC_NIST_P256"));
        set("AWS_ENDPOINT_URL_KMS", &world.emulator.http_url());
        configure(world, &[&key.arn], quick());
        let file = world.home.join("config.json");
        let mut config: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        config.as_object_mut().unwrap().remove("aws_endpoint_url");
        std::fs::write(file, config.to_string()).unwrap();
        let signer = Signer::new(world, &key);
        fail(world, Action::Hang);
        assert_eq!(signer.sign([1; 32]), Ok(()), "{}", world.log());
        for words in ["(the region's share of \"call_timeout_ms\")", "AWS_ENDPOINT_URL_KMS is the endpoint of all regions"] {
            assert!(world.log().contains(words), "{}", world.log());
        }
    }
}

module_test! {
    fn a_token_service_that_fails_leads_to_the_replica(world) {
        let key = replicated(world, AwsKey::new("ECC_NIST_P256"));
        set("AWS_ENDPOINT_URL_STS", &world.emulator.https_url());
        configure(world, &[&key.arn], json!({ "aws_role_arn": "arn:aws:iam::111122223333:role/signer", "retries": 0 }));
        let error = |status, code: &str| Action::Error {
            status,
            code: code.into(),
            message: "an accident".into(),
            innererror: None,
        };
        for (action, is_replaced) in [
            (error(503, "ServiceUnavailable"), true),
            (error(400, "Throttling"), true),
            (Action::ResetBeforeReply, true),
            (error(403, "AccessDenied"), false),
        ] {
            let before = requests(world, "kms.Sign", REPLICA);
            world.emulator.control().fault(Fault::new("sts.", action.clone()).region(PRIMARY));
            let p11 = world.module();
            let session = p11.open(0);
            let found = p11.find(session, &[(CKA_CLASS, CKO_PRIVATE_KEY.to_ne_bytes().to_vec())]);
            assert_eq!(found.len(), usize::from(is_replaced), "{action:?}: {}", world.log());
            for key in found {
                assert!(p11.sign(session, key, CKM_ECDSA, &[], &[1; 32]).is_ok(), "{action:?}: {}", world.log());
            }
            assert_eq!(requests(world, "kms.Sign", REPLICA), before + usize::from(is_replaced), "{action:?}");
            p11.finalize().unwrap();
            world.emulator.control().clear_faults();
        }
        assert!(world.log().contains("AccessDenied"), "{}", world.log());
    }
}

module_test! {
    fn a_key_that_a_replica_has_described_is_destroyed_in_its_own_region(world) {
        let key = replicated(world, AwsKey::new("ECC_NIST_P256"));
        let slot = json!({ "label": "k", "kms_key_id": key.id, "allow": ["destroy"], "confirm_destroy": "k" });
        world.configure_with(json!([slot]), json!({ "retries": 0, "aws_failover_regions": [REPLICA] }));
        fail(world, internal_error());
        let writer = Writer::new(world.module(), 0);
        let private = writer.p11.private_key(writer.session);
        assert_eq!(requests(world, "kms.GetPublicKey", REPLICA), 1, "{}", world.log());
        assert_ne!(writer.destroy(private), Ok(()), "no replica destroys the key in its stead");
        world.emulator.control().clear_faults();
        assert_eq!(writer.destroy(private), Ok(()), "{}", world.log());
        assert_eq!(requests(world, "kms.ScheduleKeyDeletion", PRIMARY), 2);
        assert_eq!(requests(world, "kms.ScheduleKeyDeletion", REPLICA), 0);
    }
}
