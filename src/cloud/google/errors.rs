//! The meaning of Cloud KMS's error replies.
//!
//! "Errors" of Google's API design guide, `google/rpc/code.proto`, `google/rpc/error_details.proto` and
//! `google/api/error_reason.proto`. The body is `{"error": {"code", "message", "status", "details"}}`. A version that
//! can't be used is reported by the words "is not enabled, current state is: STATE".

use super::operations::{DECRYPT, Operation};
use crate::cloud::failure::refused::{FailedAttempt, RetryPolicy};
use crate::cloud::failure::{Cause, Failure, UNDECRYPTABLE};
use crate::cloud::http::exchange::Reply;
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;
use std::time::Duration;

/// What an error reply means: its status, its reason or a part of its words, the cause, and advice. The first row that
/// matches applies.
type Row = (&'static str, &'static str, Cause, &'static str);

const ENABLE: &str = "enable the version in the console or with `gcloud kms keys versions enable`";
const RESTORE: &str =
    "until its destroyTime, restore the version with `gcloud kms keys versions restore`, then enable it";
const ANOTHER: &str = "the key material is gone; use another version";
const FAILED: &str = "`gcloud kms keys versions describe` shows the reason; use another version";
const TOKEN: &str = "the access token was not accepted; check the credentials and this machine's clock";
const ACCOUNT: &str = "the account is disabled or deleted; use another one, or enable it";
const SCOPE: &str = "the access token lacks the scope https://www.googleapis.com/auth/cloudkms; allow it (on a virtual \
     machine: its access scopes)";
const QUOTA_PROJECT: &str = "grant roles/serviceusage.serviceUsageConsumer on the quota project, or set \
     \"google_quota_project\" to another one";
const PERIMETER: &str = "a perimeter of VPC Service Controls prohibits the request; ask an administrator, with the unique \
     identifier";
const PROJECT: &str = "check the project in the name of the key (or key ring) and \"google_quota_project\"";
const LOCATION: &str = "check the location in the name of the key (or key ring) and \"google_endpoint_url\"";
const NO_API: &str = "there is no Cloud KMS at this URL; check \"google_endpoint_url\" and \"google_universe_domain\"";
const DAMAGED: &str = "the request was changed on its way";

/// The status of a reply 404 that is not the API's.
const NO_SUCH_PAGE: &str = "no API";

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("FAILED_PRECONDITION", "current state is: DISABLED", Cause::Disabled, ENABLE),
    ("FAILED_PRECONDITION", "current state is: DESTROY_SCHEDULED", Cause::Disabled, RESTORE),
    ("FAILED_PRECONDITION", "current state is: DESTROYED", Cause::NotFound, ANOTHER),
    ("FAILED_PRECONDITION", "current state is: PENDING_GENERATION", Cause::Disabled, "the version is still being generated; try again later"),
    ("FAILED_PRECONDITION", "current state is: PENDING_IMPORT", Cause::Disabled, "the version is still being imported; try again later"),
    ("FAILED_PRECONDITION", "current state is: IMPORT_FAILED", Cause::Disabled, FAILED),
    ("FAILED_PRECONDITION", "current state is: GENERATION_FAILED", Cause::Disabled, FAILED),
    ("FAILED_PRECONDITION", "is not enabled", Cause::Disabled, ENABLE),
    ("FAILED_PRECONDITION", "KEY_DISABLED", Cause::Disabled, ENABLE),
    ("PERMISSION_DENIED", "SERVICE_DISABLED", Cause::Rejected, "enable the API with `gcloud services enable cloudkms.googleapis.com`"),
    ("PERMISSION_DENIED", "BILLING_DISABLED", Cause::Rejected, "enable billing for the project"),
    ("PERMISSION_DENIED", "SECURITY_POLICY_VIOLATED", Cause::Denied, PERIMETER),
    ("PERMISSION_DENIED", "vpcServiceControlsUniqueIdentifier", Cause::Denied, PERIMETER),
    ("PERMISSION_DENIED", "USER_PROJECT_DENIED", Cause::Denied, QUOTA_PROJECT),
    ("PERMISSION_DENIED", "ACCESS_TOKEN_SCOPE_INSUFFICIENT", Cause::Denied, SCOPE),
    ("PERMISSION_DENIED", "CONSUMER_INVALID", Cause::Rejected, PROJECT),
    ("PERMISSION_DENIED", "CONSUMER_SUSPENDED", Cause::Rejected, PROJECT),
    ("PERMISSION_DENIED", "has been deleted", Cause::Rejected, PROJECT),
    ("INVALID_ARGUMENT", "RESOURCE_PROJECT_INVALID", Cause::Rejected, PROJECT),
    ("UNAUTHENTICATED", "ACCOUNT_STATE_INVALID", Cause::Credentials, ACCOUNT),
    ("UNAUTHENTICATED", "", Cause::Credentials, TOKEN),
    ("PERMISSION_DENIED", "", Cause::Denied, ""),
    ("NOT_FOUND", "The request concerns location", Cause::Settings, LOCATION),
    ("INVALID_ARGUMENT", "The request concerns location", Cause::Settings, LOCATION),
    (NO_SUCH_PAGE, "", Cause::Settings, NO_API),
    ("NOT_FOUND", "", Cause::NotFound, ""),
    ("INVALID_ARGUMENT", "crc32c", Cause::Malformed, DAMAGED),
    ("INVALID_ARGUMENT", "checksum", Cause::Malformed, DAMAGED),
    ("UNIMPLEMENTED", "", Cause::Unsupported, ""),
    ("RESOURCE_EXHAUSTED", "", Cause::Throttled, "request a higher quota in the console if this recurs"),
    ("ABORTED", "", Cause::Internal, ""),
    ("CANCELLED", "", Cause::Internal, ""),
    ("DATA_LOSS", "", Cause::Internal, ""),
    ("DEADLINE_EXCEEDED", "", Cause::Internal, ""),
    ("INTERNAL", "", Cause::Internal, ""),
    ("UNAVAILABLE", "", Cause::Internal, ""),
    ("UNKNOWN", "", Cause::Internal, ""),
];

