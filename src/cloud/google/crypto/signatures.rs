//! Signatures and MACs with a version.
//!
//! "Method: projects.locations.keyRings.cryptoKeys.cryptoKeyVersions.asymmetricSign" and "macSign" of Google's
//! documentation. The version is named in each request and in each reply.

use super::{check_verified, checked, known_version};
use crate::cloud::failure::refused::FailedAttempt;
use crate::cloud::failure::{Cause, Failure};
use crate::cloud::google::client::{Clients, Request};
use crate::cloud::google::keys::algorithms::{DATA, input_field};
use crate::cloud::google::keys::checksum::{self, crc32c};
use crate::cloud::google::names::is_same_name;
use crate::cloud::google::operations::{MAC_SIGN, Operation, SIGN};
use crate::cloud::key::{KeyRequest, Signature};
use crate::key::{Algorithm, Kind, ecdsa_from_der};
use base64ct::{Base64, Encoding};
use serde::Deserialize;
use serde_json::{Value, json};

/// The reply to asymmetricSign and to macSign. What is false is left out of JSON.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SignReply {
    name: String,
    #[serde(alias = "mac")]
    signature: String,
    #[serde(default, alias = "macCrc32c", deserialize_with = "checksum::deserialize")]
    signature_crc32c: Option<u32>,
    #[serde(default)]
    verified_digest_crc32c: bool,
    #[serde(default)]
    verified_data_crc32c: bool,
}

impl Clients {
    /// Signs the data, or computes a MAC. If the version that was described earlier may no longer be used, looks for the
    /// newest version, and computes a MAC with it.
    ///
    /// # Errors
    /// Fails with [`Cause::NotFound`] if the key was rotated: the newest version is another key.
    pub(crate) async fn sign(&self, order: &KeyRequest) -> Result<Signature, Failure> {
        let version = self.version_of(&SIGN, order).await?;
        let first = self.sign_with(order, &version).await;
        let Err(refused) = &first else { return first };
        // The user has named the version, or it has just been looked for.
        let is_fixed = known_version(order).is_none_or(|known| known == order.key.id);
        if is_fixed || !matches!(refused.cause, Cause::NotFound | Cause::Disabled) {
            return first;
        }
        let Ok(newest) = self.newest_version(&order.key.id).await else { return first };
        if newest.name == version {
            return first;
        }
        // MACs have no public key. Whoever verifies them names the version.
        if order.scheme.family == Algorithm::Hmac {
            return self.sign_with(order, &newest.name).await;
        }
        let message = format!(
            "the key was rotated: Cloud KMS says {:?}, and {} is another key; search for the key again",
            refused.message, newest.name,
        );
        Err(SIGN.failure(Cause::NotFound, message))
    }

    async fn sign_with(&self, order: &KeyRequest, version: &str) -> Result<Signature, Failure> {
        let (operation, method) = match order.scheme.family {
            Algorithm::Hmac => (&MAC_SIGN, "macSign"),
            _ => (&SIGN, "asymmetricSign"),
        };
        let unsupported = || format!("it has no algorithm for {}", order.scheme.name());
        let field = input_field(order.kind, order.scheme);
        let field = field.ok_or_else(|| operation.failure(Cause::Unsupported, unsupported()))?;
        let request = Request::post(format!("{version}:{method}"), &input(field, &order.data));
        self.call(operation, version, &request, |reply: SignReply| {
            check_verified(
                operation,
                if field == DATA { reply.verified_data_crc32c } else { reply.verified_digest_crc32c },
            )?;
            signature(operation, order.kind, version, &reply)
        })
        .await
    }
}

/// Returns the fields of a request for a signature: the input and its checksum.
fn input(field: &str, data: &[u8]) -> Value {
    let (encoded, sum) = (Base64::encode_string(data), crc32c(data).to_string());
    match field {
        DATA => json!({ "data": encoded, "dataCrc32c": sum }),
        digest => json!({ "digest": { digest: encoded }, "digestCrc32c": sum }),
    }
}

/// Returns the signature in a reply, in the form of PKCS#11.
fn signature(operation: &Operation, kind: Kind, version: &str, reply: &SignReply) -> Result<Signature, FailedAttempt> {
    let malformed = |why: String| FailedAttempt::from(operation.failure(Cause::Malformed, why));
    let bytes = checked(operation, &reply.signature, reply.signature_crc32c)?.to_vec();
    if !is_same_name(&reply.name, version) {
        return Err(malformed(format!("{version} was requested, but {:?} signed", reply.name)));
    }
    let bytes = match kind {
        Kind::Ec(curve) => ecdsa_from_der(&bytes, curve.field_len())
            .ok_or_else(|| malformed(format!("the signature is not one of {} in DER", kind.name())))?,
        _ => bytes,
    };
    if bytes.len() != kind.signature_len() {
        return Err(malformed(format!("the {} bytes are not a signature of {}", bytes.len(), kind.name())));
    }
    Ok(Signature { bytes, immutable_id: version.to_owned() })
}
