//! The permission to use a key, without using it.
//!
//! "Testing your permissions" of the AWS KMS Developer Guide: with `DryRun`, an operation that would succeed fails with
//! DryRunOperationException.

use crate::cloud::aws::client::{Clients, RegionClient};
use crate::cloud::aws::errors::{code_of, refusal};
use crate::cloud::aws::keys::{encryption_algorithm, mac_algorithm, signing_algorithm};
use crate::cloud::aws::operations::{DECRYPT, DERIVE, GENERATE_MAC, Operation, SIGN};
use crate::cloud::failure::{Cause, Failure};
use crate::cloud::key::KeyRequest;
use crate::key::{Algorithm, Purpose};
use base64ct::{Base64, Encoding};
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use std::sync::Arc;

/// The code of a request with `DryRun` that would have succeeded.
const PERMITTED: &str = "DryRunOperationException";

impl Clients {
    /// Asks whether an order is permitted. Returns without an error if it is.
    pub(super) async fn dry_run(&self, order: &KeyRequest) -> Result<(), Failure> {
        let (operation, target, input) = dry_request(order)?;
        let attempt = |client: Arc<RegionClient>, id: String| {
            let mut input = input.clone();
            input["KeyId"] = id.into();
            // The reply does not name the key.
            let by = order.immutable_id.clone();
            async move {
                match client.signed.send::<IgnoredAny>(target, input.to_string()).await {
                    Ok(_) => Ok(((), by)),
                    Err(error) if code_of(&error) == Some(PERMITTED) => Ok(((), by)),
                    Err(error) => Err(refusal(operation, error)),
                }
            }
        };
        self.call_by_order(operation, order, attempt).await.map(|_| ())
    }
}

/// Returns the operation for an order, its name in the API, and its input without the key.
fn dry_request(order: &KeyRequest) -> Result<(&'static Operation, &'static str, Value), Failure> {
    let data = Base64::encode_string(&order.data);
    let unknown = || SIGN.failure(Cause::Unsupported, format!("it has no algorithm for {}", order.scheme.name()));
    Ok(match (order.scheme.family.purpose(), order.scheme.family) {
        (_, Algorithm::Hmac) => {
            let algorithm = mac_algorithm(order.scheme).ok_or_else(unknown)?.as_str();
            let input = json!({ "Message": data, "MacAlgorithm": algorithm, "DryRun": true });
            (&GENERATE_MAC, "TrentService.GenerateMac", input)
        }
        (Purpose::Derive, _) => {
            let input = json!({ "PublicKey": data, "KeyAgreementAlgorithm": "ECDH", "DryRun": true });
            (&DERIVE, "TrentService.DeriveSharedSecret", input)
        }
        (Purpose::Decrypt | Purpose::Unwrap, _) => {
            let algorithm = encryption_algorithm(order.scheme).ok_or_else(unknown)?.as_str();
            let input = json!({ "CiphertextBlob": data, "EncryptionAlgorithm": algorithm, "DryRun": true });
            (&DECRYPT, "TrentService.Decrypt", input)
        }
        (Purpose::Sign, _) => {
            let (algorithm, form) = signing_algorithm(order.scheme).ok_or_else(unknown)?;
            let (algorithm, form) = (algorithm.as_str(), form.as_str());
            let input = json!({ "Message": data, "MessageType": form, "SigningAlgorithm": algorithm, "DryRun": true });
            (&SIGN, "TrentService.Sign", input)
        }
    })
}
