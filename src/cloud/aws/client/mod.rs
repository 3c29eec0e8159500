//! Clients of AWS KMS: one for each region, with the SDK's whole chain of credentials.

mod configuration;
pub(crate) mod endpoint;
mod region;

use crate::cloud::aws::credentials::LoginCredentials;
use crate::cloud::aws::credentials::shared_files::{FileProblems, ca_bundle};
use crate::cloud::aws::errors::CREDENTIALS_ADVICE;
use crate::cloud::aws::operations::{GET_PUBLIC_KEY, Operation};
use crate::cloud::aws::request::ServiceClock;
use crate::cloud::aws::settings::{CLOUD, Login, Settings, service_description};
use crate::cloud::failure::obstacle::Obstacle;
use crate::cloud::failure::refused::{FailedAttempt, RetryPolicy};
use crate::cloud::failure::{Cause, Failure};
use crate::cloud::http::ClientPool;
use crate::cloud::http::network::Network;
use crate::cloud::login::not_logged_in;
use crate::cloud::retry::failover::Failover;
use crate::cloud::retry::{Call, TimeLimit};
use aws_config::SdkConfig;
use aws_credential_types::provider::SharedCredentialsProvider;
use endpoint::Endpoint;
pub(crate) use region::RegionClient;
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::sync::{OnceCell, Semaphore};

/// The clients of one process for one set of settings. They are used on the runtime only.
pub(crate) struct Clients {
    pub(crate) settings: Settings,
    http: Arc<ClientPool>,
    /// The settings' network, with the certificate authorities that AWS's own settings name.
    network: OnceCell<Network>,
    /// The clients by region, each with its creation time. None stands for the region that the SDK finds.
    clients: Mutex<HashMap<Option<String>, ClientCell>>,
    /// Limits how many requests that load keys (GetPublicKey) run at the same time.
    pub(crate) load_permits: Semaphore,
    /// The credentials that the check of a login obtained, for the first client.
    pub(crate) login_credentials: LoginCredentials,
    /// None if the settings name no other regions.
    pub(crate) failover: Option<Failover>,
    /// The clock of the signatures of requests.
    pub(crate) clock: ServiceClock,
}

type ClientCell = (Instant, Arc<OnceCell<Arc<RegionClient>>>);

#[cfg(any(test, fuzzing))]
const NEVER_REPLACED: std::time::Duration = std::time::Duration::from_secs(1_000_000_000);

#[cfg(any(test, fuzzing))]
impl Clients {
    /// Creates clients with a configuration from elsewhere, which contains the HTTP client. They are never replaced.
    pub(crate) fn with_configuration(
        settings: Settings,
        config: SdkConfig,
        credentials: SharedCredentialsProvider,
    ) -> Result<Self, Obstacle> {
        let url = "https://kms.example".to_owned();
        let endpoint = Endpoint { configured: Some(url.clone()), url, place: service_description(&settings) };
        let clients = Self::new(settings);
        let kms = Arc::new(RegionClient::new(&endpoint, config, credentials, clients.clock.clone())?);
        let made = (Instant::now() + NEVER_REPLACED, Arc::new(OnceCell::new_with(Some(kms))));
        let made = Mutex::new(HashMap::from([(clients.settings.region.clone(), made)]));
        Ok(Self { clients: made, ..clients })
    }
}

impl Clients {
    /// Creates the clients without a request. The SDK's clients are created at their first use.
    pub(crate) fn new(settings: Settings) -> Self {
        let (http, turns) = (ClientPool::shared(), Semaphore::new(64));
        let network = OnceCell::new();
        let has_replicas = !settings.failover_regions.is_empty();
        Self {
            failover: has_replicas.then(|| Failover::new(settings.network.call_timeout)),
            settings,
            http,
            network,
            clients: Mutex::default(),
            load_permits: turns,
            login_credentials: LoginCredentials::default(),
            clock: ServiceClock::default(),
        }
    }

    /// Returns the client for a region. The client is created at the first call.
    ///
    /// # Errors
    /// Fails with [`Cause::Credentials`] before the login that the settings require, and with the obstacle that
    /// prevents the creation of the client.
    pub(crate) async fn client(
        &self,
        operation: &'static str,
        region: Option<&str>,
    ) -> Result<Arc<RegionClient>, Failure> {
        self.check_login(operation)?;
        let cell = self.cell(region);
        // Boxed: otherwise the future of every call would contain the 14 KB of this future.
        let client = cell.get_or_try_init(|| Box::pin(self.create_connecting_client(region))).await;
        client.cloned().map_err(|obstacle| obstacle.failure(operation))
    }

