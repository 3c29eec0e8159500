//! The meaning of errors of Key Vault and of its SDK.
//!
//! "Authentication, requests and responses" and "Azure Key Vault REST API error codes" of the Key Vault
//! documentation.

use super::operations::Operation;
use crate::cloud::failure::error_chain::{causes, is_timeout, message_of};
use crate::cloud::failure::obstacle::Obstacle;
use crate::cloud::failure::refused::{FailedAttempt, RetryPolicy};
use crate::cloud::failure::{Cause, Failure};
use crate::cloud::http::tls::utc;
use azure_core::error::ErrorKind;
use azure_core::http::headers::{HeaderName, Headers};
use azure_core::http::{RawResponse, StatusCode};
use rustls::pki_types::UnixTime;
use serde::Deserialize;

/// Codes of `error` and `innererror`. The inner code is more specific. "Authentication, requests and responses"
/// and "Azure Key Vault REST API error codes" of the Key Vault documentation.
#[rustfmt::skip]
const CODES: &[(&str, Cause)] = &[
    ("KeyNotFound", Cause::NotFound),
    ("CertificateNotFound", Cause::NotFound),
    ("KeyDisabled", Cause::Disabled),
    ("KeyExpired", Cause::Disabled),
    ("KeyNotYetValid", Cause::Disabled),
    ("AccessDenied", Cause::Denied),
    ("ForbiddenByPolicy", Cause::Denied),
    ("ForbiddenByRbac", Cause::Denied),
    ("ForbiddenByFirewall", Cause::Denied),
    ("ForbiddenByConnection", Cause::Denied),
    ("Unauthorized", Cause::Credentials),
    ("Throttled", Cause::Throttled),
    ("TooManyRequests", Cause::Throttled),
    ("NotSupported", Cause::Unsupported),
    ("OperationNotSupported", Cause::Unsupported),
    ("KeyOperationForbidden", Cause::Unsupported),
];

/// Texts in the message of a 403 without a known code. They mean that the key's state is the cause, and not a
/// missing permission.
const KEY_STATE_TEXTS: [&str; 4] = ["disabled key", "key is disabled", "expired key", "not yet valid"];

/// Codes of denials against which no permission helps.
const NETWORK_CODES: [&str; 2] = ["ForbiddenByFirewall", "ForbiddenByConnection"];

fn cause_of_status(status: StatusCode) -> Cause {
    match u16::from(status) {
        401 => Cause::Credentials,
        403 => Cause::Denied,
        404 => Cause::NotFound,
        408 => Cause::TimedOut,
        429 => Cause::Throttled,
        500.. => Cause::Internal,
        _ => Cause::Rejected,
    }
}

/// Returns what an error of the SDK means.
pub(crate) fn refusal(operation: &Operation, error: azure_core::Error) -> FailedAttempt {
    // Continuous access evaluation: the SDK mistakes such a challenge for a challenge without a scope.
    if causes(&error).map(ToString::to_string).any(|words| is_revocation(&words)) {
        let failure = operation.failure(Cause::Credentials, REVOKED);
        return FailedAttempt { remedy: RetryPolicy::OnceWithNewCredentials, ..failure.into() };
    }
    if let Some(obstacle) = Obstacle::find_in(&error) {
        return match error.kind() {
            ErrorKind::Credential => obstacle.failed_attempt_lacking(operation.name, "token"),
            _ => obstacle.refused(operation.name),
        };
    }
    let cause = match error.kind() {
        ErrorKind::HttpResponse { status, raw_response, .. } => {
            return refused_by_service(operation, *status, raw_response.as_deref());
        }
        ErrorKind::Connection => Cause::Unreachable,
        ErrorKind::Io if is_timeout(&error) => Cause::TimedOut,
        ErrorKind::Io => Cause::Unreachable,
        ErrorKind::Credential => Cause::Credentials,
        ErrorKind::DataConversion => Cause::Malformed,
        _ => Cause::Rejected,
    };
    let message = match cause {
        // The innermost message is the module's own. The messages around it only say that there is no retry.
        Cause::Credentials => with_clock(innermost(&error)),
        // The SDK's message continues with the SDK's name of the setting and a link.
        Cause::Rejected if innermost(&error).contains("challenge resource") => {
            let words = innermost(&error);
            let words = words.split(". Set verify").next().unwrap_or_default();
            format!("{words}; for an emulator, set \"verify_challenge_resource\": false")
        }
        _ => message_of(causes(&error).find(|error| error.is::<reqwest::Error>()).unwrap_or(&error)),
    };
    operation.failure(cause, message).into()
}

