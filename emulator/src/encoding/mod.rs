//! Encodings.

pub(crate) mod der;
pub(crate) mod pem;
