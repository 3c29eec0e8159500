//! Encodings of bytes and text. They know no service.

mod base64;
pub(crate) mod der;
mod form;
mod hex;
pub(crate) mod pem;

pub(crate) use base64::{base64, base64_decode, base64url, base64url_decode};
pub(crate) use form::{form_pairs, form_value, percent_decode};
pub(crate) use hex::hex;
