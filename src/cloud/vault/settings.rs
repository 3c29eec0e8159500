//! The Vault settings of a slot.

use crate::cloud::backend::ServiceSettings;
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
    /// Whether the configuration file itself contains the secret in `auth`.
    pub contains_credential: bool,
    /// What the PIN of C_Login is, if it is a credential. Before the login, `auth` is [`Auth::None`].
    pub login: Option<Pin>,
    /// How to reach the server.
    pub network: Network,
}

/// The name of the cloud, as in the option `cloud`.
pub(crate) const CLOUD: &str = "vault";

impl ServiceSettings for Settings {
    fn cloud_and_place(&self) -> (&'static str, String) {
        let namespace = self.namespace.as_deref().unwrap_or_default();
        (CLOUD, format!("{}/{namespace}/{}", self.address.to_ascii_lowercase(), self.mount))
    }

    fn network(&self) -> &Network {
        &self.network
    }

    fn contains_credential(&self) -> bool {
        self.contains_credential
    }

    fn needs_login(&self) -> bool {
        self.login.is_some()
    }
}

/// Where the token comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Auth {
    /// There is no token.
    None,
    /// A token, which is renewed as long as the server allows it.
    Token(Secret),
    /// A file that contains a token, such as the sink of Vault's agent. It is read again when it changes.
    TokenFile(PathBuf),
    /// A login. Its token is renewed, and the login is repeated when the token ends.
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
        /// The SecretID. None for a role that does not need one.
        secret_id: Option<SecretId>,
    },
    /// A JSON Web Token in a file, which is read at each login: of Kubernetes or any other issuer.
    Jwt {
        /// The name of the role. None means the default role of the auth method.
        role: Option<String>,
        /// The file with the token.
        file: PathBuf,
    },
    /// The client certificate of [`Network`].
    Certificate {
        /// The name of the role. None means any role that accepts the certificate.
        role: Option<String>,
    },
}

/// The SecretID of an AppRole.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SecretId {
    /// The SecretID itself.
    Text(Secret),
    /// A file that contains it. The file is read at each login.
    File(PathBuf),
}

/// What the PIN of C_Login is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Pin {
    /// A token.
    Token,
    /// The SecretID for this RoleID.
    SecretId {
        /// The path at which the auth method is mounted.
        mount: String,
        /// The RoleID.
        role_id: String,
    },
}

impl Pin {
    /// Returns the source of tokens after a login with `pin`.
    pub(crate) fn auth(&self, pin: Secret) -> Auth {
        match self {
            Self::Token => Auth::Token(pin),
            Self::SecretId { mount, role_id } => {
                let credential = Credential::AppRole { role_id: role_id.clone(), secret_id: Some(SecretId::Text(pin)) };
                Auth::Login(Login { mount: mount.clone(), credential })
            }
        }
    }
}

impl Auth {
    /// Returns the secret that the settings contain: a token or a SecretID.
    pub(crate) fn secret(&self) -> Option<&Secret> {
        match self {
            Self::Token(token) => Some(token),
            Self::Login(Login {
                credential: Credential::AppRole { secret_id: Some(SecretId::Text(secret)), .. },
                ..
            }) => Some(secret),
            _ => None,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            address: "https://127.0.0.1:8200".into(),
            namespace: None,
            mount: "transit".into(),
            auth: Auth::None,
            contains_credential: false,
            login: None,
            network: Network::default(),
        }
    }
}

/// Returns whether a key can have this name. Transit's paths contain `\w(([\w-.]+)?\w)?`.
pub fn is_key_name(name: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.starts_with(is_word) && name.ends_with(is_word) && name.chars().all(|c| is_word(c) || c == '-' || c == '.')
}
