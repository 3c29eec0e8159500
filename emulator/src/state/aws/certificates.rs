//! The certificates that ACM and ACM PCA hold.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// A certificate in PEM. None while it is not issued.
#[derive(Clone, Debug, Default)]
pub(crate) struct IssuedCertificate {
    pub(crate) certificate: Option<String>,
    pub(crate) chain: Option<String>,
}

/// Certificates by ARN.
#[derive(Debug, Default)]
pub(crate) struct CertificateStore(Mutex<BTreeMap<String, IssuedCertificate>>);

impl CertificateStore {
    pub(crate) fn set(&self, arn: &str, certificate: IssuedCertificate) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(arn.to_owned(), certificate);
    }

    pub(crate) fn get(&self, arn: &str) -> Option<IssuedCertificate> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(arn).cloned()
    }
}
