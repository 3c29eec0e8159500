//! Operations with a key of KMS: signatures, MACs, decryption and shared secrets; and random bytes.
//!
//! API reference: Sign, GenerateMac, VerifyMac, Decrypt, DeriveSharedSecret and GenerateRandom of the AWS KMS API
//! Reference.

use super::client::{Clients, RegionClient};
use super::errors::{code_of, refusal};
use super::keys::{encryption_algorithm, is_alias, mac_algorithm, signing_algorithm, to_pkcs11_signature};
use super::operations::{DECRYPT, DERIVE, GENERATE_MAC, GET_PUBLIC_KEY, Operation, RANDOM, SIGN, VERIFY_MAC};
use crate::cloud::failure::refused::FailedAttempt;
use crate::cloud::failure::{Cause, Failure};
use crate::cloud::key::KeyRequest;
use crate::cloud::key::{SecretBytes, Signature};
use crate::key::Algorithm;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{KeyAgreementAlgorithmSpec, MacAlgorithmSpec};
use base64ct::{Base64, Encoding};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

/// The reply to Sign.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SignReply {
    key_id: Option<String>,
    /// Base64.
    signature: String,
}

/// The maximum number of bytes of one request. GenerateRandom: "NumberOfBytes: minimum value of 1, maximum value
/// of 1024".
const MAX_RANDOM_LEN: usize = 1024;

impl Clients {
    /// Signs the data, or computes a MAC. If the key is missing or disabled, and its alias points to another key
    /// by now, the failure says so.
    pub(crate) async fn sign(&self, order: &KeyRequest) -> Result<Signature, Failure> {
        match self.sign_with(order, order.key_id()).await {
            Err(failure) if failure.cause == Cause::Denied => self.sign_by_alias(order).await.unwrap_or(Err(failure)),
            Err(failure) if matches!(failure.cause, Cause::Disabled | Cause::NotFound) => {
                Err(self.moved_alias(order).await.unwrap_or(failure))
            }
            answer => answer,
        }
    }

    /// Signs with the key that has this name.
    async fn sign_with(&self, order: &KeyRequest, id: &str) -> Result<Signature, Failure> {
        match order.scheme.family {
            Algorithm::Hmac => self.generate_mac(order, id).await,
            _ => self.make_signature(order, id).await,
        }
    }

    /// Called when the key may not be used by its ARN. A policy with the condition key `kms:RequestAlias` permits only
    /// requests that name the alias. Returns `None` if there is no alias, or if the alias is not permitted either.
    async fn sign_by_alias(&self, order: &KeyRequest) -> Option<Result<Signature, Failure>> {
        let known = order.immutable_id.as_ref().filter(|_| is_alias(&order.key.id))?;
        let signature = self.sign_with(order, &order.key.id).await.ok()?;
        let is_same = signature.immutable_id == *known;
        Some(if is_same { Ok(signature) } else { Err(moved(known, &signature.immutable_id)) })
    }

    async fn make_signature(&self, order: &KeyRequest, id: &str) -> Result<Signature, Failure> {
        let (algorithm, form) = signing_algorithm(order.scheme).ok_or_else(|| unsupported_scheme(&SIGN, order))?;
        let attempt = |client: Arc<RegionClient>, id: String| {
            let input = json!({
                "KeyId": id,
                "Message": Base64::encode_string(&order.data),
                "MessageType": form.as_str(),
                "SigningAlgorithm": algorithm.as_str(),
            });
            async move {
                let reply = client.signed.send::<SignReply>("TrentService.Sign", input.to_string()).await;
                let reply = reply.map_err(|e| refusal(&SIGN, e))?;
                let bytes = Base64::decode_vec(&reply.signature)
                    .map_err(|_| SIGN.failure(Cause::Malformed, "the signature is not base64"))?;
                let bytes = to_pkcs11_signature(order.kind, bytes)?;
                Ok(Signature { bytes, immutable_id: self.immutable_id(order, reply.key_id) })
            }
        };
        self.call_with_key(&SIGN, &order.key.id, id, attempt).await
    }

    async fn generate_mac(&self, order: &KeyRequest, id: &str) -> Result<Signature, Failure> {
        let algorithm = mac_algorithm(order.scheme).ok_or_else(|| unsupported_scheme(&GENERATE_MAC, order))?;
        let attempt = |client: Arc<RegionClient>, id: String| {
            let request = client.sdk.generate_mac().key_id(id).message(Blob::new(order.data.to_vec()));
            let request = request.mac_algorithm(MacAlgorithmSpec::clone(algorithm));
            async move {
                let reply = request.send().await.map_err(|e| refusal(&GENERATE_MAC, e))?;
                let bytes = bytes_of(reply.mac);
                if bytes.len() != order.kind.signature_len() {
                    let message = format!("the MAC has {} bytes", bytes.len());
                    return Err(GENERATE_MAC.failure(Cause::Malformed, message).into());
                }
                Ok(Signature { bytes, immutable_id: self.immutable_id(order, reply.key_id) })
            }
        };
        self.call_with_key(&GENERATE_MAC, &order.key.id, id, attempt).await
    }

