//! A certification authority: a key with the certificate that makes it one.

use super::template::Template;
use crate::failure::{Failure, Outcome};
use crate::signer::Signer;
use cloud_kms_pkcs11::certificate::Certificate;
use der::Decode;
use der::asn1::OctetString;
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage, SubjectKeyIdentifier};
use x509_cert::name::Name;
use x509_cert::time::Time;

/// What certificates take over from the certificate of their issuer.
pub struct Authority {
    /// The subject, which is the issuer of the certificates.
    pub name: Name,
    /// The subjectKeyIdentifier.
    pub key_id: Option<OctetString>,
    /// The end of the validity.
    pub not_after: Time,
    /// How many authorities may follow.
    path_length: Option<u8>,
}

impl Authority {
    /// Returns the authority with this key and this certificate.
    ///
    /// # Errors
    /// If the certificate is not one of the key, or not that of an authority.
    pub fn new(signer: &Signer, certificate: &Certificate) -> Outcome<Self> {
        let unreadable = |error: der::Error| Failure::new(format!("the certificate of the CA can't be read: {error}"));
        if !signer.is_key_of(certificate) {
            return Err(Failure::new(format!("the certificate of the CA is not that of {signer}")).fix(
                "choose the slot and the key of the CA by --slot and --key, or its certificate by --ca-certificate",
            ));
        }
        let parsed = x509_cert::Certificate::from_der(&certificate.der).map_err(unreadable)?;
        let tbs = parsed.tbs_certificate();
        let constraints = tbs.get_extension::<BasicConstraints>().map_err(unreadable)?.map(|found| found.1);
        let usage = tbs.get_extension::<KeyUsage>().map_err(unreadable)?.map(|found| found.1);
        let key_id = tbs.get_extension::<SubjectKeyIdentifier>().map_err(unreadable)?;
        let Some(constraints) = constraints.filter(|constraints| constraints.ca) else {
            return Err(Failure::new(format!("{} is not a certification authority", tbs.subject()))
                .fix("make its certificate with: cloud-kms-pkcs11 self-sign --ca"));
        };
        if usage.is_some_and(|usage| !usage.key_cert_sign()) {
            return Err(Failure::new(format!("the certificate of {} does not allow keyCertSign", tbs.subject())));
        }
        Ok(Self {
            name: tbs.subject().clone(),
            key_id: key_id.map(|found| found.1.0),
            not_after: tbs.validity().not_after,
            path_length: constraints.path_len_constraint,
        })
    }

    /// Checks that the authority may issue a certificate with these contents.
    ///
    /// # Errors
    /// If the path length leaves no authority below this one.
    pub fn check(&self, template: &Template) -> Outcome<()> {
        match self.path_length {
            Some(0) if template.ca => {
                Err(Failure::new(format!("the path length of {} is 0: no authority may follow", self.name)))
            }
            _ => Ok(()),
        }
    }
}
