//! The meaning of Vault's error replies.
//!
//! "HTTP API, HTTP status codes" of Vault's documentation. The body is `{"errors": ["..."]}`. The status is often not
//! that of the table there: an unknown version of a key and a wrong ciphertext are errors 500.

use super::operations::Operation;
use crate::cloud::failure::refused::FailedAttempt;
use crate::cloud::failure::{Cause, Failure, UNDECRYPTABLE};
use crate::cloud::http::exchange::Reply;
use serde::Deserialize;
use std::time::Duration;

#[derive(Default, Deserialize)]
struct ErrorReply {
    #[serde(default)]
    errors: Vec<String>,
}

/// What an error reply means: its status, a part of its words, the cause, and advice. The first row that matches
/// applies.
type Row = (std::ops::RangeInclusive<u16>, &'static str, Cause, &'static str);

const TOKEN_ENDED: &str = "the token is not valid or has ended; log in again, or correct the token";
const SEALED: &str = "Vault is sealed or in maintenance; an operator must unseal it (vault operator unseal)";
const STANDBY: &str = "this server is a standby that forwards no requests; set the address of the active server or of a \
     load balancer";

/// The reply of a server that expects TLS, which is not JSON.
const NO_TLS: &str = "Client sent an HTTP request to an HTTPS server";

#[rustfmt::skip]
const ROWS: &[Row] = &[
    (400..=400, NO_TLS, Cause::Settings, "the address of the server must start with https://"),
    (400..=400, "key not found", Cause::NotFound, "no such key in this Transit engine"),
    (400..=400, "version is too new", Cause::NotFound, "the key has no such version"),
    (400..=400, "(too old)", Cause::Disabled, "the key's min_decryption_version excludes this version"),
    (400..=400, "not supported", Cause::Unsupported, ""),
    (400..=400, "unsupported", Cause::Unsupported, ""),
    (400..=400, "does not support", Cause::Unsupported, ""),
    (401..=401, "", Cause::Credentials, TOKEN_ENDED),
    // Newer servers say so. Older ones report an invalid token like a missing permission.
    (403..=403, "invalid token", Cause::Credentials, TOKEN_ENDED),
    (400..=403, "missing client token", Cause::Credentials, TOKEN_ENDED),
    (403..=403, "", Cause::Denied, ""),
    (404..=404, "no handler for route", Cause::Settings, "check the mount path of the Transit engine (\"transit_mount\") and the namespace"),
    (404..=404, "unsupported path", Cause::Unsupported, "this version of Vault has no such operation"),
    (404..=404, "", Cause::NotFound, "no such key in this Transit engine"),
    (405..=405, "", Cause::Unsupported, "this version of Vault has no such operation"),
    (429..=429, "", Cause::Throttled, ""),
    (412..=412, "", Cause::Internal, "this server has not received the newest data yet"),
    (472..=473, "", Cause::Internal, STANDBY),
    (500..=500, "failed to RSA decrypt the ciphertext", Cause::Undecryptable, ""),
    (500..=500, "requested version for signing is higher", Cause::NotFound, "the key has no such version"),
    (500..=500, "less than the minimum encryption key version", Cause::Disabled, "the key's min_encryption_version excludes this version"),
    (500..=500, "does not contain a private part", Cause::Unsupported, "only the public half of this key was imported"),
    (400..=500, "soft-deleted", Cause::Disabled, "the key is deleted, and can be restored"),
    (501..=501, "", Cause::Internal, "Vault is not initialized; an operator must run vault operator init"),
    (503..=503, "", Cause::Internal, SEALED),
    (500..=599, "", Cause::Internal, ""),
];

