//! Key material and what can be done with it: sign, verify, decrypt.
//!
//! It knows cryptography and no service: KMS and Key Vault name keys and algorithms in their own ways.

use super::ed25519ph;
use super::ml_dsa;
use super::ml_dsa::ParameterSet;
pub(crate) use super::unable::Unable;
use crate::encoding::der;
use aws_lc_rs::digest::{self, Digest};
use aws_lc_rs::encoding::{AsBigEndian, AsDer};
use aws_lc_rs::rsa::{
    KeySize, OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, OaepPublicEncryptingKey,
    Pkcs1PrivateDecryptingKey, Pkcs1PublicEncryptingKey, PrivateDecryptingKey,
};
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair, UnparsedPublicKey};
use aws_lc_rs::{agreement, hmac, rand};
use num_bigint::BigUint;

/// What a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Family {
    /// RSA with a modulus of so many bits.
    Rsa(u16),
    Ec(Curve),
    Ed25519,
    /// An HMAC key of so many bytes.
    Hmac(u16),
    /// An AES key: listed, never used.
    Symmetric,
    MlDsa(ParameterSet),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Curve {
    P256,
    P384,
    P521,
    P256K,
}

impl Curve {
    /// Bytes of one coordinate.
    pub(crate) fn width(self) -> usize {
        match self {
            Self::P256 | Self::P256K => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    /// The hash both services pair with the curve.
    pub(crate) fn hash(self) -> Hash {
        match self {
            Self::P256 | Self::P256K => Hash::Sha256,
            Self::P384 => Hash::Sha384,
            Self::P521 => Hash::Sha512,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hash {
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    pub(crate) fn length(self) -> usize {
        self.algorithm().output_len()
    }

    pub(crate) fn of(self, message: &[u8]) -> Vec<u8> {
        digest::digest(self.algorithm(), message).as_ref().to_vec()
    }

    fn algorithm(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha224 => &digest::SHA224,
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        }
    }
}

/// How a signature is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Pkcs1(Hash),
    /// The salt is as long as the hash, and MGF1 uses the same hash.
    Pss(Hash),
    /// DER.
    Ecdsa(Hash),
    /// The whole message, not a digest.
    Ed25519,
    /// The whole message, which is hashed first.
    Ed25519Ph,
    /// PKCS#1 v1.5 padding round the bytes as they are.
    Unhashed,
    /// The whole message.
    MlDsa,
    /// The message representative, 64 bytes.
    MlDsaMu,
}

/// How a ciphertext was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Padding {
    Pkcs1,
    Oaep(Hash),
}

pub(crate) struct Material {
    pub(crate) family: Family,
    /// SubjectPublicKeyInfo in DER; empty for a secret key.
    pub(crate) spki: Vec<u8>,
    /// PKCS#8 in DER, the seed of an ML-DSA key, or the bytes of a secret key.
    pub(crate) private: Vec<u8>,
    pub(super) secret: Secret,
}

pub(super) enum Secret {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    MlDsa(Box<dyn ml_dsa::Key>),
    Bytes,
}

impl Material {
    pub(crate) fn generate(family: Family) -> Result<Self, Unable> {
        match family {
            Family::Rsa(bits) => {
                let pair = RsaKeyPair::generate(key_size(bits)?)?;
                let spki = pair.public_key().as_der()?.as_ref().to_vec();
                let private = pair.as_der()?.as_ref().to_vec();
                Ok(Self { family, spki, private, secret: Secret::Rsa(pair) })
            }
            Family::Ec(curve) => {
                let pair = EcdsaKeyPair::generate(ecdsa_signing(curve))?;
                let spki = pair.public_key().as_der()?.as_ref().to_vec();
                let private = pair.to_pkcs8v1()?.as_ref().to_vec();
                Ok(Self { family, spki, private, secret: Secret::Ec(pair) })
            }
            Family::Ed25519 => {
                let pair = Ed25519KeyPair::generate()?;
                let spki = pair.public_key().as_der()?.as_ref().to_vec();
                let private = pair.to_pkcs8v1()?.as_ref().to_vec();
                Ok(Self { family, spki, private, secret: Secret::Ed25519(pair) })
            }
            Family::MlDsa(set) => {
                let (key, seed) = set.generate()?;
                Ok(Self { family, spki: key.spki()?, private: seed, secret: Secret::MlDsa(key) })
            }
            Family::Hmac(length) => Self::secret(family, usize::from(length)),
            Family::Symmetric => Self::secret(family, 32),
        }
    }

    fn secret(family: Family, length: usize) -> Result<Self, Unable> {
        let mut private = vec![0; length];
        rand::fill(&mut private)?;
        Ok(Self { family, spki: Vec::new(), private, secret: Secret::Bytes })
    }

    /// Signs a digest, or what the scheme says it takes instead.
    pub(crate) fn sign(&self, scheme: Scheme, input: &[u8]) -> Result<Vec<u8>, Unable> {
        match (&self.secret, scheme) {
            (Secret::Rsa(pair), Scheme::Pkcs1(hash) | Scheme::Pss(hash)) => {
                let digest = Digest::import_less_safe(input, hash.algorithm())?;
                let mut out = vec![0; pair.public_modulus_len()];
                pair.sign_digest(rsa_encoding(scheme).ok_or(Unable)?, &digest, &mut out)?;
                Ok(out)
            }
            (Secret::Rsa(_), Scheme::Unhashed) => self.sign_unhashed(input),
            (Secret::Ec(pair), Scheme::Ecdsa(hash)) => {
                let digest = Digest::import_less_safe(input, hash.algorithm())?;
                Ok(pair.sign_digest(&digest)?.as_ref().to_vec())
            }
            (Secret::Ed25519(pair), Scheme::Ed25519) => Ok(pair.sign(input).as_ref().to_vec()),
            (Secret::Ed25519(pair), Scheme::Ed25519Ph) => ed25519ph::sign(pair.seed()?.as_be_bytes()?.as_ref(), input),
            (Secret::MlDsa(key), Scheme::MlDsa) => key.sign(ml_dsa::Input::Message(input)),
            (Secret::MlDsa(key), Scheme::MlDsaMu) => key.sign(ml_dsa::Input::Mu(input)),
            _ => Err(Unable),
        }
    }

    /// RFC 8017 section 8.2.1 with `T` given: the library offers no padding without a hash.
    fn sign_unhashed(&self, input: &[u8]) -> Result<Vec<u8>, Unable> {
        let integers = der::rsa_integers(&self.private).ok_or(Unable)?;
        let [_version, n, _e, d, ..] = integers.as_slice() else { return Err(Unable) };
        let padding = n.len().checked_sub(input.len() + 3).filter(|length| *length >= 8).ok_or(Unable)?;
        let block = [&[0, 1], vec![0xff; padding].as_slice(), &[0], input].concat();
        let power = BigUint::from_bytes_be(&block).modpow(&BigUint::from_bytes_be(d), &BigUint::from_bytes_be(n));
        let bytes = power.to_bytes_be();
        Ok([vec![0; n.len() - bytes.len()], bytes].concat())
    }

    pub(crate) fn verify(&self, scheme: Scheme, input: &[u8], signature: &[u8]) -> Result<bool, Unable> {
        match (&self.secret, scheme) {
            // These signatures are always the same for the same input.
            (_, Scheme::Unhashed | Scheme::Ed25519Ph) => return Ok(self.sign(scheme, input)? == signature),
            (Secret::MlDsa(key), Scheme::MlDsa) => return key.verify(ml_dsa::Input::Message(input), signature),
            (Secret::MlDsa(key), Scheme::MlDsaMu) => return key.verify(ml_dsa::Input::Mu(input), signature),
            _ => {}
        }
        let algorithm: &'static dyn signature::VerificationAlgorithm = match (self.family, scheme) {
            (Family::Rsa(_), Scheme::Pkcs1(Hash::Sha256)) => &signature::RSA_PKCS1_2048_8192_SHA256,
            (Family::Rsa(_), Scheme::Pkcs1(Hash::Sha384)) => &signature::RSA_PKCS1_2048_8192_SHA384,
            (Family::Rsa(_), Scheme::Pkcs1(Hash::Sha512)) => &signature::RSA_PKCS1_2048_8192_SHA512,
            (Family::Rsa(_), Scheme::Pss(Hash::Sha256)) => &signature::RSA_PSS_2048_8192_SHA256,
            (Family::Rsa(_), Scheme::Pss(Hash::Sha384)) => &signature::RSA_PSS_2048_8192_SHA384,
            (Family::Rsa(_), Scheme::Pss(Hash::Sha512)) => &signature::RSA_PSS_2048_8192_SHA512,
            (Family::Ec(Curve::P256), Scheme::Ecdsa(Hash::Sha256)) => &signature::ECDSA_P256_SHA256_ASN1,
            (Family::Ec(Curve::P384), Scheme::Ecdsa(Hash::Sha384)) => &signature::ECDSA_P384_SHA384_ASN1,
            (Family::Ec(Curve::P521), Scheme::Ecdsa(Hash::Sha512)) => &signature::ECDSA_P521_SHA512_ASN1,
            (Family::Ec(Curve::P256K), Scheme::Ecdsa(Hash::Sha256)) => &signature::ECDSA_P256K1_SHA256_ASN1,
            (Family::Ed25519, Scheme::Ed25519) => &signature::ED25519,
            _ => return Err(Unable),
        };
        let public = UnparsedPublicKey::new(algorithm, &self.spki);
        Ok(match scheme {
            Scheme::Pkcs1(hash) | Scheme::Pss(hash) | Scheme::Ecdsa(hash) => {
                let digest = Digest::import_less_safe(input, hash.algorithm())?;
                public.verify_digest(&digest, signature).is_ok()
            }
            _ => public.verify(input, signature).is_ok(),
        })
    }

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

    /// ECDH with a public key in SubjectPublicKeyInfo: the x coordinate.
    pub(crate) fn agree(&self, public: &[u8]) -> Result<Vec<u8>, Unable> {
        let (Secret::Ec(pair), Family::Ec(curve)) = (&self.secret, self.family) else { return Err(Unable) };
        let algorithm = match curve {
            Curve::P256 => &agreement::ECDH_P256,
            Curve::P384 => &agreement::ECDH_P384,
            Curve::P521 => &agreement::ECDH_P521,
            Curve::P256K => return Err(Unable),
        };
        let private = pair.private_key().as_der()?;
        let private = agreement::PrivateKey::from_private_key_der(algorithm, private.as_ref())?;
        let public = agreement::UnparsedPublicKey::new(algorithm, public);
        agreement::agree(&private, public, Unable, |secret| Ok(secret.to_vec()))
    }

    pub(crate) fn mac(&self, hash: Hash, message: &[u8]) -> Vec<u8> {
        mac(hash, &self.private, message)
    }

    /// Modulus and public exponent, without leading zeros.
    pub(crate) fn rsa_public(&self) -> Option<(Vec<u8>, Vec<u8>)> {
        let Secret::Rsa(_) = &self.secret else { return None };
        let mut integers = der::rsa_integers(&self.private)?.into_iter().skip(1);
        integers.next().zip(integers.next())
    }

    /// The coordinates of an elliptic curve point, padded to the curve's width.
    pub(crate) fn point(&self) -> Option<(Vec<u8>, Vec<u8>)> {
        let (Secret::Ec(pair), Family::Ec(curve)) = (&self.secret, self.family) else { return None };
        let (x, y) = pair.public_key().as_ref().get(1..)?.split_at_checked(curve.width())?;
        Some((x.to_vec(), y.to_vec()))
    }
}

pub(crate) fn mac(hash: Hash, key: &[u8], message: &[u8]) -> Vec<u8> {
    let algorithm = match hash {
        Hash::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        Hash::Sha224 => hmac::HMAC_SHA224,
        Hash::Sha256 => hmac::HMAC_SHA256,
        Hash::Sha384 => hmac::HMAC_SHA384,
        Hash::Sha512 => hmac::HMAC_SHA512,
    };
    hmac::sign(&hmac::Key::new(algorithm, key), message).as_ref().to_vec()
}

fn key_size(bits: u16) -> Result<KeySize, Unable> {
    match bits {
        2048 => Ok(KeySize::Rsa2048),
        3072 => Ok(KeySize::Rsa3072),
        4096 => Ok(KeySize::Rsa4096),
        _ => Err(Unable),
    }
}

pub(super) fn ecdsa_signing(curve: Curve) -> &'static signature::EcdsaSigningAlgorithm {
    match curve {
        Curve::P256 => &signature::ECDSA_P256_SHA256_ASN1_SIGNING,
        Curve::P384 => &signature::ECDSA_P384_SHA384_ASN1_SIGNING,
        Curve::P521 => &signature::ECDSA_P521_SHA512_ASN1_SIGNING,
        Curve::P256K => &signature::ECDSA_P256K1_SHA256_ASN1_SIGNING,
    }
}

