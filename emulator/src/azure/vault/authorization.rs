//! Bearer tokens, and the challenge to a request without a valid one.

use super::error::VaultError;
use super::place::Place;
use crate::encoding::base64;
use crate::http::{Reply, Request};
use crate::state::State;
use crate::state::azure::{BadToken, TENANT};
use serde_json::json;

/// Checks the bearer token; the error is the challenge.
pub(crate) fn authorize(state: &State, request: &Request) -> Result<(), Reply> {
    let place = Place::of(state, request);
    let header = request.header("authorization").and_then(|value| value.split_once(' '));
    let Some(("Bearer", token)) = header else {
        return Err(challenge(&place, request, "", "AKV10000: Request is missing a Bearer or PoP token."));
    };
    let now = state.clock.now();
    let claims = state.switches().require_claims;
    match state.entra.check(token, &place.resource(), claims, now) {
        Ok(()) => Ok(()),
        Err(BadToken::Unknown) => {
            let text = "AKV10046: Unable to resolve the key used for signature validation.";
            Err(challenge(&place, request, ", error=\"invalid_token\", error_description=\"AKV10046\"", text))
        }
        Err(BadToken::Expired) => Err(expired(&place, request)),
        Err(BadToken::Audience(found)) => {
            let text = format!("AKV10022: Invalid audience. Expected {}, found: {found}.", place.resource());
            Err(challenge(&place, request, "", &text))
        }
        Err(BadToken::NeedsClaims) => Err(claims_challenge(state)),
    }
}

/// The 401 for a token that has expired.
pub(crate) fn expired(place: &Place, request: &Request) -> Reply {
    let text = "[TokenExpired] Error validating token: 'S2S12086'.";
    challenge(place, request, ", error=\"invalid_token\", error_description=\"TokenExpired\"", text)
}

/// The 401 of Continuous Access Evaluation: a token asked for with these claims is wanted.
pub(crate) fn claims_challenge(state: &State) -> Reply {
    let claims = claims(state.clock.now());
    let header = format!(
        "Bearer realm=\"\", authorization_uri=\"https://login.microsoftonline.com/common/oauth2/authorize\", error=\"insufficient_claims\", claims=\"{claims}\""
    );
    let text = "AKV10045: Continuous access evaluation resulted in challenge with result: InteractionRequired and code: TokenIssuedBeforeRevocationTimestamp";
    VaultError::new(401, "Unauthorized", text).reply().with("www-authenticate", header)
}

/// The `claims` of a challenge, in base64: a token issued from now on.
fn claims(now: i64) -> String {
    base64(json!({ "access_token": { "nbf": { "essential": true, "value": now.to_string() } } }).to_string().as_bytes())
}

fn challenge(place: &Place, request: &Request, more: &str, text: &str) -> Reply {
    let login =
        if place.real { format!("https://{}", place.cloud.authority) } else { format!("https://{}", request.host) };
    let header = format!("Bearer authorization=\"{login}/{TENANT}\", resource=\"{}\"{more}", place.resource());
    // Managed HSM sends no body.
    let reply = if place.hsm { Reply::empty(401) } else { VaultError::new(401, "Unauthorized", text).reply() };
    reply.with("www-authenticate", header)
}
