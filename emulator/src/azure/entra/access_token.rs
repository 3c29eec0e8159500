//! Access tokens, issued to any client. The caller authenticates the client.

use crate::encoding::base64url;
use crate::state::State;
use crate::state::azure::{TENANT, Token};
use serde_json::json;

/// Makes a token; anyone who can read it sees what a real one says.
pub(crate) fn issue(state: &State, client: &str, audience: &str, claims: bool) -> (String, i64) {
    let (now, lifetime) = (state.clock.now(), state.entra.lifetime());
    let header = json!({ "typ": "JWT", "alg": "RS256", "kid": "emulator" });
    let payload = json!({
        "aud": audience, "iss": format!("https://sts.windows.net/{TENANT}/"), "iat": now, "nbf": now, "exp": now + lifetime,
        "appid": client, "idtyp": "app", "oid": state.ids.uuid(), "tid": TENANT, "ver": "1.0",
    });
    let signature = state.ids.hex();
    let text = [header.to_string(), payload.to_string(), signature].map(|part| base64url(part.as_bytes())).join(".");
    let token = Token { audience: audience.trim_end_matches('/').to_owned(), expires: now + lifetime, claims };
    state.entra.insert(&text, token);
    (text, lifetime)
}
