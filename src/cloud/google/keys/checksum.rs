//! CRC32C, the checksum with which Cloud KMS and its clients check what they send each other.
//!
//! "Verifying end-to-end data integrity" of Google's documentation; RFC 3720 section 12.1 (the polynomial) and appendix B.4.

use crc::{CRC_32_ISCSI, Crc};
use serde::{Deserialize, Deserializer};

const CRC32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// Returns the checksum of the bytes.
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    CRC32C.checksum(bytes)
}

/// Reads a checksum, which is an int64 in the API: a text in JSON. Other implementations of the API may write a number.
///
/// # Errors
/// Fails if the value is neither.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(value: D) -> Result<Option<u32>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Int64 {
        Text(String),
        Number(u32),
    }
    match Option::deserialize(value)? {
        Some(Int64::Text(text)) => text.parse().map(Some).map_err(serde::de::Error::custom),
        Some(Int64::Number(number)) => Ok(Some(number)),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_rfc_3720() {
        let ascending: Vec<u8> = (0..32).collect();
        let descending: Vec<u8> = (0..32).rev().collect();
        for (bytes, sum) in [
            (&[][..], 0),
            (b"123456789", 0xe306_9283),
            (&[0; 32], 0x8a91_36aa),
            (&[0xff; 32], 0x62a8_ab43),
            (&ascending, 0x46dd_794e),
            (&descending, 0x113f_db5c),
        ] {
            assert_eq!(crc32c(bytes), sum, "{bytes:?}");
        }
    }

    #[test]
    fn a_checksum_is_a_text_or_a_number() {
        #[derive(Deserialize)]
        struct Reply {
            #[serde(default, deserialize_with = "deserialize")]
            sum: Option<u32>,
        }
        let read = |text: &str| serde_json::from_str::<Reply>(text).map(|reply| reply.sum).ok();
        assert_eq!(read(r#"{"sum": "4294967295"}"#), Some(Some(u32::MAX)));
        assert_eq!(read(r#"{"sum": 7}"#), Some(Some(7)));
        assert_eq!(read(r#"{"sum": null}"#), Some(None));
        assert_eq!(read("{}"), Some(None));
        for wrong in [r#"{"sum": "x"}"#, r#"{"sum": "-1"}"#, r#"{"sum": "4294967296"}"#, r#"{"sum": []}"#] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
