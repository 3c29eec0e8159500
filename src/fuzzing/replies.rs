//! Replies of services that a fuzzer makes up, and the checks that apply to every result and failure.
//!
//! Compiled into tests and fuzzers only.

#![allow(clippy::panic, clippy::expect_used, reason = "for tests and fuzzers only")]

use super::input::ByteSource;
use crate::cloud::http::exchange;
use crate::cloud::{Failure, KeyDescription, SharedBackend};
use crate::key::Kind;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use zeroize::Zeroizing;

/// A secret that no error may contain.
pub(crate) const SECRET: &str = "wJalrXUtnFEMI-EXAMPLEKEY";

/// A reply of a service.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

/// The replies of a service, in order. The last reply is repeated.
#[derive(Debug)]
pub(crate) struct Replies(Mutex<Vec<Reply>>);

/// The separator between the bodies of two replies.
const SEPARATOR: &[u8] = b"\n--next--\n";

impl From<ByteSource<'_>> for Replies {
    fn from(mut source: ByteSource) -> Self {
        let (status, headers) = (status(source.byte()), headers(source.byte()));
        let reply = |body| Reply { status, headers: headers.clone(), body };
        let mut replies: Vec<_> = texts(source.rest()).into_iter().map(reply).collect();
        // Only the first reply can be a failure. The replies after it are for a second attempt.
        replies.iter_mut().skip(1).for_each(|reply| reply.status = 200);
        replies.reverse();
        Self(Mutex::new(replies))
    }
}

/// Returns the texts between the separators, without the secret.
pub(crate) fn texts(bytes: &[u8]) -> Vec<Vec<u8>> {
    let bytes = without_secret(bytes);
    let mut texts = Vec::new();
    let mut rest = &bytes[..];
    while let Some(end) = rest.windows(SEPARATOR.len()).position(|window| window == SEPARATOR) {
        texts.push(rest[..end].to_vec());
        rest = &rest[end + SEPARATOR.len()..];
    }
    texts.push(rest.to_vec());
    texts
}

/// Replaces the secret in the bytes of a reply. A service does not know the client's secret, and errors may quote
/// the words of the service. A fuzzer sees which values are compared, and would put the secret into a reply.
fn without_secret(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    while let Some(at) = bytes.windows(SECRET.len()).position(|window| window == SECRET.as_bytes()) {
        bytes[at..at + SECRET.len()].fill(b'x');
    }
    bytes
}

impl Replies {
    /// Returns the next reply. The last reply is returned again and again.
    pub(crate) fn next(&self) -> Reply {
        let mut replies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if replies.len() > 1 { replies.pop() } else { replies.last().cloned() }.expect("a reply")
    }

    /// Returns the HTTP status of the next reply.
    pub(crate) fn first_status(&self) -> u16 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).last().map_or(200, |reply| reply.status)
    }

    /// Returns whether every reply has this HTTP status, which must be 200.
    pub(crate) fn all_have_status(&self, status: u16) -> bool {
        self.first_status() == status && status == 200
    }
}

/// Reads a reply as it is in HTTP/1.1, with line feeds at the ends of lines. A text without a status line is the body of a
/// reply 200.
pub(crate) fn http_reply(text: &[u8]) -> exchange::Reply {
    const END: &[u8] = b"\n\n";
    let end = text.windows(END.len()).position(|window| window == END).filter(|_| text.starts_with(b"HTTP/1.1 "));
    let (head, body) = end.map_or((&[][..], text), |end| (&text[..end], &text[end + END.len()..]));
    let mut lines = head.split(|byte| *byte == b'\n');
    let status_line = lines.next().unwrap_or_default();
    let digits = std::str::from_utf8(status_line.get(9..12).unwrap_or_default()).unwrap_or_default();
    let status = digits.parse().ok().filter(|status| (200..=999).contains(status)).unwrap_or(200);
    let field = |line: &[u8]| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        Some((name, HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?))
    };
    let headers = HeaderMap::from_iter(lines.filter_map(field));
    exchange::Reply { status, headers, body: Zeroizing::new(body.to_vec()) }
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

/// Checks that a failure names the operation and the reason, and does not contain [`SECRET`].
pub(crate) fn check_failure(failure: &Failure) {
    assert!(!failure.operation.is_empty() && !failure.message.is_empty());
    let words = failure.to_string();
    assert!(!words.contains(SECRET), "{words}");
    assert!(words.contains(failure.operation));
}

/// Checks that the reported key is of a kind that this module supports, and that its schemes are schemes of the
/// service for that kind.
pub(crate) fn check_facts(facts: &KeyDescription, backend: &SharedBackend) {
    let kind = facts.kind;
    let own = backend.schemes(kind);
    assert!(facts.schemes.iter().all(|scheme| own.contains(scheme)), "{facts:?}");
    assert_eq!(facts.schemes.is_empty(), facts.unusable_reason.is_some(), "{facts:?}");
    let public = facts.public_key.as_ref().map(|key| key.kind());
    assert!(public == Some(kind) || matches!((public, kind), (None, Kind::Hmac(_))), "{facts:?}");
    assert!(!matches!(kind, Kind::Rsa(..2048 | 8193..)));
}

/// Runs a request whose replies are already available. Such a request ends within 20 seconds, or it hangs.
pub(crate) fn block_on<T>(request: impl Future<Output = T>) -> T {
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    }
    let limit = Duration::from_secs(20);
    RUNTIME.with(|runtime| runtime.block_on(async { tokio::time::timeout(limit, request).await.expect("it hangs") }))
}
