//! Key material: the secret and the public half of a key.
//!
//! Signatures are in `sign`, encryption is in `encrypt`.

use super::family::{Curve, Family};
use super::hash::{Hash, mac};
use super::post_quantum::{ml_dsa, slh_dsa};
use super::unable::Unable;
use crate::encoding::der;
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair};
use aws_lc_rs::{agreement, rand};

pub(crate) struct Material {
    pub(crate) family: Family,
    /// SubjectPublicKeyInfo in DER; empty for a secret key.
    pub(crate) spki: Vec<u8>,
    /// PKCS#8 in DER, the seed of an ML-DSA key, or the bytes of a secret key; empty for SLH-DSA.
    pub(crate) private: Vec<u8>,
    pub(super) secret: Secret,
}

pub(super) enum Secret {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    MlDsa(Box<dyn ml_dsa::Key>),
    SlhDsa(Box<slh_dsa::Key>),
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
            Family::SlhDsa => {
                let (key, spki) = slh_dsa::Key::generate()?;
                Ok(Self { family, spki, private: Vec::new(), secret: Secret::SlhDsa(Box::new(key)) })
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

    /// The public key without the SubjectPublicKeyInfo round it.
    pub(crate) fn public_bits(&self) -> Option<Vec<u8>> {
        der::public_bits(&self.spki)
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