/// Returns what an error reply means.
pub(crate) fn refusal(operation: &Operation, reply: &Reply) -> FailedAttempt {
    let said: ErrorReply = serde_json::from_slice(&reply.body).unwrap_or_default();
    let mut words = said.errors.join("; ").split_whitespace().collect::<Vec<_>>().join(" ");
    if reply.body.starts_with(NO_TLS.as_bytes()) {
        words = NO_TLS.to_owned();
    }
    let row = ROWS.iter().find(|(status, known, ..)| status.contains(&reply.status) && words.contains(known));
    let (cause, advice) = row.map_or((Cause::Rejected, ""), |(_, _, cause, advice)| (*cause, *advice));
    let status = format!("HTTP status {}", reply.status);
    let mut message = if words.is_empty() { status } else { format!("{status}: {words}") };
    if cause == Cause::Undecryptable {
        // All ciphertexts that the service rejects fail with the same message (RFC 8017 section 7.1.2).
        message = UNDECRYPTABLE.to_owned();
    } else if !advice.is_empty() {
        message = format!("{message}; {advice}");
    }
    let request_id = reply.header("x-vault-request-id").map(str::to_owned);
    let refused = FailedAttempt::from(Failure { cause, operation: operation.name, message, request_id });
    let seconds = reply.header("retry-after").and_then(|seconds| seconds.parse().ok());
    FailedAttempt { retry_after: seconds.map(Duration::from_secs), ..refused }
}

/// Adds the capability that a policy must give for the path of a request, if no policy permits the request.
pub(crate) fn with_capability(mut refused: FailedAttempt, operation: &Operation, path: &str) -> FailedAttempt {
    let failure = &mut refused.failure;
    if failure.cause == Cause::Denied {
        let needed = format!("needed: a policy with the capability {:?} on {path:?}", operation.capability);
        failure.message = format!("{}; {needed}", failure.message);
    }
    refused
}

#[cfg(test)]
mod tests {
    use super::super::operations::SIGN;
    use super::*;
    use crate::cloud::failure::refused::RetryPolicy;
    use http::{HeaderMap, HeaderValue};
    use zeroize::Zeroizing;

    fn refused(status: u16, words: &str) -> FailedAttempt {
        let headers = HeaderMap::from_iter([(http::header::RETRY_AFTER, HeaderValue::from_static("7"))]);
        let body = Zeroizing::new(format!("{{\"errors\": [{words:?}]}}").into_bytes());
        with_capability(refusal(&SIGN, &Reply { status, headers, body }), &SIGN, "transit/sign/k")
    }

    #[test]
    fn each_reply_has_its_cause_and_remedy() {
        use RetryPolicy::{Limited, Never, UntilDeadline};
        for (status, words, cause, remedy, said) in [
            (400, "1 error occurred: * signing key not found", Cause::NotFound, Never, "no such key"),
            (400, "invalid ciphertext: version is too new", Cause::NotFound, Never, "no such version"),
            (400, "message signing not supported for key type", Cause::Unsupported, Never, "not supported"),
            (400, "unknown", Cause::Rejected, Never, "HTTP status 400: unknown"),
            (403, "permission denied", Cause::Denied, Never, "capability \"update\" on \"transit/sign/k\""),
            (403, "permission denied; invalid token", Cause::Credentials, Never, "log in again"),
            (404, "no handler for route \"x\"", Cause::Settings, Never, "transit_mount"),
            (404, "", Cause::NotFound, Never, "no such key"),
            (412, "", Cause::Internal, Limited, "newest data"),
            (429, "request path \"x\": rate limit quota exceeded", Cause::Throttled, UntilDeadline, "quota"),
            (473, "", Cause::Internal, Limited, "standby"),
            (500, "requested version for signing is higher than the latest", Cause::NotFound, Never, "version"),
            (500, "1 error occurred", Cause::Internal, Limited, "HTTP status 500"),
            (500, "failed to RSA decrypt the ciphertext: x", Cause::Undecryptable, Never, "encrypted for another key"),
            (502, "", Cause::Internal, Limited, "502"),
            (503, "Vault is sealed", Cause::Internal, Limited, "vault operator unseal"),
        ] {
            let refused = refused(status, words);
            let message = &refused.failure.message;
            assert_eq!((refused.failure.cause, refused.remedy), (cause, remedy), "{message}");
            assert!(message.contains(said), "{message}");
            assert_eq!(refused.retry_after, Some(Duration::from_secs(7)));
        }
    }
}
