//! Lists in pages.

use super::call::Call;
use super::error::KmsError;
use crate::encoding::{base64, base64_decode};
use serde_json::{Value, json};

impl Call<'_> {
    /// One page of a list that is sorted by id, after the id in `Marker`.
    pub(super) fn page(&self, list: &str, items: Vec<(String, Value)>, limit: i64) -> Result<Value, KmsError> {
        let marker = self.input.optional("Marker").map(|marker| {
            let after = base64_decode(marker).and_then(|bytes| String::from_utf8(bytes).ok());
            after.ok_or_else(|| KmsError::new("InvalidMarkerException", "Could not deserialize marker"))
        });
        let after = marker.transpose()?;
        if after.is_none() && self.state.switches().kms_empty_page {
            // Less than any id, and not empty: clients take an empty marker for none.
            return Ok(json!({ list: [], "Truncated": true, "NextMarker": base64(b"!") }));
        }
        let after = after.unwrap_or_default();
        let mut rest = items.into_iter().filter(|(id, _)| *id > after);
        let page: Vec<(String, Value)> = rest.by_ref().take(usize::try_from(limit).unwrap_or(1)).collect();
        let last = page.last().map(|(id, _)| base64(id.as_bytes()));
        let values: Vec<Value> = page.into_iter().map(|(_, value)| value).collect();
        let mut reply = json!({ list: values, "Truncated": false });
        if rest.next().is_some() {
            reply["Truncated"] = json!(true);
            reply["NextMarker"] = json!(last);
        }
        Ok(reply)
    }
}
