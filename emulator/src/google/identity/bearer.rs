//! The check of a request's bearer token: an access token, or a JWT of the service account in its place.

use super::access_token::{KMS_SCOPES, is_enough};
use super::assertion::{self, Refusal};
use crate::google::status::Status;
use crate::http::Request;
use crate::state::State;
use crate::state::google::BadToken;
use serde_json::{Value, json};

const SERVICE: &str = "cloudkms.googleapis.com";
const EXPECTED: &str = "Expected OAuth 2 access token, login cookie or other valid authentication credential. \
    See https://developers.google.com/identity/sign-in/web/devconsole-project.";

/// Checks the token of a request for a method of Cloud KMS.
pub(crate) fn authorize(state: &State, request: &Request, method: &str) -> Result<(), Status> {
    with_scopes(state, request, method, &KMS_SCOPES)
}

/// Checks the token of a request for a method that needs one of these scopes.
pub(super) fn with_scopes(state: &State, request: &Request, method: &str, scopes: &[&str]) -> Result<(), Status> {
    let header = request.header("authorization").and_then(|value| value.split_once(' '));
    let Some(("Bearer", token)) = header else {
        let text = format!("Request is missing required authentication credential. {EXPECTED}");
        return Err(unauthenticated(&text, "CREDENTIALS_MISSING", method));
    };
    match state.google.identities.check(token, state.clock.now()) {
        Err(BadToken::Unknown) if token.split('.').count() == 3 && token.starts_with("ey") => {
            self_signed(state, request, token, method, scopes)
        }
        Ok(granted) if is_enough(&granted, scopes) => Ok(()),
        Ok(_) => Err(scope(method)),
        Err(BadToken::Unknown) => Err(invalid(method)),
        Err(BadToken::Expired) => Err(expired(method)),
    }
}

/// AIP-4111: `aud` is the service, or `scope` is enough for it.
fn self_signed(state: &State, request: &Request, jwt: &str, method: &str, wanted: &[&str]) -> Result<(), Status> {
    let claims = assertion::check(state, jwt).map_err(|refusal| match refusal {
        Refusal::Expired => expired(method),
        _ => invalid(method),
    })?;
    let text = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
    if text("sub") != text("iss") {
        return Err(invalid(method));
    }
    let own = [format!("https://{SERVICE}/"), format!("https://{}/", request.hostname())];
    match (text("aud"), text("scope")) {
        ("", "") => Err(invalid(method)),
        ("", granted) if is_enough(granted, wanted) => Ok(()),
        ("", _) => Err(scope(method)),
        (audience, _) if own.iter().any(|own| own == audience) => Ok(()),
        _ => Err(invalid(method)),
    }
}

/// The 401 for a token that has expired.
pub(crate) fn expired(method: &str) -> Status {
    unauthenticated(
        &format!("Request had invalid authentication credentials. {EXPECTED}"),
        "ACCESS_TOKEN_EXPIRED",
        method,
    )
}

/// The 401 for a token that nobody has issued.
fn invalid(method: &str) -> Status {
    let text = format!("Request had invalid authentication credentials. {EXPECTED}");
    unauthenticated(&text, "ACCESS_TOKEN_TYPE_UNSUPPORTED", method)
}

fn unauthenticated(text: &str, reason: &str, method: &str) -> Status {
    Status::new(401, "UNAUTHENTICATED", text).error_info(reason, "googleapis.com", metadata(method))
}

fn scope(method: &str) -> Status {
    Status::new(403, "PERMISSION_DENIED", "Request had insufficient authentication scopes.").error_info(
        "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
        "googleapis.com",
        metadata(method),
    )
}

fn metadata(method: &str) -> Value {
    json!({ "service": SERVICE, "method": format!("google.cloud.kms.v1.KeyManagementService.{method}") })
}
