//! The token endpoint `https://oauth2.googleapis.com/token`: a JWT of the service account (RFC 7523), or a user's refresh token.

use super::access_token::issue;
use super::assertion::{self, Refusal};
use super::error::oauth_error;
use crate::encoding::form_value;
use crate::google::status::pretty;
use crate::http::{Reply, Request};
use crate::state::State;
use crate::state::google::{CLIENT_ID, CLIENT_SECRET};
use serde_json::{Value, json};

/// What the audience of a JWT for this endpoint is.
const AUDIENCES: [&str; 2] = ["https://oauth2.googleapis.com/token", "https://accounts.google.com/o/oauth2/token"];

pub(super) fn answer(state: &State, request: &Request) -> Reply {
    let form = String::from_utf8_lossy(&request.body).into_owned();
    let value = |name: &str| form_value(&form, name).unwrap_or_default();
    match value("grant_type").as_str() {
        "urn:ietf:params:oauth:grant-type:jwt-bearer" => jwt_bearer(state, request, &value("assertion")),
        "refresh_token" => refresh(state, &value("client_id"), &value("client_secret"), &value("refresh_token")),
        "" => oauth_error(400, "invalid_request", "Required parameter is missing: grant_type"),
        other => oauth_error(400, "unsupported_grant_type", &format!("Invalid grant_type: {other}")),
    }
}

fn jwt_bearer(state: &State, request: &Request, jwt: &str) -> Reply {
    let claims = match assertion::check(state, jwt) {
        Ok(claims) => claims,
        Err(refusal) => return refused(&refusal),
    };
    let text = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
    let own = format!("{}/token", request.base_url());
    if !AUDIENCES.contains(&text("aud")) && text("aud") != own {
        let description =
            "Invalid JWT: Failed audience check. The right audience is https://oauth2.googleapis.com/token";
        return oauth_error(400, "invalid_grant", description);
    }
    if text("scope").is_empty() {
        return oauth_error(400, "invalid_scope", "Invalid OAuth scope or ID token audience provided.");
    }
    let lifetime = state.google.identities.lifetime();
    let token = issue(state, text("scope"), lifetime);
    pretty(200, &json!({ "access_token": token, "expires_in": lifetime, "token_type": "Bearer" }))
}

fn refused(refusal: &Refusal) -> Reply {
    let description = match refusal {
        Refusal::Malformed => "Bad Request",
        Refusal::Account => "Invalid grant: account not found",
        Refusal::Signature => "Invalid JWT Signature.",
        Refusal::Time | Refusal::Expired => {
            "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim."
        }
    };
    oauth_error(400, "invalid_grant", description)
}

fn refresh(state: &State, id: &str, secret: &str, token: &str) -> Reply {
    if id != CLIENT_ID {
        return oauth_error(401, "invalid_client", "The OAuth client was not found.");
    }
    if secret != CLIENT_SECRET {
        return oauth_error(401, "invalid_client", "The provided client secret is invalid.");
    }
    if !state.google.identities.accepts_refresh(token) {
        return oauth_error(400, "invalid_grant", "Token has been expired or revoked.");
    }
    let lifetime = state.google.identities.lifetime();
    let scope = "https://www.googleapis.com/auth/cloud-platform";
    let token = issue(state, scope, lifetime);
    pretty(200, &json!({ "access_token": token, "expires_in": lifetime, "scope": scope, "token_type": "Bearer" }))
}
