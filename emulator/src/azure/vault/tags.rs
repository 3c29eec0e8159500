//! Tags of keys and certificates.

use crate::state::azure::Tags;
use serde_json::Value;

/// The tags in a request; an empty object takes all away.
pub(super) fn tags(body: &Value) -> Option<Tags> {
    let tags = body.get("tags")?.as_object()?;
    Some(tags.iter().filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect())
}
