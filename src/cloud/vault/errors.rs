//! The meaning of Vault's error replies.
//!
//! "HTTP API, HTTP status codes" of Vault's documentation. The body is `{"errors": ["..."]}`.

use super::operations::Operation;
use crate::cloud::failure::refused::{FailedAttempt, RetryPolicy};
use crate::cloud::failure::{Cause, Failure};
use crate::cloud::http::exchange::Reply;
use serde::Deserialize;
use std::time::Duration;

#[derive(Default, Deserialize)]
struct ErrorReply {
    #[serde(default)]
    errors: Vec<String>,
}

/// Texts in errors with status 400, and what they mean. The first that matches applies.
const WORDS: &[(&str, Cause)] = &[
    ("key not found", Cause::NotFound),
    ("encryption key not found", Cause::NotFound),
    ("version is less than", Cause::Disabled),
    ("minimum decryption version", Cause::Disabled),
    ("does not support", Cause::Unsupported),
    ("unsupported", Cause::Unsupported),
];

/// Texts that mean that the token itself is wrong, and not that it lacks a permission.
const TOKEN_WORDS: [&str; 3] = ["invalid token", "bad token", "missing client token"];

/// Returns what an error reply means. `path` is the path of the request, for advice about policies.
pub(crate) fn refusal(operation: &Operation, path: &str, reply: &Reply) -> FailedAttempt {
    let said: ErrorReply = serde_json::from_slice(&reply.body).unwrap_or_default();
    let words = said.errors.join("; ").split_whitespace().collect::<Vec<_>>().join(" ");
    let is_token = TOKEN_WORDS.iter().any(|known| words.contains(known));
    let cause = match reply.status {
        400 => WORDS.iter().find(|(known, _)| words.contains(known)).map_or(Cause::Rejected, |(_, cause)| *cause),
        401 => Cause::Credentials,
        403 if is_token => Cause::Credentials,
        403 => Cause::Denied,
        404 => Cause::NotFound,
        405 => Cause::Unsupported,
        429 => Cause::Throttled,
        200..300 => Cause::Malformed,
        412 | 472 | 473 | 500.. => Cause::Internal,
        _ => Cause::Rejected,
    };
    let status = format!("HTTP status {}", reply.status);
    let mut message = if words.is_empty() { status } else { format!("{status}: {words}") };
    if let Some(advice) = advice(operation, path, reply.status, cause, &words) {
        message = format!("{message}; {advice}");
    }
    let request_id = reply.header("x-vault-request-id").map(str::to_owned);
    let refused = FailedAttempt::from(Failure { cause, operation: operation.name, message, request_id });
    let remedy = match reply.status {
        // An expired token gets the same reply as a policy that denies the request.
        403 => RetryPolicy::OnceWithNewCredentials,
        _ => refused.remedy,
    };
    let seconds = reply.header("retry-after").and_then(|seconds| seconds.parse().ok());
    FailedAttempt { remedy, retry_after: seconds.map(Duration::from_secs), ..refused }
}

fn advice(operation: &Operation, path: &str, status: u16, cause: Cause, words: &str) -> Option<String> {
    Some(match (status, cause) {
        (_, Cause::Denied) => format!("needed: a policy with the capability {:?} on {path:?}", operation.capability),
        (_, Cause::Credentials) => "the token is invalid or has expired".to_owned(),
        (404, _) if words.contains("no handler for route") => {
            format!("nothing is mounted at {path:?}; check the mount path of the Transit engine and the namespace")
        }
        (404, _) => "no such key in this Transit engine".to_owned(),
        (503, _) => "Vault is sealed or in maintenance; an operator must unseal it (vault operator unseal)".to_owned(),
        (472 | 473, _) => {
            "this server is a standby that forwards no requests; set the address of the active server".to_owned()
        }
        (501, _) => "Vault is not initialized; run vault operator init".to_owned(),
        _ => return None,
    })
}
