//! The errors of KMS.

use crate::aws::sigv4::Refusal;
use crate::crypto::Unable;
use crate::http::Reply;
use crate::state::State;
use crate::state::aws::{NoSuchKey, USER_ARN};
use serde_json::json;

/// The type of the body of every reply, errors and results.
pub(crate) const CONTENT_TYPE: &str = "application/x-amz-json-1.1";

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
    pub(super) fn constraint(member: &str, value: Option<&str>, rule: &str) -> Self {
        let value = value.map(|value| format!("'{value}' ")).unwrap_or_default();
        Self::validation(format!(
            "1 validation error detected: Value {value}at '{member}' failed to satisfy constraint: {rule}"
        ))
    }

    pub(super) fn missing(member: &str) -> Self {
        Self::validation(format!(
            "1 validation error detected: Value null at '{member}' failed to satisfy constraint: Member must not be null"
        ))
    }

    pub(super) fn not_in(member: &str, value: &str, allowed: &[&str]) -> Self {
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

impl From<Unable> for KmsError {
    fn from(_: Unable) -> Self {
        Self::new("KMSInternalException", "")
    }
}

impl From<NoSuchKey> for KmsError {
    fn from(error: NoSuchKey) -> Self {
        let text = match error {
            NoSuchKey::InvalidArn(arn) => return Self::new("InvalidArnException", format!("Invalid arn {arn}")),
            NoSuchKey::OtherRegion(region) => format!("Invalid arn {region}"),
            NoSuchKey::InvalidId(id) => format!("Invalid keyId '{id}'"),
            NoSuchKey::UnknownAlias(arn) => format!("Alias {arn} is not found."),
            NoSuchKey::UnknownKey(arn) => format!("Key '{arn}' does not exist"),
        };
        Self::new("NotFoundException", text)
    }
}

/// A denial as IAM words it.
pub(crate) fn denied(operation: &str, key: &str) -> KmsError {
    let text = format!(
        "User: {} is not authorized to perform: kms:{operation} on resource: {key} because no identity-based policy allows the kms:{operation} action",
        USER_ARN
    );
    KmsError::new("AccessDeniedException", text)
}
