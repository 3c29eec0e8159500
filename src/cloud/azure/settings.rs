//! What a slot says about Azure.

use crate::cloud::http::network::Network;
use crate::cloud::secret::Secret;
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
    /// A PEM or PKCS#12 file with the application's certificate and private key.
    pub client_certificate_path: Option<PathBuf>,
    /// A file that holds the password of that one; None means AZURE_CLIENT_CERTIFICATE_PASSWORD, if there is one.
    pub client_certificate_password_file: Option<PathBuf>,
    /// A file that holds a federated token; it is read again whenever a token is needed.
    pub federated_token_file: Option<PathBuf>,
    /// The `azureauth.json` that is to be used.
    pub auth_file: Option<PathBuf>,
    /// Where else one may lie; the first that can be read counts.
    pub auth_files: Vec<PathBuf>,
    /// URL of the authority; None means AZURE_AUTHORITY_HOST, else that of the vault's cloud.
    pub authority_host: Option<String>,
    /// CKM_RSA_PKCS signs whatever it is given, by the algorithm RSNULL.
    pub rsnull: bool,
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
    /// The application's client secret, which is the PIN of C_Login; until then there is none.
    Login,
}
