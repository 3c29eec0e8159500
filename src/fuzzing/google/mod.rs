//! The fuzz target for replies of Google Cloud KMS: about keys, with the results of operations, with lists and with errors.
//!
//! Compiled into tests and fuzzers only. Each reply leads to a correct result, or to a failure with a cause and a message:
//!
//! * A signature has the length of its kind, and is that of the version that was asked.
//! * The bytes of every result have the checksum that the reply contains.
//! * No message contains the access token.
//! * Each request is encrypted, goes to the service, and names a resource.

#![allow(clippy::panic, clippy::expect_used, reason = "for tests and fuzzers only")]

pub(crate) mod credentials;

use super::input::ByteSource;
use super::replies::{SECRET, block_on, check_facts, check_failure, http_reply, texts};
use crate::cloud::google::client::Clients;
use crate::cloud::google::keys::checksum::crc32c;
use crate::cloud::google::{Credentials, Settings, is_key};
use crate::cloud::http::exchange::Reply;
use crate::cloud::http::transport::Transport;
use crate::cloud::key::KeyRequest;
use crate::cloud::{Cause, Failure, KeyName, Network, NewKey, Target};
use crate::key::hash::Hash;
use crate::key::{Algorithm, Curve, Kind, ParameterSet, Purpose, Scheme};
use base64ct::{Base64, Encoding};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use zeroize::Zeroizing;

/// Runs the target. The first byte selects the request, and the rest is the replies.
pub fn run(data: &[u8]) {
    let mut source = ByteSource(data);
    let choice = source.byte();
    // Without the version, some requests begin with a list of versions.
    let id = if choice < 0x80 { VERSION } else { KEY };
    match choice % 9 {
        0 => describe(id, source.rest()),
        1 => {
            let (kind, scheme) = source.pick(&KINDS);
            sign(&order(id, kind, scheme, Some(VERSION)), source.rest());
        }
        2 => {
            let (kind, scheme) = source.pick(&KINDS);
            sign(&order(id, kind, scheme, None), source.rest());
        }
        3 => verify(source.rest()),
        4 => decrypt(source.rest()),
        5 => random(source.rest()),
        6 => list(source.rest()),
        7 => create(source.rest()),
        _ => change(choice < 0x80, source.rest()),
    }
}

const KEY: &str = "projects/p/locations/l/keyRings/r/cryptoKeys/k";
const VERSION: &str = "projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/3";

const KINDS: [(Kind, Scheme); 7] = [
    (Kind::Ec(Curve::P256), Algorithm::Ecdsa.with_hash(Hash::Sha256)),
    (Kind::Ec(Curve::P384), Algorithm::Ecdsa.with_hash(Hash::Sha384)),
    (Kind::Rsa(2048), Algorithm::RsaPss.with_hash(Hash::Sha256)),
    (Kind::Rsa(2048), Algorithm::RsaPkcs1.without_hash()),
    (Kind::Ed25519, Algorithm::Eddsa.without_hash()),
    (Kind::MlDsa(ParameterSet::MlDsa44), Algorithm::MlDsaMu.without_hash()),
    (Kind::Hmac(Hash::Sha256), Algorithm::Hmac.with_hash(Hash::Sha256)),
];

fn describe(id: &str, replies: &[u8]) {
    let (clients, server) = clients(replies);
    match block_on(clients.describe(&name(id))) {
        Ok(facts) => {
            let version = facts.immutable_id.as_deref().expect("a version");
            assert!(version.starts_with("projects/") && version.contains("/cryptoKeyVersions/"), "{version}");
            check_facts(&facts, &settings().open());
        }
        Err(failure) => server.check(&failure, &[Cause::Unsupported, Cause::Disabled]),
    }
}

fn sign(order: &KeyRequest, replies: &[u8]) {
    let (clients, server) = clients(replies);
    match block_on(clients.sign(order)) {
        Ok(signature) => {
            assert_eq!(signature.bytes.len(), order.kind.signature_len());
            assert!(is_key(&signature.immutable_id) && server.last_path().starts_with(&signature.immutable_id));
            if !matches!(order.kind, Kind::Ec(_)) {
                server.check_checksum(&signature.bytes);
            }
        }
        Err(failure) => server.check(&failure, &[Cause::Disabled]),
    }
}

fn verify(replies: &[u8]) {
    let (clients, server) = clients(replies);
    let order = order(VERSION, Kind::Hmac(Hash::Sha256), Algorithm::Hmac.with_hash(Hash::Sha256), None);
    if let Err(failure) = block_on(clients.verify_mac(&order, &[7; 32])) {
        server.check(&failure, &[]);
    }
}

fn decrypt(replies: &[u8]) {
    let (clients, server) = clients(replies);
    let order = order(VERSION, Kind::Rsa(2048), Algorithm::RsaesOaep.with_hash(Hash::Sha256), None);
    match block_on(clients.decrypt(&order)) {
        Ok(plaintext) => server.check_checksum(&plaintext),
        Err(failure) => server.check(&failure, &[]),
    }
}

fn random(replies: &[u8]) {
    let (clients, server) = clients(replies);
    match block_on(clients.random(70)) {
        Ok(random) => assert_eq!(random.len(), 70),
        Err(failure) => server.check(&failure, &[]),
    }
}

