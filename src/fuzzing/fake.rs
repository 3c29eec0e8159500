//! A key service in memory that replies at once, and fails on request.
//!
//! For tests and fuzzers only.

#![allow(clippy::expect_used, reason = "for tests and fuzzers only")]

use crate::certificate::Certificate;
use crate::cloud::{
    Backend, CAUSES, Cause, Certificates, CreatedKey, Decryption, Failure, Identity, KeyDescription, KeyManagement,
    KeyName, ListedKey, NewKey, Pending, SecretBytes, Signature, Target,
};
use crate::error::Error;
use crate::key::hash::Hash;
use crate::key::{Algorithm, Curve, Kind, PublicKey, Scheme};
use aws_lc_rs::digest::Digest;
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RsaEncoding, RsaKeyPair,
};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// The service. It has the keys [`NAMES`]; every other name belongs to no key.
#[derive(Debug, Default)]
pub struct FakeBackend {
    mood: AtomicU8,
    /// The last signature that the service made.
    pub last_signature: Mutex<Vec<u8>>,
}

/// The names of the keys. The last two keys cannot sign.
pub const NAMES: [&str; 8] = ["rsa", "p256", "p384", "p521", "secp256k1", "ed25519", "decrypts", "disabled"];

/// How the requests end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behavior {
    /// Every request succeeds.
    Success,
    /// Every request fails with this cause.
    Failure(Cause),
    /// Signatures are wrong: the key has not made them.
    WrongSignature,
    /// Signatures lack their last byte.
    ShortSignature,
    /// Signatures are followed by a zero byte.
    LongSignature,
}

impl Behavior {
    /// Returns the mood for a number. Every number has a mood.
    pub fn from_number(number: u8) -> Self {
        match usize::from(number) % (CAUSES.len() + 4) {
            0 => Behavior::Success,
            1 => Behavior::WrongSignature,
            2 => Behavior::ShortSignature,
            3 => Behavior::LongSignature,
            other => Behavior::Failure(CAUSES[other - 4].0),
        }
    }
}

impl FakeBackend {
    /// Sets the mood for the requests from now on.
    pub fn set_behavior(&self, number: u8) {
        self.mood.store(number, Ordering::Relaxed);
    }

    /// Returns the current mood.
    pub fn mood(&self) -> Behavior {
        Behavior::from_number(self.mood.load(Ordering::Relaxed))
    }

    fn reply<T: Clone>(&self, operation: &'static str, answer: Result<T, Failure>) -> Pending<T> {
        Pending::ready(match self.mood() {
            Behavior::Failure(cause) => Err(Failure::new(cause, operation, "the fuzzer has chosen this failure")),
            _ => answer,
        })
    }
}

impl Backend for FakeBackend {
    fn is_immutable(&self, _key: &KeyName) -> bool {
        false
    }

    fn describe(&self, key: &KeyName) -> Pending<KeyDescription> {
        let missing = || Failure::new(Cause::NotFound, "Describe", "no such key");
        let facts = key_pair(&key.id).ok_or_else(missing).map(|pair| {
            let refusal = ["decrypts", "disabled"].contains(&key.id.as_str()).then(|| "it is not for that".into());
            let schemes = if refusal.is_some() { Vec::new() } else { self.schemes(pair.public_key.kind()) };
            let immutable_id = Some(format!("{}/1", key.id));
            KeyDescription {
                immutable_id,
                unusable_reason: refusal,
                ..KeyDescription::from_public_key(pair.public_key.clone(), schemes)
            }
        });
        self.reply("Describe", facts)
    }

