//! Clients of a server in memory, for the tests of this folder.

use super::*;
use crate::cloud::Network;
use crate::cloud::google::settings::Credentials;
use http::HeaderMap;
use serde_json::{Value, json};
use std::sync::Mutex;

/// The requests that a server has received: their paths with queries, and their bodies.
pub(crate) type Requests = Arc<Mutex<Vec<(String, Value)>>>;

/// Returns clients of a server that replies with a status and a body.
pub(crate) fn clients(
    retries: u32,
    reply: impl Fn(&str, &Value) -> (u16, Value) + Send + Sync + 'static,
) -> (Arc<Clients>, Requests) {
    let settings = Settings {
        credentials: Credentials::None,
        key_ring: Some("projects/p/locations/l/keyRings/r".into()),
        network: Network { retries, ..Network::default() },
        ..Settings::default()
    };
    let requests = Requests::default();
    let received = requests.clone();
    let server = move |request: &reqwest::Request| {
        let url = request.url();
        assert!(url.as_str().starts_with("https://cloudkms.googleapis.com/v1/projects/"), "{url}");
        let path = url.as_str().trim_start_matches("https://cloudkms.googleapis.com/v1/").to_owned();
        let body = request.body().and_then(|body| serde_json::from_slice(body.as_bytes().unwrap()).ok());
        let body = body.unwrap_or_default();
        let (status, reply) = reply(&path, &body);
        received.lock().unwrap().push((path, body));
        Ok(Reply { status, headers: HeaderMap::new(), body: Zeroizing::new(reply.to_string().into_bytes()) })
    };
    (Clients::with_transport(settings, Transport::to(server)), requests)
}

/// Returns an error reply.
pub(crate) fn refused(status: &str, words: &str) -> (u16, Value) {
    (400, json!({ "error": { "code": 400, "status": status, "message": words } }))
}
