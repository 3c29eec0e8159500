//! Whether a policy permits the use of a key, without using it.
//!
//! "/sys/capabilities-self" of Vault's documentation. The policy `default` permits the request.

use crate::cloud::failure::{Cause, Failure};
use crate::cloud::http::transport::json_body;
use crate::cloud::vault::client::{Clients, Request};
use crate::cloud::vault::keys::hash_algorithm;
use crate::cloud::vault::operations::{DECRYPT, HMAC, Operation, SIGN};
use crate::key::{Algorithm, Purpose, Scheme};
use http::Method;
use serde_json::json;
use std::collections::HashMap;
use std::sync::Arc;

pub(super) const LOOKUP_CAPABILITIES: Operation = Operation { name: "LookupCapabilities", capability: "update" };

/// Asks whether a policy permits operations with the key and a scheme.
///
/// # Errors
/// Fails with [`Cause::Denied`] if no policy does.
pub(super) async fn check(clients: &Arc<Clients>, key: &str, scheme: Scheme) -> Result<(), Failure> {
    let hash = scheme.hash.and_then(hash_algorithm).unwrap_or("none");
    let (operation, path) = match (scheme.family, scheme.family.purpose()) {
        (Algorithm::Hmac, _) => (&HMAC, clients.path(&["hmac", key, hash])),
        (Algorithm::Eddsa, _) => (&SIGN, clients.path(&["sign", key])),
        (_, Purpose::Sign) => (&SIGN, clients.path(&["sign", key, hash])),
        _ => (&DECRYPT, clients.path(&["decrypt", key])),
    };
    let path = path.join("/");
    let body = Some(json_body(&json!({ "paths": [path] })));
    let request = Request { method: Method::POST, path: &["sys", "capabilities-self"], body };
    let told: HashMap<String, Vec<String>> = clients.call(&LOOKUP_CAPABILITIES, key, &request).await?;
    let held = told.get(&path).cloned().unwrap_or_default();
    match held.iter().any(|held| held == operation.capability || held == "root") {
        true => Ok(()),
        false => {
            let message = format!(
                "the capabilities of the token are: {}; needed: a policy with the capability {:?} on {path:?}",
                held.join(", "),
                operation.capability
            );
            Err(operation.failure(Cause::Denied, message))
        }
    }
}
