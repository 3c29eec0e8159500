//! Clients of AWS KMS: one per region, with the SDK's whole chain of credentials.

use super::aws::Settings;
use super::aws_endpoint::Endpoint;
use super::aws_errors::ADVICE;
use super::aws_files::{Trouble, ca_bundle, loaded, warn_of_readers};
use super::aws_http::{FewHeaders, Http};
use super::aws_login::{First, Login, WebIdentity};
use super::call::{Refused, Remedy};
use super::http::PerNetwork;
use super::login::nobody;
use super::obstacle::Obstacle;
use super::{Cause, Failure, Network, program};
use crate::{log_warn, process};
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::profile::{Profile, ProfileFileCredentialsProvider, ProfileSet};
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig, identity::IdentityCache};
use aws_credential_types::Credentials;
use aws_credential_types::provider::{
    self, ProvideCredentials, SharedCredentialsProvider, error::CredentialsError, future,
};
use aws_sdk_kms::Client;
use aws_sdk_kms::config::SharedHttpClient;
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::{OnceCell, Semaphore};
use zeroize::Zeroizing;

/// The clients of one process for one set of settings. Used on the runtime only.
pub(super) struct Clients {
    pub(super) settings: Settings,
    http: Arc<PerNetwork>,
    /// The settings' network, with the authorities that AWS's own settings name.
    network: OnceCell<Network>,
    /// By region: since when, and what. None is the region that the SDK finds.
    made: Mutex<HashMap<Option<String>, Made>>,
    /// How many keys are described at a time.
    pub(super) turns: Semaphore,
    /// What the check of a login has brought, for the first client.
    pub(super) first: First,
}

type Made = (Instant, Arc<OnceCell<Kms>>);

/// A client, and where its requests go.
struct Kms {
    client: Client,
    place: String,
}

#[cfg(any(test, fuzzing))]
impl Clients {
    /// With a client from elsewhere, which is never given up for one of our own.
    pub(super) fn of(settings: Settings, client: Client) -> Self {
        let kms = Kms { client, place: super::aws::place(&settings) };
        let made = (Instant::now() + super::fuzzing::EVER, Arc::new(OnceCell::new_with(Some(kms))));
        let made = Mutex::new(HashMap::from([(settings.region.clone(), made)]));
        Self { made, ..Self::new(settings) }
    }
}

impl Clients {
    pub(super) fn new(settings: Settings) -> Self {
        let (http, turns) = (PerNetwork::shared(), Semaphore::new(64));
        let network = OnceCell::new();
        Self { settings, http, network, made: Mutex::default(), turns, first: First::default() }
    }

    /// The client for a region, made at the first call.
    pub(super) async fn client(&self, operation: &'static str, region: Option<&str>) -> Result<Client, Failure> {
        if self.settings.login.as_ref().is_some_and(Login::is_awaited) {
            return Err(nobody(operation));
        }
        let cell = {
            let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
            made.entry(region.map(str::to_owned)).or_insert_with(|| (Instant::now(), Arc::default())).1.clone()
        };
        // In a box, for every call would carry the 14 KB of its future.
        let client = cell.get_or_try_init(|| Box::pin(self.make(region))).await;
        client.map(|kms| kms.client.clone()).map_err(|obstacle| obstacle.failure(operation))
    }

    /// Where the requests of that region go, as far as it is known.
    pub(super) fn place(&self, region: Option<&str>) -> String {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let known = made.get(&region.map(str::to_owned)).and_then(|(_, cell)| cell.get());
        known.map_or_else(|| super::aws::place(&self.settings), |kms| kms.place.clone())
    }

