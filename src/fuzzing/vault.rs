//! The fuzz target for replies of Vault: about keys, with the results of operations, with tokens, with errors, and redirects.
//!
//! Compiled into tests and fuzzers only. Each reply leads to a correct result, or to a failure with a cause and a message:
//!
//! * A signature has the length of its kind, also if it was made in a batch.
//! * No message contains a token, be it the client's own or one in a reply.
//! * Each request is encrypted. A redirect changes the server, and nothing else.

#![allow(clippy::panic, clippy::expect_used, reason = "for tests and fuzzers only")]

use super::input::ByteSource;
use super::replies::{SECRET, block_on, check_facts, check_failure, http_reply, texts};
use crate::cloud::http::exchange::Reply;
use crate::cloud::http::transport::Transport;
use crate::cloud::key::KeyRequest;
use crate::cloud::login::{PinClients, Verdict};
use crate::cloud::vault::client::Clients;
use crate::cloud::vault::keys::facts;
use crate::cloud::vault::token::Token;
use crate::cloud::vault::{Auth, Credential, Login, Pin, SecretId, Settings};
use crate::cloud::{Cause, Failure, KeyName, Network, Secret, Signature, Target};
use crate::key::hash::Hash;
use crate::key::{Algorithm, Curve, Kind, Scheme};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::task::JoinSet;
use zeroize::Zeroizing;

/// Runs the target. The first byte selects the request, and the rest is the replies.
pub fn run(data: &[u8]) {
    let mut source = ByteSource(data);
    let choice = source.byte();
    // Without the version, requests that must name it begin with a description of the key.
    let id = (choice < 0x80).then_some("transit/k/3");
    match choice % 10 {
        0 => describe(source.rest()),
        1 => certificate(source.rest()),
        2 => {
            let (kind, scheme) = source.pick(&KINDS);
            sign(&order(kind, scheme, id), source.rest());
        }
        3 => sign_together(source.rest()),
        4 => verify(id, source.rest()),
        5 => decrypt(id, source.rest()),
        6 => random(source.rest()),
        7 => list(source.rest()),
        8 => log_in(choice < 0x80, source.rest()),
        _ => renew(source.rest()),
    }
}

const KINDS: [(Kind, Scheme); 5] = [
    (Kind::Ec(Curve::P256), Algorithm::Ecdsa.with_hash(Hash::Sha256)),
    (Kind::Ec(Curve::P521), Algorithm::Ecdsa.with_hash(Hash::Sha512)),
    (Kind::Rsa(2048), Algorithm::RsaPss.with_hash(Hash::Sha256)),
    (Kind::Ed25519, Algorithm::Eddsa.without_hash()),
    (Kind::Hmac(Hash::Sha256), Algorithm::Hmac.with_hash(Hash::Sha256)),
];

fn describe(replies: &[u8]) {
    let (clients, server) = clients(settings(), replies);
    let answer = block_on(clients.read_key(&name())).and_then(|reply| facts("transit", &name(), &reply));
    match answer {
        Ok(facts) => {
            assert!(facts.immutable_id.as_ref().is_some_and(|id| id.starts_with("transit/k/")));
            check_facts(&facts, &settings().open());
        }
        Err(failure) => server.check(&failure, &[Cause::NotFound, Cause::Disabled, Cause::Unsupported]),
    }
}

fn certificate(replies: &[u8]) {
    let (clients, server) = clients(settings(), replies);
    match block_on(clients.certificate(&name())) {
        Ok(chain) => assert!(chain.is_none_or(|chain| !chain.is_empty())),
        Err(failure) => server.check(&failure, &[]),
    }
}

fn sign(order: &KeyRequest, replies: &[u8]) {
    let (clients, server) = clients(settings(), replies);
    check_signature(&server, order.kind, block_on(clients.sign(order)));
}

/// The reply to the requests that are under way when the first batch is collected.
const SIGNED: &[u8] = br#"{"data": {"signature": "vault:v3:BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBw"}}"#;
const UNDER_WAY: usize = 8;

