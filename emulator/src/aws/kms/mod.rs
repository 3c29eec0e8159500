//! AWS KMS: the JSON 1.1 protocol, who may ask, and which operation is meant (AWS KMS API Reference).
//!
//! The operations are in `crypto`, `manage`, `aliases` and `tags`.

mod algorithms;
mod aliases;
mod call;
mod crypto;
mod error;
mod input;
mod key_state;
mod manage;
mod new_key;
mod pagination;
mod tags;

use super::sigv4;
use crate::faults::Tamper;
use crate::http::{Reply, Request};
use crate::state::State;
use call::Call;
pub(crate) use error::CONTENT_TYPE;
pub(crate) use error::{KmsError, denied};
use input::Input;
pub(crate) use new_key::{NewKey, create};
use serde_json::Value;

const TARGET: &str = "TrentService.";

/// The operation that `X-Amz-Target` names.
pub(crate) fn operation(request: &Request) -> Option<&str> {
    request.header("x-amz-target")?.strip_prefix(TARGET)
}

/// Everything a fault may call the key that a request is for: as asked, its ARN and its aliases.
pub(crate) fn key_names(state: &State, request: &Request) -> Vec<String> {
    let body = request.json();
    let asked = body
        .as_ref()
        .and_then(|body| ["KeyId", "TargetKeyId", "AliasName"].iter().find_map(|name| body.get(name)?.as_str()));
    let Some(asked) = asked else { return Vec::new() };
    let mut names = vec![asked.to_owned()];
    names.extend(state.aws.keys.names(asked));
    names
}

/// Answers one request.
pub(crate) fn answer(state: &State, request: &Request, tamper: Tamper) -> Reply {
    let now = state.clock.now();
    let answer = sigv4::check(&state.aws.credentials, request, "kms", now).map_err(KmsError::from).and_then(|caller| {
        let body = request.json().filter(Value::is_object);
        let body = body.ok_or_else(|| KmsError::new("SerializationException", ""))?;
        state.aws.keys.sweep(now);
        let call = Call { state, caller, input: Input(body), tamper, now };
        dispatch(&call, operation(request).unwrap_or_default())
    });
    let reply = match answer {
        Ok(None) => Reply::new(200, CONTENT_TYPE, Vec::new()),
        Ok(Some(body)) => Reply::new(200, CONTENT_TYPE, body.to_string().into_bytes()),
        Err(error) => error.reply(400, state),
    };
    reply.with("x-amzn-requestid", state.ids.uuid())
}

fn dispatch(call: &Call<'_>, operation: &str) -> Result<Option<Value>, KmsError> {
    match operation {
        "GetPublicKey" => call.public_key().map(Some),
        "Sign" => call.sign().map(Some),
        "Verify" => call.verify().map(Some),
        "Encrypt" => call.encrypt().map(Some),
        "Decrypt" => call.decrypt().map(Some),
        "GenerateMac" => call.generate_mac().map(Some),
        "VerifyMac" => call.verify_mac().map(Some),
        "GenerateRandom" => call.generate_random().map(Some),
        "DeriveSharedSecret" => call.derive_shared_secret().map(Some),
        "ListKeys" => call.list_keys().map(Some),
        "ListAliases" => call.list_aliases().map(Some),
        "DescribeKey" => call.describe_key().map(Some),
        "CreateKey" => call.create_key().map(Some),
        "CreateAlias" => call.create_alias().map(|()| None),
        "UpdateAlias" => call.update_alias().map(|()| None),
        "DeleteAlias" => call.delete_alias().map(|()| None),
        "TagResource" => call.tag_resource().map(|()| None),
        "UntagResource" => call.untag_resource().map(|()| None),
        "ListResourceTags" => call.list_resource_tags().map(Some),
        "UpdateKeyDescription" => call.update_key_description().map(|()| None),
        "DisableKey" => call.enable_key(false).map(|()| None),
        "EnableKey" => call.enable_key(true).map(|()| None),
        "ScheduleKeyDeletion" => call.schedule_key_deletion().map(Some),
        "CancelKeyDeletion" => call.cancel_key_deletion().map(Some),
        _ => Err(KmsError::new("UnknownOperationException", "")),
    }
}
