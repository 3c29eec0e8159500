//! The keys of a Transit engine.
//!
//! "List keys" of "Transit secrets engine (API)".

use super::client::{Clients, Request};
use super::operations::LIST_KEYS;
use crate::cloud::failure::{Cause, Failure};
use crate::cloud::key::{KeyName, ListedKey};
use http::Method;
use serde::Deserialize;

#[derive(Deserialize)]
struct ListReply {
    keys: Vec<String>,
}

impl Clients {
    /// Returns all keys. Their labels are their names.
    pub(crate) async fn list(&self) -> Result<Vec<ListedKey>, Failure> {
        let path: Vec<&str> = self.mount().into_iter().chain(["keys"]).collect();
        let method = Method::from_bytes(b"LIST").unwrap_or(Method::GET);
        let answer = self.call::<ListReply>(&LIST_KEYS, "all", &Request { method, path: &path, body: None }).await;
        let keys = match answer {
            Ok(reply) => reply.keys,
            // An engine without keys replies like this.
            Err(failure) if failure.cause == Cause::NotFound && !failure.message.contains("mounted") => Vec::new(),
            Err(failure) => return Err(failure),
        };
        let listed = |id: String| ListedKey { name: KeyName { id, version: None }, label: None, is_disabled: false };
        Ok(keys.into_iter().map(listed).collect())
    }
}
