//! The services of AWS: plain functions from a request to a reply.

pub(crate) mod acm;
pub(crate) mod kms;
pub(crate) mod machine;
pub(crate) mod sigv4;
pub(crate) mod sso;
pub(crate) mod sts;
mod temporary_credentials;
