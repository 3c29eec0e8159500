//! Where the tokens for Key Vault come from: the sources in their order, and the one that has worked.
//!
//! azure_identity has the single credentials, but no chain of them, and its client certificate wants OpenSSL.

use super::azure::{Credential, Settings};
use super::azure_assertion::{SignedAssertion, key_and_thumbprint};
use super::azure_client::with_authority;
use super::http::words_of;
use super::obstacle::Obstacle;
use super::program;
use crate::{log_debug, process};
use azure_core::credentials::{AccessToken, Secret, TokenCredential, TokenRequestOptions};
use azure_core::error::{Error, ErrorKind};
use azure_core::http::{AsyncRawResponse, ClientMethodOptions, ClientOptions, HttpClient, Request, Transport, Url};
use azure_core::time::OffsetDateTime;
use azure_identity::{
    AzureCliCredential, AzureCliCredentialOptions, ClientAssertion, ClientAssertionCredential,
    ClientAssertionCredentialOptions, ClientSecretCredential, ClientSecretCredentialOptions, Executor,
    ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId,
};
use serde::Deserialize;
use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use zeroize::Zeroizing;

/// The tokens for these settings. `link_local` is the client for managed identities.
pub(super) fn chain(settings: &Settings, options: ClientOptions, link_local: reqwest::Client) -> Arc<Chain> {
    let context = Context { settings: settings.clone(), options, link_local };
    Arc::new(Chain { context, state: Mutex::default() })
}

/// The sources, in their order, and what each is made from. What is configured decides; the first that gives a token
/// is kept.
#[rustfmt::skip]
const SOURCES: &[(Credential, &str, Make)] = &[
    (Credential::Environment, "client secret", client_secret),
    (Credential::Environment, "client certificate", client_certificate),
    (Credential::WorkloadIdentity, "workload identity", workload_identity),
    (Credential::AuthFile, "azureauth.json", auth_file),
    (Credential::Cli, "az", az),
    (Credential::ManagedIdentity, "managed identity", managed_identity),
    (Credential::Login, "the login", client_secret),
];

type Make = fn(&Context) -> Made;

/// A source, or why there is none.
type Made = Result<Arc<dyn TokenCredential>, String>;

/// What the sources are made from.
struct Context {
    settings: Settings,
    options: ClientOptions,
    link_local: reqwest::Client,
}

/// A source of tokens that finds out by itself which of the sources there is.
pub(super) struct Chain {
    context: Context,
    /// Locked while a token is fetched: one fetches, all others wait for it.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    chosen: Option<Arc<dyn TokenCredential>>,
    token: Option<(String, AccessToken)>,
}

#[async_trait::async_trait]
impl TokenCredential for Chain {
    async fn get_token(
        &self,
        scopes: &[&str],
        _options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let mut state = self.state.lock().await;
        let scope = scopes.join(" ");
        if let Some(token) = state.valid_for(&scope, Duration::from_secs(300)) {
            return Ok(token);
        }
        let fetched = match state.chosen.clone() {
            Some(source) => {
                let token = source.get_token(scopes, None).await.and_then(not_empty);
                token.map_err(|e| in_the_way(&e).unwrap_or_else(|| credential_error(first_line(&e))))
            }
            None => self.choose(&mut state, scopes).await,
        };
        match (fetched, state.valid_for(&scope, Duration::from_secs(30))) {
            (Ok(token), _) => {
                state.token = Some((scope, token.clone()));
                Ok(token)
            }
            (Err(_), Some(token)) => Ok(token),
            (Err(error), None) => Err(error),
        }
    }
}

impl State {
    fn valid_for(&self, scope: &str, time: Duration) -> Option<AccessToken> {
        let (_, token) = self.token.as_ref().filter(|(known, _)| known == scope)?;
        (token.expires_on > OffsetDateTime::now_utc() + time).then(|| token.clone())
    }
}

impl Chain {
    async fn choose(&self, state: &mut State, scopes: &[&str]) -> azure_core::Result<AccessToken> {
        let settings = &self.context.settings;
        let wanted = settings.credential;
        // None of several sources may use up the time of all.
        let limit = settings.network.call_timeout / if wanted == Credential::Default { 2 } else { 1 };
        let mut tried = Vec::new();
        for (kind, name, make) in SOURCES.iter().filter(|(kind, ..)| wanted.includes(*kind)) {
            let source = match make(&self.context) {
                Ok(source) => source,
                Err(why) => {
                    tried.push(format!("{name}: {why}"));
                    continue;
                }
            };
            match tokio::time::timeout(limit, source.get_token(scopes, None))
                .await
                .map(|token| token.and_then(not_empty))
            {
                Ok(Ok(token)) => {
                    log_debug!("a token for {} from {name} ({kind:?})", settings.vault_url);
                    state.chosen = Some(source);
                    return Ok(token);
                }
                Ok(Err(error)) => match in_the_way(&error) {
                    // The source is configured, and no other would help.
                    Some(obstacle) => return Err(obstacle),
                    None => tried.push(format!("{name}: {}", first_line(&error))),
                },
                Err(_) => tried.push(format!("{name}: no answer within {limit:?}")),
            }
        }
        Err(credential_error(format!("no token from any of these: {}", tried.join("; "))))
    }
}

