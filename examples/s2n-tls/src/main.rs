//! A TLS server and a TLS client, with s2n-tls, whose private keys are in the cloud. s2n-tls passes each private-key operation to a
//! callback. The module signs on another thread, and the connection waits for the signature without blocking its own thread.
//!
//!     s2n-offload server MODULE CLIENT-CA TOKEN...           prints "listening on ADDRESS", then a line for each connection
//!     s2n-offload client MODULE SERVER-CA TOKEN ADDRESS      sends a line, and prints the reply
//!
//! Both sides require a certificate of the other. Each token has a key and its certificate. A server has an RSA token and an EC token.

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::mechanism::{Mechanism, MechanismType, rsa::PkcsMgfType, rsa::PkcsPssParams};
use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};
use cryptoki::slot::Slot;
use s2n_tls::callbacks::{ConnectionFuture, OperationType, PrivateKeyCallback, PrivateKeyOperation};
use s2n_tls::cert_chain::{self, CertificateChain};
use s2n_tls::config::{Builder, Config};
use s2n_tls::connection::Connection;
use s2n_tls::enums::{ClientAuthType, HashAlgorithm, Mode, SignatureAlgorithm};
use s2n_tls::security;
use s2n_tls_tokio::{TlsAcceptor, TlsConnector};
use std::error::Error;
use std::fmt::Write as _;
use std::future::Future;
use std::pin::Pin;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

/// A private key of the module.
struct Key {
    pkcs11: Pkcs11,
    slot: Slot,
    handle: ObjectHandle,
    token: String,
}

impl Key {
    /// Finds the key and the certificate of a token.
    fn find(pkcs11: &Pkcs11, token: &str) -> Result<(Self, Vec<u8>)> {
        for slot in pkcs11.get_slots_with_token()? {
            if pkcs11.get_token_info(slot)?.label() != token {
                continue;
            }
            let session = pkcs11.open_ro_session(slot)?;
            let one = |class| -> Result<ObjectHandle> {
                match session.find_objects(&[Attribute::Class(class)])?[..] {
                    [handle] => Ok(handle),
                    ref other => Err(format!("{token}: {} objects of {class:?}", other.len()).into()),
                }
            };
            let handle = one(ObjectClass::PRIVATE_KEY)?;
            let certificate = one(ObjectClass::CERTIFICATE)?;
            let [Attribute::Value(certificate)] = &session.get_attributes(certificate, &[AttributeType::Value])?[..]
            else {
                return Err(format!("{token}: the certificate has no value").into());
            };
            return Ok((Self { pkcs11: pkcs11.clone(), slot, handle, token: token.to_owned() }, certificate.clone()));
        }
        Err(format!("the module has no token {token}").into())
    }

    /// Signs a digest in the format of TLS. Blocks until the cloud has replied.
    fn sign(&self, algorithm: SignatureAlgorithm, hash: HashAlgorithm, digest: &[u8]) -> Result<Vec<u8>> {
        let session = self.pkcs11.open_ro_session(self.slot)?;
        match algorithm {
            SignatureAlgorithm::ECDSA => Ok(to_der(&session.sign(&Mechanism::Ecdsa, self.handle, digest)?)),
            SignatureAlgorithm::RSA_PKCS1 => {
                let info = [digest_info(hash)?, digest].concat();
                Ok(session.sign(&Mechanism::RsaPkcs, self.handle, &info)?)
            }
            SignatureAlgorithm::RSA_PSS_RSAE | SignatureAlgorithm::RSA_PSS_PSS => {
                let (hash_alg, mgf) = match hash {
                    HashAlgorithm::SHA256 => (MechanismType::SHA256, PkcsMgfType::MGF1_SHA256),
                    HashAlgorithm::SHA384 => (MechanismType::SHA384, PkcsMgfType::MGF1_SHA384),
                    HashAlgorithm::SHA512 => (MechanismType::SHA512, PkcsMgfType::MGF1_SHA512),
                    other => return Err(format!("RSA-PSS with {other:?} is not supported").into()),
                };
                let s_len = (digest.len() as u64).into();
                let mechanism = Mechanism::RsaPkcsPss(PkcsPssParams { hash_alg, mgf, s_len });
                Ok(session.sign(&mechanism, self.handle, digest)?)
            }
            other => Err(format!("{other:?} signatures are not supported").into()),
        }
    }
}

