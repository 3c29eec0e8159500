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
use std::future::Future;
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
        let made = match order.scheme.family {
            Algorithm::Hmac => self.generate_mac(order).await,
            _ => self.make_signature(order).await,
        };
        match made {
            Ok((bytes, immutable_id)) => Ok(Signature { bytes, immutable_id }),
            Err(failure) if matches!(failure.cause, Cause::Disabled | Cause::NotFound) => {
                Err(self.moved_alias(order).await.unwrap_or(failure))
            }
            Err(failure) => Err(failure),
        }
    }

    /// Makes a request with the key of the order. The request returns its result and the key in the reply. Returns the
    /// result and the immutable id of the key.
    ///
    /// If the key may not be used by its ARN, the request is repeated with the alias: a policy with the condition key
    /// `kms:RequestAlias` permits only requests that name the alias.
    pub(crate) async fn call_by_order<T, F>(
        &self,
        operation: &'static Operation,
        order: &KeyRequest,
        request: impl Fn(Arc<RegionClient>, String) -> F,
    ) -> Result<(T, String), Failure>
    where
        F: Future<Output = Result<(T, Option<String>), FailedAttempt>>,
    {
        let name = &order.key.id;
        let immutable_id = |arn: Option<String>| arn.map(|arn| self.primary_arn(name, arn));
        let denied = match self.call_with_key(operation, name, order.key_id(), &request).await {
            Err(failure) if failure.cause == Cause::Denied => failure,
            answer => {
                return answer.map(|(result, by)| (result, immutable_id(by).unwrap_or_else(|| order.key_id().into())));
            }
        };
        let Some(known) = order.immutable_id.as_ref().filter(|_| is_alias(name)) else { return Err(denied) };
        // Boxed: otherwise the future of every call would contain this future, which is rarely used.
        match Box::pin(self.call_with_key(operation, name, name, &request)).await {
            Ok((result, Some(by))) if self.primary_arn(name, by.clone()) == *known => Ok((result, known.clone())),
            Ok((_, Some(by))) => Err(operation.failure(Cause::NotFound, moved(known, &by))),
            Ok((_, None)) | Err(_) => Err(denied),
        }
    }

    async fn make_signature(&self, order: &KeyRequest) -> Result<(Vec<u8>, String), Failure> {
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
                Ok((to_pkcs11_signature(order.kind, bytes)?, reply.key_id))
            }
        };
        self.call_by_order(&SIGN, order, attempt).await
    }

    async fn generate_mac(&self, order: &KeyRequest) -> Result<(Vec<u8>, String), Failure> {
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
                Ok((bytes, reply.key_id))
            }
        };
        self.call_by_order(&GENERATE_MAC, order, attempt).await
    }

    /// Returns whether `mac` is a MAC of the message.
    pub(crate) async fn verify_mac(&self, order: &KeyRequest, mac: &[u8]) -> Result<bool, Failure> {
        let algorithm = mac_algorithm(order.scheme).ok_or_else(|| unsupported_scheme(&VERIFY_MAC, order))?;
        let attempt = |client: Arc<RegionClient>, id: String| {
            let request = client.sdk.verify_mac().key_id(id).message(Blob::new(order.data.to_vec()));
            let request = request.mac_algorithm(MacAlgorithmSpec::clone(algorithm)).mac(Blob::new(mac));
            async move {
                match request.send().await {
                    Ok(reply) => Ok((reply.mac_valid, reply.key_id)),
                    Err(error) if code_of(&error) == Some("KMSInvalidMacException") => Ok((false, None)),
                    Err(error) => Err(refusal(&VERIFY_MAC, error)),
                }
            }
        };
        Ok(self.call_by_order(&VERIFY_MAC, order, attempt).await?.0)
    }

    pub(crate) async fn decrypt(&self, order: &KeyRequest) -> Result<SecretBytes, Failure> {
        let algorithm = encryption_algorithm(order.scheme).ok_or_else(|| unsupported_scheme(&DECRYPT, order))?;
        let attempt = |client: Arc<RegionClient>, id: String| {
            let request = client.sdk.decrypt().key_id(id).ciphertext_blob(Blob::new(order.data.to_vec()));
            let request = request.encryption_algorithm(algorithm.clone());
            async move {
                let reply = request.send().await.map_err(|e| refusal(&DECRYPT, e))?;
                Ok((plaintext(&DECRYPT, reply.plaintext)?, reply.key_id))
            }
        };
        Ok(self.call_by_order(&DECRYPT, order, attempt).await?.0)
    }

    /// Returns the secret shared with the owner of the public key in the order.
    pub(crate) async fn derive(&self, order: &KeyRequest) -> Result<SecretBytes, Failure> {
        let attempt = |client: Arc<RegionClient>, id: String| {
            let request = client.sdk.derive_shared_secret().key_id(id).public_key(Blob::new(order.data.to_vec()));
            let request = request.key_agreement_algorithm(KeyAgreementAlgorithmSpec::Ecdh);
            async move {
                let reply = request.send().await.map_err(|e| refusal(&DERIVE, e))?;
                Ok((plaintext(&DERIVE, reply.shared_secret)?, reply.key_id))
            }
        };
        Ok(self.call_by_order(&DERIVE, order, attempt).await?.0)
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
        Some(SIGN.failure(Cause::NotFound, moved(previous, &now)))
    }
}

fn moved(previous: &str, now: &str) -> String {
    format!("the alias moved from {previous} to {now}; search for the key again")
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
