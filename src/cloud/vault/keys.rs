//! What Transit reports about a key: its type, its versions and their public keys.
//!
//! "Read key" of "Transit secrets engine (API)".

use super::operations::READ_KEY;
use crate::cloud::failure::{Cause, Failure};
use crate::cloud::key::{KeyDescription, KeyName};
use crate::key::hash::Hash;
use crate::key::{Algorithm, Kind, PublicKey, Scheme};
use base64ct::{Base64, Encoding};
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;

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
            let others = [Algorithm::RsaPkcs1.without_hash(), Algorithm::RsaesOaep.with_hash(Hash::Sha256)];
            pkcs1.chain(pss).chain(others).collect()
        }
        Kind::Ec(curve) => vec![Algorithm::Ecdsa.with_hash(curve.hash())],
        Kind::Ed25519 => vec![Algorithm::Eddsa.without_hash()],
        Kind::Hmac(hash) if hash == HMAC_HASH => vec![Algorithm::Hmac.with_hash(hash)],
        Kind::Hmac(_) | Kind::MlDsa(_) => Vec::new(),
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
    /// By version: an object with the public key, or, for a secret key, the time of its creation.
    #[serde(default)]
    keys: HashMap<String, Value>,
}

/// Returns the properties of a key.
///
/// # Errors
/// Fails with [`Cause::Unsupported`] if this module does not support the key, with [`Cause::NotFound`] if it lacks the
/// version, and with [`Cause::Malformed`] if the public key can't be read.
pub(crate) fn facts(mount: &str, key: &KeyName, reply: &KeyReply) -> Result<KeyDescription, Failure> {
    let version = key.version.clone().unwrap_or_else(|| reply.latest_version.to_string());
    let immutable_id = Some(format!("{mount}/{}/{version}", key.id));
    if version.parse().is_ok_and(|version: u64| version < reply.min_decryption_version) {
        let message =
            format!("version {version} is older than min_decryption_version, {}", reply.min_decryption_version);
        return Err(READ_KEY.failure(Cause::Disabled, message));
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
    let unsupported = || READ_KEY.failure(Cause::Unsupported, format!("the key has the type {}", reply.kind));
    let text =
        about.get("public_key").and_then(Value::as_str).filter(|text| !text.is_empty()).ok_or_else(unsupported)?;
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
