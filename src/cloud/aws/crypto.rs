//! Operations with a key of KMS: signatures, MACs, decryption and shared secrets; and random bytes.
//!
//! API reference: Sign, GenerateMac, VerifyMac, Decrypt, DeriveSharedSecret and GenerateRandom of the AWS KMS API
//! Reference.

use super::client::Clients;
use super::errors::{code_of, refused};
use super::keys::{encryption_algorithm, in_pkcs11_form, is_alias, mac_algorithm, signing_algorithm};
use super::operations::{DECRYPT, DERIVE, GENERATE_MAC, GET_PUBLIC_KEY, Operation, RANDOM, SIGN, VERIFY_MAC};
use crate::cloud::failure::refused::Refused;
use crate::cloud::failure::{Cause, Failure};
use crate::cloud::key::Order;
use crate::cloud::key::{Plain, Signature};
use crate::key::Family;
use aws_sdk_kms::Client;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{KeyAgreementAlgorithmSpec, MacAlgorithmSpec, SigningAlgorithmSpec};

/// The maximum number of bytes of one request. GenerateRandom: "NumberOfBytes: minimum value of 1, maximum value
/// of 1024".
const MOST_RANDOM: usize = 1024;

impl Clients {
    /// Signs the data, or computes a MAC. If the key is missing or disabled, and its alias points to another key
    /// by now, the failure says so.
    pub(crate) async fn sign(&self, order: &Order) -> Result<Signature, Failure> {
        let made = match order.scheme.family {
            Family::Hmac => self.make_mac(order).await,
            _ => self.make_signature(order).await,
        };
        match made {
            Err(failure) if matches!(failure.cause, Cause::Disabled | Cause::Missing) => {
                Err(self.moved(order).await.unwrap_or(failure))
            }
            answer => answer,
        }
    }

    async fn make_signature(&self, order: &Order) -> Result<Signature, Failure> {
        let (algorithm, form) = signing_algorithm(order.scheme).ok_or_else(|| unknown(&SIGN, order))?;
        let attempt = |client: Client| {
            let request = client.sign().key_id(order.id()).message(Blob::new(order.data.to_vec()));
            let request = request.message_type(form.clone()).signing_algorithm(SigningAlgorithmSpec::clone(algorithm));
            async move {
                let reply = request.send().await.map_err(|e| refused(&SIGN, e))?;
                let bytes = in_pkcs11_form(order.kind, bytes_of(reply.signature))?;
                Ok(Signature { bytes, immutable_id: reply.key_id.unwrap_or_else(|| order.id().to_owned()) })
            }
        };
        self.call(&SIGN, &order.key.id, attempt).await
    }

    async fn make_mac(&self, order: &Order) -> Result<Signature, Failure> {
        let algorithm = mac_algorithm(order.scheme).ok_or_else(|| unknown(&GENERATE_MAC, order))?;
        let attempt = |client: Client| {
            let request = client.generate_mac().key_id(order.id()).message(Blob::new(order.data.to_vec()));
            let request = request.mac_algorithm(MacAlgorithmSpec::clone(algorithm));
            async move {
                let reply = request.send().await.map_err(|e| refused(&GENERATE_MAC, e))?;
                let bytes = bytes_of(reply.mac);
                if bytes.len() != order.kind.signature_len() {
                    let message = format!("a MAC of {} bytes", bytes.len());
                    return Err(GENERATE_MAC.failure(Cause::Malformed, message).into());
                }
                Ok(Signature { bytes, immutable_id: reply.key_id.unwrap_or_else(|| order.id().to_owned()) })
            }
        };
        self.call(&GENERATE_MAC, &order.key.id, attempt).await
    }

    /// Returns whether `mac` is a MAC of the message.
    pub(crate) async fn verify_mac(&self, order: &Order, mac: &[u8]) -> Result<bool, Failure> {
        let algorithm = mac_algorithm(order.scheme).ok_or_else(|| unknown(&VERIFY_MAC, order))?;
        let attempt = |client: Client| {
            let request = client.verify_mac().key_id(order.id()).message(Blob::new(order.data.to_vec()));
            let request = request.mac_algorithm(MacAlgorithmSpec::clone(algorithm)).mac(Blob::new(mac));
            async move {
                match request.send().await {
                    Ok(reply) => Ok(reply.mac_valid),
                    Err(error) if code_of(&error) == Some("KMSInvalidMacException") => Ok(false),
                    Err(error) => Err(refused(&VERIFY_MAC, error)),
                }
            }
        };
        self.call(&VERIFY_MAC, &order.key.id, attempt).await
    }

