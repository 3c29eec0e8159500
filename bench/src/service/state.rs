//! The state of the fake service: two keys, the counts of requests, and the signatures.

use super::quota::Quota;
use crate::outcome::Outcome;
use aws_lc_rs::digest::{Digest, SHA256};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256,
    RsaKeyPair,
};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The whole state of the service.
pub struct Service {
    pub ec: EcdsaKeyPair,
    /// The same key as `ec`. Key Vault and Vault return signatures as r || s, and the other services return DER.
    ec_fixed: EcdsaKeyPair,
    pub rsa: RsaKeyPair,
    signed: Mutex<SignatureCache>,
    delay_us: AtomicU64,
    pub quota: Quota,
    /// The number of keys in a listing.
    pub keys: AtomicUsize,
    pub counts: Mutex<BTreeMap<String, u64>>,
    /// The last request to sign, by cloud. The floor sends the same bytes.
    pub last: Mutex<HashMap<&'static str, Vec<u8>>>,
    pub under_way: AtomicUsize,
    pub most_under_way: AtomicUsize,
}

/// Signatures, by form and digest.
type SignatureCache = HashMap<(SignatureEncoding, Vec<u8>), Vec<u8>>;

/// The encoding of a signature.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum SignatureEncoding {
    Rsa,
    EcDer,
    EcFixed,
}

impl Service {
    pub fn new() -> Outcome<Self> {
        let ec = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING)?;
        let pkcs8 = ec.to_pkcs8v1()?;
        Ok(Self {
            ec_fixed: EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref())?,
            ec,
            rsa: RsaKeyPair::generate(KeySize::Rsa2048)?,
            signed: Mutex::default(),
            delay_us: AtomicU64::new(0),
            quota: Quota::default(),
            keys: AtomicUsize::new(1),
            counts: Mutex::default(),
            last: Mutex::default(),
            under_way: AtomicUsize::new(0),
            most_under_way: AtomicUsize::new(0),
        })
    }

    /// Returns the SubjectPublicKeyInfo of the RSA key or of the EC key. The callers use the RSA key for names
    /// that contain "rsa".
    pub fn spki(&self, rsa: bool) -> Outcome<Vec<u8>> {
        Ok(match rsa {
            true => AsDer::<aws_lc_rs::encoding::PublicKeyX509Der>::as_der(self.rsa.public_key())?.as_ref().to_vec(),
            false => AsDer::<aws_lc_rs::encoding::PublicKeyX509Der>::as_der(self.ec.public_key())?.as_ref().to_vec(),
        })
    }

    /// Returns a signature of a SHA-256 digest.
    pub fn sign(&self, form: SignatureEncoding, digest: &[u8]) -> Outcome<Vec<u8>> {
        let mut signed = lock(&self.signed);
        if let Some(known) = signed.get(&(form, digest.to_vec())) {
            return Ok(known.clone());
        }
        let imported = Digest::import_less_safe(digest, &SHA256)?;
        let signature = match form {
            SignatureEncoding::EcDer => self.ec.sign_digest(&imported)?.as_ref().to_vec(),
            SignatureEncoding::EcFixed => self.ec_fixed.sign_digest(&imported)?.as_ref().to_vec(),
            SignatureEncoding::Rsa => {
                let mut bytes = vec![0; self.rsa.public_modulus_len()];
                self.rsa.sign_digest(&RSA_PKCS1_SHA256, &imported, &mut bytes)?;
                bytes
            }
        };
        if signed.len() < 10_000 {
            signed.insert((form, digest.to_vec()), signature.clone());
        }
        Ok(signature)
    }

    pub fn count(&self, what: &str) {
        *lock(&self.counts).entry(what.to_owned()).or_default() += 1;
    }

    pub fn set_delay(&self, delay: Duration) {
        self.delay_us.store(u64::try_from(delay.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub fn delay(&self) -> Duration {
        Duration::from_micros(self.delay_us.load(Ordering::Relaxed))
    }

    /// Resets the counts.
    pub fn reset(&self) {
        lock(&self.counts).clear();
        self.most_under_way.store(0, Ordering::Relaxed);
    }
}

/// The name under which connections are counted.
pub const CONNECTIONS: &str = "connections";

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
