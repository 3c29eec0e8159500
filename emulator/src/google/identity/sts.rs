//! The Security Token Service `https://sts.googleapis.com/v1/token` (RFC 8693): workload identity federation.

use super::access_token::issue;
use super::error::oauth_error;
use super::subject;
use crate::encoding::form_value;
use crate::google::status::pretty;
use crate::http::{Reply, Request};
use crate::state::State;
use serde_json::json;

const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const SUBJECTS: [&str; 4] = [
    "urn:ietf:params:oauth:token-type:jwt",
    "urn:ietf:params:oauth:token-type:id_token",
    "urn:ietf:params:oauth:token-type:saml2",
    subject::AWS,
];

pub(super) fn answer(state: &State, request: &Request) -> Reply {
    let form = String::from_utf8_lossy(&request.body).into_owned();
    let value = |name: &str| form_value(&form, name).unwrap_or_default();
    if value("grant_type") != GRANT {
        return oauth_error(
            400,
            "unsupported_grant_type",
            "Invalid grant type. Expected the token exchange grant type.",
        );
    }
    if value("requested_token_type") != ACCESS_TOKEN {
        return oauth_error(400, "invalid_request", "Invalid value for \"requestedTokenType\".");
    }
    if !SUBJECTS.contains(&value("subject_token_type").as_str()) {
        return oauth_error(400, "invalid_request", "Invalid value for \"subjectTokenType\".");
    }
    if !is_provider(&value("audience")) {
        let text = "The target service indicated by the \"audience\" parameters is invalid. This might either be because the pool or provider is disabled or deleted or because it doesn't exist.";
        return oauth_error(400, "invalid_target", text);
    }
    if !subject::is_good(state, &value("subject_token_type"), &value("subject_token"), &value("audience")) {
        let text = "Error code invalid_grant: The given credential is rejected by the attribute condition.";
        return oauth_error(400, "invalid_grant", text);
    }
    let lifetime = state.google.identities.lifetime();
    let token = issue(state, &value("scope"), lifetime);
    let reply = json!({
        "access_token": token, "issued_token_type": ACCESS_TOKEN, "token_type": "Bearer", "expires_in": lifetime,
    });
    pretty(200, &reply)
}

/// `//iam.googleapis.com/projects/N/locations/global/workloadIdentityPools/POOL/providers/PROVIDER`, or that of a workforce pool.
fn is_provider(audience: &str) -> bool {
    let pool = ["/workloadIdentityPools/", "/workforcePools/"].iter().any(|pool| audience.contains(pool));
    audience.starts_with("//iam.googleapis.com/") && pool && audience.contains("/providers/")
}
