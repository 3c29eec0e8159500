//! What Cloud KMS reports about a key: its versions, the algorithm of a version, and the public key.
//!
//! "REST Resource: v1.projects.locations.keyRings.cryptoKeys.cryptoKeyVersions" of Google's documentation.

pub(crate) mod algorithms;
pub(crate) mod checksum;

use super::client::{Clients, Request, damaged};
use super::names::{KEY_RING_FORM, crypto_key_name, is_key, is_same_name, is_version, version_number};
use super::operations::{GET_PUBLIC_KEY, GET_VERSION, LIST_VERSIONS, Operation};
use crate::cloud::failure::refused::FailedAttempt;
use crate::cloud::failure::{Cause, Failure};
use crate::cloud::key::{KeyDescription, KeyName};
use crate::cloud::pagination::Pages;
use crate::key::{Kind, PublicKey};
use algorithms::{Row, algorithm};
use base64ct::{Base64, Encoding};
use checksum::crc32c;
use serde::Deserialize;
use std::borrow::Cow;

/// A version, as far as the module needs to know it.
#[derive(Clone, Deserialize)]
pub(crate) struct Version {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) state: String,
    #[serde(default)]
    algorithm: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct VersionsReply {
    #[serde(default)]
    crypto_key_versions: Vec<Version>,
    #[serde(default)]
    next_page_token: String,
}

/// The reply of GetPublicKey. The key is in `publicKey`, in the requested format. Some implementations of the API know no
/// formats, and have only `pem`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PublicKeyReply {
    name: String,
    algorithm: String,
    public_key: Option<ChecksummedData>,
    #[serde(default)]
    pem: String,
    #[serde(default, deserialize_with = "checksum::deserialize")]
    pem_crc32c: Option<u32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ChecksummedData {
    data: String,
    #[serde(default, deserialize_with = "checksum::deserialize")]
    crc32c_checksum: Option<u32>,
}

/// `PublicKeyFormat` of the API. All keys have one of them.
const PEM: &str = "PEM";
const NIST_PQC: &str = "NIST_PQC";

impl Clients {
    /// Returns the properties of a key. If the name has no version, they are those of the newest enabled version.
    ///
    /// # Errors
    /// Fails with [`Cause::Unsupported`] if this module does not support the algorithm, with [`Cause::Disabled`] if the
    /// version, or every version, can't be used, and with [`Cause::Malformed`] if the public key can't be read.
    pub(crate) async fn describe(&self, key: &KeyName) -> Result<KeyDescription, Failure> {
        check_name(&GET_PUBLIC_KEY, &key.id)?;
        if is_version(&key.id) {
            return self.describe_version(&key.id).await;
        }
        let version = self.newest_version(&key.id).await?;
        let row = algorithm(&version.algorithm).map_err(|why| LIST_VERSIONS.failure(Cause::Unsupported, why))?;
        match row.kind {
            Kind::Hmac(_) => Ok(secret_key(version.name, row)),
            Kind::SlhDsa(_) => self.public_key_in(&version.name, NIST_PQC).await,
            _ => self.public_key(&version.name).await,
        }
    }

    async fn describe_version(&self, name: &str) -> Result<KeyDescription, Failure> {
        match self.public_key(name).await {
            // A key for MACs has no public key. Without the permission to read the version, that is all there is to say.
            Err(refused) if refused.cause == Cause::Rejected => {
                let request = Request::get(name);
                let version = self.load(&GET_VERSION, name, &request, |version: Version| Ok(version)).await;
                match version.as_ref().map(|version| algorithm(&version.algorithm)) {
                    Ok(Ok(row)) if matches!(row.kind, Kind::Hmac(_)) => Ok(secret_key(name.to_owned(), row)),
                    Ok(Err(why)) => Err(GET_VERSION.failure(Cause::Unsupported, why)),
                    _ => Err(refused),
                }
            }
            answer => answer,
        }
    }

    /// Returns the properties of a key that has a public key. For an algorithm that has none in PEM, the service replies "Only
    /// NIST_PQC format is supported".
    async fn public_key(&self, version: &str) -> Result<KeyDescription, Failure> {
        match self.public_key_in(version, PEM).await {
            Err(refused) if refused.cause == Cause::Rejected && refused.message.contains("format") => {
                self.public_key_in(version, NIST_PQC).await
            }
            answer => answer,
        }
    }

    async fn public_key_in(&self, version: &str, format: &str) -> Result<KeyDescription, Failure> {
        let query = [("publicKeyFormat", format)];
        let request = Request { query: &query, ..Request::get(format!("{version}/publicKey")) };
        self.load(&GET_PUBLIC_KEY, version, &request, |reply| facts(version, &reply)).await
    }

    /// Returns the enabled version with the highest number.
    ///
    /// # Errors
    /// Fails with [`Cause::Disabled`] if no version is enabled.
    pub(crate) async fn newest_version(&self, crypto_key: &str) -> Result<Version, Failure> {
        let versions = self.enabled_versions(crypto_key).await?;
        let none = || LIST_VERSIONS.failure(Cause::Disabled, NO_VERSION);
        versions.into_iter().max_by_key(|version| version_number(&version.name)).ok_or_else(none)
    }