    /// A failure for want of credentials, with what is wrong with the files that they may stand in.
    pub(super) async fn with_trouble(&self, mut refused: Refused) -> Refused {
        let failure = &mut refused.failure;
        // What a service refuses was found somewhere.
        if failure.cause != Cause::Credentials || failure.request_id.is_some() {
            return refused;
        }
        let own = self.settings.profile.as_ref().filter(|_| self.settings.login.is_none());
        // Other sources are not asked for a profile that is named, and a trouble that is known needs no advice.
        let plain = |message: &str| message.strip_suffix(ADVICE).map(|words| words.trim_end_matches("; ").to_owned());
        if let Some(words) = Trouble::find(&self.settings).await.words() {
            let message = plain(&failure.message).unwrap_or_else(|| failure.message.clone());
            if !message.contains(OF_STS) {
                failure.cause = Cause::Settings;
            }
            // The SDK's words may be known already, or not even name the file that is not there.
            let is_told = message.starts_with(NO_FILE) || words.contains(&message);
            failure.message = if is_told { words } else { format!("{words}; {message}") };
        } else if let (Some(profile), Some(message)) = (own, plain(&failure.message)) {
            failure.message = format!("{message}; correct the profile {profile:?} (option \"aws_profile\")");
        }
        refused
    }

    /// Makes anew, for the next attempt, what an attempt that began at `since` has shown to be of no use any more.
    pub(super) fn renew(&self, refused: &Refused, since: Instant) {
        match (refused.remedy, refused.failure.cause) {
            // The SDK reads a file with temporary credentials only once, and somebody may have written newer ones.
            (Remedy::Renewal, _) => {
                let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
                made.retain(|_, (begun, _)| *begun > since);
            }
            (_, Cause::TimedOut) => {
                self.http.renew(self.network.get().unwrap_or(&self.settings.network), since);
            }
            _ => {}
        }
    }

