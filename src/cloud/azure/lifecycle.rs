//! Creation, labels and deletion of keys in Key Vault. Labels are tags.
//!
//! Key Vault REST API reference: Create Key, Update Key, Delete Key.

use super::client::{Clients, Vault, call};
use super::errors::refusal;
use super::keys::{LABEL_TAG, facts, version_in_id};
use super::operations::{CREATE_KEY, DELETE_KEY, GET_KEY, UPDATE_KEY};
use crate::cloud::failure::refused::FailedAttempt;
use crate::cloud::failure::{Cause, Failure};
use crate::cloud::key::KeyName;
use crate::cloud::management::{CreatedKey, NewKey};
use crate::cloud::management::{with_advice, without_retry};
use crate::error::{Error, Result};
use crate::key::{Curve, Kind, Purpose};
use azure_security_keyvault_keys::models::{
    CreateKeyParameters, CurveName, KeyClientUpdateKeyPropertiesOptions, KeyOperation, KeyType,
    UpdateKeyPropertiesParameters,
};
use cryptoki_sys::*;
use std::sync::Arc;

/// The kinds of keys, with the curve or the key size that Create Key takes.
#[rustfmt::skip]
static KINDS: [(Kind, Option<CurveName>, Option<i32>); 7] = [
    (Kind::Rsa(2048), None, Some(2048)),
    (Kind::Rsa(3072), None, Some(3072)),
    (Kind::Rsa(4096), None, Some(4096)),
    (Kind::Ec(Curve::P256), Some(CurveName::P256), None),
    (Kind::Ec(Curve::P384), Some(CurveName::P384), None),
    (Kind::Ec(Curve::P521), Some(CurveName::P521), None),
    (Kind::Ec(Curve::Secp256k1), Some(CurveName::P256K), None),
];

/// Returns whether this module can create keys of this kind.
pub(crate) fn can_create(kind: Kind) -> bool {
    KINDS.iter().any(|row| row.0 == kind)
}

/// Checks whether such a key can be created, without a request.
///
/// # Errors
/// CKR_TEMPLATE_INCONSISTENT if such a key cannot have these purposes, CKR_TEMPLATE_INCOMPLETE if there is no
/// label, CKR_ATTRIBUTE_VALUE_INVALID if the label cannot be the name of a key.
pub(crate) fn check_new(new: &NewKey) -> Result<()> {
    let does = |purpose: Purpose| purpose == Purpose::Sign || (purpose == Purpose::Decrypt && is_rsa(new.kind));
    if !new.purposes.iter().all(|purpose| does(*purpose)) {
        let text = "keys of Key Vault can sign, and RSA keys can also decrypt; set CKA_SIGN, and CKA_DECRYPT only for RSA (pkcs11-tool: --usage-sign)";
        return Err(Error::new(CKR_TEMPLATE_INCONSISTENT, text));
    }
    match new.label.as_deref() {
        None => {
            Err(Error::new(CKR_TEMPLATE_INCOMPLETE, "CKA_LABEL is missing; it becomes the key's name in Key Vault"))
        }
        Some(name) if !is_name(name) => {
            let text =
                format!("CKA_LABEL {name:?} is not a valid Key Vault key name; choose 1 to 127 of 0-9, a-z, A-Z and -");
            Err(Error::new(CKR_ATTRIBUTE_VALUE_INVALID, text))
        }
        Some(_) => Ok(()),
    }
}

fn is_rsa(kind: Kind) -> bool {
    matches!(kind, Kind::Rsa(_))
}