#[derive(Deserialize)]
struct ErrorReply {
    error: Status,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    message: String,
    status: String,
    details: Vec<Value>,
}

/// One of the details: ErrorInfo, RetryInfo, RequestInfo, PreconditionFailure or Help. Each has fields of its own.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Detail {
    reason: String,
    metadata: HashMap<String, String>,
    retry_delay: Option<String>,
    request_id: Option<String>,
    violations: Vec<Violation>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Violation {
    #[serde(rename = "type")]
    kind: String,
}

/// What an error reply says.
#[derive(Default)]
struct Report {
    status: String,
    words: String,
    details: Vec<Detail>,
}

impl Report {
    fn of(reply: &Reply) -> Self {
        let Ok(ErrorReply { error }) = serde_json::from_slice(&reply.body) else {
            return Self { status: status_of(reply.status).to_owned(), ..Self::default() };
        };
        let status = if error.status.is_empty() { status_of(reply.status).to_owned() } else { error.status };
        let words = error.message.split_whitespace().collect::<Vec<_>>().join(" ");
        // A detail in an unknown form says nothing.
        let details = error.details.iter().filter_map(|detail| Detail::deserialize(detail).ok()).collect();
        Self { status, words: words.trim_end_matches('.').to_owned(), details }
    }

    /// Returns whether the reply has that reason, or contains these words.
    fn says(&self, mark: &str) -> bool {
        let has = |detail: &Detail| detail.reason == mark || detail.violations.iter().any(|own| own.kind == mark);
        self.words.contains(mark) || self.details.iter().any(has)
    }

    fn metadata(&self, name: &str) -> Option<&str> {
        let found = self.details.iter().find_map(|detail| detail.metadata.get(name));
        found.map(String::as_str).filter(|value| !value.is_empty())
    }

    fn retry_delay(&self) -> Option<Duration> {
        let text = self.details.iter().find_map(|detail| detail.retry_delay.as_deref())?;
        Duration::try_from_secs_f64(text.strip_suffix('s')?.parse().ok()?).ok()
    }

    /// Returns what the user can quote to an administrator or to Google.
    fn request_id(&self) -> Option<String> {
        let of_perimeter = self.words.split_once("vpcServiceControlsUniqueIdentifier:").map(|(_, id)| id.trim());
        let of_request = || self.details.iter().find_map(|detail| detail.request_id.as_deref());
        of_perimeter.or_else(of_request).filter(|id| !id.is_empty()).map(str::to_owned)
    }
}

/// Returns the status for a reply without one, for example that of a load balancer.
fn status_of(http_status: u16) -> &'static str {
    match http_status {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => NO_SUCH_PAGE,
        429 => "RESOURCE_EXHAUSTED",
        503 => "UNAVAILABLE",
        500..=599 => "INTERNAL",
        _ => "",
    }
}

