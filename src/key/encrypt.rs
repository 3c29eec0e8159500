//! Encryption with an RSA public key, and key derivation from a shared secret.
//!
//! Both run locally, without a request. RFC 8017 section 7; ANSI X9.63 (as in SEC 1 section 3.6.1).

use super::hash::Hash;
use super::public_key::{PublicKey, PublicNumbers};
use super::scheme::{Algorithm, Scheme};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OAEP_SHA384_MGF1SHA384, OAEP_SHA512_MGF1SHA512, OaepAlgorithm,
    OaepPublicEncryptingKey, Pkcs1PublicEncryptingKey, PublicEncryptingKey,
};
use zeroize::Zeroizing;

impl PublicKey {
    /// Returns the length in bytes of the longest plaintext that can be encrypted with `scheme`, or None if this
    /// key cannot encrypt with `scheme`.
    pub fn max_plaintext_len(&self, scheme: Scheme) -> Option<usize> {
        let PublicNumbers::Rsa { modulus, .. } = self.material() else { return None };
        match (scheme.family, scheme.hash) {
            (Algorithm::RsaesPkcs1, None) => modulus.len().checked_sub(11),
            (Algorithm::RsaesOaep, Some(hash)) => modulus.len().checked_sub(2 * hash.len() + 2),
            _ => None,
        }
    }

    /// Encrypts a plaintext of at most [`max_plaintext_len`](Self::max_plaintext_len) bytes. Returns None if the
    /// plaintext cannot be encrypted.
    pub fn encrypt(&self, scheme: Scheme, text: &[u8]) -> Option<Vec<u8>> {
        self.max_plaintext_len(scheme).filter(|longest| text.len() <= *longest)?;
        let mut encrypted = vec![0; self.kind().signature_len()];
        self.encrypt_into(scheme, text, &mut encrypted).ok()?;
        Some(encrypted)
    }

    fn encrypt_into(&self, scheme: Scheme, text: &[u8], encrypted: &mut [u8]) -> Result<(), Unspecified> {
        let key = PublicEncryptingKey::from_der(self.spki()).map_err(|_| Unspecified)?;
        match scheme.hash {
            None => Pkcs1PublicEncryptingKey::new(key)?.encrypt(text, encrypted)?,
            Some(hash) => {
                let oaep = oaep(hash).ok_or(Unspecified)?;
                OaepPublicEncryptingKey::new(key)?.encrypt(oaep, text, encrypted, None)?
            }
        };
        Ok(())
    }
}

fn oaep(hash: Hash) -> Option<&'static OaepAlgorithm> {
    match hash {
        Hash::Sha1 => Some(&OAEP_SHA1_MGF1SHA1),
        Hash::Sha256 => Some(&OAEP_SHA256_MGF1SHA256),
        Hash::Sha384 => Some(&OAEP_SHA384_MGF1SHA384),
        Hash::Sha512 => Some(&OAEP_SHA512_MGF1SHA512),
        _ => None,
    }
}

/// Returns `length` bytes that the X9.63 key derivation function derives from a shared secret and from `shared`,
/// the other data that both parties share.
pub fn x963_kdf(hash: Hash, secret: &[u8], shared: &[u8], length: usize) -> Zeroizing<Vec<u8>> {
    let mut derived = Zeroizing::new(Vec::with_capacity(length.next_multiple_of(hash.len())));
    for counter in 1u32.. {
        if derived.len() >= length {
            break;
        }
        let input = Zeroizing::new([secret, &counter.to_be_bytes(), shared].concat());
        derived.extend_from_slice(&Zeroizing::new(hash.digest(&input)));
    }
    derived.truncate(length);
    derived
}

#[cfg(test)]
mod tests {
    use super::*;

    /// NIST CAVS 12.0, "ANS X9.63-2001", SHA-256: the first test with SharedInfo of 0 bits, and the first with 128
    /// bits.
    #[test]
    fn x963_kdf_matches_nist_vectors() {
        let bytes = |hex: &str| -> Vec<u8> {
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
        };
        let secret = bytes("96c05619d56c328ab95fe84b18264b08725b85e33fd34f08");
        assert_eq!(*x963_kdf(Hash::Sha256, &secret, &[], 16), bytes("443024c3dae66b95e6f5670601558f71"));
        let secret = bytes("22518b10e70f2a3f243810ae3254139efbee04aa57c7af7d");
        let shared_info = bytes("75eef81aa3041e33b80971203d2c0c52");
        let derived = bytes(concat!(
            "c498af77161cc59f2962b9a713e2b215152d139766ce34a776df11866a69bf2e",
            "52a13d9c7c6fc878c50c5ea0bc7b00e0da2447cfd874f6cf92f30d0097111485",
            "500c90c3af8b487872d04685d14c8d1dc8d7fa08beb0ce0ababc11f0bd496269",
            "142d43525a78e5bc79a17f59676a5706dc54d54d4d1f0bd7e386128ec26afc21"
        ));
        assert_eq!(*x963_kdf(Hash::Sha256, &secret, &shared_info, 128), derived);
    }
}
