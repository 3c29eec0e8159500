//! The Azure settings of a slot, from the slot's options.

use super::network::network;
use crate::cloud::azure;
use crate::cloud::azure::Credential;
use crate::config::file::login;
use crate::config::file::section::Section;
use crate::config::options::Cloud;
use crate::error::Result;

/// Returns the settings of a slot.
///
/// # Errors
/// CKR_GENERAL_ERROR if `vault_url` is missing, or if options contradict each other.
pub(super) fn settings(section: &Section) -> Result<azure::Settings> {
    let login = login::login_of(section, Cloud::Azure)?;
    section.check_exclusive("azure_client_secret", "azure_client_secret_file")?;
    let missing = "missing option \"vault_url\"; write \"vault_url\": \"https://NAME.vault.azure.net\"";
    let vault = section.text("vault_url").ok_or_else(|| section.error("", missing))?;
    // The slot's own credential overrides all credentials at top level, even if the options are different ones.
    let own = CREDENTIAL_OPTIONS.iter().any(|name| section.own_member(name).is_some());
    let is_overridden = |name: &str| own && section.own_member(name).is_none();
    let path = |name: &str| section.path(name).map(|path| path.filter(|_| !is_overridden(name)));
    let secret = section.text("azure_client_secret").filter(|_| !is_overridden("azure_client_secret"));
    let auth_file = path("azure_auth_file")?;
    let settings = azure::Settings {
        vault_url: vault.trim_end_matches('/').to_owned(),
        credential: credential(section),
        tenant_id: section.text("azure_tenant_id"),
        client_id: section.text("azure_client_id"),
        client_secret: secret.map(Into::into),
        client_secret_file: path("azure_client_secret_file")?,
        client_certificate_path: path("azure_client_certificate_path")?,
        client_certificate_password_file: section.path("azure_client_certificate_password_file")?,
        federated_token_file: path("azure_federated_token_file")?,
        // If the configuration names an `azureauth.json`, no other is used.
        auth_files: if auth_file.is_some() { Vec::new() } else { section.file.auth_files.clone() },
        auth_file,
        authority_host: section.text("azure_authority_host"),
        rsnull: section.flag("rsnull").unwrap_or(false),
        skip_challenge_check: section.flag("verify_challenge_resource") == Some(false),
        network: network(section)?,
    };
    Ok(match login {
        Some(_) => login::with_login_only(settings),
        None => settings,
    })
}

/// The options with which an application authenticates.
const CREDENTIAL_OPTIONS: [&str; 5] = [
    "azure_client_secret",
    "azure_client_secret_file",
    "azure_client_certificate_path",
    "azure_federated_token_file",
    "azure_auth_file",
];

fn credential(section: &Section) -> Credential {
    let name = section.text("azure_credential").unwrap_or_default();
    CREDENTIALS.iter().find(|row| row.0 == name).map_or(Credential::Default, |row| row.1)
}

#[rustfmt::skip]
const CREDENTIALS: &[(&str, Credential)] = &[
    ("default", Credential::Default),
    ("environment", Credential::Environment),
    ("workload_identity", Credential::WorkloadIdentity),
    ("auth_file", Credential::AuthFile),
    ("cli", Credential::Cli),
    ("managed_identity", Credential::ManagedIdentity),
];