/// Returns what an error reply means.
pub(crate) fn refusal(operation: &Operation, reply: &Reply) -> FailedAttempt {
    let report = Report::of(reply);
    let row = ROWS.iter().find(|(status, mark, ..)| *status == report.status && report.says(mark));
    let (cause, advice) = row.map_or((Cause::Rejected, ""), |(_, _, cause, advice)| (*cause, *advice));
    let is_undecryptable = operation.name == DECRYPT.name && report.status == "INVALID_ARGUMENT";
    let request_id = report.request_id();
    let failure = |cause, message| Failure { cause, operation: operation.name, message, request_id };
    // All ciphertexts that the service rejects fail with the same message (RFC 8017 section 7.1.2).
    if is_undecryptable && cause == Cause::Rejected {
        return failure(Cause::Undecryptable, UNDECRYPTABLE.to_owned()).into();
    }
    let status = match report.words.is_empty() {
        true => format!("HTTP status {}", reply.status),
        false => report.status.clone(),
    };
    let parts = [status, report.words.clone()].into_iter().filter(|part| !part.is_empty());
    let mut message = parts.collect::<Vec<_>>().join(": ");
    let hints = [hint(&report, cause, advice, operation), advice.to_owned()].into_iter();
    for hint in hints.filter(|hint| !hint.is_empty()) {
        message = format!("{message}; {hint}");
    }
    let header = || reply.header("retry-after")?.parse().ok().map(Duration::from_secs);
    let retry_after = report.retry_delay().or_else(header);
    let refused = FailedAttempt { retry_after, ..failure(cause, message).into() };
    match cause {
        Cause::Malformed => FailedAttempt { remedy: RetryPolicy::Limited, ..refused },
        _ => refused,
    }
}

