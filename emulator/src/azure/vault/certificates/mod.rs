//! The operations on certificates.

pub(crate) mod certificate;
pub(crate) mod enrolment;
mod import;
mod subject;
