//! Credentials of this machine: files, and programs that print credentials.

pub(crate) mod file;
pub(crate) mod password_encryption;
pub(crate) mod pkcs12;
pub(crate) mod subprocess;
