//! Operations with a key of Transit: signatures, MACs, decryption; and random bytes.
//!
//! "Sign data", "Generate HMAC", "Verify signed data", "Decrypt data" and "Generate random bytes" of "Transit secrets
//! engine (API)". Results have the form `vault:v3:BASE64`, with the version of the key.

use super::client::{Clients, Request, body};
use super::keys::{hash_algorithm, version_in_id};
use super::operations::{DECRYPT, HMAC, Operation, RANDOM, SIGN, VERIFY};
use crate::cloud::failure::refused::FailedAttempt;
use crate::cloud::failure::{Cause, Failure};
use crate::cloud::key::{KeyRequest, SecretBytes, Signature};
use crate::key::{Algorithm, Kind};
use base64ct::{Base64, Base64UrlUnpadded, Encoding};
use http::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::sync::Arc;
use zeroize::Zeroizing;

#[derive(Deserialize)]
struct SignReply {
    signature: String,
}

#[derive(Deserialize)]
struct HmacReply {
    hmac: String,
}

#[derive(Deserialize)]
struct VerifyReply {
    valid: bool,
}

#[derive(Deserialize)]
struct DecryptReply {
    plaintext: Zeroizing<String>,
}

#[derive(Deserialize)]
struct RandomReply {
    random_bytes: Zeroizing<String>,
}

impl Clients {
    /// Signs the data, or computes a MAC. If the version that was described earlier may no longer be used, describes the key
    /// again and signs once more.
    ///
    /// # Errors
    /// Fails with [`Cause::NotFound`] if the key was rotated: the version that is described now has another public key.
    pub(crate) async fn sign(self: &Arc<Self>, order: &KeyRequest) -> Result<Signature, Failure> {
        let version = version(order);
        let first = self.sign_with(order, version).await;
        let (Err(refused), None, Some(old)) = (&first, &order.key.version, version) else { return first };
        if !matches!(refused.cause, Cause::NotFound | Cause::Disabled) {
            return first;
        }
        let Ok(reply) = self.read_key(&order.key).await else { return first };
        let new = reply.version(&order.key);
        if new == old {
            return first;
        }
        // MACs have no public key, and the same version verifies them.
        if order.scheme.family == Algorithm::Hmac {
            return self.sign_with(order, Some(&new)).await;
        }
        let message = format!(
            "the key was rotated: Vault says {:?} about version {old}, and version {new} is another key; search for the key again",
            refused.message,
        );
        Err(SIGN.failure(Cause::NotFound, message))
    }

    async fn sign_with(self: &Arc<Self>, order: &KeyRequest, version: Option<&str>) -> Result<Signature, Failure> {
        let (text, operation) = match order.scheme.family {
            Algorithm::Hmac => (self.generate_hmac(order, version).await?, &HMAC),
            _ => (self.make_signature(order, version).await?, &SIGN),
        };
        let malformed = |why: &str| operation.failure(Cause::Malformed, why);
        let (by, encoded) = parts(&text).ok_or_else(|| malformed("the reply is not vault:vN:BASE64"))?;
        if version.is_some_and(|asked| asked != by) {
            return Err(malformed(&format!(
                "version {} was requested, but version {by} signed",
                version.unwrap_or_default()
            )));
        }
        // The encoding `jws` of ECDSA signatures is r and s in base64url.
        let decoded = match order.scheme.family {
            Algorithm::Ecdsa => Base64UrlUnpadded::decode_vec(encoded.trim_end_matches('=')),
            _ => Base64::decode_vec(encoded),
        };
        let bytes = decoded.map_err(|_| malformed("the signature is not base64"))?;
        if bytes.len() != order.kind.signature_len() {
            return Err(malformed(&format!("the {} bytes are not a signature of {}", bytes.len(), order.kind.name())));
        }
        Ok(Signature { bytes, immutable_id: format!("{}/{}/{by}", self.settings.mount, order.key.id) })
    }

    async fn make_signature(self: &Arc<Self>, order: &KeyRequest, version: Option<&str>) -> Result<String, Failure> {
        let mut fields =
            json!({ "input": Base64::encode_string(&order.data), "prehashed": order.kind != Kind::Ed25519 });
        let options = match order.scheme.family {
            Algorithm::RsaPkcs1 => json!({ "signature_algorithm": "pkcs1v15" }),
            Algorithm::RsaPss => json!({ "signature_algorithm": "pss", "salt_length": "hash" }),
            Algorithm::Ecdsa => json!({ "marshaling_algorithm": "jws" }),
            _ => json!({}),
        };
        extend(&mut fields, options);
        extend(&mut fields, key_version(version));
        // Without a hash: a DigestInfo, or the message of Ed25519.
        let hash = order.scheme.hash.map_or(Some("none"), hash_algorithm).ok_or_else(|| unsupported(&SIGN, order))?;
        let path = match order.kind {
            Kind::Ed25519 => vec!["sign", &order.key.id],
            _ => vec!["sign", &order.key.id, hash],
        };
        Ok(self.with_key::<SignReply>(&SIGN, order, &path, &fields).await?.signature)
    }

    async fn generate_hmac(self: &Arc<Self>, order: &KeyRequest, version: Option<&str>) -> Result<String, Failure> {
        let hash = order.scheme.hash.and_then(hash_algorithm).ok_or_else(|| unsupported(&HMAC, order))?;
        let mut fields = json!({ "input": Base64::encode_string(&order.data) });
        extend(&mut fields, key_version(version));
        Ok(self.with_key::<HmacReply>(&HMAC, order, &["hmac", &order.key.id, hash], &fields).await?.hmac)
    }

