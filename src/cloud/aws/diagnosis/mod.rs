//! Why keys of AWS KMS do or do not work: a [`Diagnosis`].

mod dry_run;
mod identity;

use super::Aws;
use super::client::endpoint::Endpoint;
use super::client::{Clients, region_of_arn};
use super::errors::refusal;
use super::keys::facts;
use super::multi_region::{in_region, is_multi_region};
use super::operations::{GET_CALLER_IDENTITY, GET_PUBLIC_KEY, SIGN};
use super::settings::{CLOUD, Settings};
use crate::cloud::diagnosis::connection::Connection;
use crate::cloud::diagnosis::{Diagnosis, Principal, Replica};
use crate::cloud::failure::refused::{FailedAttempt, RetryPolicy};
use crate::cloud::failure::{Cause, Failure};
use crate::cloud::http::ClientPool;
use crate::cloud::key::{KeyDescription, KeyName, KeyRequest, Target};
use crate::cloud::login::LoginState;
use crate::cloud::retry::{Call, TimeLimit};
use crate::cloud::runtime;
use crate::cloud::runtime::Pending;
use crate::key::Scheme;
use futures_util::future::join_all;
use std::sync::Arc;

impl Settings {
    /// Returns a backend with these settings that can also tell why its keys do or do not work. Sends no request.
    pub fn diagnosis(&self) -> Arc<dyn Diagnosis> {
        Arc::new(Aws(LoginState::new(self.clone())))
    }
}

impl Diagnosis for Aws {
    fn connect(&self, keys: &[KeyName]) -> Pending<Vec<Connection>> {
        let (clients, pool) = (self.clients(), ClientPool::shared());
        let regions = regions(&clients.settings, keys);
        runtime::spawn("Connect", move || async move {
            let mut urls = Vec::new();
            for region in regions {
                let failed = |obstacle: crate::cloud::failure::obstacle::Obstacle| obstacle.failure("Connect");
                let (sdk, _) = Box::pin(clients.credentials(region.as_deref())).await.map_err(failed)?;
                let url = Endpoint::resolve(&clients.settings, &sdk).await.map_err(failed)?.url;
                if !urls.contains(&url) {
                    urls.push(url);
                }
            }
            let network = clients.network().await;
            Ok(join_all(urls.iter().map(|url| Connection::open(&pool, network, url))).await)
        })
    }

    fn principal(&self, keys: &[KeyName]) -> Pending<Principal> {
        let clients = self.clients();
        let region = regions(&clients.settings, keys).into_iter().next().flatten();
        runtime::spawn(GET_CALLER_IDENTITY.name, move || async move {
            let call = Call::new(CLOUD, GET_CALLER_IDENTITY.name, &"the credentials", &clients.settings.network);
            // The requests for credentials have retries of their own.
            let attempt = async || {
                let answer = identity::principal(&clients, region.as_deref()).await;
                answer.map_err(|failure| FailedAttempt { remedy: RetryPolicy::Never, ..failure.into() })
            };
            call.run(attempt, |_, _| {}).await
        })
    }

    fn permission(&self, target: Target, scheme: Scheme, data: &[u8]) -> Option<Pending<()>> {
        let (clients, order) = (self.clients(), KeyRequest::new(target, scheme, data));
        Some(runtime::spawn(SIGN.name, move || async move { clients.dry_run(&order).await }))
    }

    fn replicas(&self, key: &KeyName, description: &KeyDescription) -> Vec<Replica> {
        let clients = self.clients();
        let id = description.immutable_id.as_deref().unwrap_or(&key.id).to_owned();
        let own = clients.settings.region.clone().or_else(|| region_of_arn(&id));
        let others = clients.settings.failover_regions.iter().filter(|region| Some(*region) != own.as_ref());
        let replica = |region: &String| Replica {
            region: region.clone(),
            command: format!(
                "aws kms replicate-key --key-id {id} --replica-region {region}{}",
                region_argument(own.as_deref())
            ),
            description: match is_multi_region(&id) {
                true => describe_replica(clients.clone(), in_region(&id, region), region.clone()),
                false => Pending::ready(Err(GET_PUBLIC_KEY.failure(Cause::NotFound, NO_REPLICAS))),
            },
        };
        others.map(replica).collect()
    }

