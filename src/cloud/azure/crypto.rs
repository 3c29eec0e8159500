//! Operations with a key of Key Vault: signatures and decryption; and random bytes.
//!
//! Key Vault REST API reference, version 2025-07-01: Sign, Decrypt, Unwrap Key, Get Random Bytes.

use super::client::{Clients, Vault, call};
use super::errors::refusal;
use super::keys::describe;
use super::keys::{encryption_algorithm, signature_algorithm, version_in_id};
use super::operations::{DECRYPT, Operation, RANDOM, SIGN, UNWRAP_KEY};
use crate::cloud::failure::refused::FailedAttempt;
use crate::cloud::failure::{Cause, Failure, UNDECRYPTABLE};
use crate::cloud::key::KeyRequest;
use crate::cloud::key::{SecretBytes, Signature};
use azure_core::http::{RequestContent, Response};
use azure_security_keyvault_keys::models::{
    GetRandomBytesParameters, KeyClientSignOptions, KeyOperationParameters, KeyOperationResult, SignParameters,
};
use std::sync::{Arc, PoisonError};

/// Signs the data. If the version that was resolved earlier is missing, disabled or expired, resolves the key's
/// name again and signs once more.
///
/// # Errors
/// Fails with [`Cause::NotFound`] if the key was rotated: the version that is resolved now has another public key,
/// or the earlier public key is not known.
pub(crate) async fn sign_resolving_rotation(
    clients: &Clients,
    vault: &Vault,
    order: &KeyRequest,
) -> Result<Signature, FailedAttempt> {
    let pinned = order.immutable_id.as_deref().and_then(version_in_id);
    let first = sign(vault, order, order.key.version.as_deref().or(pinned)).await;
    let (Err(refused), None, Some(old)) = (&first, &order.key.version, &order.immutable_id) else { return first };
    if !matches!(refused.failure.cause, Cause::NotFound | Cause::Disabled) {
        return first;
    }
    let Ok(now) = describe(clients, vault, &order.key).await else { return first };
    let Some(new) = now.immutable_id.filter(|new| version_in_id(new) != pinned) else { return first };
    let known = clients.public_keys.lock().unwrap_or_else(PoisonError::into_inner).get(old).cloned();
    if known.is_some() && known == now.public_key {
        return sign(vault, order, version_in_id(&new)).await;
    }
    let message = format!(
        "the key was rotated: the service says {1:?} about version {0}, and version {2} has another public key; search for the key again",
        pinned.unwrap_or_default(),
        refused.failure.message,
        version_in_id(&new).unwrap_or_default()
    );
    Err(SIGN.failure(Cause::NotFound, message).into())
}

async fn sign(vault: &Vault, order: &KeyRequest, version: Option<&str>) -> Result<Signature, FailedAttempt> {
    let algorithm = signature_algorithm(order.scheme, order.kind).ok_or_else(|| unsupported_scheme(&SIGN, order))?;
    let parameters = SignParameters { algorithm: Some(algorithm), value: Some(order.data.to_vec()) };
    let parameters = parameters.try_into().map_err(|e| refusal(&SIGN, e))?;
    let options = KeyClientSignOptions { key_version: version.map(str::to_owned), ..Default::default() };
    let reply = vault.keys.sign(&order.key.id, parameters, Some(options)).await.map_err(|e| refusal(&SIGN, e))?;
    let reply = reply.into_model().map_err(|e| refusal(&SIGN, e))?;
    Ok(signature(reply, order.kind.signature_len(), version)?)
}

fn signature(reply: KeyOperationResult, length: usize, version: Option<&str>) -> Result<Signature, Failure> {
    let malformed = |message: String| SIGN.failure(Cause::Malformed, message);
    let bytes = reply.result.unwrap_or_default();
    if bytes.len() != length {
        return Err(malformed(format!("the signature has {} bytes instead of {length}", bytes.len())));
    }
    let immutable_id = reply.kid.unwrap_or_default();
    match (version_in_id(&immutable_id), version) {
        (Some(by), Some(asked)) if by != asked => {
            Err(malformed(format!("version {asked} was requested, but version {by} signed")))
        }
        (None, _) => Err(malformed("the reply does not name the version that signed".into())),
        _ => Ok(Signature { bytes, immutable_id }),
    }
}