    fn sign(&self, target: Target, scheme: Scheme, data: &[u8]) -> Pending<Signature> {
        let key = target.name;
        let signed = key_pair(&key.id).and_then(|pair| pair.sign(scheme, data));
        let mut bytes = signed.unwrap_or_default();
        match self.mood() {
            Behavior::WrongSignature => bytes.iter_mut().for_each(|byte| *byte ^= 0x55),
            Behavior::ShortSignature => drop(bytes.pop()),
            Behavior::LongSignature => bytes.push(0),
            Behavior::Success | Behavior::Failure(_) => {}
        }
        self.last_signature.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&bytes);
        self.reply("Sign", Ok(Signature { bytes, immutable_id: format!("{}/1", key.id) }))
    }

    fn schemes(&self, kind: Kind) -> Vec<Scheme> {
        let sha2 = [Hash::Sha256, Hash::Sha384, Hash::Sha512];
        let signing = [Algorithm::RsaPkcs1, Algorithm::RsaPss]
            .into_iter()
            .flat_map(|family| sha2.map(|hash| family.with_hash(hash)));
        match kind {
            Kind::Rsa(_) => signing
                .chain([Algorithm::RsaesPkcs1.without_hash(), Algorithm::RsaesOaep.with_hash(Hash::Sha256)])
                .collect(),
            Kind::Ec(curve) => vec![Algorithm::Ecdsa.with_hash(curve.hash())],
            Kind::Ed25519 => vec![Algorithm::Eddsa.without_hash()],
            Kind::MlDsa(_) | Kind::SlhDsa(_) | Kind::Hmac(_) => Vec::new(),
        }
    }

    fn list(&self, _labels: bool) -> Pending<Vec<ListedKey>> {
        let listed =
            |id: &str| ListedKey { name: KeyName { id: id.into(), version: None }, label: None, is_disabled: false };
        self.reply("List", Ok(NAMES.into_iter().chain(["gone"]).map(listed).collect()))
    }

    fn identity(&self) -> Identity {
        Identity { manufacturer: "fake", model: "0" }
    }

    fn place(&self) -> String {
        "memory".into()
    }

    fn decryption(&self) -> Option<&dyn Decryption> {
        Some(self)
    }

    fn certificates(&self) -> Option<&dyn Certificates> {
        Some(self)
    }

    fn key_management(&self) -> Option<&dyn KeyManagement> {
        Some(self)
    }
}

impl Decryption for FakeBackend {
    /// Returns the last 32 bytes of the ciphertext in reverse order, without decrypting anything.
    fn decrypt(&self, _target: Target, _scheme: Scheme, ciphertext: &[u8]) -> Pending<SecretBytes> {
        let text: Vec<u8> = ciphertext.iter().rev().copied().take(32).collect();
        self.reply("Decrypt", Ok(text.into()))
    }
}

impl Certificates for FakeBackend {
    fn certificate(&self, key: &KeyName) -> Pending<Option<Vec<Certificate>>> {
        let own = key_pair(&key.id).filter(|pair| pair.public_key.kind() == Kind::Ec(Curve::P256));
        self.reply("Certificate", Ok(own.map(|pair| vec![certificate_of(&pair.public_key)])))
    }

    fn complete_certificate(&self, _key: &KeyName, _certificate: &Certificate) -> Pending<bool> {
        Pending::ready(Ok(false))
    }
}

/// Keys have labels, and are neither created nor destroyed.
impl KeyManagement for FakeBackend {
    fn can_create(&self, _kind: Kind) -> bool {
        false
    }

    fn check_new(&self, _new: &NewKey) -> Result<(), Error> {
        Ok(())
    }

    fn create(&self, _new: &NewKey) -> Pending<CreatedKey> {
        Pending::ready(Err(Failure::new(Cause::Unsupported, "CreateKey", "this service creates no keys")))
    }

    fn check_label(&self, _label: &str) -> Result<(), Error> {
        Ok(())
    }

    fn relabel(&self, _key: &KeyName, _label: &str) -> Pending<()> {
        self.reply("SetLabel", Ok(()))
    }

    fn destroy(&self, _key: &KeyName, _immutable_id: &str, _days: u32) -> Pending<String> {
        Pending::ready(Err(Failure::new(Cause::Unsupported, "DeleteKey", "this service destroys no keys")))
    }
}

/// Returns a certificate for this P-256 key: [`EXAMPLE`] with the public key replaced. The signature of the
/// certificate does not match its contents.
pub fn certificate_of(key: &PublicKey) -> Certificate {
    let mut der = example().der.clone();
    let (old, new) = (&example().spki, key.spki());
    let place = der.windows(old.len()).position(|part| part == old).expect("the example holds its key");
    der[place..place + new.len()].copy_from_slice(new);
    Certificate::from_der(&der).expect("of the same length")
}

/// Returns the example certificate. Nobody has the private key of this certificate.
pub fn example() -> &'static Certificate {
    static PARSED: OnceLock<Certificate> = OnceLock::new();
    PARSED.get_or_init(|| Certificate::parse_all(EXAMPLE.as_bytes()).expect("a certificate").0.remove(0))
}

