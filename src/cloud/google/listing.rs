//! The keys of a key ring: every enabled version, or the newest one of each crypto key.
//!
//! "Method: projects.locations.keyRings.cryptoKeys.list" of Google's documentation.

use super::client::{Clients, Request};
use super::keys::Version;
use super::names::{crypto_key_id, is_crypto_key, version_number};
use super::operations::LIST_KEYS;
use super::settings::Versions;
use crate::cloud::failure::{Cause, Failure};
use crate::cloud::key::{KeyName, ListedKey};
use crate::cloud::pagination::Pages;
use crate::log_info;
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::task::JoinSet;

/// The label (of Google, with a name and a value) that contains the CKA_LABEL of a crypto key.
pub(crate) const LABEL: &str = "pkcs11-label";

/// The purposes of keys that PKCS#11 has operations for.
const PURPOSES: [&str; 3] = ["ASYMMETRIC_SIGN", "ASYMMETRIC_DECRYPT", "MAC"];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CryptoKey {
    pub(crate) name: String,
    #[serde(default)]
    purpose: String,
    #[serde(default)]
    version_template: VersionTemplate,
    #[serde(default)]
    pub(crate) labels: HashMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct VersionTemplate {
    protection_level: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListReply {
    #[serde(default)]
    crypto_keys: Vec<CryptoKey>,
    #[serde(default)]
    next_page_token: String,
}

impl Clients {
    /// Returns the keys of the key ring, in the service's order. A crypto key whose versions the user must not list is left
    /// out.
    pub(crate) async fn list(self: &Arc<Self>) -> Result<Vec<ListedKey>, Failure> {
        let mut requests = JoinSet::new();
        for (position, key) in self.crypto_keys().await?.into_iter().enumerate() {
            let clients = self.clone();
            // Each of the requests waits for its turn.
            requests.spawn(async move { (position, clients.listed_versions(key).await) });
        }
        let mut answers = Vec::new();
        while let Some(answer) = requests.join_next().await {
            let (position, keys) = answer.map_err(|error| LIST_KEYS.failure(Cause::Interrupted, error.to_string()))?;
            answers.push((position, keys?));
        }
        answers.sort_by_key(|(position, _)| *position);
        Ok(answers.into_iter().flat_map(|(_, keys)| keys).collect())
    }

    async fn listed_versions(&self, key: CryptoKey) -> Result<Vec<ListedKey>, Failure> {
        let mut versions = match self.enabled_versions(&key.name).await {
            Ok(versions) => versions,
            Err(failure) if matches!(failure.cause, Cause::Denied | Cause::NotFound) => {
                log_info!("the key {} is not listed: {failure}", key.name);
                return Ok(Vec::new());
            }
            Err(failure) => return Err(failure),
        };
        versions.sort_by_key(|version| version_number(&version.name));
        if self.settings.versions == Versions::Newest {
            versions = versions.pop().into_iter().collect();
        }
        let label = key.labels.get(LABEL).map_or_else(|| crypto_key_id(&key.name), String::as_str);
        let listed = |version: Version| ListedKey {
            name: KeyName { id: version.name, version: None },
            label: Some(label.to_owned()),
            is_disabled: false,
        };
        Ok(versions.into_iter().map(listed).collect())
    }

    /// Returns the crypto keys of the key ring whose purposes PKCS#11 has.
    async fn crypto_keys(&self) -> Result<Vec<CryptoKey>, Failure> {
        let ring = self.settings.key_ring.as_deref();
        let ring = ring.ok_or_else(|| LIST_KEYS.failure(Cause::Settings, "there is no \"google_key_ring\" to list"))?;
        let (mut keys, mut pages) = (Vec::new(), Pages::default());
        loop {
            let token = pages.next().unwrap_or_default();
            let query = [("pageSize", "1000"), ("pageToken", &token)];
            let request = Request { query: &query, ..Request::get(format!("{ring}/cryptoKeys")) };
            // A page may be empty even though more pages follow.
            let page: ListReply = self.load(&LIST_KEYS, ring, &request, Ok).await?;
            let is_hidden = |key: &CryptoKey| {
                self.settings.hides_software_keys && key.version_template.protection_level == "SOFTWARE"
            };
            let is_key = |key: &CryptoKey| {
                is_crypto_key(&key.name) && PURPOSES.contains(&key.purpose.as_str()) && !is_hidden(key)
            };
            keys.extend(page.crypto_keys.into_iter().filter(is_key));
            let next = Some(page.next_page_token).filter(|token| !token.is_empty());
            if !pages.advance(next).map_err(|words| LIST_KEYS.failure(Cause::Malformed, words))? {
                return Ok(keys);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::client::testing::clients;
    use super::*;
    use crate::fuzzing::replies::block_on;
    use serde_json::json;

    const RING: &str = "projects/p/locations/l/keyRings/r";

    #[test]
    fn all_pages_are_listed_and_other_keys_left_out() {
        let (clients, requests) = clients(0, |path, _| {
            if let Some((key, _)) = path.split_once("/cryptoKeyVersions?") {
                let version =
                    |number: u32| json!({ "name": format!("{key}/cryptoKeyVersions/{number}"), "state": "ENABLED" });
                return (200, json!({ "cryptoKeyVersions": [version(10), version(9)] }));
            }
            let key =
                |id: &str, purpose: &str| json!({ "name": format!("{RING}/cryptoKeys/{id}"), "purpose": purpose });
            let mut labeled = key("c", "MAC");
            labeled["labels"] = json!({ "pkcs11-label": "mine", "team": "x" });
            match path.rsplit_once("pageToken=").unwrap().1 {
                "" => (200, json!({ "cryptoKeys": [key("b", "ASYMMETRIC_SIGN")], "nextPageToken": "1" })),
                "1" => (200, json!({ "nextPageToken": "2" })),
                _ => (200, json!({ "cryptoKeys": [key("e", "ENCRYPT_DECRYPT"), key("a/../b", "MAC"), labeled] })),
            }
        });
        let listed = block_on(clients.list()).unwrap();
        let rows: Vec<_> =
            listed.iter().map(|key| (key.name.id.replace(RING, ""), key.label.as_deref().unwrap())).collect();
        let row = |id: &str, number: u32, label: &'static str| {
            (format!("/cryptoKeys/{id}/cryptoKeyVersions/{number}"), label)
        };
        assert_eq!(rows, [row("b", 9, "b"), row("b", 10, "b"), row("c", 9, "mine"), row("c", 10, "mine")]);
        assert_eq!(requests.lock().unwrap().len(), 5);
    }

    #[test]
    fn a_listing_that_does_not_end_fails() {
        let (clients, _) = clients(0, |_, _| (200, json!({ "nextPageToken": "again" })));
        assert_eq!(block_on(clients.list()).unwrap_err().cause, Cause::Malformed);
    }
}
