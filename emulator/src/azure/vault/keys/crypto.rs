//! What a vault does with a key: sign, verify, encrypt, decrypt, wrap, unwrap, and Managed HSM's random bytes.

use crate::azure::vault::{Call, VaultError};
use crate::crypto::{Curve, Family, Hash, Padding, Scheme};
use crate::encoding::der;
use crate::encoding::{base64url, base64url_decode};
use crate::state::azure::vaults::{CURVES, Version, curve_name};
use aws_lc_rs::rand;
use serde_json::{Value, json};

/// One signing algorithm of a JWK.
struct Algorithm {
    name: &'static str,
    scheme: Scheme,
    /// The only curve it serves; none for RSA.
    curve: Option<Curve>,
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

impl Call<'_> {
    pub(crate) fn operate(&self, name: &str, version: &str, operation: &str) -> Result<Value, VaultError> {
        let permitted = match operation {
            "sign" | "verify" | "encrypt" | "decrypt" => operation,
            "wrapkey" => "wrapKey",
            "unwrapkey" => "unwrapKey",
            _ => return Err(VaultError::new(404, "NotFound", "The requested resource was not found.")),
        };
        let body = self.body()?;
        let key = self.find(name, version)?;
        self.check_usable(&key, operation, permitted)?;
        let kid = self.id("keys", name, &key.version);
        match operation {
            "sign" => self.sign(&key, &kid, &body),
            "verify" => verify(&key, &kid, &body),
            "encrypt" | "wrapkey" => encrypt(&key, &kid, &body),
            _ => self.decrypt(&key, &kid, &body),
        }
    }

    /// Key Vault developer's guide, "Date-time controlled operations": outside its time a key still decrypts and verifies.
    fn check_usable(&self, key: &Version, operation: &str, permitted: &str) -> Result<(), VaultError> {
        let past = matches!(operation, "decrypt" | "verify" | "unwrapkey");
        if !key.enabled {
            return Err(VaultError::forbidden(
                "KeyDisabled",
                format!("Operation {operation} is not allowed on a disabled key."),
            ));
        }
        if !past && key.not_before.is_some_and(|time| time > self.now) {
            return Err(VaultError::forbidden(
                "KeyNotYetValid",
                format!("Operation {operation} is not allowed on a key that is not yet valid."),
            ));
        }
        if !past && key.expires.is_some_and(|time| time <= self.now) {
            return Err(VaultError::forbidden(
                "KeyExpired",
                format!("Operation {operation} is not allowed on an expired key."),
            ));
        }
        if !key.operations.iter().any(|known| known == permitted) {
            return Err(VaultError::forbidden(
                "KeyOperationForbidden",
                format!("Operation {operation} is not permitted on this key."),
            ));
        }
        Ok(())
    }

    fn sign(&self, key: &Version, kid: &str, body: &Value) -> Result<Value, VaultError> {
        let algorithm = signing_algorithm(key, kid, body)?;
        let digest = input(algorithm, body, "value", key)?;
        let signature = self.tamper.sign(&key.material, algorithm.scheme, &digest)?;
        let signature = match algorithm.curve {
            Some(curve) => der::fixed(&signature, curve.width()).ok_or(crate::crypto::Unable)?,
            None => signature,
        };
        Ok(json!({ "kid": kid, "value": base64url(&self.tamper.spoil(signature)) }))
    }

    fn decrypt(&self, key: &Version, kid: &str, body: &Value) -> Result<Value, VaultError> {
        let (padding, value) = (padding(key, kid, body)?, bytes(body, "value")?);
        // What Azure/azure-sdk-for-js#28100 and others were told.
        let text = match padding {
            Padding::Oaep(_) => "Error occurred while decoding OAEP padding.",
            Padding::Pkcs1 => "The parameter is incorrect.\r\n",
        };
        let plaintext = key.material.decrypt(padding, &value).map_err(|_| VaultError::bad_parameter(text))?;
        Ok(json!({ "kid": kid, "value": base64url(&self.tamper.plaintext(plaintext)) }))
    }