    /// How AWS is reached: `ca_bundle` of the slot goes before AWS_CA_BUNDLE, and that before the one of the profile.
    async fn network(&self) -> &Network {
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

    async fn make(&self, region: Option<&str>) -> Result<Kms, Obstacle> {
        let (sdk, credentials) = self.credentials(region).await?;
        let Endpoint { url, place } = Endpoint::of(&self.settings, &sdk).await?;
        // `retries` is for the credentials; a call of KMS is repeated by whoever makes it.
        let mut config = aws_sdk_kms::config::Builder::from(&sdk)
            .credentials_provider(credentials)
            .retry_config(RetryConfig::disabled())
            .interceptor(FewHeaders::new());
        // Not in `sdk`: that would send requests to STS there, too.
        config.set_endpoint_url(url);
        Ok(Kms { client: Client::from_conf(config.build()), place })
    }

    /// What the SDK finds out by itself, and where the credentials come from.
    pub(super) async fn credentials(
        &self,
        region: Option<&str>,
    ) -> Result<(SdkConfig, SharedCredentialsProvider), Obstacle> {
        let network = self.network().await;
        let http = SharedHttpClient::new(Http::new(self.http.get(network)?)?);
        // Whoever makes the call ends it, and the HTTP client has its own limits.
        let identities = IdentityCache::lazy().load_timeout(network.call_timeout.saturating_mul(2)).build();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http.clone())
            .identity_cache(identities)
            .retry_config(retries(network))
            .timeout_config(TimeoutConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        match region {
            Some(region) => loader = loader.region(Region::new(region.to_owned())),
            None => warn_of_two_regions(),
        }
        if let Some(profile) = self.settings.profile() {
            loader = loader.profile_name(profile);
        }
        if let Some(is_wanted) = self.settings.use_fips_endpoint {
            loader = loader.use_fips(is_wanted);
        }
        if let Some(is_wanted) = self.settings.use_dualstack_endpoint {
            loader = loader.use_dual_stack(is_wanted);
        }
        // Nothing else is asked for a profile that is named.
        if let Some(words) = Trouble::of_profile(&self.settings).await {
            return Err(Obstacle::lasting(Cause::Settings, words));
        }
        let sdk = loader.load().await;
        if sdk.region().is_none() {
            let trouble = Trouble::find(&self.settings).await.words();
            return Err(trouble.map_or_else(|| NO_REGION.to_owned(), |words| format!("{words}; {NO_REGION}")).into());
        }
        warn_of_readers(&self.settings);
        let credentials = credentials(&self.settings, &sdk, &http).await;
        Ok((sdk, self.first.before(credentials)))
    }
}

/// In the SDK's words for credentials that STS has refused.
const OF_STS: &str = "service error";

const NO_FILE: &str = "No such file or directory";

const NO_REGION: &str = "no region: set it in the slot, by AWS_REGION or in the profile, or name the key by its ARN";

/// The SDK prefers AWS_REGION; aws-kms-pkcs11 preferred the other one.
fn warn_of_two_regions() {
    let region = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    if let (Some(used), Some(ignored)) = (region("AWS_REGION"), region("AWS_DEFAULT_REGION"))
        && used != ignored
    {
        log_warn!("AWS_REGION is {used} and AWS_DEFAULT_REGION is {ignored}: {used} is used");
    }
}

/// The SDK's own first delay of a second is as long as many hosts want to wait for all.
fn retries(network: &Network) -> RetryConfig {
    RetryConfig::standard()
        .with_max_attempts(network.retries.saturating_add(1))
        .with_initial_backoff(Duration::from_millis(200))
}

/// Those of a login with a web identity token; else the SDK's chain, with credential_process by us; a profile that is named goes before the environment; then the role.
async fn credentials(settings: &Settings, sdk: &SdkConfig, http: &SharedHttpClient) -> SharedCredentialsProvider {
    if let Some(identity) = WebIdentity::of(settings, sdk) {
        return SharedCredentialsProvider::new(identity);
    }
    let process = CredentialProcess {
        profile: settings.profile().map(str::to_owned),
        sdk: sdk.clone(),
        limit: settings.network.call_timeout.mul_f64(0.75),
    };
    let chain = CredentialsProviderChain::first_try("CredentialProcess", process);
    let base = match (settings.profile(), sdk.credentials_provider()) {
        (None, Some(default)) => chain.or_else("Default", default),
        (profile, _) => {
            let config = ProviderConfig::without_region()
                .with_region(sdk.region().cloned())
                .with_http_client(http.clone())
                .with_use_fips(sdk.use_fips())
                .with_use_dual_stack(sdk.use_dual_stack());
            let mut file = ProfileFileCredentialsProvider::builder().configure(&config);
            if let Some(profile) = profile {
                file = file.profile_name(profile);
            }
            chain.or_else("Profile", file.build())
        }
    };
    match &settings.role_arn {
        None => SharedCredentialsProvider::new(base),
        Some(role) => {
            let role = Role { arn: role.clone(), external_id: settings.external_id.clone(), session: None };
            SharedCredentialsProvider::new(role.assumed_by(sdk, base).await)
        }
    }
}

struct Role {
    arn: String,
    external_id: Option<String>,
    session: Option<String>,
}

impl Role {
    async fn assumed_by(self, sdk: &SdkConfig, base: impl ProvideCredentials + 'static) -> AssumeRoleProvider {
        let session = self.session.unwrap_or_else(|| "cloud-kms-pkcs11".to_owned());
        let mut builder = AssumeRoleProvider::builder(self.arn).session_name(session).configure(sdk);
        if let Some(id) = self.external_id {
            builder = builder.external_id(id);
        }
        builder.build_from_provider(base).await
    }
}

/// The `credential_process` of the profile, or of the profile at the end of its chain of roles.
///
/// The SDK's own provider would start the program with all signals blocked, as they are in our threads.
#[derive(Debug)]
struct CredentialProcess {
    profile: Option<String>,
    sdk: SdkConfig,
    /// Less than that of the call, so that the failure can say what it was that took so long.
    limit: Duration,
}

impl ProvideCredentials for CredentialProcess {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.credentials())
    }
}

