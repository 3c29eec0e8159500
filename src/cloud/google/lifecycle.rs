//! Creation and labels of crypto keys, and destruction of versions.
//!
//! "Method: projects.locations.keyRings.cryptoKeys.create", "patch" and "cryptoKeyVersions.destroy" of Google's
//! documentation; "Labels" and "Destroy and restore key versions".

use super::client::{Clients, Request};
use super::keys::algorithms::ALGORITHMS;
use super::keys::{ENABLED, Version, check_name};
use super::listing::{CryptoKey, LABEL};
use super::names::{crypto_key_name, is_crypto_key_id, is_version};
use super::operations::{CREATE_KEY, DESTROY_VERSION, GET_KEY, GET_VERSION, UPDATE_KEY};
use super::settings::ProtectionLevel;
use crate::cloud::failure::refused::{FailedAttempt, RetryPolicy};
use crate::cloud::failure::{Cause, Failure};
use crate::cloud::key::KeyName;
use crate::cloud::management::{CreatedKey, NewKey, with_advice};
use crate::error::{Error, Result};
use crate::key::{Kind, Purpose};
use cryptoki_sys::*;
use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashMap;

/// The algorithms of created RSA keys, of which the API has several for a purpose. The other kinds have one.
const RSA_ALGORITHMS: &[(Purpose, &str)] =
    &[(Purpose::Sign, "RSA_SIGN_PKCS1_"), (Purpose::Decrypt, "RSA_DECRYPT_OAEP_")];

/// Returns the algorithm of a new key for this purpose.
fn algorithm(kind: Kind, purpose: Purpose) -> Option<&'static str> {
    let mut rows = ALGORITHMS.iter().filter(|row| row.kind == kind && row.scheme.family.purpose() == purpose);
    match kind {
        Kind::Rsa(_) => {
            let (_, prefix) = RSA_ALGORITHMS.iter().find(|row| row.0 == purpose)?;
            rows.find(|row| row.name.starts_with(prefix) && row.name.ends_with("SHA256")).map(|row| row.name)
        }
        // A mu serves messages of any size, so its algorithm is the first one.
        _ => rows.next().map(|row| row.name),
    }
}

/// Returns the purpose of a new key: what it does besides unwrapping, which is the same as decrypting.
fn purpose(new: &NewKey) -> Option<Purpose> {
    let mut purposes = new.purposes.iter().map(|purpose| purpose.scheme_purpose());
    let first = purposes.next()?;
    purposes.all(|purpose| purpose == first).then_some(first)
}

/// Returns whether Cloud KMS creates keys of this kind.
pub(crate) fn can_create(kind: Kind) -> bool {
    [Purpose::Sign, Purpose::Decrypt].iter().any(|purpose| algorithm(kind, *purpose).is_some())
}

/// Checks whether such a key can be created, without a request.
///
/// # Errors
/// CKR_TEMPLATE_INCONSISTENT if such a key cannot have these purposes, CKR_TEMPLATE_INCOMPLETE if there is no label,
/// CKR_ATTRIBUTE_VALUE_INVALID if the label cannot be the id of a crypto key.
pub(crate) fn check_new(new: &NewKey) -> Result<()> {
    if purpose(new).and_then(|purpose| algorithm(new.kind, purpose)).is_none() {
        let text = "a key of Cloud KMS either signs or, if it is an RSA key, decrypts; set CKA_SIGN or CKA_DECRYPT (pkcs11-tool: \
             --usage-sign or --usage-decrypt)";
        return Err(Error::new(CKR_TEMPLATE_INCONSISTENT, text));
    }
    match new.label.as_deref() {
        None => Err(Error::new(CKR_TEMPLATE_INCOMPLETE, "CKA_LABEL is missing; it becomes the id of the crypto key")),
        Some(id) if !is_crypto_key_id(id) => {
            let text = format!(
                "CKA_LABEL {id:?} is not a valid id of a crypto key; choose 1 to 63 letters, digits, '_' and '-'"
            );
            Err(Error::new(CKR_ATTRIBUTE_VALUE_INVALID, text))
        }
        Some(_) => Ok(()),
    }
}

/// Checks whether a crypto key can have this label. "Labels": at most 63 characters of lowercase letters, digits, '_' and
/// '-', which may be international characters.
///
/// # Errors
/// CKR_ATTRIBUTE_VALUE_INVALID.
pub(crate) fn check_label(label: &str) -> Result<()> {
    let is_label_char = |c: char| (c.is_alphabetic() && !c.is_uppercase()) || c.is_numeric() || c == '_' || c == '-';
    if label.chars().count() <= 63 && label.len() <= 128 && label.chars().all(is_label_char) {
        return Ok(());
    }
    let text = format!(
        "CKA_LABEL {label:?} is not a valid label in Google Cloud; choose at most 63 lowercase letters, digits, '_' and '-'"
    );
    Err(Error::new(CKR_ATTRIBUTE_VALUE_INVALID, text))
}

