//! The Azure settings of a slot.

use crate::cloud::backend::ServiceSettings;
use crate::cloud::http::network::Network;
use crate::cloud::secret::Secret;
use std::path::PathBuf;

/// The Azure settings of a slot. Slots with equal settings share one client.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Settings {
    /// The URL of the vault or Managed HSM, without a trailing slash.
    pub vault_url: String,
    /// The source of the tokens.
    pub credential: Credential,
    /// The tenant. None means AZURE_TENANT_ID.
    pub tenant_id: Option<String>,
    /// The application, or the user-assigned managed identity. None means AZURE_CLIENT_ID.
    pub client_id: Option<String>,
    /// The application's client secret, from the configuration file itself. After a login, it is the PIN.
    pub client_secret: Option<Secret>,
    /// A file that contains the application's client secret.
    pub client_secret_file: Option<PathBuf>,
    /// A PEM or PKCS#12 file with the application's certificate and private key.
    pub client_certificate_path: Option<PathBuf>,
    /// A file that contains the password of the certificate's file. None means AZURE_CLIENT_CERTIFICATE_PASSWORD,
    /// if that is set.
    pub client_certificate_password_file: Option<PathBuf>,
    /// A file that contains a federated token. The file is read again whenever a token is needed.
    pub federated_token_file: Option<PathBuf>,
    /// The `azureauth.json` to use.
    pub auth_file: Option<PathBuf>,
    /// Other places of an `azureauth.json`. The first file that can be read is used.
    pub auth_files: Vec<PathBuf>,
    /// The URL of the authority. None means AZURE_AUTHORITY_HOST, or else the authority of the vault's cloud.
    pub authority_host: Option<String>,
    /// Whether CKM_RSA_PKCS signs any data, with the algorithm RSNULL.
    pub rsnull: bool,
    /// Whether to skip the check that a vault's challenge names the vault's own domain. For emulators.
    pub skip_challenge_check: bool,
    /// How to reach the service.
    pub network: Network,
}

/// The name of the cloud, as in the option `cloud`.
pub(crate) const CLOUD: &str = "azure";

impl ServiceSettings for Settings {
    fn cloud_and_place(&self) -> (&'static str, String) {
        (CLOUD, self.vault_url.to_ascii_lowercase())
    }

    fn network(&self) -> &Network {
        &self.network
    }

    fn contains_credential(&self) -> bool {
        self.client_secret.is_some()
    }

    fn needs_login(&self) -> bool {
        self.credential == Credential::Login
    }
}

/// The source of the tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Credential {
    /// The first of these sources that is configured: environment or configuration (client secret, client
    /// certificate), workload identity, azureauth.json, the `az` program, managed identity.
    #[default]
    Default,
    /// Client secret or client certificate, from the configuration or the environment.
    Environment,
    /// A federated token in a file.
    WorkloadIdentity,
    /// The file azureauth.json.
    AuthFile,
    /// `az account get-access-token`.
    Cli,
    /// The managed identity of the machine or container.
    ManagedIdentity,
    /// The application's client secret, which is the PIN of C_Login. Before the login there are no tokens.
    Login,
}
