//! Cloud KMS (google.cloud.kms.v1, KeyManagementService) over REST: who may ask, and which method is meant.

mod call;
mod crypto;
mod crypto_keys;
mod input;
mod key_rings;
mod locations;
mod operations;
mod page;
mod public_key;
mod versions;

use super::identity::authorize;
use super::status::{Status, pretty};
use crate::faults::Tamper;
use crate::http::{Reply, Request};
use crate::state::State;
use crate::state::google::{crypto_key_of, number_of};
use call::Call;
use input::Input;
pub(crate) use page::is_id;
use serde_json::Value;

/// Whether a request is for Cloud KMS.
pub(crate) fn is_for(request: &Request) -> bool {
    request.path.starts_with("/v1/projects/") && !request.path.contains("/serviceAccounts/")
}

/// The method's name, `unknown` if there is none.
pub(crate) fn method(request: &Request) -> &'static str {
    operations::find(request).map_or("unknown", |(operation, _)| operation.name)
}

/// The permission that a request needs, and the resource that it needs it for: IAM policies end at crypto keys.
pub(crate) fn permission(request: &Request) -> (&'static str, String) {
    let found = operations::find(request);
    found.map_or(("", String::new()), |(operation, name)| (operation.permission, crypto_key_of(&name).0.to_owned()))
}

/// The resource in the path, as the faults name it.
pub(crate) fn names(request: &Request) -> Vec<String> {
    operations::find(request).map(|(_, name)| name).into_iter().collect()
}

/// What AsymmetricSign is to sign: a digest or data.
pub(crate) fn signed(request: &Request) -> Option<Vec<u8>> {
    let input = Input::of(request, &[], &["digest", "digestCrc32c", "data", "dataCrc32c"]).ok()?;
    let members = ["digest.sha256", "digest.sha384", "digest.sha512", "digest.externalMu", "data"];
    members.iter().filter_map(|member| input.bytes(member).ok()).find(|bytes| !bytes.is_empty())
}

/// Answers one request.
pub(crate) fn answer(state: &State, request: &Request, tamper: Tamper) -> Reply {
    let Some((operation, name)) = operations::find(request) else {
        let page = format!("<!DOCTYPE html><title>Error 404 (Not Found)!!1</title><p>{}</p>", request.path);
        return Reply::new(404, "text/html; charset=UTF-8", page.into_bytes());
    };
    let answer = authorize(state, request, operation.name).and_then(|()| {
        let input = Input::of(request, operation.query, operation.body)?;
        let now = state.clock.precise();
        state.google.keys.sweep(now);
        let call = Call { state, name, input, tamper, now };
        let answer = (operation.run)(&call)?;
        Ok(if call.input.enums_as_numbers() { with_numbers("", answer) } else { answer })
    });
    answer.map_or_else(|error: Status| error.reply(), |answer| pretty(200, &answer))
}

/// Writes enums as numbers, for `$alt=json;enum-encoding=int`.
fn with_numbers(member: &str, value: Value) -> Value {
    match value {
        Value::Object(members) => {
            Value::Object(members.into_iter().map(|(name, value)| (name.clone(), with_numbers(&name, value))).collect())
        }
        Value::Array(items) => items.into_iter().map(|item| with_numbers(member, item)).collect(),
        Value::String(text) => number_of(member, &text).map_or(Value::String(text), Value::from),
        other => other,
    }
}
