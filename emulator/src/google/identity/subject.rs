//! Subject tokens: what an identity provider outside of Google has issued ("Workload identity federation").
//!
//! The emulator takes what it issues itself: its own ID tokens, tokens of Entra, and AWS credentials.

use crate::aws::sigv4;
use crate::encoding::percent_decode;
use crate::http::Request;
use crate::state::State;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{HeaderMap, Method};
use serde_json::Value;

/// The type of a signed request to AWS.
pub(super) const AWS: &str = "urn:ietf:params:aws:token-type:aws4_request";

/// Whether a token of that type is good for an audience.
pub(super) fn is_good(state: &State, kind: &str, token: &str, audience: &str) -> bool {
    let now = state.clock.now();
    match kind {
        AWS => caller(token, audience)
            .is_some_and(|request| sigv4::check(&state.aws.credentials, &request, "sts", now).is_ok()),
        _ => state.google.identities.accepts_subject(token) || state.entra.is_valid(token, now),
    }
}

/// The request for GetCallerIdentity that a subject token of AWS is, in JSON and percent-encoded. Its header
/// `x-goog-cloud-target-resource` names the audience; Google's own client in Python does not sign that header.
fn caller(token: &str, audience: &str) -> Option<Request> {
    let json: Value = serde_json::from_str(&percent_decode(token)).ok()?;
    let mut headers = HeaderMap::new();
    for header in json.get("headers")?.as_array()? {
        let name = HeaderName::from_bytes(header.get("key")?.as_str()?.as_bytes()).ok()?;
        headers.insert(name, HeaderValue::from_str(header.get("value")?.as_str()?).ok()?);
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text("host")?.to_owned();
    if text("x-goog-cloud-target-resource") != Some(audience) {
        return None;
    }
    let url = json.get("url")?.as_str()?.strip_prefix("https://")?.to_owned();
    let (place, query) = url.split_once('?')?;
    let path = place.split_once('/').map_or("/".to_owned(), |(_, path)| format!("/{path}"));
    (json.get("method")? == "POST" && query.contains("Action=GetCallerIdentity")).then_some(())?;
    Some(Request {
        method: Method::POST,
        path,
        query: query.to_owned(),
        headers,
        body: Vec::new(),
        host,
        origin: Default::default(),
    })
}
