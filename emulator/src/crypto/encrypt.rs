//! Encryption and decryption with RSA keys.

use super::hash::Hash;
use super::material::{Material, Secret};
use super::scheme::Padding;
use super::unable::Unable;
use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OAEP_SHA512_MGF1SHA512, OaepPrivateDecryptingKey,
    OaepPublicEncryptingKey, Pkcs1PrivateDecryptingKey, Pkcs1PublicEncryptingKey, PrivateDecryptingKey,
};

impl Material {
    pub(crate) fn decrypt(&self, padding: Padding, ciphertext: &[u8]) -> Result<Vec<u8>, Unable> {
        let Secret::Rsa(pair) = &self.secret else { return Err(Unable) };
        let private = PrivateDecryptingKey::from_pkcs8(&self.private)?;
        let mut out = vec![0; pair.public_modulus_len()];
        let plaintext = match padding {
            Padding::Pkcs1 => Pkcs1PrivateDecryptingKey::new(private)?.decrypt(ciphertext, &mut out)?,
            Padding::Oaep(hash) => {
                OaepPrivateDecryptingKey::new(private)?.decrypt(oaep(hash)?, ciphertext, &mut out, None)?
            }
        };
        Ok(plaintext.to_vec())
    }

    pub(crate) fn encrypt(&self, padding: Padding, plaintext: &[u8]) -> Result<Vec<u8>, Unable> {
        let Secret::Rsa(pair) = &self.secret else { return Err(Unable) };
        let public = PrivateDecryptingKey::from_pkcs8(&self.private)?.public_key();
        let mut out = vec![0; pair.public_modulus_len()];
        let ciphertext = match padding {
            Padding::Pkcs1 => Pkcs1PublicEncryptingKey::new(public)?.encrypt(plaintext, &mut out)?,
            Padding::Oaep(hash) => {
                OaepPublicEncryptingKey::new(public)?.encrypt(oaep(hash)?, plaintext, &mut out, None)?
            }
        };
        Ok(ciphertext.to_vec())
    }
}

fn oaep(hash: Hash) -> Result<&'static aws_lc_rs::rsa::OaepAlgorithm, Unable> {
    match hash {
        Hash::Sha1 => Ok(&OAEP_SHA1_MGF1SHA1),
        Hash::Sha256 => Ok(&OAEP_SHA256_MGF1SHA256),
        Hash::Sha512 => Ok(&OAEP_SHA512_MGF1SHA512),
        _ => Err(Unable),
    }
}
