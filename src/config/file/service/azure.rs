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
    // A login is the only credential. The slot's own credential overrides all credentials at top level, even if the
    // options are different ones.
    let own = CREDENTIAL_OPTIONS.iter().any(|name| section.own_member(name).is_some());
    let is_used = |name: &str| login.is_none() && (!own || section.own_member(name).is_some());
    let path = |name: &str| if is_used(name) { section.path(name) } else { Ok(None) };
    let secret = is_used("azure_client_secret").then(|| section.text("azure_client_secret")).flatten();
    let auth_file = path("azure_auth_file")?;
    let password_file = "azure_client_certificate_password_file";
    Ok(azure::Settings {
        vault_url: vault.trim_end_matches('/').to_owned(),
        credential: if login.is_some() { Credential::Login } else { credential(section) },
        tenant_id: section.text("azure_tenant_id"),
        client_id: section.text("azure_client_id"),
        client_secret: secret.map(Into::into),
        client_secret_file: path("azure_client_secret_file")?,
        client_certificate_path: path("azure_client_certificate_path")?,
        client_certificate_password_file: if login.is_none() { section.path(password_file)? } else { None },
        federated_token_file: path("azure_federated_token_file")?,
        // If the configuration names an `azureauth.json`, no other is used.
        auth_files: match login.is_none() && auth_file.is_none() {
            true => section.file.auth_files.clone(),
            false => Vec::new(),
        },
        auth_file,
        authority_host: section.text("azure_authority_host"),
        rsnull: section.flag("rsnull").unwrap_or(false),
        skip_challenge_check: section.flag("verify_challenge_resource") == Some(false),
        network: network(section)?,
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