impl Credential {
    /// A login is nothing that could be found.
    fn includes(self, kind: Credential) -> bool {
        self == kind || self == Credential::Default && kind != Credential::Login
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Chain")
    }
}

/// Of a reply without a token, azure_identity makes an empty one.
fn not_empty(token: AccessToken) -> azure_core::Result<AccessToken> {
    match token.token.secret() {
        "" => Err(credential_error("the reply to the request for a token holds none".into())),
        _ => Ok(token),
    }
}

pub(super) fn credential_error(message: String) -> Error {
    Error::with_message(ErrorKind::Credential, message)
}

/// The error of a source that is kept from its authority.
fn in_the_way(error: &Error) -> Option<Error> {
    Obstacle::within(error).map(|obstacle| Error::new(ErrorKind::Credential, obstacle.clone()))
}

/// An error's words without azure_identity's links, in one line.
fn first_line(error: &Error) -> String {
    let text = error.to_string();
    let own = text.split("\nTo troubleshoot").next().unwrap_or(&text).trim();
    let line = own.split_whitespace().collect::<Vec<_>>().join(" ");
    // Of a request that got no reply only the causes tell why.
    match line.contains("failed to execute") {
        true => words_of(error).split("\nTo troubleshoot").next().unwrap_or_default().to_owned(),
        false => line,
    }
}

fn env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// A value of the settings, else of the environment, else the sentence that says what is missing.
fn needed(setting: &Option<String>, name: &str) -> Result<String, String> {
    setting.clone().filter(|value| !value.is_empty()).or_else(|| env(name)).ok_or_else(|| format!("no {name}"))
}

impl Context {
    fn tenant(&self) -> Result<String, String> {
        needed(&self.settings.tenant_id, "AZURE_TENANT_ID")
    }

    fn client(&self) -> Result<String, String> {
        needed(&self.settings.client_id, "AZURE_CLIENT_ID")
    }

    fn authority(&self) -> String {
        let host = needed(&self.settings.authority_host, "AZURE_AUTHORITY_HOST");
        let host = host.unwrap_or_else(|_| "https://login.microsoftonline.com".into());
        let url = if host.contains("://") { host } else { format!("https://{host}") };
        url.trim_end_matches('/').to_owned()
    }

    fn options(&self) -> ClientOptions {
        with_authority(self.options.clone(), &self.authority())
    }

    fn with_secret(&self, tenant: &str, client: String, secret: String) -> Made {
        let options = ClientSecretCredentialOptions { client_options: self.options() };
        let made = ClientSecretCredential::new(tenant, client, Secret::new(secret), Some(options));
        Ok(made.map_err(|e| first_line(&e))?)
    }

    fn with_assertion(&self, assertion: impl ClientAssertion + 'static) -> Made {
        let options = ClientAssertionCredentialOptions { client_options: self.options() };
        let made = ClientAssertionCredential::new(self.tenant()?, self.client()?, assertion, Some(options));
        Ok(made.map_err(|e| first_line(&e))?)
    }
}

fn client_secret(context: &Context) -> Made {
    let settings = &context.settings;
    let secret = match (&settings.client_secret, &settings.client_secret_file) {
        (Some(secret), _) => secret.expose().to_owned(),
        (None, Some(file)) => read(file)?.trim_end().to_owned(),
        (None, None) => env("AZURE_CLIENT_SECRET").ok_or("no AZURE_CLIENT_SECRET")?,
    };
    context.with_secret(&context.tenant()?, context.client()?, secret)
}

fn client_certificate(context: &Context) -> Made {
    let path = context.settings.client_certificate_path.clone();
    let path = path.or_else(|| env("AZURE_CLIENT_CERTIFICATE_PATH").map(PathBuf::from));
    let path = path.ok_or("no AZURE_CLIENT_CERTIFICATE_PATH")?;
    let (tenant, client) = (context.tenant()?, context.client()?);
    let audience = format!("{}/{tenant}/oauth2/v2.0/token", context.authority());
    let (key, thumbprint) = key_and_thumbprint(&read(&path)?).map_err(|why| format!("{}: {why}", path.display()))?;
    context.with_assertion(SignedAssertion { key, thumbprint, client, audience })
}

fn workload_identity(context: &Context) -> Made {
    let file = context.settings.federated_token_file.clone();
    let file = file.or_else(|| env("AZURE_FEDERATED_TOKEN_FILE").map(PathBuf::from));
    context.with_assertion(TokenFile(file.ok_or("no AZURE_FEDERATED_TOKEN_FILE")?))
}

