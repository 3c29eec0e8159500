//! A JWT that the service account has signed with its key ("Using OAuth 2.0 for Server to Server Applications"; AIP-4111,
//! "Self-signed JWT").

use crate::crypto::Hash;
use crate::encoding::{base64url_decode, hex};
use crate::state::State;
use crate::state::google::SERVICE_ACCOUNT;
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::Value;

/// For how long a JWT may be valid, in seconds, and how far a clock may be off.
const LONGEST: i64 = 3600;
const SKEW: i64 = 300;

/// Why a JWT is refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Malformed,
    Account,
    Signature,
    Time,
    Expired,
}

/// The id of the service account's key: the hash of its public key.
pub(crate) fn key_id(spki: &[u8]) -> String {
    hex(&Hash::Sha1.of(spki))
}

/// The claims of a JWT whose signature and times are good.
pub(super) fn check(state: &State, jwt: &str) -> Result<Value, Refusal> {
    let parts: Vec<&str> = jwt.split('.').collect();
    let [header, claims, signature] = parts.as_slice() else { return Err(Refusal::Malformed) };
    let json = |part: &str| serde_json::from_slice::<Value>(&base64url_decode(part)?).ok();
    let (head, body) = json(header).zip(json(claims)).ok_or(Refusal::Malformed)?;
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    if text(&body, "iss") != SERVICE_ACCOUNT {
        return Err(Refusal::Account);
    }
    let key = state.google.identities.key(&state.materials).map_err(|_| Refusal::Signature)?;
    // A key id may be left out; then each key of the account is tried.
    let named = text(&head, "kid");
    if !named.is_empty() && named != key_id(&key.spki) || text(&head, "alg") != "RS256" {
        return Err(Refusal::Signature);
    }
    let signature = base64url_decode(signature).ok_or(Refusal::Malformed)?;
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &key.spki);
    public.verify(format!("{header}.{claims}").as_bytes(), &signature).map_err(|_| Refusal::Signature)?;
    check_times(&body, state.clock.now())?;
    Ok(body)
}

fn check_times(claims: &Value, now: i64) -> Result<(), Refusal> {
    let time = |name: &str| claims.get(name).and_then(Value::as_i64);
    let (issued, expires) = time("iat").zip(time("exp")).ok_or(Refusal::Time)?;
    if expires <= now - SKEW {
        return Err(Refusal::Expired);
    }
    if issued > now + SKEW || expires <= issued || expires - issued > LONGEST {
        return Err(Refusal::Time);
    }
    Ok(())
}
