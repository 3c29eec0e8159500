//! What Transit reports about a key: its type, its versions and their public keys.
//!
//! "Read key" of "Transit secrets engine (API)".

use super::client::Clients;
use super::operations::READ_KEY;
use crate::cloud::failure::{Cause, Failure};
use crate::cloud::key::{KeyDescription, KeyName};
use crate::key::hash::Hash;
use crate::key::{Algorithm, Kind, PublicKey, Salt, Scheme};
use base64ct::{Base64, Encoding};
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;

/// `hash_algorithm` of the API.
const HASHES: &[(Hash, &str)] = &[
    (Hash::Sha1, "sha1"),
    (Hash::Sha224, "sha2-224"),
    (Hash::Sha256, "sha2-256"),
    (Hash::Sha384, "sha2-384"),
    (Hash::Sha512, "sha2-512"),
    (Hash::Sha3_224, "sha3-224"),
    (Hash::Sha3_256, "sha3-256"),
    (Hash::Sha3_384, "sha3-384"),
    (Hash::Sha3_512, "sha3-512"),
];

/// The hash of HMAC keys. Transit's keys work with any hash; PKCS#11's mechanism for such a key has one.
pub(crate) const HMAC_HASH: Hash = Hash::Sha256;

/// Returns the name of a hash in the API.
pub(crate) fn hash_algorithm(hash: Hash) -> Option<&'static str> {
    HASHES.iter().find(|row| row.0 == hash).map(|row| row.1)
}

/// Returns all schemes that Transit has for keys of this kind.
pub(crate) fn schemes(kind: Kind) -> Vec<Scheme> {
    let hashes = || HASHES.iter().map(|row| row.0);
    match kind {
        Kind::Rsa(_) => {
            let pkcs1 = hashes().map(|hash| Algorithm::RsaPkcs1.with_hash(hash));
            let pss = hashes().map(|hash| Algorithm::RsaPss.with_hash(hash));
            let salted = hashes().map(|hash| Algorithm::RsaPss.with_hash(hash).with_salt(Salt::Any));
            let others = [Algorithm::RsaPkcs1.without_hash(), Algorithm::RsaesOaep.with_hash(Hash::Sha256)];
            pkcs1.chain(pss).chain(salted).chain(others).collect()
        }
        Kind::Ec(curve) => vec![Algorithm::Ecdsa.with_hash(curve.hash())],
        Kind::Ed25519 => vec![Algorithm::Eddsa.without_hash()],
        Kind::Hmac(hash) if hash == HMAC_HASH => vec![Algorithm::Hmac.with_hash(hash)],
        Kind::Hmac(_) | Kind::MlDsa(_) | Kind::SlhDsa(_) => Vec::new(),
    }
}

/// The reply of "Read key".
#[derive(Deserialize)]
pub(crate) struct KeyReply {
    #[serde(rename = "type")]
    kind: String,
    latest_version: u64,
    #[serde(default)]
    min_decryption_version: u64,
    /// Whether each use needs a context, from which another key is derived.
    #[serde(default)]
    derived: bool,
    /// Whether the key is deleted, and can be restored (OpenBao).
    #[serde(default)]
    soft_deleted: bool,
    /// By version: an object with the public key, or, for a secret key, the time of its creation.
    #[serde(default)]
    keys: HashMap<String, Value>,
}

impl KeyReply {
    /// Returns the version that the user has named, or else the latest.
    pub(crate) fn version(&self, key: &KeyName) -> String {
        key.version.clone().unwrap_or_else(|| self.latest_version.to_string())
    }

    /// Returns the certificates that are stored with that version, in PEM.
    pub(crate) fn certificate_chain(&self, key: &KeyName) -> Option<&str> {
        self.keys.get(&self.version(key))?.get("certificate_chain")?.as_str()
    }
}

impl Clients {
    /// Returns what the server reports about a key.
    pub(crate) async fn read_key(self: &Arc<Self>, key: &KeyName) -> Result<KeyReply, Failure> {
        let reply = self.get(&READ_KEY, &key.id, &self.path(&["keys", &key.id])).await?;
        let unreadable = |_| READ_KEY.failure(Cause::Malformed, "the reply is not one of Vault's Transit engine");
        KeyReply::deserialize(&*reply).map_err(unreadable)
    }
}

