//! The fuzz target for replies of Key Vault and of the services that issue tokens, parsed by the SDK, for
//! `azureauth.json`, and for files with client certificates.
//!
//! Compiled into tests and fuzzers only. Each reply leads to a correct result, or to a failure with a cause and a
//! message.

#![allow(clippy::expect_used, reason = "for tests and fuzzers only")]

use super::input::ByteSource;
use super::replies::{Replies, Reply, SECRET, block_on, check_facts, check_failure};
use crate::cloud::Secret;
use crate::cloud::azure::client;
use crate::cloud::azure::client::Clients;
use crate::cloud::azure::credentials;
use crate::cloud::azure::credentials::auth_file::AuthFile;
use crate::cloud::azure::credentials::certificate::{ClientCertificate, ConfiguredPassword};
use crate::cloud::azure::operations::GET_KEY;
use crate::cloud::azure::{Credential, Settings, certificates, crypto, keys, listing};
use crate::cloud::key::KeyRequest;
use crate::cloud::{Cause, Failure, KeyName, Network, Target};
use crate::key::hash::Hash;
use crate::key::{Algorithm, Curve, Kind, Scheme};
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::http::headers::{HeaderName, HeaderValue, Headers};
use azure_core::http::{
    AsyncRawResponse, ClientOptions, HttpClient, Request as HttpRequest, RetryOptions, StatusCode, Transport,
};
use azure_core::time::OffsetDateTime;
use std::path::Path;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Runs the target. The first byte selects the request, and the rest is the reply.
pub fn run(data: &[u8]) {
    let mut source = ByteSource(data);
    match source.byte() % 8 {
        0 => auth_file(source.rest()),
        1 => client_certificate(source.rest()),
        2 => token(Replies::from(source)),
        3 => list(Replies::from(source)),
        4 => certificate(Replies::from(source)),
        5 => sign(Replies::from(source)),
        6 => decrypt(Replies::from(source)),
        _ => describe(Replies::from(source)),
    }
}

fn auth_file(text: &[u8]) {
    let text = String::from_utf8_lossy(text);
    if let Err(words) = AuthFile::parse(Path::new("azureauth.json"), &text) {
        assert!(!words.is_empty() && !words.contains(SECRET), "{words}");
    }
}

fn client_certificate(file: &[u8]) {
    let password = ConfiguredPassword {
        text: Zeroizing::new("password".into()),
        setting: "AZURE_CLIENT_CERTIFICATE_PASSWORD".into(),
    };
    let read = ClientCertificate::read(file, None).or_else(|_| ClientCertificate::read(file, Some(&password)));
    if let Err(words) = read {
        assert!(!words.is_empty() && !words.contains(SECRET), "{words}");
    }
}

fn token(replies: Replies) {
    let settings = Settings {
        credential: Credential::Environment,
        tenant_id: Some("t".into()),
        client_id: Some("c".into()),
        client_secret: Some(Secret(SECRET.into())),
        ..settings()
    };
    let client = reqwest_client();
    let chain = credentials::chain(&settings, options(replies), client, Default::default());
    match block_on(chain.get_token(&["https://vault.azure.net/.default"], None)) {
        Ok(token) => assert!(!token.token.secret().is_empty()),
        Err(error) => {
            let words = error.to_string();
            assert!(!words.is_empty() && !words.contains(SECRET), "{words}");
        }
    }
}

fn describe(replies: Replies) {
    let ok = replies.first_status() == 200;
    let clients = clients(replies);
    let request = |vault| {
        let clients = clients.clone();
        async move { keys::describe(&clients, &vault, &name()).await }
    };
    let answer = block_on(client::call(&clients, &GET_KEY, "k", request));
    match answer {
        Ok(facts) => {
            assert!(facts.immutable_id.is_some());
            check_facts(&facts, &settings().open());
        }
        Err(failure) => check(&failure, ok),
    }
}

fn sign(replies: Replies) {
    let ok = replies.first_status() == 200;
    let clients = clients(replies);
    let order = order(Kind::Ec(Curve::P256), Algorithm::Ecdsa.with_hash(Hash::Sha256), 32);
    let request = |vault| {
        let (clients, order) = (clients.clone(), order.clone());
        async move { crypto::sign_resolving_rotation(&clients, &vault, &order).await }
    };
    let answer = block_on(client::call(&clients, &GET_KEY, "k", request));
    match answer {
        Ok(signature) => assert!(signature.bytes.len() == 64 && signature.immutable_id.contains("/keys/")),
        Err(failure) => check(&failure, ok),
    }
}

