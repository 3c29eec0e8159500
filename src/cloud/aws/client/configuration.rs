//! The configuration of the SDK for one region, with the SDK's whole chain of credentials.

use crate::cloud::aws::connector::SdkHttpClient;
use crate::cloud::aws::credentials;
use crate::cloud::aws::credentials::shared_files::{FileProblems, warn_if_readable_by_others};
use crate::cloud::aws::settings::Settings;
use crate::cloud::failure::Cause;
use crate::cloud::failure::obstacle::Obstacle;
use crate::cloud::http::ServiceClient;
use crate::cloud::http::network::Network;
use crate::log_warn;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig, identity::IdentityCache};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_kms::config::SharedHttpClient;
use std::sync::Arc;
use std::time::Duration;

/// Returns the configuration that the SDK finds by itself, and the provider of the credentials.
///
/// # Errors
/// Fails with [`Cause::Settings`] if the shared files lack the slot's profile or if no region is configured.
pub(super) async fn load(
    settings: &Settings,
    network: &Network,
    connections: Arc<ServiceClient>,
    region: Option<&str>,
) -> Result<(SdkConfig, SharedCredentialsProvider), Obstacle> {
    let http = SharedHttpClient::new(SdkHttpClient::new(connections)?);
    // The SDK's own time limits never end a call: the module ends it at its deadline, and the HTTP client has
    // limits of its own.
    let identities = IdentityCache::lazy().load_timeout(network.call_timeout.saturating_mul(2)).build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http.clone())
        .identity_cache(identities)
        .retry_config(credential_retry_policy(network))
        .timeout_config(TimeoutConfig::disabled())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    match region {
        Some(region) => loader = loader.region(Region::new(region.to_owned())),
        None => warn_of_conflicting_regions(),
    }
    if let Some(profile) = settings.profile() {
        loader = loader.profile_name(profile);
    }
    if let Some(is_wanted) = settings.use_fips_endpoint {
        loader = loader.use_fips(is_wanted);
    }
    if let Some(is_wanted) = settings.use_dualstack_endpoint {
        loader = loader.use_dual_stack(is_wanted);
    }
    // A configured profile is the only source of credentials, so nothing can replace a missing profile.
    if let Some(words) = FileProblems::missing_profile(settings).await {
        return Err(Obstacle::permanent(Cause::Settings, words));
    }
    let sdk = loader.load().await;
    if sdk.region().is_none() {
        let trouble = FileProblems::examine(settings).await.message();
        return Err(trouble.map_or_else(|| NO_REGION.to_owned(), |words| format!("{words}; {NO_REGION}")).into());
    }
    warn_if_readable_by_others(settings);
    let credentials = credentials::credentials(settings, &sdk, &http).await;
    Ok((sdk, credentials))
}

const NO_REGION: &str = "the region is missing; set \"aws_region\" in the slot, AWS_REGION or the profile's region, or name the key by its ARN";

/// Warns if AWS_REGION and AWS_DEFAULT_REGION differ. The SDK prefers AWS_REGION; aws-kms-pkcs11 preferred
/// AWS_DEFAULT_REGION.
fn warn_of_conflicting_regions() {
    let region = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    if let (Some(used), Some(ignored)) = (region("AWS_REGION"), region("AWS_DEFAULT_REGION"))
        && used != ignored
    {
        log_warn!(
            "AWS_REGION is {used}, but AWS_DEFAULT_REGION is {ignored}; the module uses AWS_REGION; unset one of the two"
        );
    }
}

/// Returns the retry policy of requests for credentials. The SDK's default for the first delay, one second, is as
/// long as many host programs want to wait for the whole call.
fn credential_retry_policy(network: &Network) -> RetryConfig {
    RetryConfig::standard()
        .with_max_attempts(network.retries.saturating_add(1))
        .with_initial_backoff(Duration::from_millis(200))
}