    /// Returns what another service of AWS in a region needs for its requests: the configuration that the SDK finds,
    /// and the credentials of the region's KMS client.
    ///
    /// # Errors
    /// As [`Self::client`].
    pub(crate) async fn shared_configuration(
        &self,
        operation: &'static str,
        region: &str,
    ) -> Result<(SdkConfig, SharedCredentialsProvider), Failure> {
        self.check_login(operation)?;
        let cell = self.cell(Some(region));
        let create = async || Ok(Arc::new(self.create_client(Some(region)).await?.0));
        let client = cell.get_or_try_init(|| Box::pin(create())).await;
        let client = client.map_err(|obstacle: Obstacle| obstacle.failure(operation))?;
        Ok((client.config.clone(), client.credentials.clone()))
    }

    fn check_login(&self, operation: &'static str) -> Result<(), Failure> {
        match self.settings.login.as_ref().is_some_and(Login::is_pin_missing) {
            true => Err(not_logged_in(operation)),
            false => Ok(()),
        }
    }

    fn cell(&self, region: Option<&str>) -> Arc<OnceCell<Arc<RegionClient>>> {
        let mut made = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        made.entry(region.map(str::to_owned)).or_insert_with(|| (Instant::now(), Arc::default())).1.clone()
    }

    /// Returns the endpoint of the requests to that region, for log lines, as far as the endpoint is known.
    pub(crate) fn place(&self, region: Option<&str>) -> String {
        let made = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let known = made.get(&region.map(str::to_owned)).and_then(|(_, cell)| cell.get());
        known.map_or_else(|| service_description(&self.settings), |kms| kms.place.clone())
    }

    /// Adds to a failure caused by missing credentials what is wrong with the files that may contain the
    /// credentials.
    pub(crate) async fn explain_missing_credentials(&self, mut refused: FailedAttempt) -> FailedAttempt {
        let failure = &mut refused.failure;
        // A request id shows that the service received credentials, so the SDK had found some.
        if failure.cause != Cause::Credentials || failure.request_id.is_some() {
            return refused;
        }
        let configured_profile = self.settings.profile.as_ref().filter(|_| self.settings.login.is_none());
        // The general advice is removed in two cases: a configured profile excludes all other sources, and a known
        // problem needs no advice.
        let without_advice = |message: &str| {
            message.strip_suffix(CREDENTIALS_ADVICE).map(|words| words.trim_end_matches("; ").to_owned())
        };
        if let Some(words) = FileProblems::examine(&self.settings).await.message() {
            let message = without_advice(&failure.message).unwrap_or_else(|| failure.message.clone());
            if !message.contains(STS_REFUSAL) {
                failure.cause = Cause::Settings;
            }
            // The SDK's message may repeat a known problem, or report a missing file without its name.
            let is_redundant = message.starts_with(FILE_NOT_FOUND) || words.contains(&message);
            failure.message = if is_redundant { words } else { format!("{words}; {message}") };
        } else if let (Some(profile), Some(message)) = (configured_profile, without_advice(&failure.message)) {
            failure.message = format!("{message}; correct the profile {profile:?} (option \"aws_profile\")");
        }
        refused
    }

    /// Discards what an attempt that began at `since` has shown to be unusable, so that the next attempt creates
    /// it again.
    pub(crate) fn discard_stale(&self, refused: &FailedAttempt, since: Instant) {
        match (refused.remedy, refused.failure.cause) {
            // The SDK reads a file with temporary credentials only once. The file may contain newer credentials by
            // now.
            (RetryPolicy::OnceWithNewCredentials, _) => {
                let mut made = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
                made.retain(|_, (begun, _)| *begun > since);
            }
            (_, Cause::TimedOut) => {
                self.http.renew(self.network.get().unwrap_or(&self.settings.network), since);
            }
            _ => {}
        }
    }

    /// Returns the network settings for AWS. The slot's `ca_bundle` takes precedence over AWS_CA_BUNDLE, and
    /// AWS_CA_BUNDLE takes precedence over the `ca_bundle` of the profile.
    pub(crate) async fn network(&self) -> &Network {
        let own = async || {
            let mut network = self.settings.network.clone();
            if network.ca_bundle.is_none()
                && let Some((path, named_by)) = ca_bundle(self.settings.profile()).await
            {
                (network.ca_bundle, network.ca_bundle_named_by) = (Some(path), named_by);
            }
            network
        };
        self.network.get_or_init(own).await
    }