    /// Returns whether `mac` is a MAC of the message.
    pub(crate) async fn verify_hmac(self: &Arc<Self>, order: &KeyRequest, mac: &[u8]) -> Result<bool, Failure> {
        let hash = order.scheme.hash.and_then(hash_algorithm).ok_or_else(|| unsupported(&VERIFY, order))?;
        let mac = with_version(&self.known_version(order).await?, mac);
        let fields = json!({ "input": Base64::encode_string(&order.data), "hmac": mac });
        Ok(self.with_key::<VerifyReply>(&VERIFY, order, &["verify", &order.key.id, hash], &fields).await?.valid)
    }

    pub(crate) async fn decrypt(self: &Arc<Self>, order: &KeyRequest) -> Result<SecretBytes, Failure> {
        let ciphertext = with_version(&self.known_version(order).await?, &order.data);
        let path = self.path(&["decrypt", &order.key.id]);
        let fields = body(&json!({ "ciphertext": ciphertext }));
        let request = Request { method: Method::POST, path: &path, body: Some(fields) };
        let reply = self.run(&DECRYPT, &order.key.id, None, async || {
            self.data::<DecryptReply>(&DECRYPT, &request).await.map_err(undecryptable)
        });
        decoded(&DECRYPT, &reply.await?.plaintext)
    }

    /// Returns random bytes.
    pub(crate) async fn random(self: &Arc<Self>, length: usize) -> Result<SecretBytes, Failure> {
        let count = length.to_string();
        let path = self.path(&["random", &count]);
        let fields = body(&json!({ "format": "base64" }));
        let request = Request { method: Method::POST, path: &path, body: Some(fields) };
        let reply: RandomReply = self.call(&RANDOM, "", &request).await?;
        let random = decoded(&RANDOM, &reply.random_bytes)?;
        match random.len() == length {
            true => Ok(random),
            false => Err(RANDOM.failure(Cause::Malformed, format!("the reply has {} bytes", random.len()))),
        }
    }

    async fn with_key<T: DeserializeOwned>(
        self: &Arc<Self>,
        operation: &'static Operation,
        order: &KeyRequest,
        path: &[&str],
        fields: &Value,
    ) -> Result<T, Failure> {
        let path = self.path(path);
        let request = Request { method: Method::POST, path: &path, body: Some(body(fields)) };
        self.call(operation, &order.key.id, &request).await
    }

    /// Returns the version of the key, for requests that must name it. It is not known yet if the public key is that of a
    /// local certificate.
    async fn known_version(self: &Arc<Self>, order: &KeyRequest) -> Result<String, Failure> {
        match version(order) {
            Some(version) => Ok(version.to_owned()),
            None => Ok(self.read_key(&order.key).await?.version(&order.key)),
        }
    }
}

/// Vault's words about every ciphertext that it can't decrypt. The status is 500, as if Vault had failed.
const UNDECRYPTABLE: &str = "failed to RSA decrypt the ciphertext";

/// Returns the refusal of a ciphertext. All ciphertexts that the service rejects fail with the same message (RFC 8017
/// section 7.1.2).
fn undecryptable(refused: FailedAttempt) -> FailedAttempt {
    match refused.failure.message.contains(UNDECRYPTABLE) {
        true => {
            let message = "it was encrypted for another key or with another mechanism, or it was changed".into();
            Failure { cause: Cause::Undecryptable, message, ..refused.failure }.into()
        }
        false => refused,
    }
}

/// Returns the version that the user has named, or that the key had when it was described.
fn version(order: &KeyRequest) -> Option<&str> {
    order.key.version.as_deref().or(order.immutable_id.as_deref().and_then(version_in_id))
}

/// Returns the field that selects a version.
fn key_version(version: Option<&str>) -> Value {
    match version.and_then(|version| version.parse::<u64>().ok()) {
        Some(version) => json!({ "key_version": version }),
        None => json!({}),
    }
}

/// Returns `vault:v3:BASE64`.
fn with_version(version: &str, bytes: &[u8]) -> String {
    format!("vault:v{version}:{}", Base64::encode_string(bytes))
}

/// Returns the version and the value in `vault:v3:VALUE`.
fn parts(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix("vault:v")?
        .split_once(':')
        .filter(|(version, _)| version.bytes().all(|byte| byte.is_ascii_digit()))
}

fn decoded(operation: &Operation, text: &str) -> Result<SecretBytes, Failure> {
    let unreadable = |_| operation.failure(Cause::Malformed, "the result is not base64");
    Base64::decode_vec(text).map(SecretBytes::new).map_err(unreadable)
}

fn extend(body: &mut Value, options: Value) {
    if let (Value::Object(body), Value::Object(options)) = (body, options) {
        body.extend(options);
    }
}

fn unsupported(operation: &Operation, order: &KeyRequest) -> Failure {
    operation.failure(Cause::Unsupported, format!("it has no algorithm for {}", order.scheme.name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_names_its_version() {
        assert_eq!(parts("vault:v12:aGk="), Some(("12", "aGk=")));
        for text in ["vault:1:a", "vault:vx:a", "v1:a", "vault:v1", ""] {
            assert_eq!(parts(text), None, "{text}");
        }
    }
}