    fn remedy(&self, key: &KeyName, failure: &Failure) -> Option<String> {
        let region = self.0.settings.region.clone().or_else(|| region_of_arn(&key.id));
        let rest = format!("--key-id {}{}", key.id, region_argument(region.as_deref()));
        let says = |words: &str| failure.message.contains(words);
        match failure.cause {
            Cause::Disabled if says("pending deletion") || says("PendingDeletion") => {
                Some(format!("run `aws kms cancel-key-deletion {rest}`, then `aws kms enable-key {rest}`"))
            }
            Cause::Disabled if says("is disabled") || says("Disabled") => {
                Some(format!("run `aws kms enable-key {rest}`"))
            }
            Cause::Disabled => Some(format!("see `aws kms describe-key {rest}` for the key's state")),
            Cause::NotFound => Some(format!(
                "correct the name, the region or the account; `aws kms list-aliases{}` lists the aliases",
                region_argument(region.as_deref())
            )),
            _ => None,
        }
    }

    fn credential_remedy(&self, failure: &Failure) -> Option<&'static str> {
        REMEDIES.iter().find(|(words, _)| failure.message.contains(words)).map(|(_, remedy)| *remedy)
    }
}

/// Error codes and words of messages, and what to do. "Common Errors" of the AWS Security Token Service API Reference.
#[rustfmt::skip]
const REMEDIES: &[(&str, &str)] = &[
    ("InvalidClientTokenId", "correct the access key id; the key may be deleted or inactive (`aws iam list-access-keys`)"),
    ("UnrecognizedClientException", "correct the access key id; the key may be deleted or inactive (`aws iam list-access-keys`)"),
    ("SignatureDoesNotMatch", "correct the secret access key, and set the clock of this machine"),
    ("InvalidSignatureException", "correct the secret access key, and set the clock of this machine"),
    ("was not found in the shared AWS files", "correct the name, or add the profile (`aws configure --profile NAME`)"),
    ("ExpiredToken", "get new temporary credentials: sign in again, or renew the session token"),
];

/// The words that explain why no other region can replace the key's own.
const NO_REPLICAS: &str = "the key is not a multi-Region key, so no other region can replace its own; create a multi-Region key, \
     or remove \"aws_failover_regions\"";

fn region_argument(region: Option<&str>) -> String {
    region.map(|region| format!(" --region {region}")).unwrap_or_default()
}

/// Returns the regions of the keys, each once, and the regions of their replicas. `None` stands for the region that the SDK
/// finds.
fn regions(settings: &Settings, keys: &[KeyName]) -> Vec<Option<String>> {
    let own = |key: &KeyName| settings.region.clone().or_else(|| region_of_arn(&key.id));
    let mut regions: Vec<_> = keys.iter().map(own).collect();
    if regions.is_empty() {
        regions.push(settings.region.clone());
    }
    regions.extend(settings.failover_regions.iter().cloned().map(Some));
    let mut seen = Vec::new();
    for region in regions {
        if !seen.contains(&region) {
            seen.push(region);
        }
    }
    seen
}

fn describe_replica(clients: Arc<Clients>, id: String, region: String) -> Pending<KeyDescription> {
    runtime::spawn(GET_PUBLIC_KEY.name, move || async move {
        let limits = (clients.network().await, TimeLimit::Option);
        let request = |client: Arc<super::client::RegionClient>| {
            let request = client.sdk.get_public_key().key_id(&id);
            async move { Ok(facts(request.send().await.map_err(|e| refusal(&GET_PUBLIC_KEY, e))?)?) }
        };
        clients.call_region(&GET_PUBLIC_KEY, &id, Some(&region), limits, None, request).await
    })
}
