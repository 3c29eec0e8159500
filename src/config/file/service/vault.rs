//! The Vault settings of a slot, from the slot's options and the variables of Vault's and OpenBao's own programs.

use super::network::network;
use crate::cloud::vault::{Auth, Credential, Login, Pin, SecretId, Settings};
use crate::cloud::{ClientCertificate, Network, Secret};
use crate::config::file::login;
use crate::config::file::section::Section;
use crate::config::options::Cloud;
use crate::error::Result;
use crate::host::logging::Level;
use std::path::PathBuf;

/// The option for the URL of the server.
pub(super) const ADDRESS: &str = "vault_address";

/// The token of the service account in a pod of Kubernetes.
const SERVICE_ACCOUNT_TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// Returns the settings of a slot.
///
/// # Errors
/// CKR_GENERAL_ERROR if the address or an option for the login is missing, or if options contradict each other.
pub(super) fn settings(section: &Section) -> Result<Settings> {
    let login = login::login_of(section, Cloud::Vault)?;
    let without_slashes = |text: String| text.trim_matches('/').to_owned();
    let namespace = section.text("vault_namespace").or_else(|| variable(section, NAMESPACE));
    let mount = section.text("transit_mount").map_or_else(|| "transit".to_owned(), without_slashes);
    let settings = Settings {
        address: address(section)?.trim_end_matches('/').to_owned(),
        namespace: namespace.map(without_slashes).filter(|namespace| !namespace.is_empty()),
        mount,
        auth: Auth::None,
        contains_credential: false,
        login: None,
        network: network_of(section)?,
    };
    Ok(match login {
        Some(login::Login::VaultSecretId) => {
            let role_id = section.text("vault_role_id").unwrap_or_default();
            Settings { login: Some(Pin::SecretId { mount: auth_mount(section, "approle"), role_id }), ..settings }
        }
        Some(_) => Settings { login: Some(Pin::Token), ..settings },
        None => {
            let auth = auth(section, &settings.network)?;
            let in_file = |name: &str, own: &Secret| section.str_option(name) == Some(own.expose());
            let contains_credential = ["vault_token", "vault_secret_id"]
                .iter()
                .any(|name| auth.secret().is_some_and(|secret| in_file(name, secret)));
            Settings { auth, contains_credential, ..settings }
        }
    })
}

fn address(section: &Section) -> Result<String> {
    if let Some(option) = section.text(ADDRESS) {
        return Ok(option);
    }
    let missing = "missing option \"vault_address\"; write \"vault_address\": \"https://HOST:8200\", or set VAULT_ADDR";
    let address = variable(section, ADDR).ok_or_else(|| section.error("", missing))?;
    match ["http://", "https://"].iter().any(|scheme| address.starts_with(scheme)) {
        true => Ok(address),
        false => {
            let text = format!("VAULT_ADDR is {address:?}, but must be a URL that starts with http:// or https://");
            Err(section.error("", format!("{text}; correct it, or write \"vault_address\"")))
        }
    }
}

fn network_of(section: &Section) -> Result<Network> {
    let mut network = network(section)?;
    if network.ca_bundle.is_none()
        && let Some((name, path)) = [CACERT, CAPATH].iter().find_map(|names| named_variable(section, names))
    {
        (network.ca_bundle, network.ca_bundle_named_by) = (Some(path.into()), name);
    }
    let certificate = path_or_variable(section, "vault_client_certificate_path", CLIENT_CERT)?;
    let key = path_or_variable(section, "vault_client_key_path", CLIENT_KEY)?;
    network.client_certificate = match (certificate, key) {
        (Some(certificate), key) => {
            Some(ClientCertificate { key: key.unwrap_or_else(|| certificate.clone()), certificate })
        }
        (None, Some(_)) if section.has_any(&["vault_client_key_path"]) => {
            let text = "needs the certificate of this key; add \"vault_client_certificate_path\"";
            return Err(section.error("vault_client_key_path", text));
        }
        (None, _) => None,
    };
    network.server_name = section.text("vault_tls_server_name").or_else(|| variable(section, TLS_SERVER_NAME));
    Ok(network)
}

/// The options that determine how the token is obtained. If a slot has one of them, it decides, whatever others there are
/// at top level.
const DECISIVE: [&str; 5] = ["vault_auth", "vault_token", "vault_token_file", "vault_role_id", "vault_jwt_file"];

/// Returns the auth method: the option, or else what the other options imply.
fn method(section: &Section) -> String {
    let own = DECISIVE.iter().any(|name| section.own_member(name).is_some());
    let has = |name: &str| if own { section.own_member(name).is_some() } else { section.has_any(&[name]) };
    match section.text("vault_auth").filter(|_| has("vault_auth")) {
        Some(method) => method,
        None if has("vault_token") || has("vault_token_file") => "token".to_owned(),
        None if has("vault_role_id") => "approle".to_owned(),
        None if has("vault_jwt_file") => "jwt".to_owned(),
        None => "token".to_owned(),
    }
}

