//! The meaning of error replies of token servers.
//!
//! RFC 6749 section 5.2 (`oauth2.googleapis.com`, `sts.googleapis.com`), and google.rpc.Status
//! (`iamcredentials.googleapis.com`).

use crate::cloud::failure::refused::FailedAttempt;
use crate::cloud::failure::{Cause, Failure};
use crate::cloud::http::exchange::Reply;
use serde::Deserialize;
use std::ops::RangeInclusive;
use std::time::Duration;

#[derive(Default, Deserialize)]
struct ErrorReply {
    error: Option<ErrorMember>,
    error_description: Option<String>,
    error_subtype: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ErrorMember {
    Code(String),
    Status { message: Option<String>, status: Option<String> },
}

impl ErrorReply {
    /// Returns the words of the reply in one line.
    fn words(self) -> String {
        let (code, message) = match self.error {
            Some(ErrorMember::Code(code)) => (Some(code), self.error_description),
            Some(ErrorMember::Status { message, status }) => (status, message),
            None => (None, self.error_description),
        };
        let subtype = self.error_subtype.map(|subtype| format!("({subtype})"));
        let parts = [code.map(|code| format!("{code}:")), message, subtype];
        let words = parts.into_iter().flatten().collect::<Vec<_>>().join(" ");
        let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
        words.trim_end_matches(':').chars().take(LONGEST_QUOTE).collect()
    }
}

/// The most characters of a reply that a message quotes.
const LONGEST_QUOTE: usize = 600;

/// What an error reply means: its status, a part of its words, the cause, and advice. The first row that matches applies.
type Row = (RangeInclusive<u16>, &'static str, Cause, &'static str);

const LOG_IN: &str = "log in again: gcloud auth application-default login";
const REAUTHENTICATE: &str = "a policy of the organization ends sessions after some time, so log in again: gcloud auth \
     application-default login; programs that run unattended should use a service account";
const CLOCK: &str = "the clock of this machine is probably wrong; set it (timedatectl status)";
const CLIENT: &str =
    "the OAuth client (\"client_id\", \"client_secret\") of the file is wrong or deleted; get a new file";
const PROVIDER: &str = "check the audience, and that the workload identity pool and its provider exist and are enabled: gcloud \
     iam workload-identity-pools providers describe";
const CONDITION: &str = "the attribute condition of the workload identity provider does not admit this token; compare its claims \
     with the condition";
const SUBJECT: &str = "the workload identity provider does not accept the token of the credential source; compare the token's \
     issuer, audience and times with the provider";
const CREATOR: &str = "grant the role roles/iam.serviceAccountTokenCreator (for workload identity federation: \
     roles/iam.workloadIdentityUser) on that service account to these credentials";
const NO_ACCOUNT: &str = "there is no such service account, or these credentials may not see it; check its address";
const IAM_API: &str = "enable the API: gcloud services enable iamcredentials.googleapis.com";

#[rustfmt::skip]
const ROWS: &[Row] = &[
    (429..=429, "", Cause::Throttled, ""),
    (408..=408, "", Cause::Internal, ""),
    (500..=599, "", Cause::Internal, ""),
    (300..=399, "", Cause::Malformed, "a redirect is not followed; correct the URL in the credential file"),
    (400..=499, "invalid_rapt", Cause::Credentials, REAUTHENTICATE),
    (400..=499, "rapt_required", Cause::Credentials, REAUTHENTICATE),
    (400..=499, "Invalid JWT", Cause::Credentials, CLOCK),
    (400..=499, "Token used too early", Cause::Credentials, CLOCK),
    (400..=499, "attribute condition", Cause::Credentials, CONDITION),
    (400..=499, "invalid_target", Cause::Credentials, PROVIDER),
    (400..=499, "invalid_client", Cause::Credentials, CLIENT),
    (400..=499, "deleted_client", Cause::Credentials, CLIENT),
    (403..=403, "has not been used in project", Cause::Credentials, IAM_API),
    (403..=403, "getAccessToken", Cause::Credentials, CREATOR),
    (404..=404, "NOT_FOUND", Cause::Credentials, NO_ACCOUNT),
    (400..=499, "subject token", Cause::Credentials, SUBJECT),
    (400..=499, "ID Token", Cause::Credentials, SUBJECT),
    (400..=499, "id_token", Cause::Credentials, SUBJECT),
    (400..=499, "credential is rejected", Cause::Credentials, SUBJECT),
    (400..=499, "given credential", Cause::Credentials, SUBJECT),
];

/// The meaning of `invalid_grant` where the grant is a refresh token.
pub(crate) const REFRESH_ADVICE: Advice = Advice { code: "invalid_grant", advice: LOG_IN };
/// The meaning of `invalid_grant` where the grant is the token of a workload.
pub(crate) const SUBJECT_ADVICE: Advice = Advice { code: "invalid_grant", advice: SUBJECT };
/// Nothing is known of other replies.
pub(crate) const NO_ADVICE: Advice = Advice { code: "", advice: "" };

/// Advice for replies with this code that no row explains.
pub(crate) struct Advice {
    code: &'static str,
    advice: &'static str,
}

/// Returns what an error reply of the token server `host` means.
pub(crate) fn refusal(operation: &'static str, host: &str, reply: &Reply, own: &Advice) -> FailedAttempt {
    let words = serde_json::from_slice::<ErrorReply>(&reply.body).unwrap_or_default().words();
    let row = ROWS.iter().find(|(status, known, ..)| status.contains(&reply.status) && words.contains(known));
    let (cause, advice) = match row {
        Some((_, _, cause, advice)) => (*cause, *advice),
        None if words.contains(own.code) => (Cause::Credentials, own.advice),
        None => (Cause::Credentials, ""),
    };
    let status = format!("{host} replied with HTTP status {}", reply.status);
    let parts = [words.as_str(), advice].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ");
    let message = if parts.is_empty() { status } else { format!("{status}: {parts}") };
    let seconds = reply.header("retry-after").and_then(|seconds| seconds.parse().ok());
    let refused = FailedAttempt::from(Failure::new(cause, operation, message));
    FailedAttempt { retry_after: seconds.map(Duration::from_secs), ..refused }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::failure::refused::RetryPolicy::{Limited, Never, UntilDeadline};
    use http::{HeaderMap, HeaderValue, header::RETRY_AFTER};
    use zeroize::Zeroizing;

    fn refused(status: u16, body: &str, own: &Advice) -> FailedAttempt {
        let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static("7"))]);
        let reply = Reply { status, headers, body: Zeroizing::new(body.as_bytes().to_vec()) };
        refusal("Sign", "sts.googleapis.com", &reply, own)
    }

    /// A reply of an OAuth server.
    fn oauth(code: &str, description: &str) -> String {
        serde_json::json!({ "error": code, "error_description": description }).to_string()
    }

    /// A reply of an API of Google.
    fn status(name: &str, message: &str) -> String {
        serde_json::json!({ "error": { "code": 4, "status": name, "message": message, "details": [] } }).to_string()
    }

    #[test]
    fn refused_credentials_have_advice() {
        let rapt = r#"{"error": "invalid_grant", "error_description": "reauth related error (invalid_rapt)",
            "error_subtype": "invalid_rapt"}"#;
        let jwt = "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe.";
        let denied = "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist).";
        let unused = "IAM Service Account Credentials API has not been used in project 1 before or it is disabled.";
        let condition = "The given credential is rejected by the attribute condition.";
        for (code, body, own, advice) in [
            (400, rapt.into(), &REFRESH_ADVICE, REAUTHENTICATE),
            (400, oauth("invalid_grant", jwt), &REFRESH_ADVICE, CLOCK),
            (400, oauth("invalid_grant", "Token has been expired or revoked."), &REFRESH_ADVICE, LOG_IN),
            (400, oauth("invalid_grant", "Bad Request"), &REFRESH_ADVICE, LOG_IN),
            (400, oauth("invalid_grant", "Unable to verify the signature"), &SUBJECT_ADVICE, SUBJECT),
            (400, oauth("invalid_target", "The target service is invalid."), &SUBJECT_ADVICE, PROVIDER),
            (400, oauth("unauthorized_client", condition), &SUBJECT_ADVICE, CONDITION),
            (401, oauth("invalid_client", "Unauthorized"), &REFRESH_ADVICE, CLIENT),
            (403, status("PERMISSION_DENIED", denied), &NO_ADVICE, CREATOR),
            (403, status("PERMISSION_DENIED", unused), &NO_ADVICE, IAM_API),
            (404, status("NOT_FOUND", "Not found; Gaia id not found for email a@b"), &NO_ADVICE, NO_ACCOUNT),
            (400, oauth("invalid_scope", "Bad scope"), &NO_ADVICE, "HTTP status 400: invalid_scope: Bad scope"),
        ] {
            let refused = refused(code, &body, own);
            let message = &refused.failure.message;
            assert_eq!((refused.failure.cause, refused.remedy), (Cause::Credentials, Never), "{message}");
            assert!(message.ends_with(advice) && message.starts_with("sts.googleapis.com replied"), "{message}");
        }
    }

    #[test]
    fn accidents_have_their_remedy() {
        for (code, body, cause, remedy, said) in [
            (302, String::new(), Cause::Malformed, Never, "a redirect is not followed"),
            (408, String::new(), Cause::Internal, Limited, "HTTP status 408"),
            (429, String::new(), Cause::Throttled, UntilDeadline, "HTTP status 429"),
            (500, "<html>".into(), Cause::Internal, Limited, "sts.googleapis.com replied with HTTP status 500"),
            (503, status("UNAVAILABLE", "Try again."), Cause::Internal, Limited, "UNAVAILABLE: Try again."),
        ] {
            let refused = refused(code, &body, &NO_ADVICE);
            let message = &refused.failure.message;
            assert_eq!((refused.failure.cause, refused.remedy), (cause, remedy), "{message}");
            assert!(message.contains(said), "{message}");
            assert_eq!(refused.retry_after, Some(Duration::from_secs(7)));
        }
    }

    #[test]
    fn a_long_reply_is_quoted_in_part() {
        let message = refused(400, &oauth("x", &"y ".repeat(10_000)), &NO_ADVICE).failure.message;
        assert!(message.len() < LONGEST_QUOTE + 100, "{}", message.len());
    }
}