    /// Managed HSM only: `POST /rng`.
    pub(crate) fn random(&self) -> Result<Value, VaultError> {
        if !self.place.hsm {
            return Err(VaultError::new(404, "NotFound", "The requested resource was not found."));
        }
        let body = self.body()?;
        let count = body.get("count").and_then(Value::as_u64).filter(|count| (1..=128).contains(count));
        let count =
            count.ok_or_else(|| VaultError::bad_parameter("The number of random bytes must be between 1 and 128."))?;
        let mut bytes = vec![0; usize::try_from(count).unwrap_or_default()];
        rand::fill(&mut bytes).map_err(crate::crypto::Unable::from)?;
        Ok(json!({ "value": base64url(&bytes) }))
    }
}

fn verify(key: &Version, kid: &str, body: &Value) -> Result<Value, VaultError> {
    let algorithm = signing_algorithm(key, kid, body)?;
    let digest = input(algorithm, body, "digest", key)?;
    let signature = bytes(body, "value")?;
    let signature = match algorithm.curve {
        Some(curve) if signature.len() != 2 * curve.width() => return Ok(json!({ "value": false })),
        Some(curve) => {
            let (r, s) = signature.split_at(curve.width());
            der::signature(r, s)
        }
        None => signature,
    };
    Ok(json!({ "value": key.material.verify(algorithm.scheme, &digest, &signature)? }))
}

fn padding(key: &Version, kid: &str, body: &Value) -> Result<Padding, VaultError> {
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

fn encrypt(key: &Version, kid: &str, body: &Value) -> Result<Value, VaultError> {
    let (padding, value) = (padding(key, kid, body)?, bytes(body, "value")?);
    let ciphertext = key.material.encrypt(padding, &value);
    let ciphertext = ciphertext.map_err(|_| VaultError::bad_parameter("The parameter is incorrect.\r\n"))?;
    Ok(json!({ "kid": kid, "value": base64url(&ciphertext) }))
}

fn signing_algorithm(key: &Version, kid: &str, body: &Value) -> Result<&'static Algorithm, VaultError> {
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

/// The digest, of exactly the algorithm's length; RSNULL takes whatever leaves room for the padding.
fn input(algorithm: &Algorithm, body: &Value, name: &str, key: &Version) -> Result<Vec<u8>, VaultError> {
    let value = bytes(body, name)?;
    let wrong = |needed: String| {
        let text = format!(
            "Invalid length of '{name}': {} bytes. {} requires {needed}, encoded with base64url.",
            value.len(),
            algorithm.name
        );
        VaultError::bad_parameter(text)
    };
    match (algorithm.scheme, key.material.family) {
        (Scheme::Pkcs1(hash) | Scheme::Pss(hash) | Scheme::Ecdsa(hash), _) if value.len() != hash.length() => {
            Err(wrong(format!("{} bytes", hash.length())))
        }
        (Scheme::Unhashed, Family::Rsa(bits)) if value.is_empty() || value.len() > usize::from(bits / 8) - 11 => {
            Err(wrong(format!("1 to {} bytes", bits / 8 - 11)))
        }
        _ => Ok(value),
    }
}

fn text<'a>(body: &'a Value, name: &str) -> Result<&'a str, VaultError> {
    body.get(name)
        .and_then(Value::as_str)
        .ok_or_else(|| VaultError::bad_parameter(format!("Property '{name}' is required.\r\n")))
}

fn bytes(body: &Value, name: &str) -> Result<Vec<u8>, VaultError> {
    base64url_decode(text(body, name)?).ok_or_else(|| {
        VaultError::bad_parameter(format!(
            "Content of '{name}' is not base64url.\r\nProperty '{name}' is required.\r\n"
        ))
    })
}
