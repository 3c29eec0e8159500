//! The fuzz target for replies of AWS KMS as they arrive over the network, parsed by the SDK, and for the output
//! of a `credential_process`.
//!
//! Compiled into tests and fuzzers only. Each reply leads to a correct result, or to a failure with a cause and a
//! message.

#![allow(clippy::panic, clippy::expect_used, reason = "for tests and fuzzers only")]

use super::input::ByteSource;
use super::replies::{Replies, Reply, SECRET, block_on, check_facts, check_failure};
use crate::cloud::aws::Settings;
use crate::cloud::aws::client::Clients;
use crate::cloud::aws::credentials::process::parse_credentials;
use crate::cloud::key::KeyRequest;
use crate::cloud::{Cause, Failure, KeyName, Network, Target};
use crate::key::hash::Hash;
use crate::key::{Algorithm, Curve, Kind, Scheme};
use aws_config::identity::IdentityCache;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_kms::config::http::{HttpRequest, HttpResponse};
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use std::sync::Arc;

/// Runs the target. The first byte selects the request, and the rest is the reply.
pub fn run(data: &[u8]) {
    let mut source = ByteSource(data);
    match source.byte() {
        choice @ 0xc0.. => other_operation(choice, Replies::from(source)),
        choice if choice % 6 == 0 => credential_process(source.rest()),
        choice if choice % 6 < 3 => describe(Replies::from(source)),
        choice if choice % 6 == 3 => list(choice % 12 == 3, Replies::from(source)),
        _ => {
            let kinds = [
                Kind::Rsa(2048),
                Kind::Ec(Curve::P256),
                Kind::Ec(Curve::P521),
                Kind::Ed25519,
                Kind::Hmac(Hash::Sha256),
            ];
            let kind = source.pick(&kinds);
            sign(kind, Replies::from(source));
        }
    }
}

fn credential_process(output: &[u8]) {
    match parse_credentials(output) {
        Ok(credentials) => drop(format!("{credentials:?}")),
        Err(words) => assert!(!words.is_empty() && !words.contains(SECRET), "{words}"),
    }
}

fn describe(replies: Replies) {
    let ok = replies.first_status() == 200;
    match block_on(clients(replies).describe("alias/a")) {
        Ok(facts) => check_facts(&facts, &Settings::default().open()),
        Err(failure) => check(&failure, ok),
    }
}

fn list(labels: bool, replies: Replies) {
    let ok = replies.all_have_status(200);
    match block_on(clients(replies).list(labels)) {
        Ok(keys) => assert!(keys.iter().all(|key| key.name.version.is_none())),
        Err(failure) => check(&failure, ok),
    }
}

fn sign(kind: Kind, replies: Replies) {
    let ok = replies.first_status() == 200;
    let order = order(kind, SCHEMES.iter().copied().find(|scheme| scheme.suits(kind)).expect("a scheme"));
    match block_on(clients(replies).sign(&order)) {
        Ok(signature) => assert_eq!(signature.bytes.len(), kind.signature_len()),
        Err(failure) => check(&failure, ok),
    }
}

/// Runs a request whose result is passed on as the service returns it. Nothing is known of such a result except
/// that it exists.
fn other_operation(choice: u8, replies: Replies) {
    let ok = replies.first_status() == 200;
    let clients = clients(replies);
    let outcome = match choice % 4 {
        0 => block_on(clients.decrypt(&order(Kind::Rsa(2048), Algorithm::RsaesOaep.with_hash(Hash::Sha1)))).map(drop),
        1 => block_on(clients.derive(&order(Kind::Ec(Curve::P256), Algorithm::Ecdh.without_hash()))).map(drop),
        2 => block_on(clients.random(70)).map(|random| assert_eq!(random.len(), 70)),
        _ => {
            let order = order(Kind::Hmac(Hash::Sha256), Algorithm::Hmac.with_hash(Hash::Sha256));
            block_on(clients.verify_mac(&order, &[7; 32])).map(drop)
        }
    };
    if let Err(failure) = outcome {
        check(&failure, ok);
    }
}

const SCHEMES: [Scheme; 5] = [
    Algorithm::RsaPkcs1.with_hash(Hash::Sha256),
    Algorithm::Ecdsa.with_hash(Hash::Sha256),
    Algorithm::Ecdsa.with_hash(Hash::Sha512),
    Algorithm::Eddsa.without_hash(),
    Algorithm::Hmac.with_hash(Hash::Sha256),
];

fn order(kind: Kind, scheme: Scheme) -> KeyRequest {
    let name = KeyName { id: "alias/a".into(), version: None };
    let id = Some("arn:aws:kms:r:1:key/1");
    KeyRequest::new(Target { name: &name, kind, immutable_id: id }, scheme, &[7; 32])
}

fn check(failure: &Failure, ok: bool) {
    check_failure(failure);
    if ok {
        assert!([Cause::Malformed, Cause::Unsupported].contains(&failure.cause), "{failure}");
    }
}

/// Returns clients whose requests receive these replies, one after the other.
fn clients(replies: Replies) -> Clients {
    let network = Network { retries: 0, ..Network::default() };
    let connector = SharedHttpConnector::new(Connector(Arc::new(replies)));
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("eu-central-1"))
        .identity_cache(IdentityCache::lazy().build())
        .sleep_impl(TokioSleep::new())
        .http_client(http_client_fn(move |_, _| connector.clone()))
        .build();
    let credentials = SharedCredentialsProvider::new(Credentials::new("id", SECRET, None, None, "fuzzing"));
    let settings = Settings { network, ..Settings::default() };
    Clients::with_configuration(settings, config, credentials).expect("a complete configuration")
}

#[derive(Debug)]
struct Connector(Arc<Replies>);

impl HttpConnector for Connector {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        let Reply { status, headers, body } = self.0.next();
        let mut response = HttpResponse::new(status.try_into().expect("a status"), body.into());
        for (name, value) in headers {
            response.headers_mut().insert(name, value);
        }
        HttpConnectorFuture::ready(Ok(response))
    }
}
