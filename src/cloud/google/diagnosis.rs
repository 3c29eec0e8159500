//! Why keys of Cloud KMS do or do not work: a [`Diagnosis`].
//!
//! "Method: cryptoKeys.testIamPermissions" and "Key states" of Google's documentation.

use super::Google;
use super::client::{Clients, Request};
use super::names::crypto_key_name;
use super::operations::{DECRYPT, GET_PUBLIC_KEY, Operation, SIGN};
use super::settings::{CLOUD, Settings};
use crate::cloud::diagnosis::connection::Connection;
use crate::cloud::diagnosis::{Diagnosis, Principal};
use crate::cloud::failure::{Cause, Failure};
use crate::cloud::http::ClientPool;
use crate::cloud::key::{KeyName, Target};
use crate::cloud::retry::Call;
use crate::cloud::runtime;
use crate::cloud::runtime::{Pending, PerProcess};
use crate::key::{Purpose, Scheme};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

impl Settings {
    /// Returns a backend with these settings that can also tell why its keys do or do not work. Sends no request.
    pub fn diagnosis(&self) -> Arc<dyn Diagnosis> {
        Arc::new(Google { settings: self.clone(), clients: PerProcess::new() })
    }
}

/// Needs no permission.
const TEST_PERMISSIONS: Operation = Operation { name: "TestIamPermissions", permission: "", role: "" };

/// The reply contains those of the permissions that the caller has.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Permissions {
    permissions: Vec<String>,
}

impl Diagnosis for Google {
    fn connect(&self, _keys: &[KeyName]) -> Pending<Vec<Connection>> {
        let (clients, pool) = (self.clients(), ClientPool::shared());
        runtime::spawn("Connect", move || async move {
            // The credentials may belong to another universe. If there are none, nothing better is known than the default.
            let network = &clients.settings.network;
            let token = tokio::time::timeout(network.call_timeout / 2, clients.token(GET_PUBLIC_KEY.name)).await;
            let url = clients.endpoint(token.ok().and_then(Result::ok).as_deref());
            Ok(vec![Connection::open(&pool, network, &url).await])
        })
    }

    fn principal(&self, _keys: &[KeyName]) -> Pending<Principal> {
        let clients = self.clients();
        runtime::spawn(GET_PUBLIC_KEY.name, move || async move {
            let call = Call::new(CLOUD, GET_PUBLIC_KEY.name, &"the access token", &clients.settings.network);
            let token = call.run(|| clients.token(GET_PUBLIC_KEY.name), |_, _| {}).await?;
            // The origin is `service account me@example (/path)`.
            let (account, source) = match token.origin.rsplit_once(" (") {
                Some((account, place)) => (account.to_owned(), place.trim_end_matches(')').to_owned()),
                None => (token.origin.clone(), token.origin.clone()),
            };
            let charged = token.quota_project.as_ref().map(|project| format!(", quota project {project}"));
            let identity = format!("{account}, universe {}{}", token.universe_domain, charged.unwrap_or_default());
            Ok(Principal { source, identity: Ok(identity), warning: None })
        })
    }

    fn permission(&self, target: Target, scheme: Scheme, _data: &[u8]) -> Option<Pending<()>> {
        let operation = match scheme.family.purpose() {
            Purpose::Sign => &SIGN,
            _ => &DECRYPT,
        };
        let (clients, key) = (self.clients(), crypto_key_name(&target.name.id).to_owned());
        Some(runtime::spawn(
            TEST_PERMISSIONS.name,
            move || async move { test_permission(&clients, &key, operation).await },
        ))
    }

    fn remedy(&self, key: &KeyName, failure: &Failure) -> Option<String> {
        let state = |name: &str| failure.message.contains(&format!("state is: {name}"));
        match failure.cause {
            Cause::Disabled if state("DISABLED") => gcloud("enable", &key.id).map(|command| format!("run `{command}`")),
            Cause::Disabled if state("DESTROY_SCHEDULED") => {
                let (restore, enable) = (gcloud("restore", &key.id)?, gcloud("enable", &key.id)?);
                Some(format!("run `{restore}`, then `{enable}`"))
            }
            Cause::NotFound if !failure.message.contains("state is: ") => {
                let key = crypto_key_name(&key.id);
                let (ring, _) = key.rsplit_once("/cryptoKeys/")?;
                Some(format!("correct the name of the key; `gcloud kms keys list --keyring {ring}` lists the keys"))
            }
            _ => None,
        }
    }
}

/// Returns the command of the `gcloud` program for a version of a key.
fn gcloud(verb: &str, version: &str) -> Option<String> {
    let parts: Vec<&str> = version.split('/').collect();
    let ["projects", project, "locations", location, "keyRings", ring, "cryptoKeys", key, "cryptoKeyVersions", number] =
        parts[..]
    else {
        return None;
    };
    Some(format!(
        "gcloud kms keys versions {verb} {number} --key {key} --keyring {ring} --location {location} --project {project}"
    ))
}

async fn test_permission(clients: &Clients, key: &str, operation: &Operation) -> Result<(), Failure> {
    let request = Request::post(format!("{key}:testIamPermissions"), &json!({ "permissions": [operation.permission] }));
    let held: Permissions = clients.call(&TEST_PERMISSIONS, key, &request, Ok).await?;
    match held.permissions.iter().any(|held| held == operation.permission) {
        true => Ok(()),
        false => {
            let Operation { permission, role, .. } = operation;
            let message = format!("needed: the permission {permission} on {key}, for example by {role}");
            Err(operation.failure(Cause::Denied, message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_of_a_version_has_its_command() {
        let google = Settings::default().diagnosis();
        let id = "projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/7";
        let remedy = |id: &str, words: &str| {
            let failure = Failure::new(Cause::Disabled, "GetPublicKey", words);
            google.remedy(&KeyName { id: id.into(), version: None }, &failure)
        };
        let rest = "7 --key k --keyring r --location l --project p";
        assert_eq!(
            remedy(id, "is not enabled, current state is: DISABLED").unwrap(),
            format!("run `gcloud kms keys versions enable {rest}`")
        );
        let restore = remedy(id, "current state is: DESTROY_SCHEDULED").unwrap();
        assert!(restore.starts_with(&format!("run `gcloud kms keys versions restore {rest}`, then")), "{restore}");
        assert_eq!(remedy("projects/p", "current state is: DISABLED"), None);
        assert_eq!(remedy(id, "current state is: PENDING_IMPORT"), None);
        let missing = Failure::new(Cause::NotFound, "GetPublicKey", "NOT_FOUND: x not found");
        let words = google.remedy(&KeyName { id: id.into(), version: None }, &missing).unwrap();
        assert!(words.contains("keys list --keyring projects/p/locations/l/keyRings/r`"), "{words}");
    }
}