impl CredentialProcess {
    async fn credentials(&self) -> provider::Result {
        if self.profile.is_none() && std::env::var_os("AWS_ACCESS_KEY_ID").is_some() {
            return Err(CredentialsError::not_loaded("the environment goes first"));
        }
        let profiles = loaded(self.profile.as_deref()).await;
        let profiles = profiles.map_err(CredentialsError::invalid_configuration)?;
        let Some((command, roles)) = command_of(&profiles) else {
            return Err(CredentialsError::not_loaded("the profile has no credential_process"));
        };
        let mut provider = SharedCredentialsProvider::new(run(&command, self.limit).await?);
        for role in roles {
            provider = SharedCredentialsProvider::new(role.assumed_by(&self.sdk, provider).await);
        }
        provider.provide_credentials().await
    }
}

/// What a profile uses before a credential_process (in the SDK's order).
const STRONGER: [&str; 4] = ["credential_source", "web_identity_token_file", "sso_account_id", "login_session"];

/// The command at the end of the selected profile's chain, and the roles to assume with its credentials, in order.
fn command_of(profiles: &ProfileSet) -> Option<(String, Vec<Role>)> {
    let mut profile = profiles.get_profile(profiles.selected_profile())?;
    let mut roles = Vec::new();
    while let Some(arn) = profile.get("role_arn") {
        let own = |profile: &Profile, name| profile.get(name).map(str::to_owned);
        roles.push(Role {
            arn: arn.to_owned(),
            external_id: own(profile, "external_id"),
            session: own(profile, "role_session_name"),
        });
        let source = profile.get("source_profile")?;
        let next = profiles.get_profile(source)?;
        // A profile that is its own source means its own keys; longer loops are an error that the SDK tells.
        if next.name() == profile.name() || roles.len() > 10 || next.get("aws_access_key_id").is_some() {
            return None;
        }
        profile = next;
    }
    if STRONGER.iter().any(|name| profile.get(name).is_some()) {
        return None;
    }
    roles.reverse();
    Some((profile.get("credential_process")?.to_owned(), roles))
}

async fn run(command: &str, limit: Duration) -> provider::Result {
    let mut shell = process::command("/bin/sh");
    shell.args(["-c", command]);
    let failed = |what: String| CredentialsError::provider_error(format!("credential_process: {what}"));
    let output = program::run(shell, limit).await.map_err(|error| match Obstacle::of_this_machine(&error) {
        Some(obstacle) => CredentialsError::provider_error(obstacle),
        None => failed(error.to_string()),
    })?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        return Err(failed(format!("{}: {}", output.status, words.trim())));
    }
    credentials_in(&Zeroizing::new(output.stdout)).map_err(failed)
}

/// What the program has printed. Nothing of it stands in an error: any text in it may be part of a secret.
pub(super) fn credentials_in(output: &[u8]) -> Result<Credentials, String> {
    let reply: ProcessReply =
        serde_json::from_slice(output).map_err(|e| format!("its output, line {}, makes no sense", e.line()))?;
    reply.credentials()
}

/// "Sourcing credentials with an external process", AWS SDKs and Tools Reference Guide.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ProcessReply {
    version: u32,
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
    expiration: Option<String>,
}

impl ProcessReply {
    fn credentials(self) -> Result<Credentials, String> {
        if self.version != 1 {
            return Err(format!("its output is of Version {}, not 1", self.version));
        }
        let expiry = self.expiration.map(|text| time(&text).ok_or("the Expiration in its output is no time"));
        let expiry = expiry.transpose()?;
        Ok(Credentials::new(
            self.access_key_id,
            self.secret_access_key,
            self.session_token,
            expiry,
            "CredentialProcess",
        ))
    }
}

fn time(text: &str) -> Option<SystemTime> {
    use aws_sdk_kms::primitives::{DateTime, DateTimeFormat};
    DateTime::from_str(text, DateTimeFormat::DateTimeWithOffset).ok()?.try_into().ok()
}
