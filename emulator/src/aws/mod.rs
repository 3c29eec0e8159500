//! The services of AWS.

pub(crate) mod kms;
pub(crate) mod machine;
pub(crate) mod sigv4;
pub(crate) mod sso;
pub(crate) mod sts;
