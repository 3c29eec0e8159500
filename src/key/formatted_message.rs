//! M', the message that ML-DSA and SLH-DSA sign in the end: a prefix, and the message or its digest.
//!
//! FIPS 204 algorithms 2 and 4, FIPS 205 algorithms 22 and 23.

use super::hash::Hash;

/// The length of the longest context in bytes (FIPS 204 section 5.2, FIPS 205 section 10.2).
pub const MAX_CONTEXT_LEN: usize = 255;

/// Returns the bytes of M' in front of the message, or in front of its digest by `hash`. `context` has at most
/// [`MAX_CONTEXT_LEN`] bytes.
pub fn formatted_message_prefix(context: &[u8], hash: Option<Hash>) -> Vec<u8> {
    let lengths = [u8::from(hash.is_some()), context.len() as u8];
    [&lengths[..], context, hash.map_or(&[], Hash::oid)].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_is_that_of_the_standard() {
        assert_eq!(formatted_message_prefix(b"", None), [0, 0]);
        assert_eq!(formatted_message_prefix(b"ctx", None), *b"\0\x03ctx");
        let oid = [0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
        assert_eq!(formatted_message_prefix(b"c", Some(Hash::Sha256)), [&[1, 1, b'c'], &oid[..]].concat());
    }
}