/// Decrypts data, if the key's operation *decrypt* is permitted.
pub(crate) async fn decrypt(vault: &Vault, order: &KeyRequest) -> Result<SecretBytes, FailedAttempt> {
    let (version, parameters) = decryption_request(&DECRYPT, order)?;
    plaintext(&DECRYPT, vault.keys.decrypt(&order.key.id, version, parameters, None).await)
}

/// Decrypts a secret key, if the key's operation *unwrapKey* is permitted.
pub(crate) async fn unwrap(vault: &Vault, order: &KeyRequest) -> Result<SecretBytes, FailedAttempt> {
    let (version, parameters) = decryption_request(&UNWRAP_KEY, order)?;
    plaintext(&UNWRAP_KEY, vault.keys.unwrap_key(&order.key.id, version, parameters, None).await)
}

fn decryption_request<'a>(
    operation: &Operation,
    order: &'a KeyRequest,
) -> Result<(&'a str, RequestContent<KeyOperationParameters>), FailedAttempt> {
    let algorithm = encryption_algorithm(order.scheme).ok_or_else(|| unsupported_scheme(operation, order))?;
    let pinned = order.immutable_id.as_deref().and_then(version_in_id);
    let version = order.key.version.as_deref().or(pinned).unwrap_or_default();
    let parameters =
        KeyOperationParameters { algorithm: Some(algorithm), value: Some(order.data.to_vec()), ..Default::default() };
    Ok((version, parameters.try_into().map_err(|e| refusal(operation, e))?))
}

/// Returns the plaintext of a reply. All ciphertexts that the service rejects fail with the same message: a
/// message that reveals what is wrong with the padding would help an attacker who sends a million ciphertexts (RFC
/// 8017 section 7.2.2).
fn plaintext(
    operation: &Operation,
    reply: azure_core::Result<Response<KeyOperationResult>>,
) -> Result<SecretBytes, FailedAttempt> {
    let reply = reply.map_err(|error| {
        let refused = refusal(operation, error);
        match refused.failure.cause {
            Cause::Rejected => FailedAttempt { failure: undecryptable(refused.failure), ..refused },
            _ => refused,
        }
    })?;
    // A reply that cannot be parsed is not quoted, because it may contain the plaintext.
    let unreadable = |_| operation.failure(Cause::Malformed, "the reply is not one of Key Vault");
    let plain = reply.into_model().map_err(unreadable)?.result;
    Ok(plain.ok_or_else(|| operation.failure(Cause::Malformed, "the reply lacks the result"))?.into())
}

fn undecryptable(failure: Failure) -> Failure {
    Failure { cause: Cause::Undecryptable, message: UNDECRYPTABLE.into(), ..failure }
}

/// Returns random bytes. Makes as many requests as necessary, one after the other.
pub(crate) async fn random(clients: &Arc<Clients>, length: usize) -> Result<SecretBytes, Failure> {
    let mut random = SecretBytes::new(Vec::with_capacity(length));
    while random.len() < length {
        let wanted = MAX_RANDOM_LEN.min(length - random.len());
        let some = call(clients, &RANDOM, "", |vault| async move { random_chunk(&vault, wanted).await }).await?;
        random.extend_from_slice(&some);
    }
    Ok(random)
}

/// The maximum number of bytes of one request. Get Random Bytes: "The requested number of random bytes", 1 to 128.
const MAX_RANDOM_LEN: usize = 128;

async fn random_chunk(vault: &Vault, wanted: usize) -> Result<SecretBytes, FailedAttempt> {
    let parameters = GetRandomBytesParameters { count: Some(wanted as i32) };
    let parameters = parameters.try_into().map_err(|e| refusal(&RANDOM, e))?;
    let reply = vault.keys.get_random_bytes(parameters, None).await.map_err(|e| refusal(&RANDOM, e))?;
    let unreadable = |_| RANDOM.failure(Cause::Malformed, "the reply is not one of a Managed HSM");
    let some = SecretBytes::new(reply.into_model().map_err(unreadable)?.value.unwrap_or_default());
    match some.len() {
        length if length == wanted => Ok(some),
        length => {
            Err(RANDOM.failure(Cause::Malformed, format!("the reply has {length} bytes instead of {wanted}")).into())
        }
    }
}

fn unsupported_scheme(operation: &Operation, order: &KeyRequest) -> Failure {
    operation.failure(Cause::Unsupported, format!("it has no algorithm for {}", order.scheme.name()))
}
