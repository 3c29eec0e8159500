//! The endpoint of KMS, and the setting that names the endpoint.
//!
//! "Service-specific endpoints" and "Dual-stack and FIPS endpoints", AWS SDKs and Tools Reference Guide. The SDK
//! follows these rules by itself. This module determines what the SDK will do, for messages and to find settings
//! that contradict each other.

use crate::cloud::aws::settings::Settings;
use crate::cloud::failure::Cause;
use crate::cloud::failure::error_chain::message_of;
use crate::cloud::failure::obstacle::Obstacle;
use crate::cloud::http::endpoint::{is_plaintext_remote, url_without_credentials};
use crate::log_warn;
use aws_config::SdkConfig;
use aws_sdk_kms::config::endpoint::{DefaultResolver, Params, ResolveEndpoint};
use aws_types::service_config::ServiceConfigKey;

/// The endpoint of KMS for one set of settings.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// The URL that is configured. None means that the SDK chooses the endpoint.
    pub(crate) configured: Option<String>,
    /// The URL of the requests: the configured one, or the one that the SDK chooses.
    pub(crate) url: String,
    /// The endpoint in log lines: `AWS KMS at URL`, `AWS KMS in REGION`.
    pub(crate) place: String,
}

impl Endpoint {
    /// Returns the slot's own endpoint, or else the endpoint that the SDK finds in variables and in the shared
    /// files.
    ///
    /// # Errors
    /// Fails with [`Cause::Settings`] if the endpoint contradicts a setting for FIPS or dual-stack endpoints, or if
    /// the region has no endpoint.
    pub(crate) async fn resolve(settings: &Settings, sdk: &SdkConfig) -> Result<Self, Obstacle> {
        let named = match &settings.endpoint_url {
            Some(url) => Some((url.clone(), ENDPOINT_OPTION)),
            None => configured_url(sdk, "KMS").map(|url| (url, setting_name("AWS_ENDPOINT_URL_KMS"))),
        };
        warn_of_unencrypted_sts(named.as_ref().map(|(url, _)| url.as_str()), sdk);
        let Some((url, by)) = named else {
            let url = default_url(sdk).await?;
            return Ok(Self { place: default_place(sdk, &url), url, configured: None });
        };
        let shown = checked(&url, by, sdk)?;
        warn_of_shared_endpoint(settings, by, sdk);
        // Log lines name the slot, so the slot's own option need not be named.
        let place = match by {
            ENDPOINT_OPTION => format!("AWS KMS at {shown}"),
            _ => format!("AWS KMS at {shown} ({by})"),
        };
        Ok(Self { configured: Some(url.clone()), url, place })
    }
}

/// Returns the URL for log lines. Warns if requests go there unencrypted; the warning about the slot's own option comes
/// with the configuration.
///
/// # Errors
/// Fails with [`Cause::Settings`] if the URL contradicts a setting for FIPS or dual-stack endpoints.
pub(crate) fn checked(url: &str, by: &str, sdk: &SdkConfig) -> Result<String, Obstacle> {
    let shown = url_without_credentials(url);
    conflict(&shown, by, sdk).map_or(Ok(()), Err)?;
    if by != ENDPOINT_OPTION && is_plaintext_remote(url) {
        log_warn!("{by}: {shown}: requests to another machine are not encrypted; use https://");
    }
    Ok(shown)
}

const ENDPOINT_OPTION: &str = "option \"aws_endpoint_url\"";

/// Warns if a setting outside of the configuration names one endpoint for the key's region and the regions with replicas.
/// The warning about the slot's own option comes with the configuration.
fn warn_of_shared_endpoint(settings: &Settings, by: &str, sdk: &SdkConfig) {
    let is_primary = settings.region.as_deref() == sdk.region().map(|region| region.as_ref());
    if by != ENDPOINT_OPTION && is_primary && !settings.failover_regions.is_empty() {
        log_warn!(
            "{by} is the endpoint of all regions, so none of \"aws_failover_regions\" can replace another; unset it"
        );
    }
}

