//! Azure Key Vault and Managed HSM.

use super::{Network, SharedBackend};
use secrecy::SecretString;
use std::path::PathBuf;

/// What a slot says about Azure. Slots with equal settings share one client.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Settings {
    /// URL of the vault or Managed HSM, without a trailing slash.
    pub vault_url: String,
    /// Where the tokens come from.
    pub credential: Credential,
    /// The tenant; None means AZURE_TENANT_ID.
    pub tenant_id: Option<String>,
    /// The application, or the user-assigned managed identity; None means AZURE_CLIENT_ID.
    pub client_id: Option<String>,
    /// The application's secret in the configuration file itself.
    pub client_secret: Option<Secret>,
    /// A file that holds the application's secret.
    pub client_secret_file: Option<PathBuf>,
    /// A PEM file with the application's certificate and private key.
    pub client_certificate_path: Option<PathBuf>,
    /// A file that holds a federated token; it is read again whenever a token is needed.
    pub federated_token_file: Option<PathBuf>,
    /// `azureauth.json` files to try in order (tenant, appId, password).
    pub auth_files: Vec<PathBuf>,
    /// URL of the authority; None means AZURE_AUTHORITY_HOST, else the public cloud's.
    pub authority_host: Option<String>,
    /// Skips the check that a vault's challenge names the vault's own domain. For emulators.
    pub skip_challenge_check: bool,
    /// How to reach it.
    pub network: Network,
}

/// Where the tokens come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Credential {
    /// The first of the following that is configured: environment or configuration (client secret, client certificate),
    /// workload identity, azureauth.json, the az program, managed identity.
    #[default]
    Default,
    /// Client secret or client certificate, from the configuration or the environment.
    Environment,
    /// A federated token in a file.
    WorkloadIdentity,
    /// azureauth.json.
    AuthFile,
    /// `az account get-access-token`.
    Cli,
    /// The machine's or container's managed identity.
    ManagedIdentity,
}

/// A secret that compares, hashes and prints without showing itself.
#[derive(Clone)]
pub struct Secret(pub SecretString);

/// The backend for these settings: no request, no file read.
pub fn open(_settings: Settings) -> SharedBackend {
    todo!()
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        use secrecy::ExposeSecret;
        self.0.expose_secret() == other.0.expose_secret()
    }
}

impl Eq for Secret {}

impl std::hash::Hash for Secret {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        use secrecy::ExposeSecret;
        self.0.expose_secret().hash(state);
    }
}
