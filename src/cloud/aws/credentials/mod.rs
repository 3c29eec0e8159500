//! The sources of credentials for AWS: the SDK's chain, and what the chain lacks.

mod first;
pub(crate) mod process;
mod role;
pub(crate) mod shared_file_paths;
pub(crate) mod shared_files;
mod web_identity;

use super::settings::Settings;
use aws_config::SdkConfig;
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_kms::config::SharedHttpClient;
pub(crate) use first::LoginCredentials;
use process::CredentialProcess;
use role::Role;
use web_identity::WebIdentity;

/// Returns the provider of the credentials for these settings.
///
/// After a login with a web identity token, that token is the only source. Otherwise, the source is the SDK's
/// chain, except that this module runs the `credential_process` of a profile itself. A configured profile takes
/// precedence over the environment. If the settings name a role, these credentials are used to assume the role.
pub(crate) async fn credentials(
    settings: &Settings,
    sdk: &SdkConfig,
    http: &SharedHttpClient,
) -> SharedCredentialsProvider {
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
            let role = Role { arn: role.clone(), external_id: settings.external_id.clone(), session_name: None };
            SharedCredentialsProvider::new(role.provider(sdk, base).await)
        }
    }
}