fn sign_together(replies: &[u8]) {
    let (clients, server) = clients(settings(), replies);
    server.replies().splice(0..0, std::iter::repeat_n(SIGNED.to_vec(), UNDER_WAY));
    let kind = Kind::Ec(Curve::P256);
    let order = order(kind, Algorithm::Ecdsa.with_hash(Hash::Sha256), Some("transit/k/3"));
    let answers = block_on(async {
        let mut calls = JoinSet::new();
        for _ in 0..UNDER_WAY + 4 {
            let (clients, order) = (clients.clone(), order.clone());
            calls.spawn(async move { clients.sign(&order).await });
        }
        calls.join_all().await
    });
    let signed = answers.iter().filter(|answer| answer.is_ok()).count();
    assert!(signed >= UNDER_WAY, "{signed} signatures");
    answers.into_iter().for_each(|answer| check_signature(&server, kind, answer));
}

fn check_signature(server: &Server, kind: Kind, answer: Result<Signature, Failure>) {
    match answer {
        Ok(signature) => {
            assert_eq!(signature.bytes.len(), kind.signature_len());
            assert!(signature.immutable_id.starts_with("transit/k/"));
        }
        Err(failure) => server.check(&failure, &[]),
    }
}

fn verify(id: Option<&str>, replies: &[u8]) {
    let (clients, server) = clients(settings(), replies);
    let order = order(Kind::Hmac(Hash::Sha256), Algorithm::Hmac.with_hash(Hash::Sha256), id);
    if let Err(failure) = block_on(clients.verify_hmac(&order, &[7; 32])) {
        server.check(&failure, &[]);
    }
}

fn decrypt(id: Option<&str>, replies: &[u8]) {
    let (clients, server) = clients(settings(), replies);
    let order = order(Kind::Rsa(2048), Algorithm::RsaesOaep.with_hash(Hash::Sha256), id);
    if let Err(failure) = block_on(clients.decrypt(&order)) {
        server.check(&failure, &[]);
    }
}

fn random(replies: &[u8]) {
    let (clients, server) = clients(settings(), replies);
    match block_on(clients.random(70)) {
        Ok(random) => assert_eq!(random.len(), 70),
        Err(failure) => server.check(&failure, &[]),
    }
}

fn list(replies: &[u8]) {
    let (clients, server) = clients(settings(), replies);
    match block_on(clients.list()) {
        Ok(keys) => assert!(keys.iter().all(|key| key.name.version.is_none() && !key.name.id.ends_with('/'))),
        Err(failure) => server.check(&failure, &[]),
    }
}

/// Logs in with a PIN, and makes a request with the token that the reply contains.
fn log_in(with_app_role: bool, replies: &[u8]) {
    let pin = match with_app_role {
        true => Pin::SecretId { mount: "approle".into(), role_id: "r".into() },
        false => Pin::Token,
    };
    let settings = Settings { login: Some(pin), ..settings() };
    let (clients, server) = clients(Clients::with_pin(&settings, secret()), replies);
    match block_on(clients.clone().check()) {
        Ok(Verdict::Good) => {
            if let Err(failure) = block_on(clients.list()) {
                server.check(&failure, TOKEN_CAUSES);
            }
        }
        Ok(Verdict::Incorrect(words) | Verdict::Expired(words)) => {
            assert!(!words.is_empty() && !words.contains(SECRET), "{words}");
        }
        Err(failure) => server.check(&failure, TOKEN_CAUSES),
    }
}

/// Makes requests with a token that is to be renewed. The token of a later login replaces the token if the server rejects it.
fn renew(replies: &[u8]) {
    let secret_id = Some(SecretId::Text(secret()));
    let credential = Credential::AppRole { role_id: "r".into(), secret_id };
    let auth = Auth::Login(Login { mount: "approle".into(), credential });
    let (clients, server) = clients(Settings { auth, ..settings() }, replies);
    clients.tokens.set(Token::new(secret(), None, Some(Instant::now())));
    for _ in 0..2 {
        if let Err(failure) = block_on(clients.list()) {
            server.check(&failure, TOKEN_CAUSES);
        }
    }
}

/// The token in a reply may contain characters that no header can have.
const TOKEN_CAUSES: &[Cause] = &[Cause::Settings];

fn order(kind: Kind, scheme: Scheme, id: Option<&str>) -> KeyRequest {
    KeyRequest::new(Target { name: &name(), kind, immutable_id: id }, scheme, &[7; 32])
}

fn name() -> KeyName {
    KeyName { id: "k".into(), version: None }
}

