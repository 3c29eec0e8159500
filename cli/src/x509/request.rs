//! Certificate requests: PKCS#10, RFC 2986.

use super::name::{AlternativeName, Subject};
use super::template::Template;
use super::usage::{ExtendedUsage, Usage};
use crate::failure::{Failure, Outcome};
use crate::output::note;
use crate::signature_algorithm::verifies;
use crate::signer::Signer;
use cloud_kms_pkcs11::key::PublicKey;
use const_oid::{AssociatedOid, ObjectIdentifier};
use der::asn1::{AnyRef, BitStringRef};
use der::{Decode, Document, Encode, Sequence};
use spki::{AlgorithmIdentifierOwned, DynSignatureAlgorithmIdentifier, SubjectPublicKeyInfoOwned};
use std::path::Path;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::{
    BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages, SubjectAltName, SubjectKeyIdentifier,
};
use x509_cert::request::{CertReq, CertReqInfo, ExtensionReq};

/// Returns DER of a request with these contents. x509-cert's builder would always write the attribute extensionRequest,
/// also without an extension, which RFC 5272 does not allow.
///
/// # Errors
/// If the key can't sign.
pub fn sign_request(signer: &Signer, template: &Template) -> Outcome<Vec<u8>> {
    let failed = |error: der::Error| Failure::new(error.to_string());
    let mut info = CertReqInfo {
        version: Default::default(),
        subject: template.name(),
        public_key: signer.public_key().clone(),
        attributes: Default::default(),
    };
    let extensions = template.extensions(true).map_err(failed)?;
    if !extensions.is_empty() {
        let attribute = ExtensionReq(extensions).try_into().map_err(failed)?;
        info.attributes.insert(attribute).map_err(failed)?;
    }
    let algorithm = signer.signature_algorithm_identifier().map_err(|error| Failure::new(error.to_string()))?;
    let signature = signer.sign(&info.to_der().map_err(failed)?)?;
    CertReq { info, algorithm, signature }.to_der().map_err(failed)
}

/// A request of somebody else, whose signature is right.
pub struct Request {
    /// The public key.
    pub public_key: SubjectPublicKeyInfoOwned,
    /// What the request asks for, except the rights of an authority.
    pub template: Template,
    /// Whether the request asks for the rights of an authority.
    pub asks_for_ca: bool,
}

/// A request whose first part stays as it was signed.
#[derive(Sequence)]
struct SignedRequest<'a> {
    info: AnyRef<'a>,
    algorithm: AlgorithmIdentifierOwned,
    signature: BitStringRef<'a>,
}

impl Request {
    /// Reads a PEM or DER file and verifies the signature of the request.
    ///
    /// # Errors
    /// If the file contains no request, or if the signature is wrong.
    pub fn read(path: &Path) -> Outcome<Self> {
        let bytes = std::fs::read(path).map_err(|error| Failure::from(error).of(path.display()))?;
        Self::from_bytes(&bytes).map_err(|failure| failure.of(path.display()))
    }

    fn from_bytes(bytes: &[u8]) -> Outcome<Self> {
        let der = der_of(bytes)?;
        let unreadable = |error: der::Error| Failure::new(format!("this is not a certificate request: {error}"));
        let signed = SignedRequest::from_der(&der).map_err(unreadable)?;
        let message = signed.info.to_der().map_err(unreadable)?;
        let info = CertReqInfo::from_der(&message).map_err(unreadable)?;
        let spki = info.public_key.to_der().map_err(unreadable)?;
        let key = PublicKey::from_spki(&spki)
            .map_err(|why| Failure::new(format!("the public key of the request can't be used: {}", why.0)))?;
        match verifies(&signed.algorithm, &key, &message, signed.signature.raw_bytes()) {
            Some(true) => Self::from_info(info),
            Some(false) => Err(Failure::new("the signature of the request is wrong")
                .fix("ask for a new request: this one was changed, or not made with its key")),
            None => {
                Err(Failure::new(format!("the request has an unknown signature algorithm: {}", signed.algorithm.oid)))
            }
        }
    }

    fn from_info(info: CertReqInfo) -> Outcome<Self> {
        let failed = |error: der::Error| Failure::new(format!("the request's extensions can't be read: {error}"));
        let subject = Some(info.subject).filter(|name| !name.is_empty()).map(Subject);
        let mut request = Self { public_key: info.public_key, template: Template::default(), asks_for_ca: false };
        request.template.subject = subject;
        for attribute in info.attributes.iter().filter(|attribute| attribute.oid == ExtensionReq::OID) {
            for value in attribute.values.iter() {
                let extensions: Vec<Extension> = value.decode_as().map_err(failed)?;
                extensions.iter().try_for_each(|extension| request.add(extension)).map_err(failed)?;
            }
        }
        Ok(request)
    }

    /// Takes over an extension, or says that it was left out.
    fn add(&mut self, extension: &Extension) -> der::Result<()> {
        let (own, value) = (&mut self.template, extension.extn_value.as_bytes());
        match extension.extn_id {
            SubjectAltName::OID => {
                own.san = SubjectAltName::from_der(value)?.0.into_iter().map(AlternativeName).collect();
            }
            KeyUsage::OID => {
                let asked = KeyUsage::from_der(value)?.0;
                self.asks_for_ca |= asked.contains(KeyUsages::KeyCertSign);
                own.key_usage = asked.into_iter().map(Usage).collect();
            }
            ExtendedKeyUsage::OID => {
                own.extended_key_usage = ExtendedKeyUsage::from_der(value)?.0.into_iter().map(ExtendedUsage).collect();
            }
            BasicConstraints::OID => {
                let constraints = BasicConstraints::from_der(value)?;
                self.asks_for_ca |= constraints.ca;
                own.path_length = constraints.path_len_constraint;
            }
            // It is computed anew.
            SubjectKeyIdentifier::OID => {}
            other => note(&format!("the extension {} of the request is left out", name_of(other))),
        }
        Ok(())
    }
}

fn name_of(oid: ObjectIdentifier) -> String {
    const_oid::db::DB.by_oid(&oid).map_or_else(|| oid.to_string(), |name| format!("{name} ({oid})"))
}

/// Returns DER of a request in PEM or DER.
fn der_of(bytes: &[u8]) -> Outcome<Vec<u8>> {
    let Some(text) = std::str::from_utf8(bytes).ok().filter(|text| text.contains("-----BEGIN ")) else {
        return Ok(bytes.to_owned());
    };
    let (label, der) = Document::from_pem(text).map_err(|error| Failure::new(error.to_string()))?;
    match label.ends_with("CERTIFICATE REQUEST") {
        true => Ok(der.into_vec()),
        false => Err(Failure::new(format!("the file contains {label}, not CERTIFICATE REQUEST"))),
    }
}
