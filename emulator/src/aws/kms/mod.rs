//! AWS KMS: the JSON 1.1 protocol, who may ask, and which operation is meant (AWS KMS API Reference).
//!
//! The operations are in `kms::crypto`, `kms::manage`, `kms::aliases` and `kms::tags`, the keys in `kms::store`, the tables in `kms::spec`.

pub(crate) mod algorithms;
pub(crate) mod aliases;
mod crypto;
pub(crate) mod keys;
pub(crate) mod tags;

use super::sigv4::{Caller, Refusal};
use crate::encoding::base64_decode;
use crate::faults::Tamper;
use crate::http::{Reply, Request};
use crate::state::State;
use crate::state::aws::account;
use crate::state::aws::account::Key;
use algorithms::Spec;
use serde_json::{Value, json};

/// An error as KMS words it: always status 400, unless a fault says otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KmsError {
    pub(crate) code: String,
    pub(crate) message: String,
}

impl KmsError {
    pub(crate) fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into() }
    }

    pub(crate) fn validation(message: impl Into<String>) -> Self {
        Self::new("ValidationException", message)
    }

    /// A violated constraint of the service's model.
    fn constraint(member: &str, value: Option<&str>, rule: &str) -> Self {
        let value = value.map(|value| format!("'{value}' ")).unwrap_or_default();
        Self::validation(format!(
            "1 validation error detected: Value {value}at '{member}' failed to satisfy constraint: {rule}"
        ))
    }

    fn missing(member: &str) -> Self {
        Self::validation(format!(
            "1 validation error detected: Value null at '{member}' failed to satisfy constraint: Member must not be null"
        ))
    }

    fn not_in(member: &str, value: &str, allowed: &[&str]) -> Self {
        Self::constraint(member, Some(value), &format!("Member must satisfy enum value set: [{}]", allowed.join(", ")))
    }

    pub(crate) fn expired() -> Self {
        Self::from(Refusal::Expired)
    }

    pub(crate) fn reply(&self, status: u16, state: &State) -> Reply {
        let switches = state.switches();
        let prefix = if switches.kms_type_prefix { "com.amazonaws.kms#" } else { "" };
        // Denials come from the authorization layer, which capitalizes the member.
        let capital = switches.kms_capital_message || self.code == "AccessDeniedException";
        let member = if capital { "Message" } else { "message" };
        let kind = format!("{prefix}{}", self.code);
        let body = if self.message.is_empty() {
            json!({ "__type": kind })
        } else {
            json!({ "__type": kind, member: self.message })
        };
        Reply::new(status, CONTENT_TYPE, body.to_string().into_bytes())
    }
}

impl From<Refusal> for KmsError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Missing => Self::new("MissingAuthenticationTokenException", "Missing Authentication Token"),
            Refusal::Incomplete(text) => Self::new("IncompleteSignatureException", text),
            Refusal::UnknownKey => {
                Self::new("UnrecognizedClientException", "The security token included in the request is invalid.")
            }
            Refusal::Expired => {
                Self::new("ExpiredTokenException", "The security token included in the request is expired")
            }
            Refusal::Mismatch(text) => Self::new("InvalidSignatureException", text),
        }
    }
}

impl From<crate::crypto::Unable> for KmsError {
    fn from(_: crate::crypto::Unable) -> Self {
        Self::new("KMSInternalException", "")
    }
}

const CONTENT_TYPE: &str = "application/x-amz-json-1.1";
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
    names.extend(state.aws.names(asked));
    names
}

/// Answers one request.
pub(crate) fn answer(state: &State, request: &Request, tamper: Tamper) -> Reply {
    let now = state.clock.now();
    let answer = state.aws.credentials.check(request, "kms", now).map_err(KmsError::from).and_then(|caller| {
        let body = request.json().filter(Value::is_object);
        let body = body.ok_or_else(|| KmsError::new("SerializationException", ""))?;
        state.aws.sweep(now);
        Call { state, caller, input: Input(body), tamper, now }.answer(operation(request).unwrap_or_default())
    });
    let reply = match answer {
        Ok(None) => Reply::new(200, CONTENT_TYPE, Vec::new()),
        Ok(Some(body)) => Reply::new(200, CONTENT_TYPE, body.to_string().into_bytes()),
        Err(error) => error.reply(400, state),
    };
    reply.with("x-amzn-requestid", state.ids.uuid())
}

/// A denial as IAM words it.
pub(crate) fn denied(operation: &str, key: &str) -> KmsError {
    let text = format!(
        "User: {} is not authorized to perform: kms:{operation} on resource: {key} because no identity-based policy allows the kms:{operation} action",
        account::USER_ARN
    );
    KmsError::new("AccessDeniedException", text)
}

/// One authenticated call.
struct Call<'a> {
    state: &'a State,
    caller: Caller,
    input: Input,
    tamper: Tamper,
    now: i64,
}

