//! The sources of tokens for Key Vault: what configures each source, and how it is created.
//!
//! azure_identity has the individual credentials, but its client certificate credential requires OpenSSL.

use super::assertion::SignedAssertion;
use super::auth_file::{AppCredential, AuthFile};
use super::certificate::{ClientCertificate, ConfiguredPassword};
use super::context::{Context, NewCredential, env};
use super::managed_identity::managed_identity;
use super::token_error::{message_of, settings_error};
use crate::cloud::azure::environment::with_authority;
use crate::cloud::azure::settings::Credential;
use crate::cloud::credentials::{file, subprocess};
use crate::host::process;

use azure_core::credentials::Secret;
use azure_core::http::{ClientMethodOptions, ClientOptions};
use azure_identity::{
    AzureCliCredential, AzureCliCredentialOptions, ClientAssertion, ClientAssertionCredential,
    ClientAssertionCredentialOptions, ClientSecretCredential, ClientSecretCredentialOptions, Executor,
};
use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// A kind of source.
pub(crate) struct SourceKind {
    pub(crate) kind: Credential,
    pub(crate) name: &'static str,
    /// Returns what configures the source. None means that the source needs no configuration.
    pub(crate) configured: Option<fn(&Context) -> Selection>,
    pub(crate) make: fn(&Context) -> NewCredential,
}

/// The sources, in their order. A source that is configured is the only one that is used, and an option takes
/// precedence over all variables and files that happen to exist. If none is configured, the sources that need no
/// configuration are tried in turn.
#[rustfmt::skip]
pub(crate) const SOURCES: &[SourceKind] = &[
    SourceKind { kind: Credential::Environment, name: "client secret", configured: Some(has_secret), make: client_secret },
    SourceKind { kind: Credential::Environment, name: "client certificate", configured: Some(has_certificate), make: client_certificate },
    SourceKind { kind: Credential::WorkloadIdentity, name: "workload identity", configured: Some(has_token), make: workload_identity },
    SourceKind { kind: Credential::AuthFile, name: "azureauth.json", configured: Some(has_auth_file), make: auth_file },
    SourceKind { kind: Credential::Cli, name: "az", configured: None, make: az },
    SourceKind { kind: Credential::ManagedIdentity, name: "managed identity", configured: None, make: managed_identity },
    SourceKind { kind: Credential::Login, name: "the login", configured: None, make: client_secret },
];

/// The setting that selects a source, or else what is missing.
pub(crate) type Selection = Result<ConfiguredBy, String>;

/// The setting that selects a source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ConfiguredBy {
    Option(&'static str),
    /// A variable, or a file.
    Found(String),
}

impl fmt::Display for ConfiguredBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfiguredBy::Option(name) => write!(f, "option \"{name}\""),
            ConfiguredBy::Found(name) => f.write_str(name),
        }
    }
}

/// Returns a path of the settings, or else of the environment.
fn path(setting: &Option<PathBuf>, name: &str) -> Result<PathBuf, String> {
    setting.clone().or_else(|| env(name).map(PathBuf::from)).ok_or_else(|| format!("no {name}"))
}

impl Context {
    /// Returns the variable `name` as the setting that selects a source. A variable counts only if the tenant and
    /// the client are configured as well: a single variable may be intended for another program. The message for a
    /// missing variable says that `option` can be used in its place.
    fn by_variable(&self, name: &str, option: &str) -> Selection {
        env(name).ok_or_else(|| format!("no \"{option}\" or {name}"))?;
        self.tenant().and_then(|_| self.client()).map_err(|why| format!("{name} is set, but {why}"))?;
        Ok(ConfiguredBy::Found(name.to_owned()))
    }
    fn options(&self, authority: &str) -> ClientOptions {
        with_authority(self.options.clone(), authority)
    }

    fn with_secret(&self, tenant: &str, client: String, secret: String, authority: &str) -> NewCredential {
        let options = ClientSecretCredentialOptions { client_options: self.options(authority) };
        let made = ClientSecretCredential::new(tenant, client, Secret::new(secret), Some(options));
        Ok(made.map_err(|e| message_of(&e))?)
    }

    fn with_certificate(&self, tenant: String, client: String, path: &Path, authority: &str) -> NewCredential {
        let audience = format!("{authority}/{tenant}/oauth2/v2.0/token");
        let (file, password) = (file::private_bytes(path)?, self.password()?);
        let certificate = ClientCertificate::read(&file, password.as_ref());
        let certificate = certificate.map_err(|why| format!("{}: {why}", path.display()))?;
        let assertion = SignedAssertion { certificate, client: client.clone(), audience };
        self.with_assertion(tenant, client, assertion, authority)
    }

    /// Returns the password of the client certificate's file, if the user has configured one.
    fn password(&self) -> Result<Option<ConfiguredPassword>, String> {
        if let Some(path) = &self.settings.client_certificate_password_file {
            let text = file::secret(path).map_err(|why| format!("option \"{PASSWORD_FILE}\": {why}"))?;
            return Ok(Some(ConfiguredPassword { text, setting: path.display().to_string() }));
        }
        let given = |text| ConfiguredPassword { text: Zeroizing::new(text), setting: PASSWORD.into() };
        Ok(env(PASSWORD).map(given))
    }

    fn with_assertion(
        &self,
        tenant: String,
        client: String,
        assertion: impl ClientAssertion + 'static,
        authority: &str,
    ) -> NewCredential {
        let options = ClientAssertionCredentialOptions { client_options: self.options(authority) };
        let made = ClientAssertionCredential::new(tenant, client, assertion, Some(options));
        Ok(made.map_err(|e| message_of(&e))?)
    }
}