fn rsa_encoding(scheme: Scheme) -> Option<&'static dyn signature::RsaEncoding> {
    Some(match scheme {
        Scheme::Pkcs1(Hash::Sha256) => &signature::RSA_PKCS1_SHA256,
        Scheme::Pkcs1(Hash::Sha384) => &signature::RSA_PKCS1_SHA384,
        Scheme::Pkcs1(Hash::Sha512) => &signature::RSA_PKCS1_SHA512,
        Scheme::Pss(Hash::Sha256) => &signature::RSA_PSS_SHA256,
        Scheme::Pss(Hash::Sha384) => &signature::RSA_PSS_SHA384,
        Scheme::Pss(Hash::Sha512) => &signature::RSA_PSS_SHA512,
        _ => return None,
    })
}

fn oaep(hash: Hash) -> Result<&'static aws_lc_rs::rsa::OaepAlgorithm, Unable> {
    match hash {
        Hash::Sha1 => Ok(&OAEP_SHA1_MGF1SHA1),
        Hash::Sha256 => Ok(&OAEP_SHA256_MGF1SHA256),
        _ => Err(Unable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_curve_signs_and_verifies() {
        for curve in [Curve::P256, Curve::P384, Curve::P521, Curve::P256K] {
            let key = Material::generate(Family::Ec(curve)).unwrap();
            let (scheme, digest) = (Scheme::Ecdsa(curve.hash()), curve.hash().of(b"message"));
            let signature = key.sign(scheme, &digest).unwrap();
            assert!(key.verify(scheme, &digest, &signature).unwrap());
            assert!(!key.verify(scheme, &curve.hash().of(b"other"), &signature).unwrap());
            assert_eq!(key.point().unwrap().0.len(), curve.width());
        }
    }

    #[test]
    fn a_digest_info_padded_by_hand_is_the_same_signature() {
        let key = Material::generate(Family::Rsa(2048)).unwrap();
        let digest = Hash::Sha256.of(b"message");
        // RFC 8017 section 9.2, note 1: the DigestInfo of SHA-256.
        let prefix =
            [0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0, 4, 32];
        let info = [&prefix[..], &digest].concat();
        assert_eq!(key.sign(Scheme::Unhashed, &info).unwrap(), key.sign(Scheme::Pkcs1(Hash::Sha256), &digest).unwrap());
    }
}