/// Returns whether a key can have this name. "Object types, identifiers, and versioning".
fn is_name(name: &str) -> bool {
    (1..=127).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn parameters(new: &NewKey, hsm: bool) -> CreateKeyParameters {
    let row = KINDS.iter().find(|row| row.0 == new.kind);
    let kty = match (is_rsa(new.kind), hsm) {
        (true, false) => KeyType::Rsa,
        (true, true) => KeyType::RsaHsm,
        (false, false) => KeyType::Ec,
        (false, true) => KeyType::EcHsm,
    };
    let operations = new.purposes.iter().flat_map(|purpose| match purpose {
        Purpose::Sign => vec![KeyOperation::Sign, KeyOperation::Verify],
        _ => {
            vec![KeyOperation::Decrypt, KeyOperation::Encrypt, KeyOperation::UnwrapKey, KeyOperation::WrapKey]
        }
    });
    CreateKeyParameters {
        curve: row.and_then(|row| row.1.clone()),
        key_size: row.and_then(|row| row.2),
        key_ops: Some(operations.collect()),
        kty: Some(kty),
        tags: Some(new.tags().into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
        ..Default::default()
    }
}

/// Creates a key. The label becomes the name of the key.
///
/// # Errors
/// Fails with [`Cause::Rejected`] if there is a key with this name: Key Vault would silently create a new version
/// of that key.
pub(crate) async fn create(
    clients: &Arc<Clients>,
    new: &NewKey,
    hsm: bool,
) -> std::result::Result<CreatedKey, Failure> {
    let name = new.label.clone().unwrap_or_default();
    let free = call(clients, &GET_KEY, &name, |vault| {
        let name = name.clone();
        async move { vault.keys.get_key(&name, None).await.map(drop).map_err(|e| refusal(&GET_KEY, e)) }
    });
    match free.await {
        Err(failure) if failure.cause == Cause::NotFound => {}
        Err(failure) if failure.cause != Cause::Disabled => return Err(failure),
        _ => {
            let message = format!(
                "a key named {name} already exists, and this request would give it a new version; choose another \
                 CKA_LABEL"
            );
            return Err(CREATE_KEY.failure(Cause::Rejected, message));
        }
    }
    let facts = call(clients, &CREATE_KEY, &name, |vault| {
        let (name, parameters, rsnull) = (name.clone(), parameters(new, hsm), clients.settings.rsnull);
        async move {
            let parameters = parameters.try_into().map_err(|e| refusal(&CREATE_KEY, e))?;
            let reply = vault.keys.create_key(&name, parameters, None).await;
            let reply = reply.map_err(|e| without_retry(refusal(&CREATE_KEY, e)))?;
            let unread = |e| without_retry(refusal(&CREATE_KEY, e));
            Ok(facts(reply.into_model().map_err(unread)?, rsnull)?)
        }
    });
    let facts = facts.await.map_err(|failure| with_advice(with_recovery_advice(failure, &name), MAY_BE_MADE))?;
    let option = format!("\"key_name\": \"{name}\"");
    Ok(CreatedKey { name: KeyName { id: name, version: None }, alias: None, label: None, facts, config_option: option })
}

/// Adds advice to a failure with status 409: a deleted key keeps its name until it is purged.
fn with_recovery_advice(failure: Failure, name: &str) -> Failure {
    match failure.message.contains("ObjectIsDeletedButRecoverable") {
        true => {
            let advice = format!(
                "run `az keyvault key recover --name {name}` to restore the deleted key, or `az keyvault key purge --name {name}` \
                 to free its name"
            );
            Failure { message: format!("{}; {advice}", failure.message), ..failure }
        }
        false => failure,
    }
}

/// Checks whether a key can have this label. A label becomes a tag. "About keys, tags": "a tag value can have up
/// to 256 characters".
///
/// # Errors
/// CKR_ATTRIBUTE_VALUE_INVALID if the label is longer.
pub(crate) fn check_label(label: &str) -> Result<()> {
    match label.chars().count() {
        0..=256 => Ok(()),
        more => {
            let text = format!(
                "CKA_LABEL has {more} characters, but a tag of Key Vault has at most 256; choose a shorter label"
            );
            Err(Error::new(CKR_ATTRIBUTE_VALUE_INVALID, text))
        }
    }
}

/// Changes the label of a key. Update Key replaces all tags of a version, so the existing tags are sent as well.
pub(crate) async fn relabel(vault: &Vault, key: &KeyName, label: &str) -> std::result::Result<(), FailedAttempt> {
    let reply = vault.keys.get_key(&key.id, None).await.map_err(|e| refusal(&GET_KEY, e))?;
    let known = reply.into_model().map_err(|e| refusal(&GET_KEY, e))?;
    let id = known.key.and_then(|key| key.kid).unwrap_or_default();
    let version =
        version_in_id(&id).ok_or_else(|| GET_KEY.failure(Cause::Malformed, "the reply lacks the key's version"))?;
    let mut tags = known.tags.unwrap_or_default();
    match label == key.id {
        true => tags.remove(LABEL_TAG),
        false => tags.insert(LABEL_TAG.to_owned(), label.to_owned()),
    };
    let parameters = UpdateKeyPropertiesParameters { tags: Some(tags), ..Default::default() };
    let parameters = parameters.try_into().map_err(|e| refusal(&UPDATE_KEY, e))?;
    let options = KeyClientUpdateKeyPropertiesOptions { key_version: Some(version.into()), ..Default::default() };
    vault.keys.update_key_properties(&key.id, parameters, Some(options)).await.map_err(|e| refusal(&UPDATE_KEY, e))?;
    Ok(())
}

/// Deletes a key with all its versions, and returns how to undo it.
pub(crate) async fn destroy(vault: &Vault, key: &KeyName) -> std::result::Result<String, FailedAttempt> {
    let reply = vault.keys.delete_key(&key.id, None).await.map_err(|e| uncertain_deletion(refusal(&DELETE_KEY, e)))?;
    let reply = reply.into_model().map_err(|e| uncertain_deletion(refusal(&DELETE_KEY, e)))?;
    let name = &key.id;
    let how = match (&reply.recovery_id, reply.scheduled_purge_date) {
        (None, _) => {
            return Ok("the key is deleted and can't be restored, because the vault has no soft-delete".to_owned());
        }
        (_, None) => String::new(),
        (_, Some(date)) => format!("it will be purged at {date}; "),
    };
    Ok(format!(
        "the key is deleted with all its versions; {how}to restore it, run `az keyvault key recover --name {name}`"
    ))
}

fn uncertain_deletion(refused: FailedAttempt) -> FailedAttempt {
    let refused = without_retry(refused);
    FailedAttempt { failure: with_advice(refused.failure, MAY_BE_DELETED), ..refused }
}

const MAY_BE_MADE: &str = "the key may have been created nevertheless, so the request is not repeated; look for the key before you try \
     again";
const MAY_BE_DELETED: &str = "the key may have been deleted nevertheless; check with `az keyvault key list-deleted`";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_key_vault_can_make() {
        let new = |kind, purposes: &[Purpose], label: Option<&str>| {
            let label = label.map(str::to_owned);
            check_new(&NewKey { kind, purposes: purposes.to_vec(), label, id: None }).map_err(|error| error.rv)
        };
        let (rsa, ec) = (Kind::Rsa(2048), Kind::Ec(Curve::P256));
        assert_eq!(new(rsa, &[Purpose::Sign, Purpose::Decrypt], Some("k-1")), Ok(()));
        assert_eq!(new(ec, &[Purpose::Sign], Some("k")), Ok(()));
        assert_eq!(new(ec, &[Purpose::Decrypt], Some("k")), Err(CKR_TEMPLATE_INCONSISTENT));
        assert_eq!(new(ec, &[Purpose::Derive], Some("k")), Err(CKR_TEMPLATE_INCONSISTENT));
        assert_eq!(new(ec, &[Purpose::Sign], None), Err(CKR_TEMPLATE_INCOMPLETE));
        assert_eq!(new(ec, &[Purpose::Sign], Some("a/b")), Err(CKR_ATTRIBUTE_VALUE_INVALID));
        assert!(can_create(rsa) && !can_create(Kind::Ed25519));
    }
}
