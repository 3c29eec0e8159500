//! Operations with a key of Transit: signatures, MACs, decryption; and random bytes.
//!
//! "Sign data", "Generate HMAC", "Verify signed data", "Decrypt data" and "Generate random bytes" of "Transit secrets
//! engine (API)". Results have the form `vault:v3:BASE64`, with the version of the key.

use super::client::{Clients, Request};
use super::keys::{hash_algorithm, version_in_id};
use super::operations::{DECRYPT, HMAC, Operation, RANDOM, SIGN, VERIFY};
use crate::cloud::failure::{Cause, Failure};
use crate::cloud::key::{KeyRequest, SecretBytes, Signature};
use crate::key::{Algorithm, Kind};
use base64ct::{Base64, Base64UrlUnpadded, Encoding};
use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

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
    plaintext: String,
}

#[derive(Deserialize)]
struct RandomReply {
    random_bytes: String,
}

impl Clients {
    /// Signs the data, or computes a MAC.
    pub(crate) async fn sign(&self, order: &KeyRequest) -> Result<Signature, Failure> {
        let (text, operation) = match order.scheme.family {
            Algorithm::Hmac => (self.generate_hmac(order).await?, &HMAC),
            _ => (self.make_signature(order).await?, &SIGN),
        };
        let malformed = |why: &str| operation.failure(Cause::Malformed, why);
        let (version, encoded) = parts(&text).ok_or_else(|| malformed("the reply is not vault:vN:BASE64"))?;
        // The encoding `jws` of ECDSA signatures is r and s in base64url.
        let decoded = match order.scheme.family {
            Algorithm::Ecdsa => Base64UrlUnpadded::decode_vec(encoded.trim_end_matches('=')),
            _ => Base64::decode_vec(encoded),
        };
        let bytes = decoded.map_err(|_| malformed("the signature is not base64"))?;
        if bytes.len() != order.kind.signature_len() {
            return Err(malformed(&format!("the {} bytes are not a signature of {}", bytes.len(), order.kind.name())));
        }
        Ok(Signature { bytes, immutable_id: format!("{}/{}/{version}", self.settings.mount, order.key.id) })
    }

    async fn make_signature(&self, order: &KeyRequest) -> Result<String, Failure> {
        let mut body = json!({ "input": Base64::encode_string(&order.data), "prehashed": order.kind != Kind::Ed25519 });
        let options = match order.scheme.family {
            Algorithm::RsaPkcs1 => json!({ "signature_algorithm": "pkcs1v15" }),
            Algorithm::RsaPss => json!({ "signature_algorithm": "pss", "salt_length": "hash" }),
            Algorithm::Ecdsa => json!({ "marshaling_algorithm": "jws" }),
            _ => json!({}),
        };
        extend(&mut body, options);
        // Without a hash: a DigestInfo, or the message of Ed25519.
        let hash = order.scheme.hash.map_or(Some("none"), hash_algorithm).ok_or_else(|| unsupported(&SIGN, order))?;
        let path = match order.kind {
            Kind::Ed25519 => vec!["sign", &order.key.id],
            _ => vec!["sign", &order.key.id, hash],
        };
        Ok(self.with_key::<SignReply>(&SIGN, order, &path, body).await?.signature)
    }

    async fn generate_hmac(&self, order: &KeyRequest) -> Result<String, Failure> {
        let hash = order.scheme.hash.and_then(hash_algorithm).ok_or_else(|| unsupported(&HMAC, order))?;
        let body = json!({ "input": Base64::encode_string(&order.data) });
        Ok(self.with_key::<HmacReply>(&HMAC, order, &["hmac", &order.key.id, hash], body).await?.hmac)
    }

    /// Returns whether `mac` is a MAC of the message.
    pub(crate) async fn verify_hmac(&self, order: &KeyRequest, mac: &[u8]) -> Result<bool, Failure> {
        let hash = order.scheme.hash.and_then(hash_algorithm).ok_or_else(|| unsupported(&VERIFY, order))?;
        let version = version(order).unwrap_or("1");
        let mac = format!("vault:v{version}:{}", Base64::encode_string(mac));
        let body = json!({ "input": Base64::encode_string(&order.data), "hmac": mac });
        Ok(self.with_key::<VerifyReply>(&VERIFY, order, &["verify", &order.key.id, hash], body).await?.valid)
    }

    pub(crate) async fn decrypt(&self, order: &KeyRequest) -> Result<SecretBytes, Failure> {
        let version = version(order).unwrap_or("1");
        let body = json!({ "ciphertext": format!("vault:v{version}:{}", Base64::encode_string(&order.data)) });
        let reply = self.with_key::<DecryptReply>(&DECRYPT, order, &["decrypt", &order.key.id], body).await;
        // All ciphertexts that the service rejects fail with the same message (RFC 8017 section 7.1.2).
        let reply = reply.map_err(|failure| match failure.cause {
            Cause::Rejected | Cause::Internal => DECRYPT.failure(Cause::Undecryptable, "Vault can't decrypt it"),
            _ => failure,
        })?;
        decoded(&DECRYPT, &reply.plaintext)
    }

    /// Returns random bytes.
    pub(crate) async fn random(&self, length: usize) -> Result<SecretBytes, Failure> {
        let (mount, count) = (self.mount(), length.to_string());
        let path: Vec<&str> = mount.into_iter().chain(["random", &count]).collect();
        let request = Request { method: Method::POST, path: &path, body: Some(json!({ "format": "base64" })) };
        let reply: RandomReply = self.call(&RANDOM, "", &request).await?;
        let random = decoded(&RANDOM, &reply.random_bytes)?;
        match random.len() == length {
            true => Ok(random),
            false => Err(RANDOM.failure(Cause::Malformed, format!("the reply has {} bytes", random.len()))),
        }
    }

    async fn with_key<T: serde::de::DeserializeOwned>(
        &self,
        operation: &'static Operation,
        order: &KeyRequest,
        path: &[&str],
        mut body: Value,
    ) -> Result<T, Failure> {
        if operation.name != DECRYPT.name
            && operation.name != VERIFY.name
            && let Some(version) = version(order).and_then(|version| version.parse::<u64>().ok())
        {
            extend(&mut body, json!({ "key_version": version }));
        }
        let path: Vec<&str> = self.mount().into_iter().chain(path.iter().copied()).collect();
        self.call(operation, &order.key.id, &Request { method: Method::POST, path: &path, body: Some(body) }).await
    }

    /// Returns the segments of the engine's path.
    pub(crate) fn mount(&self) -> Vec<&str> {
        self.settings.mount.split('/').collect()
    }
}

/// Returns the version that the user has named, or that the key had when it was described.
fn version(order: &KeyRequest) -> Option<&str> {
    order.key.version.as_deref().or(order.immutable_id.as_deref().and_then(version_in_id))
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
