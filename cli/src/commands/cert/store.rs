//! Certificates that the module stores: in the service, or in the certificate store.

use super::place::Slot;
use crate::failure::{Failure, Outcome};
use crate::output::note;
use crate::token::{Object, Token};
use cloud_kms_pkcs11::certificate::Certificate;
use cloud_kms_pkcs11::error;
use cloud_kms_pkcs11::key::PublicKey;
use cryptoki::error::{Error, RvError};
use cryptoki::object::{Attribute, AttributeType, CertificateType, ObjectClass, ObjectHandle};

/// A key, and what its token shows.
pub struct CertifiedKey<'a> {
    /// The token.
    pub token: &'a Token,
    /// The slot of the token.
    pub slot: &'a Slot,
    /// The private key.
    pub key: &'a Object,
    /// Its public half.
    pub public_key: &'a PublicKey,
    /// All objects of the token.
    pub objects: &'a [Object],
}

impl CertifiedKey<'_> {
    /// Stores the chain of the key: its certificate and those of the issuers. Returns where it is now.
    ///
    /// # Errors
    /// If the key has another certificate which shall not, or can't, be replaced; or if the chain can't be stored.
    pub fn put(&self, chain: &[Certificate], replace: bool) -> Outcome<String> {
        let [leaf, issuers @ ..] = chain else { return Err(Failure::new("the file contains no certificate")) };
        let (token, label) = (self.token, &self.key.label);
        let previous = self.objects.iter().find(|object| self.is_certified_by(object));
        let handle = match previous {
            Some(object) => object.handle,
            None => create(token, leaf)?.ok_or_else(|| Failure::new("the module refuses the certificate").of(token))?,
        };
        if is_destroyable(token, handle) {
            return self.store(chain, replace, previous.is_none());
        }
        match previous {
            Some(object) if object.certificate.as_ref() == Some(&leaf.der) => {
                Ok(format!("of key {label:?} is stored already"))
            }
            Some(_) => Err(Failure::new(format!("the service has another certificate of key {label:?}"))
                .of(token)
                .fix("replace it in the service; in Key Vault, create a new version of the certificate there")),
            None => {
                if !issuers.is_empty() {
                    note("the certificates of the issuers are left out: the service stores that of the key");
                }
                Ok(format!("of key {label:?} is stored in the service"))
            }
        }
    }

    /// Stores the chain in the certificate store, which has a certificate of the key. `is_new` says that this certificate
    /// was created just now.
    ///
    /// Through the C interface, the previous certificates would have to be destroyed first. The store replaces all of them
    /// at once, so that a process which is killed leaves the previous chain or the new one.
    fn store(&self, chain: &[Certificate], replace: bool, is_new: bool) -> Outcome<String> {
        let (token, label) = (self.token, &self.key.label);
        let of_token = |error: error::Error| Failure::new(error.message).of(token);
        let store = self.slot.certificate_store();
        let store = store.ok_or_else(|| Failure::new("the slot has no \"certificate_store\"").of(token))?;
        let stored = store.chain(self.public_key).map_err(of_token)?;
        if !is_new && chain.iter().all(|own| stored.contains(own)) {
            return Ok(format!("of key {label:?} is stored already"));
        }
        if !replace && stored.iter().any(|own| !chain.contains(own)) {
            return Err(Failure::new(format!("another certificate of key {label:?} is stored already"))
                .of(token)
                .fix("replace it by --force"));
        }
        store.replace(self.public_key, chain).map_err(of_token)?;
        Ok(format!("of key {label:?} is in the certificate store"))
    }

    fn is_certified_by(&self, object: &Object) -> bool {
        let certificate = object.certificate.as_deref().and_then(|der| Certificate::from_der(der).ok());
        certificate.is_some_and(|own| own.certifies(self.public_key))
    }
}

/// Stores a certificate. Returns None if it belongs to no key of the token.
///
/// # Errors
/// If the module can't store it.
pub fn create(token: &Token, certificate: &Certificate) -> Outcome<Option<ObjectHandle>> {
    let template = [
        Attribute::Class(ObjectClass::CERTIFICATE),
        Attribute::CertificateType(CertificateType::X_509),
        Attribute::Token(true),
        Attribute::Value(certificate.der.clone()),
    ];
    match token.session().create_object(&template) {
        Ok(handle) => Ok(Some(handle)),
        Err(Error::Pkcs11(RvError::AttributeValueInvalid, _)) => Ok(None),
        Err(error) => Err(Failure::from(error).of(token)),
    }
}

/// Whether the certificate is in the certificate store, and not in the service.
fn is_destroyable(token: &Token, certificate: ObjectHandle) -> bool {
    let told = token.session().get_attributes(certificate, &[AttributeType::Destroyable]);
    told.is_ok_and(|told| told.contains(&Attribute::Destroyable(true)))
}
