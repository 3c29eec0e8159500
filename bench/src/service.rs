//! A fake of both services that costs little, so that the client is what is measured. A process of its own.
//!
//! It believes every credential, answers every name of a key with one of two keys, and signs for real (the module
//! verifies), but each digest once. Replies come after a delay that can be set. The emulator is the faithful one.

use crate::wire::Message;
use crate::{Outcome, replies, tls};
use aws_lc_rs::digest::{Digest, SHA256};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256,
    RsaKeyPair,
};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::collections::{BTreeMap, HashMap};
use std::io::{BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The service's whole state.
pub struct Service {
    pub ec: EcdsaKeyPair,
    /// The same key; Key Vault answers r || s, and KMS DER.
    ec_fixed: EcdsaKeyPair,
    pub rsa: RsaKeyPair,
    signed: Mutex<Signed>,
    delay_us: AtomicU64,
    /// How many keys a listing names.
    pub keys: AtomicUsize,
    pub counts: Mutex<BTreeMap<String, u64>>,
    /// The last request to sign, for whoever wants to send the same.
    pub last: Mutex<HashMap<&'static str, Vec<u8>>>,
    under_way: AtomicUsize,
    pub most_under_way: AtomicUsize,
}

/// By form and digest.
type Signed = HashMap<(Form, Vec<u8>), Vec<u8>>;

/// What a signature looks like.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    Rsa,
    EcDer,
    EcFixed,
}

impl Service {
    fn new() -> Outcome<Self> {
        let ec = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING)?;
        let pkcs8 = ec.to_pkcs8v1()?;
        Ok(Self {
            ec_fixed: EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref())?,
            ec,
            rsa: RsaKeyPair::generate(KeySize::Rsa2048)?,
            signed: Mutex::default(),
            delay_us: AtomicU64::new(0),
            keys: AtomicUsize::new(1),
            counts: Mutex::default(),
            last: Mutex::default(),
            under_way: AtomicUsize::new(0),
            most_under_way: AtomicUsize::new(0),
        })
    }

    /// SubjectPublicKeyInfo of the key of that name: those with "rsa" in their names are RSA keys.
    pub fn spki(&self, rsa: bool) -> Outcome<Vec<u8>> {
        Ok(match rsa {
            true => AsDer::<aws_lc_rs::encoding::PublicKeyX509Der>::as_der(self.rsa.public_key())?.as_ref().to_vec(),
            false => AsDer::<aws_lc_rs::encoding::PublicKeyX509Der>::as_der(self.ec.public_key())?.as_ref().to_vec(),
        })
    }

    /// A signature of that SHA-256 digest.
    pub fn sign(&self, form: Form, digest: &[u8]) -> Outcome<Vec<u8>> {
        let mut signed = lock(&self.signed);
        if let Some(known) = signed.get(&(form, digest.to_vec())) {
            return Ok(known.clone());
        }
        let imported = Digest::import_less_safe(digest, &SHA256)?;
        let signature = match form {
            Form::EcDer => self.ec.sign_digest(&imported)?.as_ref().to_vec(),
            Form::EcFixed => self.ec_fixed.sign_digest(&imported)?.as_ref().to_vec(),
            Form::Rsa => {
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

    fn delay(&self) -> Duration {
        Duration::from_micros(self.delay_us.load(Ordering::Relaxed))
    }

    /// Forgets what was counted.
    pub fn reset(&self) {
        lock(&self.counts).clear();
        self.most_under_way.store(0, Ordering::Relaxed);
    }

    fn speak(&self, stream: impl Read + Write) -> Outcome<()> {
        let mut stream = BufReader::new(stream);
        let mut counted = false;
        while let Some(request) = Message::read(&mut stream)? {
            let control = request.request_line().1.starts_with("/_bench/");
            if !control && !std::mem::replace(&mut counted, true) {
                self.count(CONNECTIONS);
            }
            let reply = if control { replies::control(self, &request) } else { self.reply(&request) };
            stream.get_mut().write_all(&reply?)?;
            stream.get_mut().flush()?;
        }
        Ok(())
    }

    fn reply(&self, request: &Message) -> Outcome<Vec<u8>> {
        let under_way = self.under_way.fetch_add(1, Ordering::Relaxed) + 1;
        self.most_under_way.fetch_max(under_way, Ordering::Relaxed);
        let reply = match request.header("x-amz-target") {
            Some(target) => replies::kms(self, request, target),
            None => replies::vault(self, request),
        };
        if !self.delay().is_zero() {
            std::thread::sleep(self.delay());
        }
        self.under_way.fetch_sub(1, Ordering::Relaxed);
        reply
    }

    fn greet(&self, stream: TcpStream, config: Arc<ServerConfig>) -> Outcome<()> {
        stream.set_nodelay(true)?;
        let mut first = [0];
        stream.peek(&mut first)?;
        if first[0] != TLS_HANDSHAKE {
            return self.speak(stream);
        }
        self.speak(StreamOwned::new(ServerConnection::new(config)?, stream))
    }
}

const TLS_HANDSHAKE: u8 = 22;

/// How connections are counted.
pub const CONNECTIONS: &str = "connections";

/// Serves until the process ends; tells the port by one line on standard output, and puts the CA into a file.
pub fn run(ca_file: &str) -> Outcome<()> {
    let (config, ca) = tls::server()?;
    std::fs::write(ca_file, ca)?;
    let service = Arc::new(Service::new()?);
    let listener = TcpListener::bind("127.0.0.1:0")?;
    crate::say(&listener.local_addr()?.port().to_string());
    for stream in listener.incoming() {
        let (service, config, stream) = (service.clone(), config.clone(), stream?);
        // What a connection ends with is of no interest here.
        std::thread::Builder::new().stack_size(256 << 10).spawn(move || drop(service.greet(stream, config)))?;
    }
    Ok(())
}

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
