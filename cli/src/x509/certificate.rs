//! Certificates: X.509, RFC 5280.

use super::authority::Authority;
use super::template::Template;
use super::validity::ValidityArguments;
use crate::failure::{Failure, Outcome};
use crate::signer::Signer;
use der::Encode;
use spki::{SubjectPublicKeyInfoOwned, SubjectPublicKeyInfoRef};
use x509_cert::builder::CertificateBuilder;
use x509_cert::builder::profile::BuilderProfile;
use x509_cert::certificate::TbsCertificate;
use x509_cert::ext::pkix::{AuthorityKeyIdentifier, SubjectKeyIdentifier};
use x509_cert::ext::{Extension, ToExtension};
use x509_cert::name::Name;

/// Returns DER of a certificate of `subject_key`, signed by `signer` for the authority, or by the subject itself.
///
/// # Errors
/// If the certificate would outlive that of the authority, or if the key can't sign.
pub fn sign_certificate(
    signer: &Signer,
    template: &Template,
    validity: &ValidityArguments,
    subject_key: &SubjectPublicKeyInfoOwned,
    authority: Option<&Authority>,
) -> Outcome<Vec<u8>> {
    let end = authority.map(|authority| authority.not_after);
    let (serial, validity) = (validity.serial_number()?, validity.validity(end)?);
    let builder = CertificateBuilder::new(Profile { template, authority }, serial, validity, subject_key.clone());
    let made = signer.build(builder.map_err(|error| Failure::new(error.to_string()))?)?;
    made.to_der().map_err(|error| Failure::new(error.to_string()))
}

/// The names and extensions of a certificate.
struct Profile<'a> {
    template: &'a Template,
    authority: Option<&'a Authority>,
}

impl BuilderProfile for Profile<'_> {
    fn get_issuer(&self, subject: &Name) -> Name {
        self.authority.map_or(subject, |authority| &authority.name).clone()
    }

    fn get_subject(&self) -> Name {
        self.template.name()
    }

    fn build_extensions(
        &self,
        subject_key: SubjectPublicKeyInfoRef<'_>,
        issuer_key: SubjectPublicKeyInfoRef<'_>,
        tbs: &TbsCertificate,
    ) -> x509_cert::builder::Result<Vec<Extension>> {
        let issuer_id = match self.authority.and_then(|authority| authority.key_id.clone()) {
            Some(id) => AuthorityKeyIdentifier { key_identifier: Some(id), ..Default::default() },
            None => AuthorityKeyIdentifier::try_from(issuer_key)?,
        };
        let mut all = self.template.extensions(false)?;
        all.push((&SubjectKeyIdentifier::try_from(subject_key)?).to_extension(tbs.subject(), &[])?);
        all.push((&issuer_id).to_extension(tbs.subject(), &[])?);
        Ok(all)
    }
}
