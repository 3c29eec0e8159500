//! Signatures of all kinds of keys.

use super::ed25519ph;
use super::family::{Curve, Family};
use super::hash::Hash;
use super::material::{Material, Secret};
use super::post_quantum::{ml_dsa, slh_dsa};
use super::scheme::Scheme;
use super::unable::Unable;
use crate::encoding::der;
use aws_lc_rs::digest::Digest;
use aws_lc_rs::encoding::AsBigEndian;
use aws_lc_rs::signature::{self, UnparsedPublicKey};
use num_bigint::BigUint;

impl Material {
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
            (Secret::SlhDsa(key), Scheme::SlhDsa) => key.sign(slh_dsa::Input::Message(input)),
            (Secret::SlhDsa(key), Scheme::HashSlhDsa) => key.sign(slh_dsa::Input::Sha256(input)),
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
