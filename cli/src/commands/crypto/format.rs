//! The forms in which files hold signatures and ciphertexts.

use crate::failure::{Failure, Outcome};
use crate::signature_algorithm::ecdsa_to_der;
use base64ct::{Base64, Encoding};
use clap::ValueEnum;
use cloud_kms_pkcs11::key::{Kind, ecdsa_from_der};

/// The form of a signature.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SignatureFormat {
    /// What OpenSSL makes and expects: DER for ECDSA. Other signatures have one binary form only
    Der,
    /// What PKCS#11 and JWS have: r and s with a fixed length for ECDSA
    Raw,
    /// The form `der` in base64
    Base64,
}

impl SignatureFormat {
    /// Returns a signature of PKCS#11 in this form.
    ///
    /// # Errors
    /// If an ECDSA signature is not one.
    pub fn encode(self, kind: Option<Kind>, signature: Vec<u8>) -> Outcome<Vec<u8>> {
        let binary = match (self, kind) {
            (Self::Der | Self::Base64, Some(Kind::Ec(_))) => ecdsa_to_der(&signature)
                .map_err(|error| Failure::new(format!("the module's signature is not one of ECDSA: {error}")))?,
            _ => signature,
        };
        Ok(match self {
            Self::Base64 => format!("{}\n", Base64::encode_string(&binary)).into_bytes(),
            _ => binary,
        })
    }

    /// Returns the signature in the form of PKCS#11, or None if it doesn't have this form.
    pub fn decode(self, kind: Option<Kind>, signature: &[u8]) -> Option<Vec<u8>> {
        let binary = match self {
            Self::Base64 => from_base64(signature)?,
            _ => signature.to_vec(),
        };
        match (self, kind) {
            (Self::Der | Self::Base64, Some(Kind::Ec(curve))) => ecdsa_from_der(&binary, curve.field_len()),
            _ => Some(binary),
        }
    }
}

/// Returns the bytes of base64 text, with or without line breaks, or None if it is not base64.
pub fn from_base64(text: &[u8]) -> Option<Vec<u8>> {
    let text: Vec<u8> = text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    Base64::decode_vec(std::str::from_utf8(&text).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use cloud_kms_pkcs11::key::Curve;

    #[test]
    fn every_form_is_read_back() {
        let curve = Curve::all().next().unwrap();
        let kind = Some(Kind::Ec(curve));
        // r has a leading zero, and s a first bit that DER has to protect.
        let signature = [vec![0; 1], vec![7; curve.field_len() - 1], vec![0x80; curve.field_len()]].concat();
        for format in SignatureFormat::value_variants() {
            let encoded = format.encode(kind, signature.clone()).unwrap();
            assert_eq!(format.decode(kind, &encoded), Some(signature.clone()));
        }
        assert_eq!(SignatureFormat::Der.decode(kind, &signature), None, "raw is not DER");
        assert_eq!(SignatureFormat::Base64.decode(kind, &signature), None, "raw is not base64");
        assert_eq!(from_base64(b"YWJj\nZGVm\r\n"), Some(b"abcdef".to_vec()));
    }
}