fn list(replies: &[u8]) {
    let (clients, server) = clients(replies);
    match block_on(clients.list()) {
        Ok(keys) => assert!(keys.iter().all(|key| is_key(&key.name.id) && key.label.is_some())),
        Err(failure) => server.check(&failure, &[]),
    }
}

fn create(replies: &[u8]) {
    let (clients, server) = clients(replies);
    let new = NewKey { kind: Kind::Ec(Curve::P256), purposes: vec![Purpose::Sign], label: Some("k".into()), id: None };
    match block_on(clients.create(&new)) {
        Ok(created) => check_facts(&created.facts, &settings().open()),
        Err(failure) => server.check(&failure, &[Cause::Unsupported, Cause::Disabled]),
    }
}

fn change(is_destruction: bool, replies: &[u8]) {
    let (clients, server) = clients(replies);
    let answer = match is_destruction {
        true => block_on(clients.destroy(&name(KEY), VERSION)).map(drop),
        false => block_on(clients.relabel(&name(KEY), "label")),
    };
    if let Err(failure) = answer {
        server.check(&failure, &[]);
    }
}

fn order(id: &str, kind: Kind, scheme: Scheme, version: Option<&str>) -> KeyRequest {
    let data = vec![7; scheme.hash.map_or(64, Hash::len)];
    KeyRequest::new(Target { name: &name(id), kind, immutable_id: version }, scheme, &data)
}

fn name(id: &str) -> KeyName {
    KeyName { id: id.into(), version: None }
}

fn settings() -> Settings {
    Settings {
        universe_domain: Some("googleapis.com".into()),
        key_ring: Some("projects/p/locations/l/keyRings/r".into()),
        credentials: Credentials::Metadata,
        network: Network { retries: 0, ..Network::default() },
        ..Settings::default()
    }
}

fn clients(replies: &[u8]) -> (Arc<Clients>, Arc<Server>) {
    let server = Arc::new(Server { replies: Mutex::new(texts(replies)), ..Server::default() });
    let own = server.clone();
    let transport = Transport::to(move |request| match request.headers().contains_key("authorization") {
        true => Ok(own.reply(request)),
        false => Ok(token()),
    });
    (Clients::with_transport(settings(), transport), server)
}

/// The reply of a metadata server.
fn token() -> Reply {
    let body = format!(r#"{{"access_token": "{SECRET}", "expires_in": 3599, "token_type": "Bearer"}}"#);
    let flavor = (HeaderName::from_static("metadata-flavor"), HeaderValue::from_static("Google"));
    Reply { status: 200, headers: HeaderMap::from_iter([flavor]), body: Zeroizing::new(body.into_bytes()) }
}

/// A server that sends the replies in their order. The last reply is repeated.
#[derive(Default)]
struct Server {
    replies: Mutex<Vec<Vec<u8>>>,
    exchanges: Mutex<Exchanges>,
}

#[derive(Default)]
struct Exchanges {
    /// The path of the last request after `/v1/`.
    path: String,
    /// The body of the last reply.
    body: Vec<u8>,
    /// Whether a reply was an error.
    is_any_refused: bool,
}

impl Server {
    fn exchanges(&self) -> MutexGuard<'_, Exchanges> {
        self.exchanges.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reply(&self, request: &reqwest::Request) -> Reply {
        let path = request.url().as_str().strip_prefix("https://cloudkms.googleapis.com/v1/");
        let path = path.unwrap_or_else(|| panic!("a request to {}", request.url()));
        assert!(path.starts_with("projects/"), "{path}");
        let token = request.headers().get("authorization").and_then(|value| value.to_str().ok());
        assert_eq!(token, Some(format!("Bearer {SECRET}").as_str()));
        let mut replies = self.replies.lock().unwrap_or_else(PoisonError::into_inner);
        let text = if replies.len() > 1 { replies.remove(0) } else { replies[0].clone() };
        let reply = http_reply(&text);
        let mut exchanges = self.exchanges();
        exchanges.is_any_refused |= !(200..300).contains(&reply.status);
        (exchanges.path, exchanges.body) = (path.to_owned(), reply.body.to_vec());
        reply
    }

    fn last_path(&self) -> String {
        self.exchanges().path.clone()
    }

    /// Checks that the last reply contains the checksum of these bytes, and the bytes.
    fn check_checksum(&self, bytes: &[u8]) {
        let body: Value = serde_json::from_slice(&self.exchanges().body).expect("JSON");
        let fields = body.as_object().expect("an object");
        let sum = crc32c(bytes);
        let is_sum = |value: &Value| value.as_str() == Some(&sum.to_string()) || value.as_u64() == Some(sum.into());
        let has_sum = fields.iter().any(|(name, value)| name.ends_with("Crc32c") && is_sum(value));
        assert!(has_sum, "{body}");
        let encoded = Base64::encode_string(bytes);
        assert!(bytes.is_empty() || fields.values().any(|value| value.as_str() == Some(&encoded)), "{body}");
    }

    /// Checks a failure. If the server refused nothing, the cause is [`Cause::Malformed`] or one of `others`.
    fn check(&self, failure: &Failure, others: &[Cause]) {
        check_failure(failure);
        if !self.exchanges().is_any_refused {
            assert!(failure.cause == Cause::Malformed || others.contains(&failure.cause), "{failure}");
        }
    }
}
