//! The keys of a Transit engine.
//!
//! "List keys" of "Transit secrets engine (API)".

use super::client::{Clients, Request};
use super::operations::LIST_KEYS;
use super::settings::is_key_name;
use crate::cloud::failure::{Cause, Failure};
use crate::cloud::key::{KeyName, ListedKey};
use http::Method;
use serde::Deserialize;
use std::sync::Arc;

#[derive(Deserialize)]
struct ListReply {
    keys: Vec<String>,
}

impl Clients {
    /// Returns all keys. Their labels are their names.
    pub(crate) async fn list(self: &Arc<Self>) -> Result<Vec<ListedKey>, Failure> {
        let path = self.path(&["keys"]);
        let method = Method::from_bytes(b"LIST").unwrap_or(Method::GET);
        let keys = match self.call(&LIST_KEYS, "all", &Request { method, path: &path, body: None }).await {
            Ok(ListReply { keys }) => keys,
            // An engine without keys replies like this.
            Err(failure) if failure.cause == Cause::NotFound => Vec::new(),
            Err(failure) => return Err(failure),
        };
        // No other name is put into the path of a request.
        let is_key = |id: &String| is_key_name(id);
        let listed = |id: String| ListedKey { name: KeyName { id, version: None }, label: None, is_disabled: false };
        Ok(keys.into_iter().filter(is_key).map(listed).collect())
    }
}