/// The first of the files that exists and has all three fields.
fn auth_file(context: &Context) -> Made {
    let mut why = Vec::new();
    for path in &context.settings.auth_files {
        match read(path).and_then(|text| AuthFile::parse(path, &text)) {
            Ok(file) => return context.with_secret(&file.tenant, file.app_id, file.password),
            Err(reason) => why.push(reason),
        }
    }
    Err(if why.is_empty() { "no file configured".into() } else { why.join(", ") })
}

/// As `az ad sp create-for-rbac` prints it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AuthFile {
    tenant: String,
    app_id: String,
    password: String,
}

impl AuthFile {
    fn parse(path: &Path, text: &str) -> Result<Self, String> {
        // Not the parser's own words: they may quote the password.
        let wrong =
            |e: serde_json::Error| format!("{}: line {}: no tenant, appId and password", path.display(), e.line());
        serde_json::from_str(text).map_err(wrong)
    }
}

fn read(path: &Path) -> Result<Zeroizing<String>, String> {
    std::fs::read_to_string(path).map(Zeroizing::new).map_err(|e| format!("{}: {e}", path.display()))
}

fn az(context: &Context) -> Made {
    // Less than the limit of the call, so that the failure can say what it was that took so long.
    let executor: Arc<dyn Executor> = Arc::new(Helper { limit: context.settings.network.call_timeout.mul_f64(0.75) });
    // Not AZURE_TENANT_ID: the login of `az` has a tenant of its own.
    let tenant_id = context.settings.tenant_id.clone();
    let options = AzureCliCredentialOptions { tenant_id, executor: Some(executor), ..Default::default() };
    Ok(AzureCliCredential::new(Some(options)).map_err(|e| first_line(&e))?)
}

/// Starts `az` with a clean signal mask, without the host's terminal, and for a limited time.
#[derive(Debug)]
struct Helper {
    limit: Duration,
}

#[async_trait::async_trait]
impl Executor for Helper {
    async fn run(&self, program: &OsStr, args: &[&OsStr]) -> std::io::Result<Output> {
        let mut command = process::command(&program.to_string_lossy());
        command.args(args);
        program::run(command, self.limit).await
    }
}

fn managed_identity(context: &Context) -> Made {
    let user_assigned_id = context.client().ok().map(UserAssignedId::ClientId);
    let client = LinkLocal {
        client: context.link_local.clone(),
        host: env("AZURE_POD_IDENTITY_AUTHORITY_HOST").and_then(|host| Url::parse(&host).ok()),
        patient: context.settings.credential == Credential::ManagedIdentity,
    };
    let client_options = ClientOptions { transport: Some(Transport::new(Arc::new(client))), ..Default::default() };
    let options = ManagedIdentityCredentialOptions { user_assigned_id, client_options };
    Ok(ManagedIdentityCredential::new(Some(options)).map_err(|e| first_line(&e))?)
}

/// The way to the endpoint for managed identities. azure_identity knows the address of IMDS only as a constant.
#[derive(Debug)]
struct LinkLocal {
    client: reqwest::Client,
    host: Option<Url>,
    /// Whether a machine without such an endpoint is asked again and again.
    patient: bool,
}

#[async_trait::async_trait]
impl HttpClient for LinkLocal {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let mut request = request.clone();
        if let Some(host) = self.host.as_ref().filter(|_| request.url().host_str() == Some("169.254.169.254")) {
            let url = request.url_mut();
            let moved = url.set_scheme(host.scheme()).and_then(|()| url.set_port(host.port()));
            moved.map_err(|()| credential_error("AZURE_POD_IDENTITY_AUTHORITY_HOST is no URL".into()))?;
            url.set_host(host.host_str())?;
        }
        match self.client.execute_request(&request).await {
            // Of this kind, the SDK would try six times.
            Err(error) if !self.patient && *error.kind() == ErrorKind::Connection => {
                Err(credential_error(format!("this machine has none ({})", words_of(&error))))
            }
            answer => answer,
        }
    }
}

/// A federated token: another process writes it anew before it expires, so it is read each time.
#[derive(Debug)]
struct TokenFile(PathBuf);

#[async_trait::async_trait]
impl ClientAssertion for TokenFile {
    async fn secret(&self, _options: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        read(&self.0).map(|token| token.trim().to_owned()).map_err(credential_error)
    }
}

/// For fuzzers: whether that is an `azureauth.json`.
#[cfg(any(test, fuzzing))]
pub(super) fn check_auth_file(text: &str) -> Result<(), String> {
    AuthFile::parse(Path::new("azureauth.json"), text).map(drop)
}

/// For fuzzers: whether that is a client certificate with its key.
#[cfg(any(test, fuzzing))]
pub(super) fn check_certificate(text: &str) -> Result<(), String> {
    key_and_thumbprint(text).map(drop)
}