/// The reply to a destruction.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DestroyReply {
    #[serde(default)]
    destroy_time: String,
}

impl Clients {
    /// Creates a crypto key with its first version. The label becomes its id.
    ///
    /// # Errors
    /// Fails with [`Cause::Rejected`] if there is a crypto key with this id.
    pub(crate) async fn create(&self, new: &NewKey) -> std::result::Result<CreatedKey, Failure> {
        let id = new.label.clone().unwrap_or_default();
        let ring = self.settings.key_ring.as_deref();
        let ring =
            ring.ok_or_else(|| CREATE_KEY.failure(Cause::Settings, "set \"google_key_ring\" to create keys in"))?;
        let query = [("cryptoKeyId", id.as_str())];
        let request = Request::post(format!("{ring}/cryptoKeys"), &self.new_crypto_key(new));
        let made: std::result::Result<Value, _> =
            self.change(&CREATE_KEY, &id, &Request { query: &query, ..request }).await;
        made.map_err(|failure| with_advice(failure, MAY_BE_MADE))?;
        let key = format!("{ring}/cryptoKeys/{id}");
        let version = format!("{key}/cryptoKeyVersions/1");
        let config_option = format!("\"google_key\": {key:?}");
        let name = KeyName { id: version, version: None };
        let facts = async {
            self.wait_for_generation(&name.id).await?;
            self.describe(&name).await
        };
        let facts = facts.await.map_err(|failure| {
            let message =
                format!("{}; the key {key} was created; to use it, write {config_option} in a slot", failure.message);
            Failure { message, ..failure }
        })?;
        Ok(CreatedKey { name, alias: None, label: Some(id), facts, config_option })
    }

    fn new_crypto_key(&self, new: &NewKey) -> Value {
        let purpose = purpose(new).unwrap_or(Purpose::Sign);
        let name = match (new.kind, purpose) {
            (Kind::Hmac(_), _) => "MAC",
            (_, Purpose::Sign) => "ASYMMETRIC_SIGN",
            _ => "ASYMMETRIC_DECRYPT",
        };
        let level = match self.settings.protection_level {
            ProtectionLevel::Hsm => "HSM",
            ProtectionLevel::Software => "SOFTWARE",
        };
        // A longer value would be refused.
        let labels: HashMap<_, _> = new.tags().into_iter().filter(|(_, value)| value.len() <= 63).collect();
        let template = json!({ "algorithm": algorithm(new.kind, purpose), "protectionLevel": level });
        json!({ "purpose": name, "versionTemplate": template, "labels": labels })
    }

    /// Waits until a version is generated. An HSM takes some seconds for that.
    async fn wait_for_generation(&self, version: &str) -> std::result::Result<(), Failure> {
        self.call(&GET_VERSION, version, &Request::get(version), |reply: Version| match reply.state.as_str() {
            ENABLED => Ok(()),
            "PENDING_GENERATION" => {
                let failure = GET_VERSION.failure(Cause::Disabled, "the version is still being generated");
                Err(FailedAttempt { remedy: RetryPolicy::UntilDeadline, ..failure.into() })
            }
            state => Err(GET_VERSION.failure(Cause::Disabled, format!("the state of the version is {state}")).into()),
        })
        .await
    }

    /// Changes the label of a crypto key, and so of all its versions. The other labels (of Google) stay.
    pub(crate) async fn relabel(&self, key: &KeyName, label: &str) -> std::result::Result<(), Failure> {
        check_name(&UPDATE_KEY, &key.id)?;
        let name = crypto_key_name(&key.id);
        let known: CryptoKey = self.call(&GET_KEY, name, &Request::get(name), Ok).await?;
        let mut labels = known.labels;
        labels.insert(LABEL.to_owned(), label.to_owned());
        let request = Request {
            method: Method::PATCH,
            query: &[("updateMask", "labels")],
            ..Request::post(name, &json!({ "labels": labels }))
        };
        self.call(&UPDATE_KEY, name, &request, |_: Value| Ok(())).await
    }

    /// Schedules the destruction of a version, and returns how to undo it.
    pub(crate) async fn destroy(&self, key: &KeyName, immutable_id: &str) -> std::result::Result<String, Failure> {
        let named = [key.id.as_str(), immutable_id].into_iter().find(|name| is_version(name));
        let version =
            named.ok_or_else(|| DESTROY_VERSION.failure(Cause::Rejected, "the version of the key is unknown"))?;
        let request = Request::post(format!("{version}:destroy"), &json!({}));
        let reply: DestroyReply = self
            .change(&DESTROY_VERSION, version, &request)
            .await
            .map_err(|failure| with_advice(failure, MAY_BE_DESTROYED))?;
        let time = Some(reply.destroy_time).filter(|time| !time.is_empty());
        let when = time.map_or_else(|| "later".to_owned(), |time| format!("at {time}"));
        Ok(format!(
            "{version} will be destroyed {when}; to keep it, run `gcloud kms keys versions restore {version}` and \
             `gcloud kms keys versions enable {version}` before"
        ))
    }
}

