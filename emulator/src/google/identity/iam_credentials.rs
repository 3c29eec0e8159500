//! `generateAccessToken` of `https://iamcredentials.googleapis.com`: a token of another service account.

use super::access_token::{IAM_SCOPES, issue};
use super::bearer::with_scopes;
use crate::clock::extended;
use crate::google::status::{Status, pretty};
use crate::http::{Reply, Request};
use crate::state::State;
use serde_json::{Value, json};

const LONGEST: i64 = 3600;

pub(super) fn answer(state: &State, request: &Request) -> Reply {
    generate(state, request).map_or_else(|error| error.reply(), |body| pretty(200, &body))
}

fn generate(state: &State, request: &Request) -> Result<Value, Status> {
    let path = request.segments().join("/");
    let account = path.rsplit('/').next().unwrap_or_default();
    let Some(account) = account.strip_suffix(":generateAccessToken") else {
        return Err(Status::not_found("Method not found."));
    };
    with_scopes(state, request, "GenerateAccessToken", &IAM_SCOPES)?;
    if !state.google.identities.knows(account) {
        return Err(denied());
    }
    let body = request.json().unwrap_or_default();
    let scopes: Vec<&str> = body["scope"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if scopes.is_empty() {
        return Err(Status::invalid("The scope field must be set."));
    }
    let lifetime = body["lifetime"].as_str().unwrap_or("3600s").trim_end_matches('s').parse::<i64>();
    let lifetime = lifetime.ok().filter(|seconds| (1..=LONGEST).contains(seconds));
    let lifetime = lifetime.ok_or_else(|| Status::invalid("The lifetime must be between 1 and 3600 seconds."))?;
    let lifetime = lifetime.min(state.google.identities.lifetime());
    let token = issue(state, &scopes.join(" "), lifetime);
    Ok(json!({ "accessToken": token, "expireTime": extended(state.clock.now() + lifetime) }))
}

/// A denial of IAM, or an account that does not exist.
pub(crate) fn denied() -> Status {
    const PERMISSION: &str = "iam.serviceAccounts.getAccessToken";
    let text = format!("Permission '{PERMISSION}' denied on resource (or it may not exist).");
    Status::new(403, "PERMISSION_DENIED", text).error_info(
        "IAM_PERMISSION_DENIED",
        "iam.googleapis.com",
        json!({ "permission": PERMISSION }),
    )
}
