//! The members of a request, and their constraints in the service's model.

use super::error::KmsError;
use crate::encoding::base64_decode;
use serde_json::Value;

/// The members of a request.
pub(super) struct Input(pub(super) Value);

impl Input {
    pub(super) fn optional(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    pub(super) fn text(&self, name: &str) -> Result<&str, KmsError> {
        self.optional(name).ok_or_else(|| KmsError::missing(&member(name)))
    }

    /// A blob of `minimum` to `maximum` bytes.
    pub(super) fn blob(&self, name: &str, minimum: usize, maximum: usize) -> Result<Vec<u8>, KmsError> {
        let bytes = base64_decode(self.text(name)?).ok_or_else(|| KmsError::new("SerializationException", ""))?;
        check_length(&member(name), None, bytes.len(), minimum, maximum)?;
        Ok(bytes)
    }

    /// A text of `minimum` to `maximum` characters.
    pub(super) fn bounded(&self, name: &str, minimum: usize, maximum: usize) -> Result<&str, KmsError> {
        let text = self.text(name)?;
        check_length(&member(name), Some(text), text.chars().count(), minimum, maximum)?;
        Ok(text)
    }

    pub(super) fn description(&self) -> Result<Option<&str>, KmsError> {
        self.optional("Description").map(|_| self.bounded("Description", 0, 8192)).transpose()
    }

    /// A number from `minimum` to `maximum`, if given.
    pub(super) fn number(&self, name: &str, minimum: i64, maximum: i64) -> Result<Option<i64>, KmsError> {
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

pub(super) fn check_length(
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
pub(super) fn member(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map(|first| first.to_ascii_lowercase().to_string() + letters.as_str()).unwrap_or_default()
}
