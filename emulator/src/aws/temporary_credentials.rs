//! Credentials that expire.

use crate::state::State;
use crate::state::aws::Credential;

pub(crate) struct TemporaryCredentials {
    pub(crate) access_key: String,
    pub(crate) secret: String,
    pub(crate) token: String,
    pub(crate) expires: i64,
}

/// Credentials that KMS and STS accept for so many seconds.
pub(crate) fn issue(state: &State, arn: String, seconds: i64) -> TemporaryCredentials {
    let id = state.ids.hex().to_ascii_uppercase();
    let access_key = format!("ASIA{}", id.get(..16).unwrap_or_default());
    let (secret, token, expires) = (state.ids.hex(), state.ids.hex(), state.clock.now() + seconds);
    let credential = Credential { secret: secret.clone(), token: Some(token.clone()), expires: Some(expires), arn };
    state.aws.credentials.allow(&access_key, credential);
    TemporaryCredentials { access_key, secret, token, expires }
}