fn decrypt(replies: Replies) {
    let ok = replies.first_status() == 200;
    let clients = clients(replies);
    let order = order(Kind::Rsa(2048), Algorithm::RsaesOaep.with_hash(Hash::Sha256), 256);
    let request = |vault| {
        let order = order.clone();
        async move { crypto::decrypt(&vault, &order).await }
    };
    if let Err(failure) = block_on(client::call(&clients, &GET_KEY, "k", request)) {
        check(&failure, ok);
    }
}

fn order(kind: Kind, scheme: Scheme, length: usize) -> KeyRequest {
    let id = "https://v.vault.azure.net/keys/k/1";
    KeyRequest::new(Target { name: &name(), kind, immutable_id: Some(id) }, scheme, &vec![7; length])
}

fn list(replies: Replies) {
    let ok = replies.first_status() == 200;
    let clients = clients(replies);
    match block_on(listing::list(&clients)) {
        Ok(keys) => assert!(keys.iter().all(|key| !key.name.id.is_empty() && !key.name.id.contains('/'))),
        Err(failure) => check(&failure, ok),
    }
}

fn certificate(replies: Replies) {
    let ok = replies.first_status() == 200;
    let clients = clients(replies);
    let request = |vault| async move { certificates::certificate(&vault, &name()).await };
    let answer = block_on(client::call(&clients, &GET_KEY, "k", request));
    match answer {
        Ok(chain) => assert!(chain.is_none_or(|chain| chain.len() == 1)),
        Err(failure) => check(&failure, ok),
    }
}

fn check(failure: &Failure, ok: bool) {
    check_failure(failure);
    if ok {
        assert!([Cause::Malformed, Cause::Unsupported].contains(&failure.cause), "{failure}");
    }
}

fn name() -> KeyName {
    KeyName { id: "k".into(), version: None }
}

fn settings() -> Settings {
    let network = Network { retries: 0, ..Network::default() };
    Settings { vault_url: "https://v.vault.azure.net".into(), network, ..Settings::default() }
}

fn clients(replies: Replies) -> Arc<Clients> {
    Arc::new(Clients::with_credential(settings(), Arc::new(FixedCredential), options(replies)).expect("clients"))
}

/// Returns a client that is never used, because the source of tokens has a transport of its own.
fn reqwest_client() -> reqwest::Client {
    static CLIENT: std::sync::OnceLock<reqwest::Client> = std::sync::OnceLock::new();
    CLIENT.get_or_init(reqwest::Client::new).clone()
}

fn options(replies: Replies) -> ClientOptions {
    let transport = Transport::new(Arc::new(RepliesTransport(replies)));
    ClientOptions { retry: RetryOptions::none(), transport: Some(transport), ..Default::default() }
}

#[derive(Debug)]
struct FixedCredential;

#[async_trait::async_trait]
impl TokenCredential for FixedCredential {
    async fn get_token(&self, _: &[&str], _: Option<TokenRequestOptions<'_>>) -> azure_core::Result<AccessToken> {
        let in_an_hour = OffsetDateTime::now_utc() + std::time::Duration::from_secs(3600);
        Ok(AccessToken::new(SECRET, in_an_hour))
    }
}

#[derive(Debug)]
struct RepliesTransport(Replies);

#[async_trait::async_trait]
impl HttpClient for RepliesTransport {
    async fn execute_request(&self, _: &HttpRequest) -> azure_core::Result<AsyncRawResponse> {
        let Reply { status, headers, body } = self.0.next();
        let mut own = Headers::new();
        for (name, value) in headers {
            own.insert(HeaderName::from_static(name), HeaderValue::from(value));
        }
        Ok(AsyncRawResponse::from_bytes(StatusCode::from(status), own, body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replies(bodies: &str) -> Replies {
        Replies::from(ByteSource(&[&[0, 0], bodies.as_bytes()].concat()))
    }

    #[test]
    fn a_circular_listing_ends() {
        let page = r#"{"value": [], "nextLink": "https://v.vault.azure.net/keys?x=1"}"#;
        let clients = clients(replies(page));
        let failure = block_on(listing::list(&clients)).unwrap_err();
        assert_eq!((failure.cause, failure.message.as_str()), (Cause::Malformed, "the list repeats a page"));
    }

    #[test]
    fn a_reply_without_a_token_is_an_error() {
        let settings = Settings {
            credential: Credential::Environment,
            tenant_id: Some("t".into()),
            client_id: Some("c".into()),
            client_secret: Some(Secret("s".into())),
            ..settings()
        };
        let chain = credentials::chain(
            &settings,
            options(replies(r#"{"expires_in": 9}"#)),
            reqwest_client(),
            Default::default(),
        );
        let error = block_on(chain.get_token(&["scope"], None)).unwrap_err();
        assert!(error.to_string().contains("lacks the token"), "{error}");
    }
}
