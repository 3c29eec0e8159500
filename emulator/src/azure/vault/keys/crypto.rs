//! What a vault does with a key: sign, verify, encrypt, decrypt, wrap, unwrap, and Managed HSM's random bytes.

use super::algorithms::{Algorithm, padding, signing_algorithm, text};
use crate::azure::vault::call::Call;
use crate::azure::vault::error::VaultError;
use crate::crypto::{Family, Padding, Scheme, Unable};
use crate::encoding::{base64url, base64url_decode, der};
use crate::state::azure::Version;
use aws_lc_rs::rand;
use serde_json::{Value, json};

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
            Some(curve) => der::fixed(&signature, curve.width()).ok_or(Unable)?,
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
        rand::fill(&mut bytes).map_err(Unable::from)?;
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

fn encrypt(key: &Version, kid: &str, body: &Value) -> Result<Value, VaultError> {
    let (padding, value) = (padding(key, kid, body)?, bytes(body, "value")?);
    let ciphertext = key.material.encrypt(padding, &value);
    let ciphertext = ciphertext.map_err(|_| VaultError::bad_parameter("The parameter is incorrect.\r\n"))?;
    Ok(json!({ "kid": kid, "value": base64url(&ciphertext) }))
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

fn bytes(body: &Value, name: &str) -> Result<Vec<u8>, VaultError> {
    base64url_decode(text(body, name)?).ok_or_else(|| {
        VaultError::bad_parameter(format!(
            "Content of '{name}' is not base64url.\r\nProperty '{name}' is required.\r\n"
        ))
    })
}
