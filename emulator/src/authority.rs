//! The certificate authority: one made at each start, which signs a server certificate for whichever host is asked for.
//!
//! It also issues the certificates in vaults that are not self-signed.

use crate::faults::Flaw;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::{CertifiedKey, SigningKey};

pub(crate) struct Authority {
    pub(crate) pem: String,
    pub(crate) der: Vec<u8>,
    issuing: Arc<Issuing>,
}

/// What signs server certificates, and those it has signed.
struct Issuing {
    issuer: Issuer<'static, KeyPair>,
    ca: CertificateDer<'static>,
    /// All server certificates are for this key.
    leaf: KeyPair,
    signer: Arc<dyn SigningKey>,
    known: Mutex<HashMap<String, Arc<CertifiedKey>>>,
}

impl Authority {
    pub(crate) fn new() -> io::Result<Self> {
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let mut params = named("Emulator CA").map_err(io::Error::other)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).map_err(io::Error::other)?;
        let leaf = KeyPair::generate().map_err(io::Error::other)?;
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(leaf.serialize_der()));
        let signer = aws_lc_rs::sign::any_supported_type(&private).map_err(io::Error::other)?;
        let (pem, ca) = (certificate.pem(), certificate.der().clone());
        let issuer = Issuer::new(params, key);
        let issuing = Issuing { issuer, ca: ca.clone(), leaf, signer, known: Mutex::default() };
        Ok(Self { pem, der: ca.to_vec(), issuing: Arc::new(issuing) })
    }

    /// Speaks TLS 1.2 and 1.3 in the name of whichever host the client asks for.
    pub(crate) fn acceptor(&self) -> io::Result<TlsAcceptor> {
        acceptor(self.issuing.clone())
    }

    /// Shows a certificate for 127.0.0.1 that has a flaw, whichever host is asked for.
    pub(crate) fn flawed_acceptor(&self, flaw: Flaw) -> io::Result<TlsAcceptor> {
        acceptor(Arc::new(Flawed(self.issuing.flawed(flaw).map_err(io::Error::other)?)))
    }

    pub(crate) fn issuer(&self) -> &Issuer<'static, KeyPair> {
        &self.issuing.issuer
    }
}

fn acceptor(certificates: Arc<dyn ResolvesServerCert>) -> io::Result<TlsAcceptor> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = config.map_err(io::Error::other)?.with_no_client_auth().with_cert_resolver(certificates);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn named(name: &str) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::<String>::new())?;
    params.distinguished_name.push(DnType::CommonName, name);
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2049, 12, 31));
    Ok(params)
}

impl Issuing {
    fn certified(&self, host: &str) -> Result<Arc<CertifiedKey>, rcgen::Error> {
        if let Some(known) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(host) {
            return Ok(known.clone());
        }
        let names = if host == LOOPBACK { &LOOPBACK_NAMES[..] } else { &[host] };
        let params = for_server(host, names)?;
        let certificate = params.signed_by(&self.leaf, &self.issuer)?;
        let chain = vec![certificate.der().clone(), self.ca.clone()];
        let made = Arc::new(CertifiedKey::new(chain, self.signer.clone()));
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(host.to_owned(), made.clone());
        Ok(made)
    }
}

impl Issuing {
    fn flawed(&self, flaw: Flaw) -> Result<CertifiedKey, rcgen::Error> {
        let names = match flaw {
            Flaw::OtherName => &["other.example"][..],
            Flaw::NoName => &[],
            _ => &LOOPBACK_NAMES,
        };
        let mut params = for_server(LOOPBACK, names)?;
        match flaw {
            Flaw::Authority => params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained),
            Flaw::Expired => params.not_after = date_time_ymd(2021, 1, 1),
            Flaw::Future => params.not_before = date_time_ymd(2049, 1, 1),
            Flaw::Client => params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth],
            Flaw::OtherName | Flaw::NoName | Flaw::SelfSigned | Flaw::Stranger => {}
        }
        let certificate = match flaw {
            Flaw::Authority | Flaw::SelfSigned => params.self_signed(&self.leaf)?,
            Flaw::Stranger => {
                let stranger = Issuer::new(named("A Stranger")?, KeyPair::generate()?);
                params.signed_by(&self.leaf, &stranger)?
            }
            _ => params.signed_by(&self.leaf, &self.issuer)?,
        };
        Ok(CertifiedKey::new(vec![certificate.der().clone()], self.signer.clone()))
    }
}

/// What a server's certificate says.
fn for_server(host: &str, names: &[&str]) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(names.iter().copied().map(str::to_owned).collect::<Vec<_>>())?;
    params.distinguished_name.push(DnType::CommonName, host);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2049, 12, 31));
    Ok(params)
}

/// One certificate for all hosts.
#[derive(Debug)]
struct Flawed(CertifiedKey);

impl ResolvesServerCert for Flawed {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::new(self.0.clone()))
    }
}

impl ResolvesServerCert for Issuing {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let host = hello.server_name().filter(|name| *name != "localhost").unwrap_or(LOOPBACK);
        self.certified(host).ok()
    }
}

impl std::fmt::Debug for Issuing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Issuing")
    }
}

/// What the host of this machine is called.
const LOOPBACK_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// The host of a client that names none, as for an address.
const LOOPBACK: &str = "127.0.0.1";