    /// Returns the enabled versions of a crypto key.
    pub(crate) async fn enabled_versions(&self, crypto_key: &str) -> Result<Vec<Version>, Failure> {
        let (mut versions, mut pages) = (Vec::new(), Pages::default());
        loop {
            let token = pages.next().unwrap_or_default();
            let query = [("filter", "state=ENABLED"), ("pageSize", "1000"), ("pageToken", &token)];
            let request = Request { query: &query, ..Request::get(format!("{crypto_key}/cryptoKeyVersions")) };
            // A page may be empty even though more pages follow.
            let page: VersionsReply = self.load(&LIST_VERSIONS, crypto_key, &request, Ok).await?;
            // Not every implementation of the API knows the filter.
            let is_own = |version: &Version| {
                is_version(&version.name)
                    && is_same_name(crypto_key_name(&version.name), crypto_key)
                    && version.state == ENABLED
            };
            versions.extend(page.crypto_key_versions.into_iter().filter(is_own));
            let next = Some(page.next_page_token).filter(|token| !token.is_empty());
            if !pages.advance(next).map_err(|words| LIST_VERSIONS.failure(Cause::Malformed, words))? {
                return Ok(versions);
            }
        }
    }
}

/// The state of a version that can be used.
pub(crate) const ENABLED: &str = "ENABLED";

const NO_VERSION: &str = "no version of the key is enabled; enable one with `gcloud kms keys versions enable`, or create one with \
     `gcloud kms keys versions create`";

fn usage(row: &Row) -> String {
    format!("its algorithm is {}", row.name)
}

/// Checks the name of a key before it becomes the path of a request.
///
/// # Errors
/// Fails with [`Cause::Settings`].
pub(crate) fn check_name(operation: &Operation, name: &str) -> Result<(), Failure> {
    match is_key(name) {
        true => Ok(()),
        false => {
            let form = format!("{KEY_RING_FORM}/cryptoKeys/KEY");
            Err(operation.failure(Cause::Settings, format!("{name:?} is not the name of a key: {form}")))
        }
    }
}

fn secret_key(version: String, row: &Row) -> KeyDescription {
    KeyDescription {
        immutable_id: Some(version),
        kind: row.kind,
        public_key: None,
        schemes: vec![row.scheme],
        unusable_reason: None,
        usage: Some(usage(row).into()),
        forbidden_purposes: Vec::new(),
    }
}

/// Returns the properties of a key in the reply of GetPublicKey.
fn facts(version: &str, reply: &PublicKeyReply) -> Result<KeyDescription, FailedAttempt> {
    let failure = |cause: Cause, why: String| GET_PUBLIC_KEY.failure(cause, why);
    let unreadable = |why: String| failure(Cause::Malformed, format!("the public key can't be read: {why}"));
    let (bytes, sum): (Cow<[u8]>, _) = match &reply.public_key {
        Some(key) => {
            let decoded = Base64::decode_vec(&key.data).map_err(|error| unreadable(error.to_string()))?;
            (decoded.into(), key.crc32c_checksum)
        }
        None => (reply.pem.as_bytes().into(), reply.pem_crc32c),
    };
    if sum != Some(crc32c(&bytes)) {
        return Err(damaged(&GET_PUBLIC_KEY, "the checksum of the public key does not match"));
    }
    if !is_same_name(&reply.name, version) {
        return Err(failure(Cause::Malformed, format!("the reply is about {:?}", reply.name)).into());
    }
    let row = algorithm(&reply.algorithm).map_err(|why| failure(Cause::Unsupported, why))?;
    let public_key = public_key(row.kind, &bytes).map_err(unreadable)?;
    if public_key.kind() != row.kind {
        let kind = public_key.kind().name();
        return Err(unreadable(format!("the algorithm is {}, but the key is {kind}", row.name)).into());
    }
    let (immutable_id, usage) = (Some(version.to_owned()), Some(usage(row).into()));
    Ok(KeyDescription { immutable_id, usage, ..KeyDescription::from_public_key(public_key, vec![row.scheme]) })
}

/// Reads a public key in PEM, or as a standard of post-quantum cryptography encodes it.
fn public_key(kind: Kind, bytes: &[u8]) -> Result<PublicKey, String> {
    let pem = std::str::from_utf8(bytes).ok().filter(|text| text.trim_start().starts_with("-----BEGIN"));
    let made = match (pem, kind) {
        (Some(pem), _) => {
            let body: String = pem.lines().filter(|line| !line.starts_with("-----")).map(str::trim).collect();
            PublicKey::from_spki(&Base64::decode_vec(&body).map_err(|error| error.to_string())?)
        }
        (None, Kind::MlDsa(set)) => PublicKey::ml_dsa(set, bytes),
        (None, Kind::SlhDsa(set)) => PublicKey::slh_dsa(set, bytes),
        _ => return Err("it is not PEM".to_owned()),
    };
    made.map_err(|unusable| unusable.0)
}

#[cfg(test)]
mod tests;
