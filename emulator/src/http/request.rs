//! A request of a client.

use super::origin::Origin;
use crate::encoding::{base64_decode, base64url_decode, form_value, percent_decode};
use hyper::{HeaderMap, Method};
use serde_json::Value;

/// A request, read whole.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// The path as sent, without the query.
    pub(crate) path: String,
    /// The query as sent, without the question mark.
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// The `Host` header: a name with or without a port.
    pub(crate) host: String,
    pub(crate) origin: Origin,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The host without its port, in lower case.
    pub(crate) fn hostname(&self) -> String {
        let host = self.host.to_ascii_lowercase();
        match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name.to_owned(),
            _ => host,
        }
    }

    /// `https://host` as the client wrote it, without a default port.
    pub(crate) fn base_url(&self) -> String {
        let (scheme, default_port) = if self.origin.handshake.is_some() { ("https", ":443") } else { ("http", ":80") };
        let host = self.host.strip_suffix(default_port).unwrap_or(&self.host);
        format!("{scheme}://{host}")
    }

    pub(crate) fn query_value(&self, name: &str) -> Option<String> {
        form_value(&self.query, name)
    }

    /// The parts of the path between slashes, decoded; an empty part stays.
    pub(crate) fn segments(&self) -> Vec<String> {
        self.path.trim_start_matches('/').split('/').map(percent_decode).collect()
    }

    /// A member of the JSON body that is base64, in either alphabet.
    pub(crate) fn bytes(&self, member: &str) -> Option<Vec<u8>> {
        let text = self.json()?.get(member)?.as_str()?.to_owned();
        base64_decode(&text).or_else(|| base64url_decode(&text))
    }

    pub(crate) fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }
}
