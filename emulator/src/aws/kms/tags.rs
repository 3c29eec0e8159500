//! Tags of keys and the rules for them (KMS Developer Guide, "Tags in AWS KMS").

use super::call::Call;
use super::error::KmsError;
use super::input::{Input, check_length, member};
use crate::state::aws::Tags;
use serde_json::{Value, json};

const MOST: usize = 50;

impl Input {
    /// The tags in a request; none if it has no list of them.
    pub(super) fn tags(&self) -> Result<Tags, KmsError> {
        let empty = Vec::new();
        let list = self.0.get("Tags").and_then(Value::as_array).unwrap_or(&empty);
        let mut tags = Tags::new();
        for (position, tag) in list.iter().enumerate() {
            let (key, value) = (text(position, tag, "TagKey", 1, 128)?, text(position, tag, "TagValue", 0, 256)?);
            if reserved(key) {
                return Err(tag_error("Tags beginning with aws: are reserved"));
            }
            if tags.insert(key.to_owned(), value.to_owned()).is_some() {
                return Err(tag_error("Duplicate tag keys"));
            }
        }
        check_number(&tags)?;
        Ok(tags)
    }
}

impl Call<'_> {
    pub(super) fn tag_resource(&self) -> Result<(), KmsError> {
        if self.input.0.get("Tags").is_none() {
            return Err(KmsError::missing("tags"));
        }
        let key = self.own_key()?;
        key.check_not_pending()?;
        let mut tags = key.tags;
        tags.extend(self.input.tags()?);
        check_number(&tags)?;
        self.state.aws.keys.change(&self.caller.region, &key.id, |key| key.tags = tags);
        Ok(())
    }

    pub(super) fn untag_resource(&self) -> Result<(), KmsError> {
        let names =
            self.input.0.get("TagKeys").and_then(Value::as_array).ok_or_else(|| KmsError::missing("tagKeys"))?;
        let key = self.own_key()?;
        key.check_not_pending()?;
        self.state.aws.keys.change(&self.caller.region, &key.id, |key| {
            key.tags.retain(|name, _| !names.iter().any(|gone| gone.as_str() == Some(name.as_str())));
        });
        Ok(())
    }

    pub(super) fn list_resource_tags(&self) -> Result<Value, KmsError> {
        let limit = self.input.number("Limit", 1, 50)?.unwrap_or(50);
        let tags = self.own_key()?.tags.into_iter();
        let items = tags.map(|(name, value)| (name.clone(), json!({ "TagKey": name, "TagValue": value })));
        self.page("Tags", items.collect(), limit)
    }
}

fn text<'a>(position: usize, tag: &'a Value, name: &str, minimum: usize, maximum: usize) -> Result<&'a str, KmsError> {
    let member = format!("tags.{}.member.{}", position + 1, member(name));
    let text = tag.get(name).and_then(Value::as_str).ok_or_else(|| KmsError::missing(&member))?;
    check_length(&member, Some(text), text.chars().count(), minimum, maximum)?;
    Ok(text)
}

fn reserved(key: &str) -> bool {
    key.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:"))
}

fn check_number(tags: &Tags) -> Result<(), KmsError> {
    if tags.len() > MOST { Err(tag_error("Too many tags")) } else { Ok(()) }
}

fn tag_error(text: &str) -> KmsError {
    KmsError::new("TagException", text)
}
