//! Lists in pages.

use super::call::Call;
use super::error::VaultError;
use crate::encoding::{base64url, base64url_decode};
use serde_json::{Value, json};

impl Call<'_> {
    /// One page of a list sorted by name: at most 25, and a link to the next.
    pub(super) fn page(&self, items: Vec<(String, Value)>) -> Result<Value, VaultError> {
        let limit = match self.request.query_value("maxresults") {
            None => 25,
            Some(text) => text
                .parse()
                .ok()
                .filter(|count| (1..=25).contains(count))
                .ok_or_else(|| VaultError::bad_parameter("maxresults must be between 1 and 25"))?,
        };
        let marker = self.request.query_value("$skiptoken");
        let after = marker.as_ref().map(|marker| {
            let bytes = base64url_decode(marker).and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
            let after = bytes.and_then(|value| value.get("NextMarker").and_then(Value::as_str).map(str::to_owned));
            after.ok_or_else(|| VaultError::bad_parameter("Invalid skiptoken"))
        });
        let after = after.transpose()?;
        if after.is_none() && self.state.switches().vault_empty_page {
            return Ok(json!({ "value": [], "nextLink": self.next_link("", limit) }));
        }
        let after = after.unwrap_or_default();
        let mut rest = items.into_iter().filter(|(name, _)| *name > after);
        let page: Vec<(String, Value)> = rest.by_ref().take(limit).collect();
        let last = page.last().map(|(name, _)| name.clone()).unwrap_or_default();
        let next = rest.next().map(|_| self.next_link(&last, limit));
        let values: Vec<Value> = page.into_iter().map(|(_, value)| value).collect();
        Ok(json!({ "value": values, "nextLink": next }))
    }

    /// The real services write the default port and an unescaped `$skiptoken`.
    fn next_link(&self, after: &str, limit: usize) -> String {
        let port = if self.place.real { ":443" } else { "" };
        let version = self.request.query_value("api-version").unwrap_or_default();
        let token = base64url(json!({ "NextMarker": after }).to_string().as_bytes());
        let (base, path) = (self.request.base_url(), &self.request.path);
        format!("{base}{port}{path}?api-version={version}&$skiptoken={token}&maxresults={limit}")
    }
}
