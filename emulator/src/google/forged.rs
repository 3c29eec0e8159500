//! Replies that faults send in the place of a service of Google.

use super::identity::{self, Endpoint, impersonation_denied, oauth_error};
use super::kms;
use super::status::Status;
use crate::http::{Reply, Request};
use crate::state::google::PROJECT_NUMBER;
use serde_json::json;

const SERVICE: &str = "cloudkms.googleapis.com";

/// Whether a request gets errors as `google.rpc.Status`; the token endpoints have their own.
fn has_status(request: &Request) -> bool {
    matches!(Endpoint::of(request), None | Some(Endpoint::IamCredentials | Endpoint::Project))
}

/// An error as a fault words it. `code` is a `google.rpc.Code` such as `UNAVAILABLE`, or `error` of OAuth.
pub(crate) fn error(request: &Request, http: u16, code: &str, message: &str, reason: Option<&str>) -> Reply {
    if !has_status(request) {
        return oauth_error(http, code, message);
    }
    let status = Status::new(http, code, message);
    match reason {
        Some(reason) => status.error_info(reason, SERVICE, json!({})).reply(),
        None => status.reply(),
    }
}

/// A quota is used up; `RetryInfo` says when to come back.
pub(crate) fn throttled(request: &Request, retry_after: Option<u32>) -> Reply {
    if !has_status(request) {
        return oauth_error(429, "rate_limit_exceeded", "Too many requests.");
    }
    let text = format!(
        "Quota exceeded for quota metric 'Cryptographic requests' and limit 'Cryptographic requests per minute' of service '{SERVICE}' for consumer 'project_number:{PROJECT_NUMBER}'."
    );
    let metadata = json!({
        "consumer": format!("projects/{PROJECT_NUMBER}"), "service": SERVICE,
        "quota_metric": "cloudkms.googleapis.com/crypto_requests", "quota_unit": "1/min/{project}",
        "quota_limit": "CryptoRequestsPerMinutePerProject", "quota_limit_value": "60000", "quota_location": "global",
    });
    let status = Status::new(429, "RESOURCE_EXHAUSTED", text)
        .error_info("RATE_LIMIT_EXCEEDED", "googleapis.com", metadata)
        .help("Request a higher quota limit.", "https://cloud.google.com/docs/quotas/help/request_increase");
    match retry_after {
        Some(seconds) => status.with("RetryInfo", json!({ "retryDelay": format!("{seconds}s") })).reply(),
        None => status.reply(),
    }
}

/// IAM has not granted the permission.
pub(crate) fn denied(request: &Request) -> Reply {
    match Endpoint::of(request) {
        Some(Endpoint::IamCredentials) => return impersonation_denied().reply(),
        Some(_) => return oauth_error(401, "unauthorized_client", "Unauthorized client or scope in request."),
        None => {}
    }
    let (permission, resource) = kms::permission(request);
    let text = format!("Permission '{permission}' denied on resource '{resource}' (or it may not exist).");
    let metadata = json!({ "permission": permission, "resource": resource });
    Status::new(403, "PERMISSION_DENIED", text).error_info("IAM_PERMISSION_DENIED", SERVICE, metadata).reply()
}

/// The token has expired.
pub(crate) fn expired(request: &Request) -> Reply {
    if has_status(request) {
        return identity::expired(kms::method(request)).reply();
    }
    oauth_error(400, "invalid_grant", "Token has been expired or revoked.")
}

/// The API is not enabled in the project.
pub(crate) fn service_disabled() -> Reply {
    let url = format!("https://console.developers.google.com/apis/api/{SERVICE}/overview?project={PROJECT_NUMBER}");
    let text = format!(
        "Cloud Key Management Service (KMS) API has not been used in project {PROJECT_NUMBER} before or it is disabled. Enable it by visiting {url} then retry. If you enabled this API recently, wait a few minutes for the action to propagate to our systems and retry."
    );
    let metadata = json!({
        "service": SERVICE, "serviceTitle": "Cloud Key Management Service (KMS) API", "activationUrl": url,
        "consumer": format!("projects/{PROJECT_NUMBER}"), "containerInfo": PROJECT_NUMBER,
    });
    Status::new(403, "PERMISSION_DENIED", text.clone())
        .error_info("SERVICE_DISABLED", "googleapis.com", metadata)
        .with("LocalizedMessage", json!({ "locale": "en-US", "message": text }))
        .help("Google developers console API activation", &url)
        .reply()
}

/// VPC Service Controls keep the request out.
pub(crate) fn policy_violated() -> Reply {
    const ID: &str = "Emulator0UniqueIdentifier";
    let text = format!("Request is prohibited by organization's policy. vpcServiceControlsUniqueIdentifier: {ID}");
    let violations = json!([{ "type": "VPC_SERVICE_CONTROLS", "description": ID }]);
    Status::new(403, "PERMISSION_DENIED", text)
        .with("PreconditionFailure", json!({ "violations": violations }))
        .error_info("SECURITY_POLICY_VIOLATED", "googleapis.com", json!({ "uid": ID, "service": SERVICE }))
        .reply()
}
