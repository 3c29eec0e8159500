//! Where the configuration has the certificate of a key.

use crate::failure::{Failure, Outcome};
use crate::token::{Object, Token};
use cloud_kms_pkcs11::config::{self, CertificateSource, Keys, Right, Service};
use cloud_kms_pkcs11::store::certificates::CertificateStore;
use std::path::PathBuf;

/// The slot of a token in the configuration.
pub struct Slot(Option<config::Slot>);

/// Where the certificate of a key is.
pub enum Place {
    /// In a file.
    File(PathBuf),
    /// Where the module puts it: in the service, or in the certificate store.
    Token,
    /// Where this tool can't put it, with what to do.
    Elsewhere(&'static str),
}

impl Slot {
    /// Returns the slot of the token. It has none if the module has listed its keys without a configuration.
    pub fn of(token: &Token) -> Self {
        Self(token.configured_slot())
    }

    /// Returns where the certificate of the key is.
    pub fn place(&self, key: &Object) -> Place {
        let named = match self.0.as_ref().map(|slot| &slot.keys) {
            Some(Keys::Named(keys)) => keys.as_slice(),
            _ => &[],
        };
        let is_key = |own: &&config::Key| own.name.id.as_bytes() == key.id && own.label == key.label;
        match named.iter().find(is_key).map(|own| &own.certificate) {
            Some(CertificateSource::File(path)) => Place::File(path.clone()),
            Some(CertificateSource::Inline(_)) => {
                Place::Elsewhere("replace \"certificate\" by \"certificate_path\", which names a file")
            }
            Some(CertificateSource::Named(_)) => Place::Elsewhere("renew it in ACM or AWS Private CA"),
            Some(CertificateSource::Service) | None => Place::Token,
        }
    }

    /// Whether the slot's service has keys that wait for their certificate.
    pub fn may_wait(&self) -> bool {
        matches!(self.0.as_ref().map(|slot| &*slot.service), Some(Service::Azure(_)))
    }

    /// Returns the certificate store, if the slot has one.
    pub fn certificate_store(&self) -> Option<CertificateStore> {
        self.0.as_ref()?.management.as_ref()?.certificate_store.as_deref().map(CertificateStore::new)
    }

    /// Checks that the slot permits to store certificates, and has a place for them.
    ///
    /// # Errors
    /// Names the option that is missing.
    pub fn check_right(&self) -> Outcome<()> {
        let management = self.0.as_ref().and_then(|slot| slot.management.as_ref());
        if !management.is_some_and(|own| own.allows(Right::Certificates)) {
            return Err(Failure::new("the slot does not allow to store certificates").fix(
                "add \"allow\": [\"certificates\"] to the slot, or \"certificate_path\" with the name of a file",
            ));
        }
        let has_store = self.certificate_store().is_some();
        match self.0.as_ref().map(|slot| &*slot.service) {
            Some(Service::Aws(_) | Service::Google(_)) if !has_store => Err(Failure::new(
                "the service stores no certificates with keys",
            )
            .fix(
                "add \"certificate_store\" with the name of a directory to the slot, or \"certificate_path\" with the \
                     name of a file",
            )),
            _ => Ok(()),
        }
    }
}