/// Returns whether the message is the SDK's own about such a challenge, and not one that quotes a reply with the
/// word.
fn is_revocation(words: &str) -> bool {
    words.starts_with("no scope or resource in authentication challenge") && words.contains("insufficient_claims")
}

const REVOKED: &str = "the token is no longer valid (insufficient_claims, continuous access evaluation); \
     the application's sessions were revoked, or Conditional Access does not allow this network";

/// Entra's code for an assertion that is not valid at this time. The assertion was signed with the time of this
/// machine's clock.
const CLOCK_CODE: &str = "AADSTS700024";

fn with_clock(words: String) -> String {
    match words.contains(CLOCK_CODE) {
        true => format!("{words}; check this machine's clock, which shows {}", utc(UnixTime::now())),
        false => words,
    }
}

fn innermost(error: &azure_core::Error) -> String {
    causes(error).last().map_or_else(String::new, ToString::to_string)
}

fn refused_by_service(operation: &Operation, status: StatusCode, reply: Option<&RawResponse>) -> FailedAttempt {
    let body = reply.and_then(|reply| serde_json::from_slice::<ErrorBody>(reply.body()).ok()).unwrap_or_default();
    let codes = body.error.codes();
    let known = codes.iter().rev().find_map(|code| CODES.iter().find(|(known, _)| known == code));
    let words = body.error.message.as_deref().unwrap_or_default();
    let cause = match known {
        Some((_, cause)) => *cause,
        None if status == StatusCode::Forbidden && KEY_STATE_TEXTS.iter().any(|said| words.contains(said)) => {
            Cause::Disabled
        }
        None => cause_of_status(status),
    };
    let code = codes.last().cloned().unwrap_or_default();
    let mut message = match codes.is_empty() {
        true => format!("HTTP status {status}"),
        false => codes.join(", "),
    };
    if let Some(words) = body.error.message {
        message = format!("{message}: {}", words.split_whitespace().collect::<Vec<_>>().join(" "));
    }
    if cause == Cause::Denied && !NETWORK_CODES.contains(&code.as_str()) {
        message = format!("{message} (needed: {}, for example by the role {})", operation.permission, operation.role);
    }
    let request_id = reply.and_then(|reply| reply.headers().get_optional_string(&REQUEST_ID));
    let refused = FailedAttempt::from(Failure { cause, operation: operation.name, message, request_id });
    let remedy = if status == StatusCode::Unauthorized { RetryPolicy::OnceWithNewCredentials } else { refused.remedy };
    FailedAttempt { remedy, retry_after: reply.and_then(|reply| retry_after(reply.headers())), ..refused }
}

/// Returns how long the service asks the caller to wait: `Retry-After` in seconds, or the service's own headers in
/// milliseconds.
fn retry_after(headers: &Headers) -> Option<std::time::Duration> {
    let number = |name: &HeaderName| headers.get_optional_string(name)?.trim().parse().ok();
    let milliseconds = [RETRY_AFTER_MS, X_MS_RETRY_AFTER_MS].iter().find_map(number);
    milliseconds.map(std::time::Duration::from_millis).or(number(&RETRY_AFTER).map(std::time::Duration::from_secs))
}

const RETRY_AFTER: HeaderName = HeaderName::from_static("retry-after");
const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");
const X_MS_RETRY_AFTER_MS: HeaderName = HeaderName::from_static("x-ms-retry-after-ms");

const REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-request-id");

#[derive(Default, Deserialize)]
struct ErrorBody {
    error: ErrorDetail,
}

#[derive(Default, Deserialize)]
struct ErrorDetail {
    code: Option<String>,
    message: Option<String>,
    // Other services of Azure use the second name, and a gateway in front of the vault may use it, too.
    #[serde(alias = "innerError")]
    innererror: Option<Box<ErrorDetail>>,
}

impl ErrorDetail {
    /// Returns the code of the error and the codes of its inner errors, outermost first.
    fn codes(&self) -> Vec<String> {
        let all = std::iter::successors(Some(self), |detail| detail.innererror.as_deref());
        all.filter_map(|detail| detail.code.clone()).filter(|code| !code.is_empty()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inner_code_is_read_by_both_of_its_names() {
        for name in ["innererror", "innerError"] {
            let text = format!(r#"{{"error": {{"code": "Forbidden", "{name}": {{"code": "KeyDisabled"}}}}}}"#);
            let body: ErrorBody = serde_json::from_str(&text).unwrap();
            assert_eq!(body.error.codes(), ["Forbidden", "KeyDisabled"]);
        }
    }
}
