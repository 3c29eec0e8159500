//! Where requests to KMS go, and who says so.
//!
//! "Service-specific endpoints" and "Dual-stack and FIPS endpoints", AWS SDKs and Tools Reference Guide. The SDK follows
//! them by itself; this finds out what it will do, for messages and for what contradicts each other.

use super::settings::Settings;
use crate::cloud::failure::Cause;
use crate::cloud::failure::obstacle::Obstacle;
use crate::cloud::http::endpoint::{is_open_endpoint, shown_url};
use crate::log_warn;
use aws_config::SdkConfig;
use aws_sdk_kms::config::endpoint::{DefaultResolver, Params, ResolveEndpoint};
use aws_types::service_config::ServiceConfigKey;

/// See the head of the file.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// The one that is configured.
    pub(crate) url: Option<String>,
    /// For log lines: `AWS KMS at URL`, `AWS KMS in REGION`.
    pub(crate) place: String,
}

impl Endpoint {
    /// The slot's own endpoint, else what the SDK has found in variables and in the shared files.
    pub(crate) async fn of(settings: &Settings, sdk: &SdkConfig) -> Result<Self, Obstacle> {
        let named = match &settings.endpoint_url {
            Some(url) => Some((url.clone(), OPTION)),
            None => configured(sdk, "KMS").map(|url| (url, by_whom("AWS_ENDPOINT_URL_KMS"))),
        };
        let place = match &named {
            Some((url, by)) => {
                let shown = shown_url(url);
                contradiction(&shown, by, sdk).map_or(Ok(()), Err)?;
                if *by != OPTION && is_open_endpoint(url) {
                    log_warn!("{by}: {shown}: requests go to another machine unencrypted: use https://");
                }
                // The slot's option is known where the slot is.
                if *by == OPTION { format!("AWS KMS at {shown}") } else { format!("AWS KMS at {shown} ({by})") }
            }
            None => own_place(sdk).await,
        };
        warn_of_open_sts(named.as_ref().map(|(url, _)| url.as_str()), sdk);
        Ok(Self { url: named.map(|(url, _)| url), place })
    }
}

const OPTION: &str = "option \"aws_endpoint_url\"";

/// Warns of credentials that go to another machine for everybody on the way to read.
fn warn_of_open_sts(kms: Option<&str>, sdk: &SdkConfig) {
    // Of one for all services the warning about KMS tells.
    if let Some(url) = configured(sdk, "STS").filter(|url| is_open_endpoint(url) && Some(&**url) != kms) {
        let (by, shown) = (by_whom("AWS_ENDPOINT_URL_STS"), shown_url(&url));
        log_warn!("{by}: {shown}: requests for credentials go to another machine unencrypted: use https://");
    }
}

fn configured(sdk: &SdkConfig, service: &'static str) -> Option<String> {
    let key = ServiceConfigKey::builder().service_id(service).env("AWS_ENDPOINT_URL").profile("endpoint_url").build();
    let own = sdk.service_config().zip(key.ok()).and_then(|(config, key)| config.load_config(key));
    own.or_else(|| sdk.endpoint_url().map(str::to_owned))
}

/// In the order of the guide.
fn by_whom(service: &'static str) -> &'static str {
    let is_set = |name: &&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    [service, "AWS_ENDPOINT_URL"].into_iter().find(is_set).unwrap_or("shared AWS configuration")
}

/// The SDK makes the names of these endpoints; one that is named may be anything.
fn contradiction(url: &str, by: &str, sdk: &SdkConfig) -> Option<Obstacle> {
    let (flag, option) = match (sdk.use_fips(), sdk.use_dual_stack()) {
        (Some(true), _) => ("use_fips_endpoint", "aws_use_fips_endpoint"),
        (_, Some(true)) => ("use_dualstack_endpoint", "aws_use_dualstack_endpoint"),
        _ => return None,
    };
    let variable = option.to_uppercase();
    Some(Obstacle::lasting(
        Cause::Settings,
        format!(
            "the endpoint {url} ({by}) contradicts {flag} (option \"{option}\", {variable} or the shared AWS configuration): leave one of them out, or set \"{option}\": false in the slot"
        ),
    ))
}

/// Where the SDK's own rules lead: the name of the region, or the URL if it is not the usual one.
async fn own_place(sdk: &SdkConfig) -> String {
    let region = sdk.region().map(|region| region.as_ref().to_owned()).unwrap_or_default();
    let (fips, dual) = (sdk.use_fips().unwrap_or(false), sdk.use_dual_stack().unwrap_or(false));
    let usual = format!("AWS KMS in {region}");
    if !fips && !dual {
        return usual;
    }
    let Ok(params) = Params::builder().region(region).use_fips(fips).use_dual_stack(dual).build() else { return usual };
    match DefaultResolver::new().resolve_endpoint(&params).await {
        Ok(endpoint) => format!("AWS KMS at {}", endpoint.url()),
        // The request will say why.
        Err(_) => usual,
    }
}