impl Call<'_> {
    fn answer(&self, operation: &str) -> Result<Option<Value>, KmsError> {
        match operation {
            "GetPublicKey" => self.public_key().map(Some),
            "Sign" => self.sign().map(Some),
            "Verify" => self.verify().map(Some),
            "Encrypt" => self.encrypt().map(Some),
            "Decrypt" => self.decrypt().map(Some),
            "GenerateMac" => self.generate_mac().map(Some),
            "VerifyMac" => self.verify_mac().map(Some),
            "GenerateRandom" => self.generate_random().map(Some),
            "DeriveSharedSecret" => self.derive_shared_secret().map(Some),
            "ListKeys" => self.list_keys().map(Some),
            "ListAliases" => self.list_aliases().map(Some),
            "DescribeKey" => self.describe_key().map(Some),
            "CreateKey" => self.create_key().map(Some),
            "CreateAlias" => self.create_alias().map(|()| None),
            "UpdateAlias" => self.update_alias().map(|()| None),
            "DeleteAlias" => self.delete_alias().map(|()| None),
            "TagResource" => self.tag_resource().map(|()| None),
            "UntagResource" => self.untag_resource().map(|()| None),
            "ListResourceTags" => self.list_resource_tags().map(Some),
            "UpdateKeyDescription" => self.update_key_description().map(|()| None),
            "DisableKey" => self.enable_key(false).map(|()| None),
            "EnableKey" => self.enable_key(true).map(|()| None),
            "ScheduleKeyDeletion" => self.schedule_key_deletion().map(Some),
            "CancelKeyDeletion" => self.cancel_key_deletion().map(Some),
            _ => Err(KmsError::new("UnknownOperationException", "")),
        }
    }

    /// The key that `KeyId` names, in any of its forms.
    fn key(&self) -> Result<Key, KmsError> {
        self.state.aws.find(&self.caller.region, self.input.text("KeyId")?)
    }

    /// The key of an operation that takes no alias: a key id or a key ARN.
    fn own_key(&self) -> Result<Key, KmsError> {
        let id = self.input.text("KeyId")?;
        if id.contains("alias/") {
            return Err(KmsError::new("NotFoundException", format!("Invalid keyId '{id}'")));
        }
        self.key()
    }

    /// A key that may be used for `operation`.
    fn usable_key(&self, operation: &str, usage: &str) -> Result<Key, KmsError> {
        let key = self.key()?;
        key.check_state()?;
        if key.usage != usage {
            let text = format!("{} key usage is {} which is not valid for {operation}.", key.arn, key.usage);
            return Err(KmsError::new("InvalidKeyUsageException", text));
        }
        Ok(key)
    }

    /// The end of each cryptographic operation that offers `DryRun`.
    fn dry_run(&self) -> Result<(), KmsError> {
        if self.input.0.get("DryRun").and_then(Value::as_bool) == Some(true) {
            let text = "The request would have succeeded, but the DryRun option is set.";
            return Err(KmsError::new("DryRunOperationException", text));
        }
        Ok(())
    }
}

fn incompatible(algorithm: &str, spec: &Spec) -> KmsError {
    let text = format!("Algorithm {algorithm} is incompatible with key spec {}.", spec.name);
    KmsError::new("InvalidKeyUsageException", text)
}

/// The members of a request.
struct Input(Value);

impl Input {
    fn optional(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    fn text(&self, name: &str) -> Result<&str, KmsError> {
        self.optional(name).ok_or_else(|| KmsError::missing(&member(name)))
    }

    /// A blob of `minimum` to `maximum` bytes.
    fn blob(&self, name: &str, minimum: usize, maximum: usize) -> Result<Vec<u8>, KmsError> {
        let bytes = base64_decode(self.text(name)?).ok_or_else(|| KmsError::new("SerializationException", ""))?;
        check_length(&member(name), None, bytes.len(), minimum, maximum)?;
        Ok(bytes)
    }

    /// A text of `minimum` to `maximum` characters.
    fn bounded(&self, name: &str, minimum: usize, maximum: usize) -> Result<&str, KmsError> {
        let text = self.text(name)?;
        check_length(&member(name), Some(text), text.chars().count(), minimum, maximum)?;
        Ok(text)
    }

    fn description(&self) -> Result<Option<&str>, KmsError> {
        self.optional("Description").map(|_| self.bounded("Description", 0, 8192)).transpose()
    }

    /// A number from `minimum` to `maximum`, if given.
    fn number(&self, name: &str, minimum: i64, maximum: i64) -> Result<Option<i64>, KmsError> {
        let Some(number) = self.0.get(name).and_then(Value::as_i64) else { return Ok(None) };
        let text = number.to_string();
        if number < minimum {
            return Err(KmsError::constraint(
                &member(name),
                Some(&text),
                &format!("Member must have value greater than or equal to {minimum}"),
            ));
        }
        if number > maximum {
            return Err(KmsError::constraint(
                &member(name),
                Some(&text),
                &format!("Member must have value less than or equal to {maximum}"),
            ));
        }
        Ok(Some(number))
    }
}

fn check_length(
    member: &str,
    value: Option<&str>,
    length: usize,
    minimum: usize,
    maximum: usize,
) -> Result<(), KmsError> {
    let rule = |side: &str, limit: usize| format!("Member must have length {side} than or equal to {limit}");
    if length < minimum {
        return Err(KmsError::constraint(member, value, &rule("greater", minimum)));
    }
    if length > maximum {
        return Err(KmsError::constraint(member, value, &rule("less", maximum)));
    }
    Ok(())
}

/// Error texts name members with a small first letter.
fn member(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map(|first| first.to_ascii_lowercase().to_string() + letters.as_str()).unwrap_or_default()
}