/// Warns if requests for credentials go to another machine unencrypted, where everyone on the way can read them.
fn warn_of_unencrypted_sts(kms: Option<&str>, sdk: &SdkConfig) {
    // If the same URL applies to all services, the warning about KMS covers it.
    if let Some(url) = configured_url(sdk, "STS").filter(|url| is_plaintext_remote(url) && Some(&**url) != kms) {
        let (by, shown) = (setting_name("AWS_ENDPOINT_URL_STS"), url_without_credentials(&url));
        log_warn!("{by}: {shown}: requests for credentials to another machine are not encrypted; use https://");
    }
}

/// Returns the URL that the SDK finds for the service in variables and in the shared files.
pub(crate) fn configured_url(sdk: &SdkConfig, service: &'static str) -> Option<String> {
    let key = ServiceConfigKey::builder().service_id(service).env("AWS_ENDPOINT_URL").profile("endpoint_url").build();
    let own = sdk.service_config().zip(key.ok()).and_then(|(config, key)| config.load_config(key));
    own.or_else(|| sdk.endpoint_url().map(str::to_owned))
}

/// Returns the setting that names the endpoint, in the order of the guide.
pub(crate) fn setting_name(service: &'static str) -> &'static str {
    let is_set = |name: &&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    [service, "AWS_ENDPOINT_URL"].into_iter().find(is_set).unwrap_or("shared AWS configuration")
}

/// Returns an obstacle if both an endpoint and FIPS or dual-stack endpoints are configured. The SDK creates the
/// names of FIPS and dual-stack endpoints itself, and a configured endpoint may be anything.
fn conflict(url: &str, by: &str, sdk: &SdkConfig) -> Option<Obstacle> {
    let (flag, option) = match (sdk.use_fips(), sdk.use_dual_stack()) {
        (Some(true), _) => ("use_fips_endpoint", "aws_use_fips_endpoint"),
        (_, Some(true)) => ("use_dualstack_endpoint", "aws_use_dualstack_endpoint"),
        _ => return None,
    };
    let variable = option.to_uppercase();
    Some(Obstacle::permanent(
        Cause::Settings,
        format!(
            "the endpoint {url} ({by}) contradicts {flag} (option \"{option}\", {variable} or the shared AWS configuration); remove one of the two, or set \"{option}\": false in the slot"
        ),
    ))
}

/// Returns the URL that the SDK's own rules select for KMS in the region of `sdk`.
async fn default_url(sdk: &SdkConfig) -> Result<String, Obstacle> {
    let region = sdk.region().map(|region| region.as_ref()).unwrap_or_default();
    let url = kms_url(region, sdk.use_fips() == Some(true), sdk.use_dual_stack() == Some(true)).await;
    url.map_err(|why| {
        Obstacle::permanent(Cause::Settings, format!("no endpoint of AWS KMS in region {region:?}: {why}"))
    })
}

/// Returns the URL that the SDK's own rules select for KMS in a region.
///
/// # Errors
/// The reason why there is none.
pub(crate) async fn kms_url(region: &str, fips: bool, dual: bool) -> Result<String, String> {
    let params = Params::builder().region(region).use_fips(fips).use_dual_stack(dual).build();
    let params = params.map_err(|error| message_of(&error))?;
    let endpoint = DefaultResolver::new().resolve_endpoint(&params).await.map_err(|error| message_of(&*error))?;
    Ok(endpoint.url().to_owned())
}

/// Returns the endpoint that the SDK's own rules select, for log lines: the name of the region, or the URL if it
/// is not the usual one.
fn default_place(sdk: &SdkConfig, url: &str) -> String {
    match sdk.use_fips() == Some(true) || sdk.use_dual_stack() == Some(true) {
        true => format!("AWS KMS at {url}"),
        false => format!("AWS KMS in {}", sdk.region().map(|region| region.as_ref()).unwrap_or_default()),
    }
}