fn has_secret(context: &Context) -> Selection {
    match (&context.settings.client_secret, &context.settings.client_secret_file) {
        (Some(_), _) => Ok(ConfiguredBy::Option("azure_client_secret")),
        (None, Some(_)) => Ok(ConfiguredBy::Option("azure_client_secret_file")),
        (None, None) => context.by_variable("AZURE_CLIENT_SECRET", "azure_client_secret_file"),
    }
}

fn client_secret(context: &Context) -> NewCredential {
    let settings = &context.settings;
    let secret = match (&settings.client_secret, &settings.client_secret_file) {
        (Some(secret), _) => secret.expose().to_owned(),
        (None, Some(file)) => file::secret(file)?.to_string(),
        (None, None) => env("AZURE_CLIENT_SECRET").ok_or("no AZURE_CLIENT_SECRET")?,
    };
    context.with_secret(&context.tenant()?, context.client()?, secret, &context.authority())
}

fn has_certificate(context: &Context) -> Selection {
    match context.settings.client_certificate_path {
        Some(_) => Ok(ConfiguredBy::Option("azure_client_certificate_path")),
        None => context.by_variable("AZURE_CLIENT_CERTIFICATE_PATH", "azure_client_certificate_path"),
    }
}

fn client_certificate(context: &Context) -> NewCredential {
    let path = path(&context.settings.client_certificate_path, "AZURE_CLIENT_CERTIFICATE_PATH")?;
    context.with_certificate(context.tenant()?, context.client()?, &path, &context.authority())
}

const PASSWORD_FILE: &str = "azure_client_certificate_password_file";
const PASSWORD: &str = "AZURE_CLIENT_CERTIFICATE_PASSWORD";

fn has_token(context: &Context) -> Selection {
    match context.settings.federated_token_file {
        Some(_) => Ok(ConfiguredBy::Option("azure_federated_token_file")),
        None => context.by_variable("AZURE_FEDERATED_TOKEN_FILE", "azure_federated_token_file"),
    }
}

fn workload_identity(context: &Context) -> NewCredential {
    let file = path(&context.settings.federated_token_file, "AZURE_FEDERATED_TOKEN_FILE")?;
    context.with_assertion(context.tenant()?, context.client()?, FederatedTokenFile(file), &context.authority())
}

/// Returns the file that the option names, or else the first of the usual files that describes an application.
fn has_auth_file(context: &Context) -> Selection {
    if context.settings.auth_file.is_some() {
        return Ok(ConfiguredBy::Option("azure_auth_file"));
    }
    found_auth_file(context).map(|(path, _)| ConfiguredBy::Found(path.display().to_string()))
}

fn found_auth_file(context: &Context) -> Result<(&Path, AuthFile), String> {
    let mut why = Vec::new();
    for path in &context.settings.auth_files {
        match AuthFile::read(path) {
            Ok(file) => return Ok((path, file)),
            // A file that does not exist is not configured. The user needs to know about a file that exists but
            // cannot be used.
            Err(reason) if path.metadata().is_ok() => why.push(reason),
            Err(_) => {}
        }
    }
    let places: Vec<_> = context.settings.auth_files.iter().map(|path| path.display().to_string()).collect();
    Err(if why.is_empty() { format!("no \"azure_auth_file\" or {}", places.join(", ")) } else { why.join(", ") })
}

fn auth_file(context: &Context) -> NewCredential {
    let file = match &context.settings.auth_file {
        Some(path) => AuthFile::read(path)?,
        None => found_auth_file(context)?.1,
    };
    let is_set = context.settings.authority_host.is_some() || env("AZURE_AUTHORITY_HOST").is_some();
    let authority = file.authority.filter(|_| !is_set).map(|url| url.trim_end_matches('/').to_owned());
    let authority = authority.unwrap_or_else(|| context.authority());
    match file.proof {
        AppCredential::Secret(secret) => {
            context.with_secret(&file.tenant, file.client, secret.expose().to_owned(), &authority)
        }
        AppCredential::Certificate(path) => context.with_certificate(file.tenant, file.client, &path, &authority),
    }
}

fn az(context: &Context) -> NewCredential {
    // Shorter than the deadline of the call, so that the failure can name the subprocess that took too long.
    let executor: Arc<dyn Executor> =
        Arc::new(AzExecutor { limit: context.settings.network.call_timeout.mul_f64(0.75) });
    // AZURE_TENANT_ID is not used, because the login of `az` has a tenant of its own.
    let tenant_id = context.settings.tenant_id.clone();
    let options = AzureCliCredentialOptions { tenant_id, executor: Some(executor), ..Default::default() };
    Ok(AzureCliCredential::new(Some(options)).map_err(|e| message_of(&e))?)
}

/// Runs `az` with a clean signal mask, without the host program's terminal, and for a limited time.
#[derive(Debug)]
struct AzExecutor {
    limit: Duration,
}

#[async_trait::async_trait]
impl Executor for AzExecutor {
    async fn run(&self, program: &OsStr, args: &[&OsStr]) -> std::io::Result<Output> {
        let mut command = process::command(&program.to_string_lossy());
        command.args(args);
        subprocess::run(command, self.limit).await
    }
}

/// A file with a federated token. Another process replaces the token before it expires, so the file is read each
/// time.
#[derive(Debug)]
struct FederatedTokenFile(PathBuf);

#[async_trait::async_trait]
impl ClientAssertion for FederatedTokenFile {
    async fn secret(&self, _options: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        file::token(&self.0).map(|token| token.to_string()).map_err(settings_error)
    }
}
