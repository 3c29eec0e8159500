//! Certificates that the module stores: in the service, or in the certificate store.

use crate::failure::{Failure, Outcome};
use crate::output::note;
use crate::token::{Object, Token};
use cloud_kms_pkcs11::certificate::Certificate;
use cloud_kms_pkcs11::certificate::bundle::Bundle;
use cloud_kms_pkcs11::key::PublicKey;
use cryptoki::error::{Error, RvError};
use cryptoki::object::{Attribute, AttributeType, CertificateType, ObjectClass, ObjectHandle};

/// Stores the chain of a key. `objects` are those of the token. Returns where it is now.
///
/// # Errors
/// If the key has another certificate which shall not, or can't, be replaced; or if the module can't store the chain.
pub fn put(token: &Token, key: &Object, objects: &[Object], chain: &[Certificate], replace: bool) -> Outcome<String> {
    let [leaf, issuers @ ..] = chain else { return Err(Failure::new("the file contains no certificate")) };
    let certifies = |object: &&Object| {
        let der = object.certificate.as_deref().and_then(|der| Certificate::from_der(der).ok());
        der.is_some_and(|own| Some(&own.spki) == key.public_key.as_ref())
    };
    let Some(old) = objects.iter().find(certifies) else { return create_all(token, key, leaf, issuers) };
    if old.certificate.as_ref() == Some(&leaf.der) {
        return Ok(format!("of key {:?} is stored already", key.label));
    }
    if !is_destroyable(token, old.handle) {
        return Err(Failure::new(format!("the service has another certificate of key {:?}", key.label))
            .of(token)
            .fix("replace it in the service; in Key Vault, create a new version of the certificate there"));
    }
    if !replace {
        return Err(Failure::new(format!("another certificate of key {:?} is stored already", key.label))
            .of(token)
            .fix("replace it by --force"));
    }
    let previous = previous_chain(key, objects);
    token.session().destroy_object(old.handle).map_err(|error| Failure::from(error).of(token))?;
    create_all(token, key, leaf, issuers).inspect_err(|_| restore(token, &previous))
}

fn previous_chain(key: &Object, objects: &[Object]) -> Vec<Certificate> {
    let stored = objects.iter().filter_map(|object| Certificate::from_der(object.certificate.as_deref()?).ok());
    let bundle = Bundle::new(stored.collect());
    let public_key = key.public_key.as_deref().and_then(|spki| PublicKey::from_spki(spki).ok());
    public_key.map(|public_key| bundle.chain_of(&public_key)).unwrap_or_default()
}

/// Stores the previous certificates again.
fn restore(token: &Token, previous: &[Certificate]) {
    if previous.iter().any(|certificate| !matches!(create(token, certificate), Ok(Some(_)))) {
        let text: String = previous.iter().map(Certificate::to_pem).collect();
        note(&format!("the previous certificates can't be stored again:\n{text}"));
    }
}

fn create_all(token: &Token, key: &Object, leaf: &Certificate, issuers: &[Certificate]) -> Outcome<String> {
    let refused = || Failure::new("the module refuses the certificate").of(token);
    let handle = create(token, leaf)?.ok_or_else(refused)?;
    if !is_destroyable(token, handle) {
        if !issuers.is_empty() {
            note("the certificates of the issuers are left out: the service stores that of the key");
        }
        return Ok(format!("of key {:?} is stored in the service", key.label));
    }
    for issuer in issuers {
        create(token, issuer)?.ok_or_else(refused)?;
    }
    Ok(format!("of key {:?} is in the certificate store", key.label))
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
