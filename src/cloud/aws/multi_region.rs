//! Multi-Region keys: calls that a replica of the key in another region answers if the key's own region fails.
//!
//! "Multi-Region keys in AWS KMS", AWS KMS Developer Guide: the replicas have the same key id and key material, and
//! their ARNs differ in the region only.

use super::client::{Clients, RegionClient, region_of_arn};
use super::operations::Operation;
use crate::cloud::failure::Failure;
use crate::cloud::failure::refused::FailedAttempt;
use crate::cloud::http::network::Network;
use crate::cloud::retry::failover::Failover;
use crate::cloud::retry::{TimeLimit, attempts_limit};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

impl Clients {
    /// Calls the service with a key. `request` gets the id of the key. If the region of a multi-Region key fails,
    /// a replica answers.
    pub(crate) async fn call_with_key<T, F>(
        &self,
        operation: &'static Operation,
        key: &str,
        id: &str,
        request: impl Fn(Arc<RegionClient>, String) -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, FailedAttempt>>,
    {
        match &self.failover {
            // Boxed: otherwise the future of every call would contain this future, which is rarely used.
            Some(failover) => Box::pin(self.call_replicas(failover, operation, key, id, request)).await,
            None => self.call(operation, key, |client| request(client, id.to_owned())).await,
        }
    }

    async fn call_replicas<T, F>(
        &self,
        failover: &Failover,
        operation: &'static Operation,
        key: &str,
        id: &str,
        request: impl Fn(Arc<RegionClient>, String) -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, FailedAttempt>>,
    {
        let primary = self.settings.region.clone().or_else(|| region_of_arn(key));
        let Some(primary) = primary.filter(|_| is_multi_region(id)) else {
            return self.call(operation, key, |client| request(client, id.to_owned())).await;
        };
        let others = self.settings.failover_regions.iter().filter(|region| **region != primary).cloned();
        let regions: Vec<_> = std::iter::once(primary.clone()).chain(others).collect();
        // One turn for all regions: the time of the whole call counts from it.
        let _turn = match self.turns(operation) {
            Some(turns) => turns.acquire().await.ok(),
            None => None,
        };
        let (request, network) = (&request, &self.settings.network);
        let call = async |region: String, call_timeout: Duration| {
            let (network, id) = (Network { call_timeout, ..network.clone() }, in_region(id, &region));
            let request = |client| request(client, id.clone());
            let limits = (&network, TimeLimit::ShareOfRegion);
            self.call_region(operation, &id, Some(&region), limits, None, request).await
        };
        failover.run(&regions, attempts_limit(network.call_timeout), call).await
    }

    /// Returns the ARN of a multi-Region key in its own region, for the ARN in the reply of any region. Other ARNs
    /// stay as they are.
    pub(crate) fn primary_arn(&self, key: &str, arn: String) -> String {
        if self.failover.is_none() || !is_multi_region(key) {
            return arn;
        }
        let primary = self.settings.region.clone().or_else(|| region_of_arn(key));
        primary.map_or(arn.clone(), |primary| in_region(&arn, &primary))
    }
}

/// Returns whether the id or ARN is that of a multi-Region key. Its replicas have the same id.
pub(crate) fn is_multi_region(id: &str) -> bool {
    id.strip_prefix("arn:")
        .map_or(Some(id), |arn| arn.split_once(":key/").map(|(_, id)| id))
        .is_some_and(|id| id.starts_with("mrk-"))
}

/// Returns the ARN of the replica in that region. An id without a region stays as it is.
pub(crate) fn in_region(id: &str, region: &str) -> String {
    let own = region_of_arn(id).map(|own| format!(":kms:{own}:"));
    own.map_or_else(|| id.to_owned(), |own| id.replacen(&own, &format!(":kms:{region}:"), 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_replica_of_a_multi_region_key_differs_in_its_region_only() {
        for (id, replica) in [
            ("arn:aws:kms:eu-central-1:111122223333:key/mrk-1", "arn:aws:kms:eu-west-1:111122223333:key/mrk-1"),
            ("arn:aws-cn:kms:kms:111122223333:key/mrk-kms", "arn:aws-cn:kms:eu-west-1:111122223333:key/mrk-kms"),
            ("mrk-1", "mrk-1"),
        ] {
            assert!(is_multi_region(id), "{id}");
            assert_eq!(in_region(id, "eu-west-1"), replica);
        }
        for id in
            ["alias/mrk-1", "arn:aws:kms:eu-central-1:111122223333:alias/mrk-1", "1234abcd", "arn:aws:kms:r:1:key/1"]
        {
            assert!(!is_multi_region(id), "{id}");
        }
    }
}