/// The certificate in config.example.json.
const EXAMPLE: &str = "MIIBnTCCAUOgAwIBAgIUckAdFDE5iHsdV/Q2g/QFwFJb/bYwCgYIKoZIzj0EAwIwIzEhMB8GA1UEAwwYY2xvdWQta21zLXBrY3MxMSBleGFtcGxlMCAXDTI2MTEyMDIxNDkxM1oYDzIxMjYxMDI3MjE0OTEzWjAjMSEwHwYDVQQDDBhjbG91ZC1rbXMtcGtjczExIGV4YW1wbGUwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQ1LNmIAbTEij5LDyS7n/1jh/oRiHfWj3Zqhp9oCT7/rCI880zkM0XwTs313FJ7vqpLn5aTb8+yaCqaZenHR1FOo1MwUTAdBgNVHQ4EFgQULIHNrLq1993I2CjPpqBn5SrCmqgwHwYDVR0jBBgwFoAULIHNrLq1993I2CjPpqBn5SrCmqgwDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiBE0KHbnuBPYi+jaC4ZJMJOh7w2vYzeM+s94fRfTt4V/wIhAOivksEEV8XWsuAwqBtAM5U9encNG283uGNpq7GMh+Sr";

/// Returns the public key with this name. The keys that cannot sign have the public key of the first one.
pub fn public_key(name: &str) -> Option<PublicKey> {
    key_pair(name).map(|pair| pair.public_key.clone())
}

struct FakeKeyPair {
    public_key: PublicKey,
    private: Private,
}

enum Private {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl FakeKeyPair {
    fn rsa() -> Self {
        let private = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
        let der: PublicKeyX509Der = private.public_key().as_der().expect("its public half");
        let public_key = PublicKey::from_spki(der.as_ref()).expect("a key of ours");
        Self { public_key, private: Private::Rsa(private) }
    }

    fn ec(curve: Curve, algorithm: &'static EcdsaSigningAlgorithm) -> Self {
        let private = EcdsaKeyPair::generate(algorithm).expect("a key");
        let public_key = PublicKey::ec(curve, private.public_key().as_ref()).expect("a key of ours");
        Self { public_key, private: Private::Ec(private) }
    }

    fn ed25519() -> Self {
        let private = Ed25519KeyPair::generate().expect("a key");
        let public_key = PublicKey::ed25519(private.public_key().as_ref()).expect("a key of ours");
        Self { public_key, private: Private::Ed25519(private) }
    }

    fn sign(&self, scheme: Scheme, digest: &[u8]) -> Option<Vec<u8>> {
        if let Private::Ed25519(pair) = &self.private {
            return Some(pair.sign(digest).as_ref().to_vec());
        }
        let digest = Digest::import_less_safe(digest, scheme.hash?.algorithm()?).ok()?;
        match &self.private {
            Private::Ec(pair) => Some(pair.sign_digest(&digest).ok()?.as_ref().to_vec()),
            Private::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign_digest(encoding(scheme)?, &digest, &mut signature).ok()?;
                Some(signature)
            }
            Private::Ed25519(_) => None,
        }
    }
}

fn encoding(scheme: Scheme) -> Option<&'static dyn RsaEncoding> {
    Some(match (scheme.family, scheme.hash?) {
        (Algorithm::RsaPkcs1, Hash::Sha256) => &signature::RSA_PKCS1_SHA256,
        (Algorithm::RsaPkcs1, Hash::Sha384) => &signature::RSA_PKCS1_SHA384,
        (Algorithm::RsaPkcs1, Hash::Sha512) => &signature::RSA_PKCS1_SHA512,
        (Algorithm::RsaPss, Hash::Sha256) => &signature::RSA_PSS_SHA256,
        (Algorithm::RsaPss, Hash::Sha384) => &signature::RSA_PSS_SHA384,
        (Algorithm::RsaPss, Hash::Sha512) => &signature::RSA_PSS_SHA512,
        _ => return None,
    })
}

/// Returns the key pair with this name. The pairs are made once per process, because the generation of an RSA key
/// takes time.
fn key_pair(name: &str) -> Option<Arc<FakeKeyPair>> {
    static PAIRS: OnceLock<Vec<Arc<FakeKeyPair>>> = OnceLock::new();
    let pairs = PAIRS.get_or_init(|| {
        let pairs = [
            FakeKeyPair::rsa(),
            FakeKeyPair::ec(Curve::P256, &signature::ECDSA_P256_SHA256_FIXED_SIGNING),
            FakeKeyPair::ec(Curve::P384, &signature::ECDSA_P384_SHA384_FIXED_SIGNING),
            FakeKeyPair::ec(Curve::P521, &signature::ECDSA_P521_SHA512_FIXED_SIGNING),
            FakeKeyPair::ec(Curve::Secp256k1, &signature::ECDSA_P256K1_SHA256_FIXED_SIGNING),
            FakeKeyPair::ed25519(),
        ];
        pairs.map(Arc::new).into()
    });
    let index = NAMES.iter().position(|known| *known == name)?;
    Some(pairs.get(index).unwrap_or(&pairs[0]).clone())
}
