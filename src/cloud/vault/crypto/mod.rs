//! Operations with a key of Transit: MACs and decryption; and random bytes. `signatures` has the signatures.
//!
//! "Generate HMAC", "Verify signed data", "Decrypt data" and "Generate random bytes" of "Transit secrets engine (API)". Results
//! have the form `vault:v3:BASE64`, with the version of the key.

pub(crate) mod signatures;

use super::client::{Clients, Request};
use super::keys::{hash_algorithm, version_in_id};
use super::operations::{DECRYPT, HMAC, Operation, RANDOM, VERIFY};
use crate::cloud::failure::{Cause, Failure};
use crate::cloud::http::transport::json_body;
use crate::cloud::key::{KeyRequest, SecretBytes};
use base64ct::{Base64, Encoding};
use http::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::sync::Arc;
use zeroize::Zeroizing;

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
    /// Computes a MAC. Returns `vault:v3:BASE64`.
    async fn generate_hmac(self: &Arc<Self>, order: &KeyRequest, version: Option<&str>) -> Result<String, Failure> {
        let hash = order.scheme.hash.and_then(hash_algorithm).ok_or_else(|| unsupported(&HMAC, order))?;
        let mut fields = json!({ "input": Base64::encode_string(&order.data) });
        if let Some(version) = key_version(version) {
            fields["key_version"] = json!(version);
        }
        Ok(self.with_key::<HmacReply>(&HMAC, order, &["hmac", &order.key.id, hash], &fields).await?.hmac)
    }

    /// Returns whether `mac` is a MAC of the message.
    pub(crate) async fn verify_hmac(self: &Arc<Self>, order: &KeyRequest, mac: &[u8]) -> Result<bool, Failure> {
        let hash = order.scheme.hash.and_then(hash_algorithm).ok_or_else(|| unsupported(&VERIFY, order))?;
        let mac = with_version(&self.known_version(order).await?, mac);
        let fields = json!({ "input": Base64::encode_string(&order.data), "hmac": mac });
        Ok(self.with_key::<VerifyReply>(&VERIFY, order, &["verify", &order.key.id, hash], &fields).await?.valid)
    }

    /// Returns the plaintext of a ciphertext.
    pub(crate) async fn decrypt(self: &Arc<Self>, order: &KeyRequest) -> Result<SecretBytes, Failure> {
        let ciphertext = with_version(&self.known_version(order).await?, &order.data);
        let fields = json!({ "ciphertext": ciphertext });
        let reply = self.with_key::<DecryptReply>(&DECRYPT, order, &["decrypt", &order.key.id], &fields).await?;
        decoded(&DECRYPT, &reply.plaintext)
    }

    /// Returns random bytes.
    pub(crate) async fn random(self: &Arc<Self>, length: usize) -> Result<SecretBytes, Failure> {
        let count = length.to_string();
        let path = self.path(&["random", &count]);
        let fields = json_body(&json!({ "format": "base64" }));
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
        let request = Request { method: Method::POST, path: &path, body: Some(json_body(fields)) };
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

/// Returns the version that the user has named, or that the key had when it was described.
fn version(order: &KeyRequest) -> Option<&str> {
    order.key.version.as_deref().or(order.immutable_id.as_deref().and_then(version_in_id))
}

/// Returns the value of the field that selects a version.
fn key_version(version: Option<&str>) -> Option<u64> {
    version.and_then(|version| version.parse().ok())
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