    /// Calls the service, with retries. Requests that load keys (GetPublicKey) wait for their turn; all others,
    /// such as signatures, start at once.
    pub(crate) async fn call<T, F>(
        &self,
        operation: &'static Operation,
        key: &str,
        request: impl Fn(Arc<RegionClient>) -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, FailedAttempt>>,
    {
        let region = self.settings.region.clone().or_else(|| region_of_arn(key));
        let (turns, limit) = (self.turns(operation), TimeLimit::Option);
        self.call_region(operation, key, region.as_deref(), (&self.settings.network, limit), turns, request).await
    }

    /// Returns where a call waits for its turn, if it has to.
    pub(crate) fn turns(&self, operation: &Operation) -> Option<&Semaphore> {
        (operation.name == GET_PUBLIC_KEY.name).then_some(&self.load_permits)
    }

    /// Calls the service in a region, within the time limits of the network settings.
    pub(crate) async fn call_region<T, F>(
        &self,
        operation: &'static Operation,
        key: &str,
        region: Option<&str>,
        (network, time_limit): (&Network, TimeLimit),
        concurrency_limit: Option<&Semaphore>,
        request: impl Fn(Arc<RegionClient>) -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, FailedAttempt>>,
    {
        let asked = CallDescription { operation: operation.name, key, clients: self, region };
        let call = Call { time_limit, concurrency_limit, ..Call::new(CLOUD, operation.name, &asked, network) };
        let attempt = async || {
            let answer = request(self.client(operation.name, region).await?).await;
            match answer {
                Ok(answer) => Ok(answer),
                // Boxed: otherwise the future of every call would contain this future, which is rarely used.
                Err(refused) => Err(self.mask_pin(Box::pin(self.explain_missing_credentials(refused)).await)),
            }
        };
        call.run(attempt, |refused, since| self.discard_stale(refused, since)).await
    }

    /// Creates the client for a request to KMS. While the request waits for its credentials, the connection is opened.
    async fn create_connecting_client(&self, region: Option<&str>) -> Result<Arc<RegionClient>, Obstacle> {
        let (client, endpoint) = self.create_client(region).await?;
        if let Ok(url) = endpoint.url.parse() {
            self.http.get(self.network().await)?.connect_ahead(url);
        }
        Ok(Arc::new(client))
    }

    async fn create_client(&self, region: Option<&str>) -> Result<(RegionClient, Endpoint), Obstacle> {
        let (config, credentials) = self.credentials(region).await?;
        let endpoint = Endpoint::resolve(&self.settings, &config).await?;
        let client = RegionClient::new(&endpoint, config, credentials, self.clock.clone())?;
        Ok((client, endpoint))
    }

    /// Returns the configuration that the SDK finds by itself, and the provider of the credentials.
    ///
    /// # Errors
    /// Fails with [`Cause::Settings`] if the shared files lack the slot's profile or if no region is configured.
    pub(crate) async fn credentials(
        &self,
        region: Option<&str>,
    ) -> Result<(SdkConfig, SharedCredentialsProvider), Obstacle> {
        let network = self.network().await;
        let (sdk, credentials) = configuration::load(&self.settings, network, self.http.get(network)?, region).await?;
        Ok((sdk, self.login_credentials.followed_by(credentials)))
    }
}

/// Part of the SDK's message if STS refused to issue credentials.
const STS_REFUSAL: &str = "service error";

const FILE_NOT_FOUND: &str = "No such file or directory";

/// The operation, the key and the endpoint of a call, for the log.
struct CallDescription<'a> {
    operation: &'static str,
    key: &'a str,
    clients: &'a Clients,
    region: Option<&'a str>,
}

impl fmt::Display for CallDescription<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.clients.place(self.region);
        write!(f, "{} {} at {place}", self.operation, self.key)?;
        // An endpoint that serves several regions does not name the region.
        match self.region.filter(|region| self.clients.failover.is_some() && !place.contains(region)) {
            Some(region) => write!(f, ", region {region}"),
            None => Ok(()),
        }
    }
}

/// Returns the region of an ARN, which is field 4 of `arn:aws:kms:eu-central-1:111122223333:key/...`. Returns None for
/// other names, and for ARNs without a region.
pub(crate) fn region_of_arn(id: &str) -> Option<String> {
    let fields: Vec<&str> = id.split(':').collect();
    match fields[..] {
        ["arn", _, _, region, _, ..] if !region.is_empty() => Some(region.to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_names_its_region() {
        for (id, region) in [
            ("arn:aws:kms:eu-central-1:111122223333:key/mrk-1", Some("eu-central-1")),
            ("arn:aws-cn:kms:cn-north-1:111122223333:alias/a", Some("cn-north-1")),
            ("arn:aws:acm:eu-west-1:111122223333:certificate/c", Some("eu-west-1")),
            ("arn:aws:iam::111122223333:role/r", None),
            ("arn:aws:kms::111122223333:key/x", None),
            ("alias/a", None),
        ] {
            assert_eq!(region_of_arn(id).as_deref(), region, "{id}");
        }
    }
}
