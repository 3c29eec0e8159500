//! Certificates of a vault, and the operations on them.

mod bundle;
mod deleted;
mod enrolment;
mod import;
mod manage;
mod new_certificate;
mod subject;

pub use new_certificate::VaultCertificate;