fn secret() -> Secret {
    SECRET.to_owned().into()
}

fn settings() -> Settings {
    let network = Network { retries: 0, ..Network::default() };
    Settings { address: ADDRESS.into(), auth: Auth::Token(secret()), network, ..Settings::default() }
}

const ADDRESS: &str = "https://vault.example:8200";

fn clients(settings: Settings, replies: &[u8]) -> (Arc<Clients>, Arc<Server>) {
    let server = Arc::new(Server { replies: Mutex::new(texts(replies)), ..Server::default() });
    let own = server.clone();
    (Clients::with_transport(settings, Transport::to(move |request| Ok(own.reply(request)))), server)
}

/// A server that sends the replies in their order. The last reply is repeated.
#[derive(Default)]
struct Server {
    replies: Mutex<Vec<Vec<u8>>>,
    exchanges: Mutex<Exchanges>,
}

#[derive(Default)]
struct Exchanges {
    /// The paths of the requests to the address in the settings.
    paths: Vec<String>,
    /// Whether a reply was a redirect or an error.
    is_any_refused: bool,
}

impl Server {
    fn replies(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.replies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn exchanges(&self) -> MutexGuard<'_, Exchanges> {
        self.exchanges.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reply(&self, request: &reqwest::Request) -> Reply {
        let (url, mut exchanges) = (request.url(), self.exchanges());
        assert!(url.scheme() == "https" && url.username().is_empty(), "a request to {url}");
        match url.as_str().strip_prefix(ADDRESS) {
            Some(_) => exchanges.paths.push(url.path().to_owned()),
            None => assert!(exchanges.paths.iter().any(|path| path == url.path()), "a redirect to {url}"),
        }
        let mut replies = self.replies();
        let text = if replies.len() > 1 { replies.remove(0) } else { replies[0].clone() };
        let reply = with_secret_token(http_reply(&text));
        exchanges.is_any_refused |= !(200..300).contains(&reply.status);
        reply
    }

    /// Checks a failure. If the server refused nothing, the cause is [`Cause::Malformed`] or one of `others`.
    fn check(&self, failure: &Failure, others: &[Cause]) {
        check_failure(failure);
        if !self.exchanges().is_any_refused {
            assert!(failure.cause == Cause::Malformed || others.contains(&failure.cause), "{failure}");
        }
    }
}

/// Puts the secret at the beginning of each token in a reply. An error must not contain it.
fn with_secret_token(reply: Reply) -> Reply {
    const NAME: &[u8] = b"\"client_token\"";
    let mut made = Vec::new();
    let mut rest = &reply.body[..];
    while let Some(at) = rest.windows(NAME.len()).position(|window| window == NAME) {
        let value = &rest[at + NAME.len()..];
        let start = value.iter().position(|byte| !b": \n\t".contains(byte)).unwrap_or(value.len());
        let is_text = value[..start].contains(&b':') && value.get(start) == Some(&b'"');
        let taken = at + NAME.len() + if is_text { start + 1 } else { 0 };
        made.extend_from_slice(&rest[..taken]);
        made.extend_from_slice(if is_text { SECRET.as_bytes() } else { &[] });
        rest = &rest[taken..];
    }
    made.extend_from_slice(rest);
    Reply { body: Zeroizing::new(made), ..reply }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_has_its_status_header_and_body() {
        let reply = http_reply(b"HTTP/1.1 307 Temporary Redirect\nLocation: https://a/\n\n{}");
        assert_eq!((reply.status, reply.header("location"), &reply.body[..]), (307, Some("https://a/"), &b"{}"[..]));
        let reply = with_secret_token(http_reply(br#"{"auth": {"client_token": "t"}}"#));
        let expected = format!(r#"{{"auth": {{"client_token": "{SECRET}t"}}}}"#);
        assert_eq!((reply.status, String::from_utf8_lossy(&reply.body)), (200, expected.into()));
    }

    #[test]
    fn signatures_of_many_callers_come_from_a_batch() {
        let batch = br#"{"data": {"batch_results": [{"signature": "vault:v3:Bw"}, {"error": "no"}]}}"#;
        let (clients, server) = clients(settings(), batch);
        drop(clients);
        assert_eq!(server.replies().len(), 1);
        sign_together(batch);
    }
}
