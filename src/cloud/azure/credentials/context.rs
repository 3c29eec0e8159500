//! The values from which the sources of tokens are created.

use crate::cloud::azure::environment::Challenge;
use crate::cloud::azure::settings::Settings;
use azure_core::credentials::TokenCredential;
use azure_core::http::ClientOptions;
use std::sync::Arc;

/// A source of tokens, or the reason why there is none.
pub(crate) type NewCredential = Result<Arc<dyn TokenCredential>, String>;

/// The values from which the sources of tokens are created.
pub(crate) struct Context {
    pub(crate) settings: Settings,
    pub(crate) options: ClientOptions,
    pub(crate) link_local: reqwest::Client,
    pub(crate) challenge: Challenge,
}

/// Returns the value of a variable, if it is set and not empty.
pub(crate) fn env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Returns a value of the settings, or else of the environment.
///
/// # Errors
/// Returns a sentence that says what is missing.
fn required_value(setting: &Option<String>, option: &str, name: &str) -> Result<String, String> {
    let value = setting.clone().filter(|value| !value.is_empty()).or_else(|| env(name));
    value.ok_or_else(|| format!("this source also needs \"{option}\" or {name}"))
}

impl Context {
    pub(crate) fn tenant(&self) -> Result<String, String> {
        required_value(&self.settings.tenant_id, "azure_tenant_id", "AZURE_TENANT_ID")
    }

    pub(crate) fn client(&self) -> Result<String, String> {
        required_value(&self.settings.client_id, "azure_client_id", "AZURE_CLIENT_ID")
    }

    /// Returns the URL of the authority. Without a setting, it is the authority of the vault's cloud.
    pub(crate) fn authority(&self) -> String {
        let host = self.settings.authority_host.clone().or_else(|| env("AZURE_AUTHORITY_HOST"));
        let host = host.unwrap_or_else(|| self.challenge.authority(&self.settings.vault_url));
        let url = if host.contains("://") { host } else { format!("https://{host}") };
        url.trim_end_matches('/').to_owned()
    }
}
