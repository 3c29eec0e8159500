//! Requests, tokens and repetitions.

use super::super::operations::GET_VERSION;
use super::testing::{clients, refused};
use super::*;
use crate::cloud::Network;
use crate::cloud::google::settings::Credentials;
use crate::cloud::secret::Secret;
use crate::fuzzing::replies::block_on;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use std::sync::Mutex;

const NAME: &str = "projects/p/locations/l/keyRings/r/cryptoKeys/k";

fn call(clients: &Arc<Clients>) -> Result<Value, Failure> {
    block_on(clients.call(&GET_VERSION, NAME, &Request::get(NAME), Ok))
}

fn request(settings: Settings, token: &AccessToken) -> reqwest::Request {
    let request = Request { query: &[("a", "b&c")], ..Request::post(format!("{NAME}:x"), &json!({})) };
    Clients::new(settings).http_request(&GET_VERSION, &request, token).unwrap()
}

fn token(secret: Option<&str>) -> AccessToken {
    AccessToken {
        token: secret.map(|secret| Secret::from(secret.to_owned())),
        quota_project: Some("of-token".into()),
        universe_domain: "example.org".into(),
        origin: "service account a".into(),
    }
}

#[test]
fn a_request_has_its_url_and_headers() {
    let made = request(Settings::default(), &token(Some("secret")));
    assert_eq!(made.url().as_str(), format!("https://cloudkms.example.org/v1/{NAME}:x?a=b%26c"));
    let header = |name: &str| made.headers().get(name).map(|value| value.to_str().unwrap());
    assert_eq!(header("authorization"), Some("Bearer secret"));
    assert!(made.headers()["authorization"].is_sensitive());
    assert_eq!(header("x-goog-user-project"), Some("of-token"));
    assert!(header("user-agent").unwrap().starts_with("cloud-kms-pkcs11/"));
    assert_eq!(header("content-type"), Some("application/json"));
    let own = Settings { endpoint_url: Some("https://cloudkms-p.example:8443/x".into()), ..Settings::default() };
    let made = request(own, &token(None));
    assert_eq!(made.url().as_str(), format!("https://cloudkms-p.example:8443/x/v1/{NAME}:x?a=b%26c"));
    assert!(!made.headers().contains_key("authorization"));
    let universe = Settings { universe_domain: Some("u.example".into()), ..Settings::default() };
    assert_eq!(request(universe, &token(None)).url().host_str(), Some("cloudkms.u.example"));
}

#[test]
fn a_wrong_url_is_a_wrong_setting() {
    let (wrong, request) = (Some("https://me:secret@[".to_owned()), Request::get(NAME));
    let clients = Clients::new(Settings { endpoint_url: wrong, ..Settings::default() });
    let failure = clients.http_request(&GET_VERSION, &request, &token(None)).unwrap_err();
    assert!(failure.cause == Cause::Settings && !failure.message.contains("secret"), "{failure}");
}

#[test]
fn a_request_that_changes_something_is_made_once() {
    for (status, calls) in [("UNAVAILABLE", 1), ("RESOURCE_EXHAUSTED", 2)] {
        let tries = Mutex::new(0);
        let (clients, requests) = clients(3, move |_, _| {
            let mut tries = tries.lock().unwrap();
            *tries += 1;
            if *tries == 2 { (200, json!({})) } else { refused(status, "no") }
        });
        let request = Request::post(NAME, &json!({}));
        let answer: Result<Value, _> = block_on(clients.change(&GET_VERSION, NAME, &request));
        assert_eq!((answer.is_ok(), requests.lock().unwrap().len()), (calls == 2, calls), "{status}");
    }
    let (clients, requests) = clients(3, |_, _| refused("UNAVAILABLE", "no"));
    assert_eq!((call(&clients).unwrap_err().cause, requests.lock().unwrap().len()), (Cause::Internal, 4));
}

/// A service that accepts only the second token, which a server of tokens issues after the first one.
fn with_tokens(accepts: bool) -> (Arc<Clients>, Arc<Mutex<Vec<String>>>) {
    let issued = Mutex::new(0);
    let reply = |status, body: String| {
        // The header of a metadata server.
        let flavor = (HeaderName::from_static("metadata-flavor"), HeaderValue::from_static("Google"));
        let headers = HeaderMap::from_iter([flavor]);
        Reply { status, headers, body: Zeroizing::new(body.into_bytes()) }
    };
    let issue = move || {
        let mut issued = issued.lock().unwrap();
        *issued += 1;
        json!({ "access_token": format!("t{issued}"), "expires_in": 3599, "token_type": "Bearer" })
    };
    let seen = Arc::new(Mutex::new(Vec::new()));
    let received = seen.clone();
    let server = move |request: &reqwest::Request| {
        let Some(token) = request.headers().get("authorization") else {
            return Ok(reply(200, issue().to_string()));
        };
        let token = token.to_str().unwrap().to_owned();
        received.lock().unwrap().push(token.clone());
        let (status, body) = match token.as_str() {
            "Bearer t1" => refused("UNAUTHENTICATED", "expired"),
            _ if !accepts => refused("UNAUTHENTICATED", "expired"),
            _ => (200, json!({})),
        };
        Ok(reply(if status == 400 { 401 } else { status }, body.to_string()))
    };
    let settings = Settings {
        credentials: Credentials::Metadata,
        universe_domain: Some("googleapis.com".into()),
        network: Network::default(),
        ..Settings::default()
    };
    (Clients::with_transport(settings, Transport::to(server)), seen)
}

#[test]
fn a_rejected_token_is_replaced_once() {
    let (clients, seen) = with_tokens(true);
    call(&clients).unwrap();
    call(&clients).unwrap();
    assert_eq!(*seen.lock().unwrap(), ["Bearer t1", "Bearer t2", "Bearer t2"]);
    let (clients, seen) = with_tokens(false);
    let failure = call(&clients).unwrap_err();
    assert!(failure.cause == Cause::Credentials && failure.message.contains("the token is that of"), "{failure}");
    assert!(!failure.message.contains("t2"), "{failure}");
    assert_eq!(*seen.lock().unwrap(), ["Bearer t1", "Bearer t2"]);
}

#[test]
fn a_reply_that_is_not_json_is_not_quoted() {
    let (clients, _) = clients(0, |_, _| (200, json!(7)));
    let answer: Result<EmptyReply, _> = block_on(clients.call(&GET_VERSION, NAME, &Request::get(NAME), Ok));
    let failure = answer.err().unwrap();
    assert!(failure.cause == Cause::Malformed && !failure.message.contains('7'), "{failure}");
}

#[derive(serde::Deserialize)]
struct EmptyReply {}