    /// Returns whether `mac` is a MAC of the message.
    pub(crate) async fn verify_mac(&self, order: &KeyRequest, mac: &[u8]) -> Result<bool, Failure> {
        let algorithm = mac_algorithm(order.scheme).ok_or_else(|| unsupported_scheme(&VERIFY_MAC, order))?;
        let attempt = |client: Arc<RegionClient>, id: String| {
            let request = client.sdk.verify_mac().key_id(id).message(Blob::new(order.data.to_vec()));
            let request = request.mac_algorithm(MacAlgorithmSpec::clone(algorithm)).mac(Blob::new(mac));
            async move {
                match request.send().await {
                    Ok(reply) => Ok(reply.mac_valid),
                    Err(error) if code_of(&error) == Some("KMSInvalidMacException") => Ok(false),
                    Err(error) => Err(refusal(&VERIFY_MAC, error)),
                }
            }
        };
        self.call_with_key(&VERIFY_MAC, &order.key.id, order.key_id(), attempt).await
    }

    /// Returns the immutable id in a reply, or else the id in the request. A replica's ARN becomes that of the key.
    fn immutable_id(&self, order: &KeyRequest, arn: Option<String>) -> String {
        let arn = arn.unwrap_or_else(|| order.key_id().to_owned());
        self.primary_arn(&order.key.id, arn)
    }

    pub(crate) async fn decrypt(&self, order: &KeyRequest) -> Result<SecretBytes, Failure> {
        let algorithm = encryption_algorithm(order.scheme).ok_or_else(|| unsupported_scheme(&DECRYPT, order))?;
        let attempt = |client: Arc<RegionClient>, id: String| {
            let request = client.sdk.decrypt().key_id(id).ciphertext_blob(Blob::new(order.data.to_vec()));
            let request = request.encryption_algorithm(algorithm.clone());
            async move {
                let reply = request.send().await.map_err(|e| refusal(&DECRYPT, e))?;
                plaintext(&DECRYPT, reply.plaintext)
            }
        };
        self.call_with_key(&DECRYPT, &order.key.id, order.key_id(), attempt).await
    }

    /// Returns the secret shared with the owner of the public key in the order.
    pub(crate) async fn derive(&self, order: &KeyRequest) -> Result<SecretBytes, Failure> {
        let attempt = |client: Arc<RegionClient>, id: String| {
            let request = client.sdk.derive_shared_secret().key_id(id).public_key(Blob::new(order.data.to_vec()));
            let request = request.key_agreement_algorithm(KeyAgreementAlgorithmSpec::Ecdh);
            async move {
                let reply = request.send().await.map_err(|e| refusal(&DERIVE, e))?;
                plaintext(&DERIVE, reply.shared_secret)
            }
        };
        self.call_with_key(&DERIVE, &order.key.id, order.key_id(), attempt).await
    }

    /// Returns random bytes. Makes as many requests as necessary, one after the other.
    pub(crate) async fn random(&self, length: usize) -> Result<SecretBytes, Failure> {
        let mut random = SecretBytes::new(Vec::with_capacity(length));
        while random.len() < length {
            let wanted = MAX_RANDOM_LEN.min(length - random.len());
            let attempt = |client: Arc<RegionClient>| {
                let request = client.sdk.generate_random().number_of_bytes(wanted as i32);
                async move {
                    let reply = request.send().await.map_err(|e| refusal(&RANDOM, e))?;
                    plaintext(&RANDOM, reply.plaintext)
                }
            };
            let some = self.call(&RANDOM, "", attempt).await?;
            if some.len() != wanted {
                return Err(
                    RANDOM.failure(Cause::Malformed, format!("the reply has {} bytes instead of {wanted}", some.len()))
                );
            }
            random.extend_from_slice(&some);
        }
        Ok(random)
    }

    /// Called when the key no longer signs. Returns a failure if the alias of the key points to another key by
    /// now.
    async fn moved_alias(&self, order: &KeyRequest) -> Option<Failure> {
        let previous = order.immutable_id.as_ref().filter(|_| is_alias(&order.key.id))?;
        let attempt = |client: Arc<RegionClient>| {
            let request = client.sdk.get_public_key().key_id(&order.key.id);
            async move { Ok(request.send().await.map_err(|e| refusal(&GET_PUBLIC_KEY, e))?.key_id) }
        };
        let now = self.call(&GET_PUBLIC_KEY, &order.key.id, attempt).await.ok().flatten();
        let now = now.filter(|now| now != previous)?;
        Some(moved(previous, &now))
    }
}

fn moved(previous: &str, now: &str) -> Failure {
    let message =
        format!("the alias moved from {previous}, which can no longer sign, to {now}; search for the key again");
    SIGN.failure(Cause::NotFound, message)
}

impl KeyRequest {
    /// Returns the key's name for requests: its immutable id if it is known, or else its configured name.
    fn key_id(&self) -> &str {
        self.immutable_id.as_ref().unwrap_or(&self.key.id)
    }
}

fn unsupported_scheme(operation: &Operation, order: &KeyRequest) -> Failure {
    operation.failure(Cause::Unsupported, format!("it has no algorithm for {}", order.scheme.name()))
}

fn bytes_of(blob: Option<Blob>) -> Vec<u8> {
    blob.unwrap_or_else(|| Blob::new([])).into_inner()
}

/// Returns the plaintext or shared secret of a reply. It may be empty, but it must be present.
fn plaintext(operation: &Operation, blob: Option<Blob>) -> Result<SecretBytes, FailedAttempt> {
    let missing = || FailedAttempt::from(operation.failure(Cause::Malformed, "the reply lacks the result"));
    blob.map(|blob| blob.into_inner().into()).ok_or_else(missing)
}
