//! Access tokens.

use crate::state::State;

/// The scopes that are enough for Cloud KMS (google/cloud/kms/v1/service.proto, `oauth_scopes`).
pub(super) const KMS_SCOPES: [&str; 2] =
    ["https://www.googleapis.com/auth/cloud-platform", "https://www.googleapis.com/auth/cloudkms"];

/// The same for IAM.
pub(super) const IAM_SCOPES: [&str; 2] =
    ["https://www.googleapis.com/auth/cloud-platform", "https://www.googleapis.com/auth/iam"];

/// Whether one of these scopes, separated by spaces or commas, is enough.
pub(super) fn is_enough(scopes: &str, wanted: &[&str]) -> bool {
    scopes.split([' ', ',']).any(|scope| wanted.contains(&scope))
}

/// A new token for so many seconds, opaque and long as Google's are.
pub(crate) fn issue(state: &State, scopes: &str, lifetime: i64) -> String {
    let body: String = (0..6).map(|_| state.ids.hex()).collect();
    let token = format!("ya29.c.{body}");
    state.google.identities.insert(&token, state.clock.now() + lifetime, scopes);
    token
}
