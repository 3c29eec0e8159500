//! The last operation on a certificate: a request for it, until the certificate is merged.

use super::version::{Certificate, Version};

/// The last operation on a certificate.
#[derive(Clone)]
pub(crate) struct Enrolment {
    /// The key, and what the certificate is to be.
    pub(crate) version: Version,
    pub(crate) certificate: Certificate,
    pub(crate) csr: Vec<u8>,
    pub(crate) request_id: String,
    pub(crate) completed: bool,
}