/// Returns the properties of a key.
///
/// # Errors
/// Fails with [`Cause::Unsupported`] if this module does not support the key, with [`Cause::NotFound`] if it lacks the
/// version, with [`Cause::Disabled`] if the version is too old, and with [`Cause::Malformed`] if the public key can't be
/// read.
pub(crate) fn facts(mount: &str, key: &KeyName, reply: &KeyReply) -> Result<KeyDescription, Failure> {
    let version = reply.version(key);
    let immutable_id = Some(format!("{mount}/{}/{version}", key.id));
    let unsupported = |why: String| READ_KEY.failure(Cause::Unsupported, why);
    if version.parse().is_ok_and(|version: u64| version < reply.min_decryption_version) {
        let message =
            format!("version {version} is older than min_decryption_version, {}", reply.min_decryption_version);
        return Err(READ_KEY.failure(Cause::Disabled, message));
    }
    if reply.soft_deleted {
        return Err(READ_KEY.failure(Cause::Disabled, "the key is deleted; restore it with soft-delete-restore"));
    }
    if reply.derived {
        return Err(unsupported(
            "the key is derived: each use of it needs a context, which PKCS#11 does not have".to_owned(),
        ));
    }
    // The reply does not list the versions of such a key.
    if reply.kind == "hmac" {
        let kind = Kind::Hmac(HMAC_HASH);
        return Ok(KeyDescription {
            immutable_id,
            kind,
            public_key: None,
            schemes: schemes(kind),
            unusable_reason: None,
            usage: None,
            forbidden_purposes: Vec::new(),
        });
    }
    let missing = || READ_KEY.failure(Cause::NotFound, format!("the key has no version {version}"));
    let about = reply.keys.get(&version).ok_or_else(missing)?;
    let text = about.get("public_key").and_then(Value::as_str).filter(|text| !text.is_empty());
    let text = text.ok_or_else(|| unsupported(format!("the key has the type {}", reply.kind)))?;
    let unreadable = |why: String| READ_KEY.failure(Cause::Malformed, format!("the public key can't be read: {why}"));
    let public_key = public_key(&reply.kind, text).map_err(unreadable)?;
    let schemes = schemes(public_key.kind());
    Ok(KeyDescription { immutable_id, ..KeyDescription::from_public_key(public_key, schemes) })
}

/// Reads a public key: Ed25519 keys are base64 of 32 bytes, and the others are PEM.
fn public_key(kind: &str, text: &str) -> Result<PublicKey, String> {
    let made = if kind == "ed25519" {
        PublicKey::ed25519(&Base64::decode_vec(text).map_err(|error| error.to_string())?)
    } else {
        let body: String = text.lines().filter(|line| !line.starts_with("-----")).map(str::trim).collect();
        PublicKey::from_spki(&Base64::decode_vec(&body).map_err(|error| error.to_string())?)
    };
    made.map_err(|unusable| unusable.0)
}

/// Returns the version in an immutable id: `transit/NAME/VERSION`.
pub(crate) fn version_in_id(id: &str) -> Option<&str> {
    id.rsplit_once('/').map(|(_, version)| version).filter(|version| !version.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn described(fields: Value, version: Option<&str>) -> Result<KeyDescription, Cause> {
        let reply = serde_json::from_value(fields).unwrap();
        let key = KeyName { id: "k".to_owned(), version: version.map(str::to_owned) };
        facts("m", &key, &reply).map_err(|failure| failure.cause)
    }

    #[test]
    fn versions_and_types_are_checked() {
        let public_key = Base64::encode_string(&[7; 32]);
        let fields = json!({ "type": "ed25519", "latest_version": 3, "min_decryption_version": 2,
                             "keys": { "2": { "public_key": public_key }, "3": { "public_key": public_key } } });
        let with = |name: &str, value: Value| {
            let mut fields = fields.clone();
            fields[name] = value;
            fields
        };
        assert_eq!(described(fields.clone(), None).unwrap().immutable_id.as_deref(), Some("m/k/3"));
        assert_eq!(described(fields.clone(), Some("2")).unwrap().immutable_id.as_deref(), Some("m/k/2"));
        assert_eq!(described(fields.clone(), Some("1")), Err(Cause::Disabled));
        assert_eq!(described(fields.clone(), Some("4")), Err(Cause::NotFound));
        assert_eq!(described(with("derived", json!(true)), None), Err(Cause::Unsupported));
        assert_eq!(described(with("soft_deleted", json!(true)), None), Err(Cause::Disabled));
        assert_eq!(described(with("keys", json!({ "3": "a reference" })), None), Err(Cause::Unsupported));
        assert_eq!(described(with("type", json!("ecdsa-p256")), None), Err(Cause::Malformed));
        assert_eq!(described(with("keys", json!({ "3": 1700000000 })), None), Err(Cause::Unsupported));
        assert_eq!(described(with("type", json!("hmac")), None).unwrap().kind, Kind::Hmac(HMAC_HASH));
    }
}
