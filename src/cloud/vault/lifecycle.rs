//! Creation and deletion of keys.
//!
//! "Create key" and "Delete key" of "Transit secrets engine (API)".

use super::client::{Clients, Request};
use super::keys::{HMAC_HASH, facts};
use super::operations::{CREATE_KEY, DELETE_KEY};
use super::settings::is_key_name;
use crate::cloud::failure::{Cause, Failure};
use crate::cloud::http::transport::json_body;
use crate::cloud::key::KeyName;
use crate::cloud::management::{CreatedKey, NewKey, with_advice};
use crate::error::{Error, Result};
use crate::key::{Curve, Kind, Purpose};
use cryptoki_sys::*;
use http::Method;
use serde_json::json;
use std::sync::Arc;

/// The kinds of keys, and `type` of "Create key".
const KINDS: &[(Kind, &str)] = &[
    (Kind::Rsa(2048), "rsa-2048"),
    (Kind::Rsa(3072), "rsa-3072"),
    (Kind::Rsa(4096), "rsa-4096"),
    (Kind::Ec(Curve::P256), "ecdsa-p256"),
    (Kind::Ec(Curve::P384), "ecdsa-p384"),
    (Kind::Ec(Curve::P521), "ecdsa-p521"),
    (Kind::Ed25519, "ed25519"),
    (Kind::Hmac(HMAC_HASH), "hmac"),
];

fn type_of(kind: Kind) -> Option<&'static str> {
    KINDS.iter().find(|row| row.0 == kind).map(|row| row.1)
}

/// Returns whether Transit creates keys of this kind.
pub(crate) fn can_create(kind: Kind) -> bool {
    type_of(kind).is_some()
}

/// Checks whether such a key can be created, without a request.
///
/// # Errors
/// CKR_TEMPLATE_INCONSISTENT if such a key cannot have these purposes, CKR_TEMPLATE_INCOMPLETE if there is no label,
/// CKR_ATTRIBUTE_VALUE_INVALID if the label cannot be the name of a key.
pub(crate) fn check_new(new: &NewKey) -> Result<()> {
    let is_rsa = matches!(new.kind, Kind::Rsa(_));
    let does = |purpose: Purpose| purpose == Purpose::Sign || (purpose == Purpose::Decrypt && is_rsa);
    if !new.purposes.iter().all(|purpose| does(*purpose)) {
        let text = "keys of Transit can sign, and RSA keys can also decrypt; set CKA_SIGN, and CKA_DECRYPT only for RSA (pkcs11-tool: --usage-sign)";
        return Err(Error::new(CKR_TEMPLATE_INCONSISTENT, text));
    }
    match new.label.as_deref() {
        None => Err(Error::new(CKR_TEMPLATE_INCOMPLETE, "CKA_LABEL is missing; it becomes the key's name in Transit")),
        Some(name) if !is_key_name(name) => {
            let text = format!(
                "CKA_LABEL {name:?} is not a valid name of a key in Transit; choose letters, digits, '_', '-' and '.', and a letter, a digit or '_' at both ends"
            );
            Err(Error::new(CKR_ATTRIBUTE_VALUE_INVALID, text))
        }
        Some(_) => Ok(()),
    }
}

/// Fails: the name of a key is its label.
///
/// # Errors
/// CKR_ATTRIBUTE_READ_ONLY.
pub(crate) fn check_label(_label: &str) -> Result<()> {
    let text = "keys of Transit have no labels besides their names; set \"label\" in the configuration";
    Err(Error::new(CKR_ATTRIBUTE_READ_ONLY, text))
}

impl Clients {
    /// Creates a key. The label becomes its name.
    ///
    /// # Errors
    /// Fails with [`Cause::Rejected`] if there is a key with this name: Transit would silently leave it as it is.
    pub(crate) async fn create(self: &Arc<Self>, new: &NewKey) -> std::result::Result<CreatedKey, Failure> {
        let name = KeyName { id: new.label.clone().unwrap_or_default(), version: None };
        match self.read_key(&name).await {
            Err(failure) if failure.cause == Cause::NotFound => {}
            Err(failure) => return Err(failure),
            Ok(_) => {
                let message = format!("a key named {} already exists; choose another CKA_LABEL", name.id);
                return Err(CREATE_KEY.failure(Cause::Rejected, message));
            }
        }
        let fields = match new.kind {
            Kind::Hmac(hash) => json!({ "type": type_of(new.kind), "key_size": hash.len() }),
            _ => json!({ "type": type_of(new.kind) }),
        };
        let path = self.path(&["keys", &name.id]);
        let request = Request { method: Method::POST, path: &path, body: Some(json_body(&fields)) };
        self.change(&CREATE_KEY, &name.id, &request).await.map_err(|failure| with_advice(failure, MAY_BE_MADE))?;
        let facts = facts(&self.settings.mount, &name, &self.read_key(&name).await?)?;
        let config_option = format!("\"transit_key\": {:?}", name.id);
        Ok(CreatedKey { name, alias: None, label: None, facts, config_option })
    }

    /// Deletes a key with all its versions, for good. The key's own setting `deletion_allowed` must permit that.
    pub(crate) async fn destroy(self: &Arc<Self>, key: &KeyName) -> std::result::Result<String, Failure> {
        let path = self.path(&["keys", &key.id]);
        let request = Request { method: Method::DELETE, path: &path, body: None };
        self.change(&DELETE_KEY, &key.id, &request).await.map_err(|failure| {
            let failure = with_advice(failure, MAY_BE_DELETED);
            match failure.message.contains(NOT_ALLOWED) {
                true => {
                    let command = format!("vault write {}/config deletion_allowed=true", path.join("/"));
                    Failure {
                        cause: Cause::Denied,
                        message: format!("{}; allow it with `{command}`", failure.message),
                        ..failure
                    }
                }
                false => failure,
            }
        })?;
        Ok("the key is deleted with all its versions and can't be restored".to_owned())
    }
}

/// A part of Vault's words about a key whose `deletion_allowed` is false.
const NOT_ALLOWED: &str = "deletion is not allowed for this key";

const MAY_BE_MADE: &str = "the key may have been created nevertheless, so the request is not repeated; look for the key before you try \
     again";
const MAY_BE_DELETED: &str = "the key may have been deleted nevertheless; look for it before you try again";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_transit_can_make() {
        let new = |kind, purposes: &[Purpose], label: Option<&str>| {
            let label = label.map(str::to_owned);
            check_new(&NewKey { kind, purposes: purposes.to_vec(), label, id: None }).map_err(|error| error.rv)
        };
        let (rsa, ec) = (Kind::Rsa(2048), Kind::Ec(Curve::P256));
        for name in ["k", "_", "my-key.2", "a__b"] {
            assert_eq!(new(rsa, &[Purpose::Sign, Purpose::Decrypt], Some(name)), Ok(()), "{name}");
        }
        for name in ["", "-k", "k.", "a/b", "a b", "\u{e9}"] {
            assert_eq!(new(ec, &[Purpose::Sign], Some(name)), Err(CKR_ATTRIBUTE_VALUE_INVALID), "{name}");
        }
        assert_eq!(new(ec, &[Purpose::Decrypt], Some("k")), Err(CKR_TEMPLATE_INCONSISTENT));
        assert_eq!(new(ec, &[Purpose::Sign], None), Err(CKR_TEMPLATE_INCOMPLETE));
        assert!(can_create(Kind::Ed25519) && !can_create(Kind::Ec(Curve::Secp256k1)));
    }
}