/// Returns what the details add to the words: the missing permission, the quota, or the page that enables the API.
fn hint(report: &Report, cause: Cause, advice: &str, operation: &Operation) -> String {
    match cause {
        Cause::Denied if advice.is_empty() => {
            let permission = report.metadata("permission").unwrap_or(operation.permission);
            let place = report.metadata("resource").map(|resource| format!(" on {resource}")).unwrap_or_default();
            // The role of the operation need not have another permission.
            let role = Some(operation.role).filter(|_| permission == operation.permission);
            let role = role.map(|role| format!(", for example by {role}")).unwrap_or_default();
            format!("needed: the permission {permission}{place}{role}")
        }
        Cause::Throttled => {
            let parts = ["quota_metric", "quota_limit", "quota_limit_value"].map(|name| report.metadata(name));
            let parts: Vec<_> = parts.into_iter().flatten().collect();
            if parts.is_empty() { String::new() } else { format!("the quota is {}", parts.join(", ")) }
        }
        Cause::Rejected => {
            let url = report.metadata("activationUrl").filter(|url| !report.words.contains(url));
            url.map(|url| format!("see {url}")).unwrap_or_default()
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::operations::{GET_PUBLIC_KEY, SIGN};
    use super::*;
    use http::{HeaderMap, HeaderValue};
    use serde_json::json;
    use zeroize::Zeroizing;

    fn reply(status: u16, body: &str) -> Reply {
        let headers = HeaderMap::from_iter([(http::header::RETRY_AFTER, HeaderValue::from_static("7"))]);
        Reply { status, headers, body: Zeroizing::new(body.as_bytes().to_vec()) }
    }

    fn refused(operation: &Operation, status: &str, words: &str, details: Value) -> FailedAttempt {
        let error = json!({ "code": 400, "status": status, "message": words, "details": details });
        refusal(operation, &reply(400, &json!({ "error": error }).to_string()))
    }

    /// Returns the detail ErrorInfo, with an entry of the metadata.
    fn reason(reason: &str, name: &str, value: &str) -> Value {
        let kind = "type.googleapis.com/google.rpc.ErrorInfo";
        json!([{ "@type": kind, "reason": reason, "domain": "googleapis.com", "metadata": { name: value } }])
    }

    /// The status, the words and the reason of a reply; what they mean, and a part of the message.
    type Case = (&'static str, &'static str, &'static str, Cause, RetryPolicy, &'static str);

    #[rustfmt::skip]
    const CASES: &[Case] = &[
        ("FAILED_PRECONDITION", "V is not enabled, current state is: DISABLED.", "", Cause::Disabled, RetryPolicy::Never, "gcloud kms keys versions enable"),
        ("FAILED_PRECONDITION", "V is not enabled, current state is: DESTROY_SCHEDULED.", "", Cause::Disabled, RetryPolicy::Never, "versions restore"),
        ("FAILED_PRECONDITION", "V is not enabled, current state is: DESTROYED.", "", Cause::NotFound, RetryPolicy::Never, "use another version"),
        ("FAILED_PRECONDITION", "V is not enabled, current state is: PENDING_GENERATION.", "", Cause::Disabled, RetryPolicy::Never, "still being generated"),
        ("FAILED_PRECONDITION", "V is not enabled, current state is: PENDING_IMPORT.", "", Cause::Disabled, RetryPolicy::Never, "still being imported"),
        ("FAILED_PRECONDITION", "V is not enabled, current state is: IMPORT_FAILED.", "", Cause::Disabled, RetryPolicy::Never, "shows the reason"),
        ("FAILED_PRECONDITION", "V is not enabled, current state is: GENERATION_FAILED.", "", Cause::Disabled, RetryPolicy::Never, "shows the reason"),
        ("FAILED_PRECONDITION", "V is not enabled, current state is: OF_THE_FUTURE.", "", Cause::Disabled, RetryPolicy::Never, "OF_THE_FUTURE"),
        ("FAILED_PRECONDITION", "the key signs", "", Cause::Rejected, RetryPolicy::Never, "the key signs"),
        ("PERMISSION_DENIED", "denied", "", Cause::Denied, RetryPolicy::Never, "cryptoKeyVersions.useToSign, for example by"),
        ("PERMISSION_DENIED", "disabled", "SERVICE_DISABLED", Cause::Rejected, RetryPolicy::Never, "gcloud services enable"),
        ("PERMISSION_DENIED", "no", "BILLING_DISABLED", Cause::Rejected, RetryPolicy::Never, "enable billing"),
        ("PERMISSION_DENIED", "no", "SECURITY_POLICY_VIOLATED", Cause::Denied, RetryPolicy::Never, "perimeter"),
        ("PERMISSION_DENIED", "no", "USER_PROJECT_DENIED", Cause::Denied, RetryPolicy::Never, "serviceUsageConsumer"),
        ("PERMISSION_DENIED", "no", "ACCESS_TOKEN_SCOPE_INSUFFICIENT", Cause::Denied, RetryPolicy::Never, "scope"),
        ("PERMISSION_DENIED", "no", "CONSUMER_INVALID", Cause::Rejected, RetryPolicy::Never, "check the project"),
        ("PERMISSION_DENIED", "no", "CONSUMER_SUSPENDED", Cause::Rejected, RetryPolicy::Never, "check the project"),
        ("PERMISSION_DENIED", "Project 7 has been deleted.", "", Cause::Rejected, RetryPolicy::Never, "check the project"),
        ("INVALID_ARGUMENT", "no", "RESOURCE_PROJECT_INVALID", Cause::Rejected, RetryPolicy::Never, "check the project"),
        ("UNAUTHENTICATED", "expired", "ACCESS_TOKEN_EXPIRED", Cause::Credentials, RetryPolicy::Never, "clock"),
        ("UNAUTHENTICATED", "no", "ACCOUNT_STATE_INVALID", Cause::Credentials, RetryPolicy::Never, "disabled or deleted"),
        ("NOT_FOUND", "CryptoKey x not found.", "", Cause::NotFound, RetryPolicy::Never, "CryptoKey x not found"),
        ("NOT_FOUND", "The request concerns location 'x'", "", Cause::Settings, RetryPolicy::Never, "check the location"),
        ("INVALID_ARGUMENT", "digest_crc32c is wrong", "", Cause::Malformed, RetryPolicy::Limited, "changed on its way"),
        ("INVALID_ARGUMENT", "Invalid digest checksum", "", Cause::Malformed, RetryPolicy::Limited, "changed on its way"),
        ("INVALID_ARGUMENT", "length", "", Cause::Rejected, RetryPolicy::Never, "INVALID_ARGUMENT: length"),
        ("RESOURCE_EXHAUSTED", "Quota", "RATE_LIMIT_EXCEEDED", Cause::Throttled, RetryPolicy::UntilDeadline, "higher quota"),
        ("UNIMPLEMENTED", "no", "", Cause::Unsupported, RetryPolicy::Never, "no"),
        ("ABORTED", "no", "", Cause::Internal, RetryPolicy::Limited, "no"),
        ("INTERNAL", "no", "", Cause::Internal, RetryPolicy::Limited, "no"),
        ("UNAVAILABLE", "no", "", Cause::Internal, RetryPolicy::Limited, "no"),
        ("DEADLINE_EXCEEDED", "no", "", Cause::Internal, RetryPolicy::Limited, "no"),
        ("OF_THE_FUTURE", "no", "", Cause::Rejected, RetryPolicy::Never, "OF_THE_FUTURE: no"),
    ];

    #[test]
    fn each_reply_has_its_cause_and_remedy() {
        for (status, words, reason, cause, remedy, said) in CASES {
            let details = if reason.is_empty() { json!([]) } else { super::tests::reason(reason, "a", "b") };
            let refused = refused(&SIGN, status, words, details);
            let message = &refused.failure.message;
            assert_eq!((refused.failure.cause, refused.remedy), (*cause, *remedy), "{message}");
            assert!(message.contains(said) && message.starts_with(status), "{message}");
            assert_eq!(refused.retry_after, Some(Duration::from_secs(7)));
        }
    }

    #[test]
    fn a_reply_that_is_not_the_apis_is_known_by_its_status() {
        use RetryPolicy::{Limited, Never, UntilDeadline};
        for (status, body, cause, remedy) in [
            (401, "", Cause::Credentials, Never),
            (403, "<html>", Cause::Denied, Never),
            (404, "<html>", Cause::Settings, Never),
            (429, "", Cause::Throttled, UntilDeadline),
            (500, r#"{"error": 7}"#, Cause::Internal, Limited),
            (503, "{", Cause::Internal, Limited),
            (503, r#"{"error": {"message": "down"}}"#, Cause::Internal, Limited),
            (302, "", Cause::Rejected, Never),
        ] {
            let refused = refusal(&SIGN, &reply(status, body));
            assert_eq!((refused.failure.cause, refused.remedy), (cause, remedy), "{status} {body}");
            let expected = if body.contains("down") { "UNAVAILABLE: down".to_owned() } else { format!("{status}") };
            assert!(refused.failure.message.contains(&expected), "{}", refused.failure.message);
        }
    }

    #[test]
    fn the_details_are_told() {
        let message = |status: &str, details: Value| refused(&SIGN, status, "no", details).failure.message;
        let denied = |name, value| message("PERMISSION_DENIED", reason("IAM_PERMISSION_DENIED", name, value));
        let other = denied("permission", "cloudkms.cryptoKeys.get");
        assert!(other.contains("the permission cloudkms.cryptoKeys.get") && !other.contains("roles/"), "{other}");
        let own = denied("resource", "projects/p/x");
        assert!(own.ends_with("useToSign on projects/p/x, for example by roles/cloudkms.signer"), "{own}");
        let quota = message("RESOURCE_EXHAUSTED", reason("RATE_LIMIT_EXCEEDED", "quota_metric", "cloudkms/crypto"));
        assert!(quota.contains("the quota is cloudkms/crypto;"), "{quota}");
        let page = "https://console.example/apis?project=7";
        let disabled = message("PERMISSION_DENIED", reason("SERVICE_DISABLED", "activationUrl", page));
        assert!(disabled.contains(page), "{disabled}");
    }

    #[test]
    fn the_service_says_when_to_come_back() {
        let after = |delay: Value| {
            let kind = "type.googleapis.com/google.rpc.RetryInfo";
            refused(&SIGN, "RESOURCE_EXHAUSTED", "no", json!([7, { "@type": kind, "retryDelay": delay }])).retry_after
        };
        assert_eq!(after(json!("1.5s")), Some(Duration::from_millis(1500)));
        for unreadable in [json!("1.5"), json!("-1s"), json!("1e400s"), json!(7)] {
            assert_eq!(after(unreadable), Some(Duration::from_secs(7)), "the header");
        }
    }

    #[test]
    fn the_unique_identifier_of_a_perimeter_is_the_request_id() {
        let words = "Request is prohibited by organization's policy. vpcServiceControlsUniqueIdentifier: abc-7.";
        let failure = refused(&SIGN, "PERMISSION_DENIED", words, json!([])).failure;
        assert_eq!((failure.cause, failure.request_id.as_deref()), (Cause::Denied, Some("abc-7")));
        let details = json!([{ "@type": "type.googleapis.com/google.rpc.RequestInfo", "requestId": "r-1" }]);
        assert_eq!(refused(&SIGN, "INTERNAL", "no", details).failure.request_id.as_deref(), Some("r-1"));
    }

    #[test]
    fn a_ciphertext_that_is_refused_has_one_message() {
        let of = |operation: &Operation, words: &str| refused(operation, "INVALID_ARGUMENT", words, json!([])).failure;
        let (one, other) = (of(&DECRYPT, "Decryption failed"), of(&DECRYPT, "len(ciphertext)=7"));
        assert_eq!((one.cause, &one), (Cause::Undecryptable, &other));
        assert_eq!(of(&DECRYPT, "ciphertext_crc32c differs").cause, Cause::Malformed);
        assert_eq!(of(&GET_PUBLIC_KEY, "Decryption failed").cause, Cause::Rejected);
    }
}