    pub(crate) async fn decrypt(&self, order: &Order) -> Result<Plain, Failure> {
        let algorithm = encryption_algorithm(order.scheme).ok_or_else(|| unknown(&DECRYPT, order))?;
        let attempt = |client: Client| {
            let request = client.decrypt().key_id(order.id()).ciphertext_blob(Blob::new(order.data.to_vec()));
            let request = request.encryption_algorithm(algorithm.clone());
            async move {
                let reply = request.send().await.map_err(|e| refused(&DECRYPT, e))?;
                plain(&DECRYPT, reply.plaintext)
            }
        };
        self.call(&DECRYPT, &order.key.id, attempt).await
    }

    /// Returns the secret shared with the owner of the public key in the order.
    pub(crate) async fn derive(&self, order: &Order) -> Result<Plain, Failure> {
        let attempt = |client: Client| {
            let request = client.derive_shared_secret().key_id(order.id()).public_key(Blob::new(order.data.to_vec()));
            let request = request.key_agreement_algorithm(KeyAgreementAlgorithmSpec::Ecdh);
            async move {
                let reply = request.send().await.map_err(|e| refused(&DERIVE, e))?;
                plain(&DERIVE, reply.shared_secret)
            }
        };
        self.call(&DERIVE, &order.key.id, attempt).await
    }

    /// Returns random bytes. Makes as many requests as necessary, one after the other.
    pub(crate) async fn random(&self, length: usize) -> Result<Plain, Failure> {
        let mut random = Plain::new(Vec::with_capacity(length));
        while random.len() < length {
            let wanted = MOST_RANDOM.min(length - random.len());
            let attempt = |client: Client| {
                let request = client.generate_random().number_of_bytes(wanted as i32);
                async move {
                    let reply = request.send().await.map_err(|e| refused(&RANDOM, e))?;
                    plain(&RANDOM, reply.plaintext)
                }
            };
            let some = self.call(&RANDOM, "", attempt).await?;
            if some.len() != wanted {
                return Err(RANDOM.failure(Cause::Malformed, format!("{} bytes instead of {wanted}", some.len())));
            }
            random.extend_from_slice(&some);
        }
        Ok(random)
    }

    /// Called when the key no longer signs. Returns a failure if the alias of the key points to another key by
    /// now.
    async fn moved(&self, order: &Order) -> Option<Failure> {
        let told = order.told.as_ref().filter(|_| is_alias(&order.key.id))?;
        let attempt = |client: Client| {
            let request = client.get_public_key().key_id(&order.key.id);
            async move { Ok(request.send().await.map_err(|e| refused(&GET_PUBLIC_KEY, e))?.key_id) }
        };
        let now = self.call(&GET_PUBLIC_KEY, &order.key.id, attempt).await.ok().flatten();
        let now = now.filter(|now| now != told)?;
        let message = format!("the alias moved from {told}, which signs no more, to {now}. It will be loaded anew");
        Some(SIGN.failure(Cause::Missing, message))
    }
}

impl Order {
    /// Returns the key's name for requests: its immutable id if it is known, or else its configured name.
    fn id(&self) -> &str {
        self.told.as_ref().unwrap_or(&self.key.id)
    }
}

fn unknown(operation: &Operation, order: &Order) -> Failure {
    operation.failure(Cause::Unsupported, format!("no algorithm for {}", order.scheme.name()))
}

fn bytes_of(blob: Option<Blob>) -> Vec<u8> {
    blob.unwrap_or_else(|| Blob::new([])).into_inner()
}

/// Returns the plaintext or shared secret of a reply. It may be empty, but it must be present.
fn plain(operation: &Operation, blob: Option<Blob>) -> Result<Plain, Refused> {
    let missing = || Refused::from(operation.failure(Cause::Malformed, "it holds no answer"));
    blob.map(|blob| blob.into_inner().into()).ok_or_else(missing)
}