/// The bytes before the digest in a PKCS#1 v1.5 signature.
fn digest_info(hash: HashAlgorithm) -> Result<&'static [u8]> {
    Ok(match hash {
        HashAlgorithm::SHA256 => b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20",
        HashAlgorithm::SHA384 => b"\x30\x41\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x02\x05\x00\x04\x30",
        HashAlgorithm::SHA512 => b"\x30\x51\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03\x05\x00\x04\x40",
        other => return Err(format!("RSA PKCS#1 v1.5 with {other:?} is not supported").into()),
    })
}

/// Converts an ECDSA signature from `r || s`, the format of PKCS#11, to a DER SEQUENCE of two INTEGERs, the format of TLS.
fn to_der(raw: &[u8]) -> Vec<u8> {
    fn integer(number: &[u8]) -> Vec<u8> {
        let start = number.iter().position(|&byte| byte != 0).unwrap_or(number.len());
        let mut value = number[start..].to_vec();
        if value.first().is_none_or(|&byte| byte >= 0x80) {
            value.insert(0, 0);
        }
        // The length fits into one byte: P-521 has at most 66 bytes.
        [vec![2, value.len() as u8], value].concat()
    }
    let (r, s) = raw.split_at(raw.len() / 2);
    let body = [integer(r), integer(s)].concat();
    let length = if body.len() < 0x80 { vec![body.len() as u8] } else { vec![0x81, body.len() as u8] };
    [vec![0x30], length, body].concat()
}

/// Called by s2n-tls for every private-key operation.
struct Offload {
    /// The key of a client. In a server, each certificate chain has its key as the application context.
    client: Option<Arc<Key>>,
}

impl PrivateKeyCallback for Offload {
    fn handle_operation(
        &self,
        connection: &mut Connection,
        operation: PrivateKeyOperation,
    ) -> Result<Option<Pin<Box<dyn ConnectionFuture>>>, s2n_tls::error::Error> {
        let failed = |text: &str| s2n_tls::error::Error::application(text.into());
        let key = match connection.mode() {
            Mode::Client => self.client.clone(),
            Mode::Server => {
                connection.selected_cert().and_then(|chain| chain.application_context::<Arc<Key>>().cloned())
            }
        };
        let key = key.ok_or_else(|| failed("a certificate without a key"))?;
        let OperationType::Sign(algorithm, hash) = *operation.kind()? else {
            return Err(failed("the key only signs: no RSA key exchange"));
        };
        let mut digest = vec![0; operation.input_size()?];
        operation.input(&mut digest)?;
        let signing = tokio::task::spawn_blocking(move || key.sign(algorithm, hash, &digest));
        Ok(Some(Box::pin(Signing { signing, operation: Some(operation) })))
    }
}

/// Waits for the signature, and passes it to the connection.
struct Signing {
    signing: JoinHandle<Result<Vec<u8>>>,
    operation: Option<PrivateKeyOperation>,
}

impl ConnectionFuture for Signing {
    fn poll(
        mut self: Pin<&mut Self>,
        connection: &mut Connection,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), s2n_tls::error::Error>> {
        let signature = match Pin::new(&mut self.signing).poll(context) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(Ok(signature))) => signature,
            Poll::Ready(Ok(Err(error))) => return Poll::Ready(Err(s2n_tls::error::Error::application(error))),
            Poll::Ready(Err(error)) => return Poll::Ready(Err(s2n_tls::error::Error::application(error.into()))),
        };
        match self.operation.take() {
            Some(operation) => Poll::Ready(operation.set_output(connection, &signature)),
            None => Poll::Ready(Ok(())),
        }
    }
}

