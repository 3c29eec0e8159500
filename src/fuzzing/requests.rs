//! Replies of services as a fuzzer makes them up, and what every answer and failure promises.
//!
//! Compiled into tests and fuzzers only.

#![allow(clippy::panic, clippy::expect_used, reason = "for tests and fuzzers only")]

use super::input::Source;
use crate::cloud::{Failure, KeyFacts, SharedBackend};
use crate::key::Kind;
use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A text that no error may show.
pub(crate) const SECRET: &str = "wJalrXUtnFEMI-EXAMPLEKEY";

/// A reply.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

/// What a service answers, one after the other; the last one again and again.
#[derive(Debug)]
pub(crate) struct Replies(Mutex<Vec<Reply>>);

/// Between the bodies of two replies.
const NEXT: &[u8] = b"\n--next--\n";

impl From<Source<'_>> for Replies {
    fn from(mut source: Source) -> Self {
        let head = (source.byte(), source.byte());
        let rest = unknowing(source.rest());
        let mut parts = Vec::new();
        let mut part = &rest[..];
        while let Some(end) = part.windows(NEXT.len()).position(|window| window == NEXT) {
            parts.push(&part[..end]);
            part = &part[end + NEXT.len()..];
        }
        parts.push(part);
        let reply = |body: &&[u8]| Reply { status: status(head.0), headers: headers(head.1), body: body.to_vec() };
        let mut replies: Vec<_> = parts.iter().map(reply).collect();
        // Only the first one fails: what comes after it is asked by a second try.
        replies.iter_mut().skip(1).for_each(|reply| reply.status = 200);
        replies.reverse();
        Self(Mutex::new(replies))
    }
}

/// A service does not know the client's secret, and its own words may be told: fuzzers, who see what is compared with
/// what, put the one into the other.
fn unknowing(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    while let Some(at) = bytes.windows(SECRET.len()).position(|window| window == SECRET.as_bytes()) {
        bytes[at..at + SECRET.len()].fill(b'x');
    }
    bytes
}

impl Replies {
    pub(crate) fn next(&self) -> Reply {
        let mut replies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if replies.len() > 1 { replies.pop() } else { replies.last().cloned() }.expect("a reply")
    }

    pub(crate) fn first_status(&self) -> u16 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).last().map_or(200, |reply| reply.status)
    }

    pub(crate) fn are_all(&self, status: u16) -> bool {
        self.first_status() == status && status == 200
    }
}

fn status(choice: u8) -> u16 {
    match choice {
        0..=0x80 => 200,
        0x81 => 204,
        0x82 => 302,
        0x83 => 400,
        0x84 => 401,
        0x85 => 403,
        0x86 => 404,
        0x87 => 408,
        0x88 => 429,
        0x89 => 500,
        0x8a => 503,
        _ => 400 + u16::from(choice) % 200,
    }
}

fn headers(choice: u8) -> Vec<(&'static str, String)> {
    let mut headers = vec![("content-type", "application/json".to_owned())];
    if choice & 1 != 0 {
        headers.push(("x-amzn-requestid", "11111111-2222".into()));
        headers.push(("x-ms-request-id", "33333333-4444".into()));
    }
    if choice & 2 != 0 {
        headers.push(("x-amzn-errortype", "NotFoundException:http://internal.amazon.com/".into()));
    }
    if choice & 16 != 0 {
        headers.push(("retry-after", if choice & 32 == 0 { "1" } else { "18446744073709551615" }.into()));
    }
    if choice & 4 != 0 {
        let resource = if choice & 8 == 0 { "https://vault.azure.net" } else { "https://evil.example" };
        headers.push(("www-authenticate", format!("Bearer authorization=\"https://a/t\", resource=\"{resource}\"")));
    }
    headers
}

/// Every failure says what was asked, and why it failed, in few words.
pub(crate) fn check_failure(failure: &Failure) {
    assert!(!failure.operation.is_empty() && !failure.message.is_empty());
    let words = failure.to_string();
    assert!(!words.contains(SECRET), "{words}");
    assert!(words.contains(failure.operation));
}

/// What is told of a key is of a kind that this module serves, and its schemes are the service's for that kind.
pub(crate) fn check_facts(facts: &KeyFacts, backend: &SharedBackend) {
    let kind = facts.kind;
    let own = backend.schemes(kind);
    assert!(facts.schemes.iter().all(|scheme| own.contains(scheme)), "{facts:?}");
    assert_eq!(facts.schemes.is_empty(), facts.refusal.is_some(), "{facts:?}");
    let public = facts.public_key.as_ref().map(|key| key.kind());
    assert!(public == Some(kind) || matches!((public, kind), (None, Kind::Hmac(_))), "{facts:?}");
    assert!(!matches!(kind, Kind::Rsa(..2048 | 8193..)));
}

/// Runs a request whose replies are there already: it ends soon, or hangs.
pub(crate) fn run_to_end<T>(request: impl Future<Output = T>) -> T {
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    }
    let limit = Duration::from_secs(20);
    RUNTIME.with(|runtime| runtime.block_on(async { tokio::time::timeout(limit, request).await.expect("it hangs") }))
}
