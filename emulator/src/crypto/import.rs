//! Private keys from outside, in PKCS#8 (RFC 5958).

use super::family::{Curve, Family};
use super::material::{Material, Secret, ecdsa_signing};
use super::unable::Unable;
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::signature::{EcdsaKeyPair, KeyPair, RsaKeyPair};

impl Material {
    /// An RSA key of a size that services have, or an elliptic curve key.
    pub(crate) fn import(pkcs8: &[u8]) -> Result<Self, Unable> {
        if let Ok(pair) = RsaKeyPair::from_pkcs8(pkcs8) {
            return rsa(pair);
        }
        let curves = [Curve::P256, Curve::P384, Curve::P521, Curve::P256K];
        let found = curves.into_iter().find_map(|curve| {
            let pair = EcdsaKeyPair::from_pkcs8(ecdsa_signing(curve), pkcs8).ok()?;
            Some((curve, pair))
        });
        let (curve, pair) = found.ok_or(Unable)?;
        let spki = pair.public_key().as_der()?.as_ref().to_vec();
        let private = pair.to_pkcs8v1()?.as_ref().to_vec();
        Ok(Self { family: Family::Ec(curve), spki, private, secret: Secret::Ec(pair) })
    }
}

fn rsa(pair: RsaKeyPair) -> Result<Material, Unable> {
    let bits = u16::try_from(pair.public_modulus_len() * 8).map_err(|_| Unable)?;
    if ![2048, 3072, 4096].contains(&bits) {
        return Err(Unable);
    }
    let spki = pair.public_key().as_der()?.as_ref().to_vec();
    let private = pair.as_der()?.as_ref().to_vec();
    Ok(Material { family: Family::Rsa(bits), spki, private, secret: Secret::Rsa(pair) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_back_as_it_went() {
        for family in [Family::Rsa(2048), Family::Ec(Curve::P256), Family::Ec(Curve::P521), Family::Ec(Curve::P256K)] {
            let key = Material::generate(family).unwrap();
            let again = Material::import(&key.private).unwrap();
            assert_eq!((again.family, &again.spki, &again.private), (family, &key.spki, &key.private));
        }
        assert!(Material::import(b"no key").is_err());
    }
}
