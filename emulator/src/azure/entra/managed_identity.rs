//! The endpoints for managed identities ("How to use managed identities for Azure resources on an Azure VM to acquire an
//! access token").

use super::access_token::issue;
use crate::http::{Reply, Request};
use crate::state::State;
use crate::state::azure::CLIENT;
use serde_json::json;

/// What App Service would put into `IDENTITY_HEADER`.
pub(crate) const IDENTITY_HEADER: &str = "emulator-identity-header";

/// The instance metadata service: all numbers are strings.
pub(crate) fn managed_identity(state: &State, request: &Request) -> Reply {
    let app_service = request.path.starts_with("/msi/");
    let allowed = if app_service {
        request.header("x-identity-header") == Some(IDENTITY_HEADER)
    } else {
        request.header("metadata") == Some("true")
    };
    if !allowed {
        let text = if app_service { "Invalid X-IDENTITY-HEADER" } else { "Required metadata header not specified" };
        return Reply::json(400, &json!({ "error": "invalid_request", "error_description": text }));
    }
    let Some(resource) = request.query_value("resource") else {
        return Reply::json(
            400,
            &json!({ "error": "invalid_request", "error_description": "Required query variable 'resource' is missing" }),
        );
    };
    let client = request.query_value("client_id").unwrap_or_else(|| CLIENT.to_owned());
    let (token, lifetime) = issue(state, &client, &resource, false);
    let now = state.clock.now();
    Reply::json(
        200,
        &json!({
            "access_token": token, "client_id": client, "expires_in": lifetime.to_string(), "ext_expires_in": lifetime.to_string(),
            "expires_on": (now + lifetime).to_string(), "not_before": now.to_string(), "resource": resource, "token_type": "Bearer",
        }),
    )
}
