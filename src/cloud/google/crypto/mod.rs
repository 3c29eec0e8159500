//! Operations with a version: MACs and decryption; and random bytes. `signatures` has the signatures.
//!
//! "Method: macSign", "macVerify", "asymmetricDecrypt" of `cryptoKeyVersions` and "generateRandomBytes" of `locations` in
//! Google's documentation. Both sides check what they get by CRC32C: the service reports in `verified...` that it has, and
//! otherwise the reply counts for nothing.

pub(crate) mod signatures;

use super::client::{Clients, Request, damaged};
use super::keys::check_name;
use super::keys::checksum::{self, crc32c};
use super::names::{is_version, location_name};
use super::operations::{DECRYPT, MAC_VERIFY, Operation, RANDOM};
use crate::cloud::failure::refused::FailedAttempt;
use crate::cloud::failure::{Cause, Failure};
use crate::cloud::key::{KeyRequest, SecretBytes};
use base64ct::{Base64, Encoding};
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

/// The reply to macVerify. What is false is left out of JSON.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct VerifyReply {
    success: bool,
    verified_success_integrity: bool,
    verified_data_crc32c: bool,
    verified_mac_crc32c: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DecryptReply {
    /// Missing if the plaintext is empty.
    #[serde(default)]
    plaintext: Zeroizing<String>,
    #[serde(default, deserialize_with = "checksum::deserialize")]
    plaintext_crc32c: Option<u32>,
    #[serde(default)]
    verified_ciphertext_crc32c: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RandomReply {
    data: Zeroizing<String>,
    #[serde(default, deserialize_with = "checksum::deserialize")]
    data_crc32c: Option<u32>,
}

impl Clients {
    /// Returns whether `mac` is a MAC of the message.
    pub(crate) async fn verify_mac(&self, order: &KeyRequest, mac: &[u8]) -> Result<bool, Failure> {
        let version = self.version_of(&MAC_VERIFY, order).await?;
        let fields = json!({
            "data": Base64::encode_string(&order.data), "dataCrc32c": crc32c(&order.data).to_string(),
            "mac": Base64::encode_string(mac), "macCrc32c": crc32c(mac).to_string(),
        });
        let request = Request::post(format!("{version}:macVerify"), &fields);
        self.call(&MAC_VERIFY, &version, &request, |reply: VerifyReply| {
            check_verified(&MAC_VERIFY, reply.verified_data_crc32c && reply.verified_mac_crc32c)?;
            match reply.success == reply.verified_success_integrity {
                true => Ok(reply.success),
                false => Err(damaged(&MAC_VERIFY, "the result contradicts its check")),
            }
        })
        .await
    }

    /// Returns the plaintext of a ciphertext.
    pub(crate) async fn decrypt(&self, order: &KeyRequest) -> Result<SecretBytes, Failure> {
        let version = self.version_of(&DECRYPT, order).await?;
        let ciphertext = Base64::encode_string(&order.data);
        let fields = json!({ "ciphertext": ciphertext, "ciphertextCrc32c": crc32c(&order.data).to_string() });
        let request = Request::post(format!("{version}:asymmetricDecrypt"), &fields);
        self.call(&DECRYPT, &version, &request, |reply: DecryptReply| {
            check_verified(&DECRYPT, reply.verified_ciphertext_crc32c)?;
            checked(&DECRYPT, &reply.plaintext, reply.plaintext_crc32c)
        })
        .await
    }

    /// Returns random bytes of an HSM. More of them than one request returns take several requests.
    pub(crate) async fn random(&self, length: usize) -> Result<SecretBytes, Failure> {
        let ring = self.settings.key_ring.as_deref().unwrap_or_default();
        let location = location_name(ring);
        let mut random = Zeroizing::new(Vec::with_capacity(length));
        while random.len() < length {
            let missing = length - random.len();
            let count = missing.clamp(FEWEST_RANDOM_BYTES, MOST_RANDOM_BYTES);
            let fields = json!({ "lengthBytes": count, "protectionLevel": "HSM" });
            let request = Request::post(format!("{location}:generateRandomBytes"), &fields);
            let bytes = self.call(&RANDOM, location, &request, |reply: RandomReply| {
                let bytes = checked(&RANDOM, &reply.data, reply.data_crc32c)?;
                match bytes.len() == count {
                    true => Ok(bytes),
                    false => {
                        Err(RANDOM.failure(Cause::Malformed, format!("the reply has {} bytes", bytes.len())).into())
                    }
                }
            });
            random.extend_from_slice(&bytes.await?[..count.min(missing)]);
        }
        Ok(random)
    }

    /// Returns the name of the version that performs an operation. It is not known yet if the public key is that of a local
    /// certificate.
    pub(crate) async fn version_of(&self, operation: &Operation, order: &KeyRequest) -> Result<String, Failure> {
        check_name(operation, &order.key.id)?;
        match known_version(order) {
            Some(version) => Ok(version.to_owned()),
            None => Ok(self.newest_version(&order.key.id).await?.name),
        }
    }
}

/// The limits of `lengthBytes`.
const FEWEST_RANDOM_BYTES: usize = 8;
const MOST_RANDOM_BYTES: usize = 1024;

/// Returns the version that the user has named, or that the key had when it was described.
fn known_version(order: &KeyRequest) -> Option<&str> {
    let named = Some(order.key.id.as_str()).filter(|id| is_version(id));
    named.or_else(|| order.immutable_id.as_deref().filter(|id| is_version(id)))
}

/// Checks that the service has compared the checksums of a request.
fn check_verified(operation: &Operation, is_verified: bool) -> Result<(), FailedAttempt> {
    match is_verified {
        true => Ok(()),
        false => Err(damaged(operation, "the service did not get the checksum of the request")),
    }
}

/// Returns the bytes in base64, if the checksum is theirs.
fn checked(operation: &Operation, base64: &str, sum: Option<u32>) -> Result<SecretBytes, FailedAttempt> {
    let unreadable = |_| operation.failure(Cause::Malformed, "the result is not base64");
    let bytes = Base64::decode_vec(base64).map(SecretBytes::new).map_err(unreadable)?;
    match sum == Some(crc32c(&bytes)) {
        true => Ok(bytes),
        false => Err(damaged(operation, "the checksum of the reply does not match")),
    }
}

#[cfg(test)]
mod tests;
