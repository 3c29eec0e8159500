//! OpenID Connect tokens that the emulator issues: subject tokens for the Security Token Service.

use super::assertion::key_id;
use crate::crypto::{Hash, Scheme, Unable};
use crate::encoding::base64url;
use crate::state::State;
use crate::state::google::SERVICE_ACCOUNT;
use serde_json::json;

/// A token for an audience, which the Security Token Service accepts.
pub(crate) fn issue(state: &State, audience: &str) -> Result<String, Unable> {
    let key = state.google.identities.key(&state.materials)?;
    let now = state.clock.now();
    let header = json!({ "alg": "RS256", "kid": key_id(&key.spki), "typ": "JWT" });
    let claims = json!({
        "iss": "https://accounts.google.com", "aud": audience, "sub": "123456789", "email": SERVICE_ACCOUNT,
        "iat": now, "exp": now + 3600,
    });
    let signed = [header, claims].map(|part| base64url(part.to_string().as_bytes())).join(".");
    let signature = key.sign(Scheme::Pkcs1(Hash::Sha256), &Hash::Sha256.of(signed.as_bytes()))?;
    let token = format!("{signed}.{}", base64url(&signature));
    state.google.identities.allow_subject(&token);
    Ok(token)
}