fn auth(section: &Section, network: &Network) -> Result<Auth> {
    let method = method(section);
    let needs =
        |option: &str| section.error("", format!("missing option {option:?}, which the auth method {method:?} needs"));
    let role = || section.text("vault_role");
    let credential = match method.as_str() {
        "approle" => Credential::AppRole {
            role_id: section.text("vault_role_id").ok_or_else(|| needs("vault_role_id"))?,
            secret_id: match text_or_path(section, "vault_secret_id", "vault_secret_id_file")? {
                (Some(text), _) => Some(SecretId::Text(text.into())),
                (None, path) => path.map(SecretId::File),
            },
        },
        "kubernetes" => Credential::Jwt {
            role: Some(role().ok_or_else(|| needs("vault_role"))?),
            file: section.path("vault_jwt_file")?.unwrap_or_else(|| SERVICE_ACCOUNT_TOKEN.into()),
        },
        "jwt" => Credential::Jwt {
            role: role(),
            file: section.path("vault_jwt_file")?.ok_or_else(|| needs("vault_jwt_file"))?,
        },
        "cert" if network.client_certificate.is_none() => return Err(needs("vault_client_certificate_path")),
        "cert" => Credential::Certificate { role: role() },
        _ => return token(section),
    };
    Ok(Auth::Login(Login { mount: auth_mount(section, &method), credential }))
}

fn auth_mount(section: &Section, method: &str) -> String {
    section.text("vault_auth_mount").map_or_else(|| method.to_owned(), |mount| mount.trim_matches('/').to_owned())
}

/// Returns the token, or the file with it: the options, VAULT_TOKEN, or the file that `vault login` writes.
fn token(section: &Section) -> Result<Auth> {
    match text_or_path(section, "vault_token", "vault_token_file")? {
        (Some(token), _) => return Ok(Auth::Token(token.into())),
        (None, Some(path)) => return Ok(Auth::TokenFile(path)),
        (None, None) => {}
    }
    if let Some(token) = variable(section, TOKEN) {
        return Ok(Auth::Token(token.into()));
    }
    let home = section.file.environment.path("HOME");
    Ok(home.map_or(Auth::None, |home| Auth::TokenFile(home.join(".vault-token"))))
}

/// Returns a secret, or the file that contains it. The slot's own option of the two takes precedence.
///
/// # Errors
/// CKR_GENERAL_ERROR if both are in the same object.
fn text_or_path(section: &Section, text: &str, path: &str) -> Result<(Option<String>, Option<PathBuf>)> {
    section.check_exclusive(text, path)?;
    let text = if section.own_member(path).is_some() { None } else { section.text(text) };
    match text {
        Some(text) => Ok((Some(text), None)),
        None => Ok((None, section.path(path)?)),
    }
}

fn path_or_variable(section: &Section, option: &str, names: [&'static str; 2]) -> Result<Option<PathBuf>> {
    Ok(section.path(option)?.or_else(|| variable(section, names).map(Into::into)))
}

/// Returns the value of the first of these variables that is set.
fn variable(section: &Section, names: [&'static str; 2]) -> Option<String> {
    named_variable(section, &names).map(|(_, value)| value)
}

fn named_variable(section: &Section, names: &[&'static str; 2]) -> Option<(&'static str, String)> {
    names.iter().find_map(|name| Some((*name, section.file.environment.text(name)?)))
}

/// Returns a warning if a variable of Vault's programs asks for what this module does not do.
pub(super) fn ignored_variable(section: &Section) -> Option<(Level, String)> {
    let (name, _) =
        named_variable(section, &SKIP_VERIFY).filter(|(_, value)| !["0", "false"].contains(&value.as_str()))?;
    let text = format!(
        "{name} is ignored: the certificate of the server is always checked; name its authority in \"ca_bundle\""
    );
    Some((Level::Warn, section.located_message(ADDRESS, text)))
}

// The variables of OpenBao, which come first, and of Vault. "Commands (CLI), Environment variables".
const ADDR: [&str; 2] = ["BAO_ADDR", "VAULT_ADDR"];
const TOKEN: [&str; 2] = ["BAO_TOKEN", "VAULT_TOKEN"];
const NAMESPACE: [&str; 2] = ["BAO_NAMESPACE", "VAULT_NAMESPACE"];
const CACERT: [&str; 2] = ["BAO_CACERT", "VAULT_CACERT"];
const CAPATH: [&str; 2] = ["BAO_CAPATH", "VAULT_CAPATH"];
const CLIENT_CERT: [&str; 2] = ["BAO_CLIENT_CERT", "VAULT_CLIENT_CERT"];
const CLIENT_KEY: [&str; 2] = ["BAO_CLIENT_KEY", "VAULT_CLIENT_KEY"];
const TLS_SERVER_NAME: [&str; 2] = ["BAO_TLS_SERVER_NAME", "VAULT_TLS_SERVER_NAME"];
const SKIP_VERIFY: [&str; 2] = ["BAO_SKIP_VERIFY", "VAULT_SKIP_VERIFY"];
