//! The Vault settings of a slot.

use crate::cloud::http::network::Network;
use crate::cloud::secret::Secret;
use std::path::PathBuf;

/// The settings of a slot whose keys are in a Transit engine of HashiCorp Vault or OpenBao. Slots with equal settings
/// share one client.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Settings {
    /// The URL of the server, without a trailing slash.
    pub address: String,
    /// The namespace, for servers that have namespaces.
    pub namespace: Option<String>,
    /// The path at which the engine is mounted, without slashes at its ends.
    pub mount: String,
    /// Where the token comes from.
    pub auth: Auth,
    /// How to reach the server.
    pub network: Network,
}

/// Where the token comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Auth {
    /// A token.
    Token(Secret),
    /// A file that contains a token, such as the sink of Vault's agent. It is read again when the token is rejected.
    TokenFile(PathBuf),
    /// A login, which is repeated before its token ends.
    Login(Login),
}

/// A login with an auth method.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Login {
    /// The path at which the auth method is mounted, without slashes at its ends.
    pub mount: String,
    /// The credential.
    pub credential: Credential,
}

/// The credential of a login.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Credential {
    /// An AppRole.
    AppRole {
        /// The RoleID.
        role_id: String,
        /// The SecretID.
        secret_id: Secret,
    },
    /// A JSON Web Token in a file, which is read at each login: of Kubernetes or any other issuer.
    Jwt {
        /// The name of the role.
        role: String,
        /// The file with the token.
        file: PathBuf,
    },
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            address: "https://127.0.0.1:8200".into(),
            namespace: None,
            mount: "transit".into(),
            auth: Auth::Token(String::new().into()),
            network: Network::default(),
        }
    }
}