const MAY_BE_MADE: &str = "the key may have been created nevertheless, so the request is not repeated; look for the key before you try \
     again";
const MAY_BE_DESTROYED: &str =
    "the destruction may have been scheduled nevertheless; check with `gcloud kms keys versions describe`";

#[cfg(test)]
mod tests {
    use super::super::client::testing::clients;
    use super::*;
    use crate::fuzzing::replies::block_on;
    use crate::key::Curve;
    use crate::key::hash::Hash;

    #[test]
    fn a_key_has_one_purpose_and_an_id() {
        let new = |kind, purposes: &[Purpose], label: Option<&str>| {
            let label = label.map(str::to_owned);
            check_new(&NewKey { kind, purposes: purposes.to_vec(), label, id: None }).map_err(|error| error.rv)
        };
        let (rsa, ec) = (Kind::Rsa(2048), Kind::Ec(Curve::P256));
        for id in ["k", "_", "My-key_2", &"k".repeat(63)] {
            assert_eq!(new(rsa, &[Purpose::Sign], Some(id)), Ok(()), "{id}");
        }
        for id in ["", "a.b", "a/b", "a b", "\u{e9}", &"k".repeat(64)] {
            assert_eq!(new(ec, &[Purpose::Sign], Some(id)), Err(CKR_ATTRIBUTE_VALUE_INVALID), "{id}");
        }
        assert_eq!(new(rsa, &[Purpose::Decrypt, Purpose::Unwrap], Some("k")), Ok(()));
        assert_eq!(new(rsa, &[Purpose::Sign, Purpose::Decrypt], Some("k")), Err(CKR_TEMPLATE_INCONSISTENT));
        assert_eq!(new(ec, &[Purpose::Decrypt], Some("k")), Err(CKR_TEMPLATE_INCONSISTENT));
        assert_eq!(new(ec, &[Purpose::Derive], Some("k")), Err(CKR_TEMPLATE_INCONSISTENT));
        assert_eq!(new(ec, &[Purpose::Sign], None), Err(CKR_TEMPLATE_INCOMPLETE));
        assert!(can_create(Kind::Ed25519) && !can_create(Kind::Ec(Curve::P521)) && !can_create(Kind::Rsa(8192)));
    }

    #[test]
    fn each_kind_has_its_algorithm() {
        for (kind, purpose, name) in [
            (Kind::Rsa(2048), Purpose::Sign, "RSA_SIGN_PKCS1_2048_SHA256"),
            (Kind::Rsa(4096), Purpose::Sign, "RSA_SIGN_PKCS1_4096_SHA256"),
            (Kind::Rsa(3072), Purpose::Decrypt, "RSA_DECRYPT_OAEP_3072_SHA256"),
            (Kind::Ec(Curve::P384), Purpose::Sign, "EC_SIGN_P384_SHA384"),
            (Kind::Ec(Curve::Secp256k1), Purpose::Sign, "EC_SIGN_SECP256K1_SHA256"),
            (Kind::Ed25519, Purpose::Sign, "EC_SIGN_ED25519"),
            (Kind::Hmac(Hash::Sha384), Purpose::Sign, "HMAC_SHA384"),
            (Kind::MlDsa(crate::key::ParameterSet::MlDsa65), Purpose::Sign, "PQ_SIGN_ML_DSA_65_EXTERNAL_MU"),
        ] {
            assert_eq!(algorithm(kind, purpose), Some(name));
        }
    }

    #[test]
    fn a_label_has_lowercase_letters() {
        for label in ["", "a-1_b", "\u{e9}t\u{e9}", "\u{4e2d}", &"k".repeat(63)] {
            assert!(check_label(label).is_ok(), "{label}");
        }
        for label in ["A", "a b", "a.b", "\u{c9}", &"k".repeat(64), &"\u{4e2d}".repeat(43)] {
            assert_eq!(check_label(label).unwrap_err().rv, CKR_ATTRIBUTE_VALUE_INVALID, "{label}");
        }
    }

    #[test]
    fn a_destruction_needs_a_version_and_tells_its_time() {
        const KEY: &str = "projects/p/locations/l/keyRings/r/cryptoKeys/k";
        let (clients, requests) = clients(0, |_, _| (200, json!({ "destroyTime": "2030-01-01T00:00:00Z" })));
        let key = KeyName { id: KEY.to_owned(), version: None };
        let failure = block_on(clients.destroy(&key, KEY)).unwrap_err();
        assert_eq!((failure.cause, requests.lock().unwrap().len()), (Cause::Rejected, 0));
        let version = format!("{KEY}/cryptoKeyVersions/3");
        let told = block_on(clients.destroy(&key, &version)).unwrap();
        assert!(told.contains("2030-01-01") && told.contains("versions restore"), "{told}");
        assert_eq!(requests.lock().unwrap()[0].0, format!("{version}:destroy"));
    }
}