fn pem(der: &[u8]) -> Result<Vec<u8>> {
    let mut child = Command::new("openssl")
        .args(["x509", "-inform", "DER", "-outform", "PEM"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    std::io::Write::write_all(&mut child.stdin.take().ok_or("no stdin")?, der)?;
    Ok(child.wait_with_output()?.stdout)
}

fn chain(key: Arc<Key>, certificate: &[u8]) -> Result<CertificateChain<'static>> {
    let mut chain = cert_chain::Builder::new()?;
    chain.load_public_pem(&pem(certificate)?)?;
    chain.set_application_context(key)?;
    Ok(chain.build()?)
}

fn config(pkcs11: &Pkcs11, trust: &str, tokens: &[String], mode: Mode) -> Result<Config> {
    let mut builder = Builder::new();
    // This policy allows TLS 1.2 and 1.3.
    builder.set_security_policy(&security::DEFAULT_TLS13)?;
    builder.with_system_certs(false)?;
    builder.trust_pem(&std::fs::read(trust)?)?;
    builder.set_client_auth_type(ClientAuthType::Required)?;
    // After a failed handshake s2n-tls waits up to 30 seconds by default, as a protection against timing attacks.
    builder.set_max_blinding_delay(1)?;
    let mut chains = Vec::new();
    let mut client = None;
    for token in tokens {
        let (key, certificate) = Key::find(pkcs11, token)?;
        let key = Arc::new(key);
        client = (mode == Mode::Client).then(|| key.clone());
        chains.push(chain(key, &certificate)?);
    }
    if mode == Mode::Server {
        // A client is identified by its certificate, which need not contain a host name.
        builder.set_verify_host_callback(AnyName)?;
    }
    builder.set_default_chains(chains)?;
    builder.set_private_key_callback(Offload { client })?;
    Ok(builder.build()?)
}

struct AnyName;

impl s2n_tls::callbacks::VerifyHostNameCallback for AnyName {
    fn verify_host_name(&self, _: &str) -> bool {
        true
    }
}

async fn greet(acceptor: TlsAcceptor, stream: TcpStream) -> Result<String> {
    let mut tls = acceptor.accept(stream).await?;
    let connection = tls.as_ref();
    let key = connection.selected_cert().and_then(|chain| chain.application_context::<Arc<Key>>().cloned());
    let token = key.map(|key| key.token.clone()).ok_or("no certificate was selected")?;
    let mut summary = format!("signed by {token}, {:?}", connection.actual_protocol_version()?);
    write!(summary, ", {:?}", connection.selected_signature_algorithm()?)?;
    tls.write_all(format!("{summary}\n").as_bytes()).await?;
    tls.shutdown().await?;
    Ok(summary)
}

async fn serve(config: Config) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on {}", listener.local_addr()?);
    let acceptor = TlsAcceptor::new(config);
    loop {
        let (stream, _) = listener.accept().await?;
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            match greet(acceptor, stream).await {
                Ok(summary) => println!("{summary}"),
                Err(error) => println!("handshake failed: {error}"),
            }
        });
    }
}

async fn connect(config: Config, address: &str) -> Result<()> {
    let stream = TcpStream::connect(address).await?;
    let mut tls = TlsConnector::new(config).connect("localhost", stream).await?;
    tls.write_all(b"hello\n").await?;
    let mut answer = [0; 6];
    tls.read_exact(&mut answer).await?;
    print!("{:?}: {}", tls.as_ref().actual_protocol_version()?, String::from_utf8_lossy(&answer));
    tls.shutdown().await?;
    Ok(())
}

async fn run(arguments: &[String]) -> Result<()> {
    let [what, module, trust, rest @ ..] = arguments else {
        return Err("s2n-offload server MODULE CLIENT-CA TOKEN... | client MODULE SERVER-CA TOKEN ADDRESS".into());
    };
    let pkcs11 = Pkcs11::new(module)?;
    pkcs11.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK))?;
    match (what.as_str(), rest) {
        ("server", tokens) => serve(config(&pkcs11, trust, tokens, Mode::Server)?).await,
        ("client", [token, address]) => {
            connect(config(&pkcs11, trust, std::slice::from_ref(token), Mode::Client)?, address).await
        }
        _ => Err("not so many arguments".into()),
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("s2n-offload: {error}");
            ExitCode::FAILURE
        }
    }
}
