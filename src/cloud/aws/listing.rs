//! The keys of a region, with their labels. Labels are aliases, because KMS has no other place for users' names of
//! keys.
//!
//! API reference: ListKeys, ListAliases.

use super::client::{Clients, RegionClient};
use super::errors::refusal;
use super::operations::{LIST_ALIASES, LIST_KEYS, Operation};
use crate::cloud::failure::refused::FailedAttempt;
use crate::cloud::failure::{Cause, Failure};
use crate::cloud::key::{KeyName, ListedKey};
use crate::cloud::pagination::Pages;
use crate::log_info;
use aws_sdk_kms::types::AliasListEntry;
use futures_util::future::try_join;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

/// KMS Developer Guide, "Aliases": "the prefix alias/aws/ is reserved for AWS managed keys".
const RESERVED_PREFIX: &str = "aws/";

impl Clients {
    /// Returns all keys of the region. The keys have no labels if the aliases cannot be listed. Keys that AWS
    /// manages are left out if their aliases are known: these keys are symmetric, and describing each of them
    /// would be in vain.
    pub(crate) async fn list(&self, labels: bool) -> Result<Vec<ListedKey>, Failure> {
        let labels = async { if labels { self.labels().await } else { Ok(HashMap::new()) } };
        let (ids, mut labels) = try_join(self.ids(), labels).await?;
        let listed = |id: String| ListedKey {
            label: labels.remove(&id),
            name: KeyName { id, version: None },
            // ListKeys does not report this.
            is_disabled: false,
        };
        let keys = ids.into_iter().map(listed);
        Ok(keys.filter(|key| !key.label.as_deref().is_some_and(|label| label.starts_with(RESERVED_PREFIX))).collect())
    }

    async fn ids(&self) -> Result<Vec<String>, Failure> {
        let keys = self.pages(&LIST_KEYS, async |client: Arc<RegionClient>, marker| {
            let reply = client.sdk.list_keys().limit(1000).set_marker(marker).send().await;
            let reply = reply.map_err(|e| refusal(&LIST_KEYS, e))?;
            Ok((reply.keys.unwrap_or_default(), reply.next_marker.filter(|_| reply.truncated)))
        });
        Ok(keys.await?.into_iter().filter_map(|key| key.key_id).collect())
    }

    async fn labels(&self) -> Result<HashMap<String, String>, Failure> {
        let aliases = self.pages(&LIST_ALIASES, async |client: Arc<RegionClient>, marker| {
            let reply = client.sdk.list_aliases().limit(100).set_marker(marker).send().await;
            let reply = reply.map_err(|e| refusal(&LIST_ALIASES, e))?;
            Ok((reply.aliases.unwrap_or_default(), reply.next_marker.filter(|_| reply.truncated)))
        });
        match aliases.await {
            Ok(aliases) => Ok(newest_labels(aliases)),
            Err(failure) if is_permanent(failure.cause) => {
                log_info!("the labels of listed keys are their ids, because their aliases can't be listed: {failure}");
                Ok(HashMap::new())
            }
            Err(failure) => Err(failure),
        }
    }

    /// Returns the items of all pages. Each page has the time limit of a whole call.
    async fn pages<T>(
        &self,
        operation: &'static Operation,
        page: impl AsyncFn(Arc<RegionClient>, Option<String>) -> Result<(Vec<T>, Option<String>), FailedAttempt>,
    ) -> Result<Vec<T>, Failure> {
        let (mut all, mut pages) = (Vec::new(), Pages::default());
        loop {
            // A page may be empty even though more pages follow.
            let (items, next) = self.call(operation, "", |client| page(client, pages.next())).await?;
            all.extend(items);
            if !pages.advance(next).map_err(|words| operation.failure(Cause::Malformed, words))? {
                return Ok(all);
            }
        }
    }
}

/// Returns whether another attempt would fail in the same way, because this service has no aliases or this user
/// must not list them.
fn is_permanent(cause: Cause) -> bool {
    matches!(cause, Cause::Denied | Cause::Unsupported | Cause::Rejected)
}

/// Returns the labels of keys by key id. If a key has several aliases, the label is the alias that was created or
/// moved last.
fn newest_labels(aliases: Vec<AliasListEntry>) -> HashMap<String, String> {
    let mut newest = HashMap::new();
    for alias in aliases {
        let changed = alias.last_updated_date.or(alias.creation_date);
        let label = alias.alias_name.as_deref().and_then(|name| name.strip_prefix("alias/"));
        if let (Some(label), Some(key)) = (label, alias.target_key_id) {
            // Of aliases with the same time, the first by name is used.
            let of_key = (changed, Reverse(label.to_owned()));
            let known = newest.entry(key).or_insert_with(|| of_key.clone());
            *known = of_key.max(known.clone());
        }
    }
    newest.into_iter().map(|(key, (_, Reverse(label)))| (key, label)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_kms::primitives::DateTime;

    #[test]
    fn a_key_is_called_by_its_newest_alias() {
        let alias = |name: &str, key: &str, created: i64, updated: Option<i64>| {
            AliasListEntry::builder()
                .alias_name(name)
                .target_key_id(key)
                .creation_date(DateTime::from_secs(created))
                .set_last_updated_date(updated.map(DateTime::from_secs))
                .build()
        };
        let labels = newest_labels(vec![
            alias("alias/a", "1", 1, Some(9)),
            alias("alias/b", "1", 8, None),
            alias("alias/team/z", "2", 5, None),
            alias("alias/team/y", "2", 5, None),
            alias("stray", "3", 5, None),
            AliasListEntry::builder().alias_name("alias/of-none").build(),
        ]);
        let expected = [("1", "a"), ("2", "team/y")].map(|(key, label)| (key.to_owned(), label.to_owned()));
        assert_eq!(labels, HashMap::from(expected));
    }
}
