//! Base64 with both alphabets of RFC 4648.

use base64ct::{Base64, Base64UrlUnpadded, Encoding};

pub(crate) fn base64(bytes: &[u8]) -> String {
    Base64::encode_string(bytes)
}

pub(crate) fn base64_decode(text: &str) -> Option<Vec<u8>> {
    Base64::decode_vec(text).ok()
}

pub(crate) fn base64url(bytes: &[u8]) -> String {
    Base64UrlUnpadded::encode_string(bytes)
}

pub(crate) fn base64url_decode(text: &str) -> Option<Vec<u8>> {
    Base64UrlUnpadded::decode_vec(text.trim_end_matches('=')).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64url_takes_padding_or_none() {
        assert_eq!(base64url_decode("_-A").as_deref(), base64url_decode("_-A=").as_deref());
        assert_eq!(base64url_decode("+/A="), None);
    }
}
