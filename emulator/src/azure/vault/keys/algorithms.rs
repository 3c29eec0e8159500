//! The algorithms of a JSON web key, and the keys that each is for.

use super::curve::{CURVES, curve_name};
use crate::azure::vault::error::VaultError;
use crate::crypto::{Curve, Family, Hash, Padding, Scheme};
use crate::state::azure::Version;
use serde_json::Value;

/// One signing algorithm of a JWK.
pub(super) struct Algorithm {
    pub(super) name: &'static str,
    pub(super) scheme: Scheme,
    /// The only curve it serves; none for RSA.
    pub(super) curve: Option<Curve>,
}

const fn rsa(name: &'static str, scheme: Scheme) -> Algorithm {
    Algorithm { name, scheme, curve: None }
}

const fn ec(name: &'static str, hash: Hash, curve: Curve) -> Algorithm {
    Algorithm { name, scheme: Scheme::Ecdsa(hash), curve: Some(curve) }
}

static SIGNING: [Algorithm; 11] = [
    rsa("RS256", Scheme::Pkcs1(Hash::Sha256)),
    rsa("RS384", Scheme::Pkcs1(Hash::Sha384)),
    rsa("RS512", Scheme::Pkcs1(Hash::Sha512)),
    rsa("PS256", Scheme::Pss(Hash::Sha256)),
    rsa("PS384", Scheme::Pss(Hash::Sha384)),
    rsa("PS512", Scheme::Pss(Hash::Sha512)),
    rsa("RSNULL", Scheme::Unhashed),
    ec("ES256", Hash::Sha256, Curve::P256),
    ec("ES384", Hash::Sha384, Curve::P384),
    ec("ES512", Hash::Sha512, Curve::P521),
    ec("ES256K", Hash::Sha256, Curve::P256K),
];

static ENCRYPTION: [(&str, Padding); 3] = [
    ("RSA1_5", Padding::Pkcs1),
    ("RSA-OAEP", Padding::Oaep(Hash::Sha1)),
    ("RSA-OAEP-256", Padding::Oaep(Hash::Sha256)),
];

pub(super) fn padding(key: &Version, kid: &str, body: &Value) -> Result<Padding, VaultError> {
    let name = text(body, "alg")?;
    let padding = ENCRYPTION.iter().find(|row| row.0 == name).map(|row| row.1);
    padding.filter(|_| matches!(key.material.family, Family::Rsa(_))).ok_or_else(|| {
        let text = format!(
            "Key and encryption algorithm are incompatible. Key {kid} is of type '{}', and algorithm is '{name}'.",
            key.kty
        );
        VaultError::bad_parameter(text)
    })
}

pub(super) fn signing_algorithm(key: &Version, kid: &str, body: &Value) -> Result<&'static Algorithm, VaultError> {
    let name = text(body, "alg")?;
    let algorithm = SIGNING.iter().find(|row| row.name == name);
    let algorithm =
        algorithm.ok_or_else(|| VaultError::bad_parameter(format!("Unsupported signing algorithm '{name}'.")))?;
    let incompatible = |used: &str, needed: String| {
        let text = format!(
            "Key and signing algorithm are incompatible. Key {kid} {used}, and algorithm '{name}' can only be used with {needed}."
        );
        VaultError::bad_parameter(text)
    };
    let kind = format!("is of type '{}'", key.kty);
    match (algorithm.curve, key.material.family) {
        (None, Family::Rsa(_)) => Ok(algorithm),
        (None, _) => Err(incompatible(&kind, "a key of type 'RSA' or 'RSA-HSM'".to_owned())),
        (Some(curve), Family::Ec(known)) if curve == known => Ok(algorithm),
        (Some(curve), Family::Ec(_)) => {
            let needed = CURVES.iter().find(|row| row.1 == curve).map_or("", |row| row.0);
            let used = format!("uses curve '{}'", curve_name(key.material.family).unwrap_or_default());
            Err(incompatible(&used, format!("curve '{needed}'")))
        }
        (Some(_), _) => Err(incompatible(&kind, "a key of type 'EC' or 'EC-HSM'".to_owned())),
    }
}

pub(super) fn text<'a>(body: &'a Value, name: &str) -> Result<&'a str, VaultError> {
    body.get(name)
        .and_then(Value::as_str)
        .ok_or_else(|| VaultError::bad_parameter(format!("Property '{name}' is required.\r\n")))
}
