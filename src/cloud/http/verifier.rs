//! Verification of servers' certificates, exactly as rustls does it.
//!
//! A refusal states what rustls's own words leave out: who issued the certificate, and what is unusual about the
//! certificate. The verifier accepts nothing that rustls refuses.

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme};
use std::fmt;
use std::sync::Arc;
use x509_cert::certificate::Version;
use x509_cert::der::Decode;

/// A verifier that applies rustls's checks and explains the refusals.
#[derive(Debug)]
pub(crate) struct Verifier {
    /// rustls's own verifier. None if there is no certificate authority.
    rustls: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
    /// The name to check instead of the host in the URL.
    name: Option<ServerName<'static>>,
}

impl Verifier {
    pub(crate) fn new(
        roots: RootCertStore,
        provider: Arc<CryptoProvider>,
        name: Option<ServerName<'static>>,
    ) -> Result<Self, String> {
        if roots.is_empty() {
            return Ok(Self { rustls: None, provider, name });
        }
        let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone());
        Ok(Self { rustls: Some(builder.build().map_err(|e| e.to_string())?), provider, name })
    }

    fn rustls(&self) -> Result<&WebPkiServerVerifier, Error> {
        self.rustls.as_deref().ok_or_else(|| Objection::NoAuthority.into())
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let name = self.name.as_ref().unwrap_or(name);
        let verified = self.rustls()?.verify_server_cert(certificate, others, name, ocsp, now);
        verified.map_err(|error| Objection::of(&error, certificate, others).map_or(error, Error::from))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.rustls()?.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.rustls()?.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// What is wrong with a certificate, in cases where rustls says less.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Objection {
    /// There is no certificate authority to verify the certificate with.
    NoAuthority,
    /// The certificate is an authority's own certificate.
    CaCertificate,
    /// The certificate has an old version of X.509, which has no extensions, and so no names.
    OldVersion,
    /// The certificate is signed by its own key.
    SelfSigned {
        /// The subject of the certificate.
        name: String,
    },
    /// The issuer is not trusted. If the server has sent certificates of authorities, this is the issuer of the
    /// last of them.
    UnknownIssuer {
        /// The name of the issuer.
        name: String,
        /// Whether the server has sent no certificate except its own.
        has_no_chain: bool,
    },
}

impl Objection {
    fn of(error: &Error, certificate: &CertificateDer<'_>, others: &[CertificateDer<'_>]) -> Option<Self> {
        let Error::InvalidCertificate(error) = error else { return None };
        let leaf = x509_cert::Certificate::from_der(certificate).ok()?;
        let own = leaf.tbs_certificate();
        match error {
            CertificateError::UnknownIssuer if own.issuer() == own.subject() => {
                Some(Self::SelfSigned { name: own.subject().to_string() })
            }
            CertificateError::UnknownIssuer => {
                Some(Self::UnknownIssuer { name: last_issuer(own, others), has_no_chain: others.is_empty() })
            }
            CertificateError::Other(_) if own.version() != Version::V3 => Some(Self::OldVersion),
            CertificateError::Other(_) => {
                let constraints = own.get_extension::<x509_cert::ext::pkix::BasicConstraints>().ok()?;
                constraints.is_some_and(|(_, constraints)| constraints.ca).then_some(Self::CaCertificate)
            }
            _ => None,
        }
    }

    /// Returns the objection inside a refusal of [`Verifier`].
    pub(crate) fn find_in(error: &CertificateError) -> Option<&Self> {
        let CertificateError::Other(OtherError(own)) = error else { return None };
        own.downcast_ref()
    }
}

/// Follows the certificate chain, as far as the server has sent it, and returns the name of the issuer that would
/// have to be trusted.
fn last_issuer(own: &x509_cert::TbsCertificate, others: &[CertificateDer<'_>]) -> String {
    let mut issuer = own.issuer().clone();
    let intermediates: Vec<_> = others.iter().filter_map(|der| x509_cert::Certificate::from_der(der).ok()).collect();
    for _ in &intermediates {
        let next = intermediates.iter().map(|other| other.tbs_certificate()).find(|other| *other.subject() == issuer);
        let Some(next) = next.filter(|next| *next.issuer() != issuer) else { break };
        issuer = next.issuer().clone();
    }
    issuer.to_string()
}

impl From<Objection> for Error {
    fn from(objection: Objection) -> Self {
        CertificateError::Other(OtherError(Arc::new(objection))).into()
    }
}

impl fmt::Display for Objection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for Objection {}
