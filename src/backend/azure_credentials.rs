//! Where the tokens for Key Vault come from: the sources in their order, and the one that has worked.
//!
//! azure_identity has the single credentials, but no chain of them, and its client certificate wants OpenSSL.

use super::azure::{Credential, Settings};
use super::azure_assertion::SignedAssertion;
use super::azure_auth_file::{AuthFile, Proof};
use super::azure_certificate::{ClientCertificate, GivenPassword};
use super::azure_client::with_authority;
use super::azure_cloud::Challenge;
use super::credential_file;
use super::http::{causes, is_timeout, words_of};
use super::login::masked;
use super::obstacle::Obstacle;
use super::{Cause, program};
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
use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use zeroize::Zeroizing;

/// The tokens for these settings. `link_local` is the client for managed identities; `challenge` is what the vault says.
pub(super) fn chain(
    settings: &Settings,
    options: ClientOptions,
    link_local: reqwest::Client,
    challenge: Challenge,
) -> Arc<Chain> {
    let context = Context { settings: settings.clone(), options, link_local, challenge };
    Arc::new(Chain { context, state: Mutex::default() })
}

/// A kind of source.
struct Row {
    kind: Credential,
    name: &'static str,
    /// What configures it.
    configured: fn(&Context) -> Configured,
    make: fn(&Context) -> Made,
}

/// The sources, in their order. One that is configured is the only one asked: an option goes before all variables and
/// files that lie around. Where none is, those that need no configuration are asked in turn.
#[rustfmt::skip]
const SOURCES: &[Row] = &[
    Row { kind: Credential::Environment, name: "client secret", configured: has_secret, make: client_secret },
    Row { kind: Credential::Environment, name: "client certificate", configured: has_certificate, make: client_certificate },
    Row { kind: Credential::WorkloadIdentity, name: "workload identity", configured: has_token, make: workload_identity },
    Row { kind: Credential::AuthFile, name: "azureauth.json", configured: has_auth_file, make: auth_file },
    Row { kind: Credential::Cli, name: "az", configured: nothing, make: az },
    Row { kind: Credential::ManagedIdentity, name: "managed identity", configured: nothing, make: managed_identity },
    Row { kind: Credential::Login, name: "the login", configured: nothing, make: client_secret },
];

/// Those for which nothing needs to be configured.
const UNCONFIGURED: [Credential; 3] = [Credential::Cli, Credential::ManagedIdentity, Credential::Login];

/// Who says that a source is to be used; else what is missing.
type Configured = Result<By, String>;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum By {
    Option(&'static str),
    /// A variable, or a file.
    Found(String),
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            By::Option(name) => write!(f, "option \"{name}\""),
            By::Found(name) => f.write_str(name),
        }
    }
}

/// A source, or why there is none.
type Made = Result<Arc<dyn TokenCredential>, String>;

/// What the sources are made from.
struct Context {
    settings: Settings,
    options: ClientOptions,
    link_local: reqwest::Client,
    challenge: Challenge,
}

/// A source of tokens that finds out by itself which of the sources there is.
pub(super) struct Chain {
    context: Context,
    /// Locked while a token is fetched: one fetches, all others wait for it.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    chosen: Option<Source>,
    token: Option<(String, AccessToken)>,
}

/// A source that has been made.
#[derive(Clone)]
struct Source {
    tokens: Arc<dyn TokenCredential>,
    /// What it is and who configures it, for messages.
    name: String,
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
                let token = self.ask(&source, scopes, self.limit(WHOLE)).await;
                // A file that it was made from may have been written anew.
                state.chosen = state.chosen.take().filter(|_| token.is_ok());
                token
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
        let wanted = self.context.settings.credential;
        let rows: Vec<&Row> = SOURCES.iter().filter(|row| wanted.includes(row.kind)).collect();
        let (mut missing, mut configured) = (Vec::new(), Vec::new());
        for row in rows.iter().filter(|row| !UNCONFIGURED.contains(&row.kind)) {
            match (row.configured)(&self.context) {
                Ok(by) => configured.push((by, *row)),
                Err(what) => missing.push((row.name, what)),
            }
        }
        if let Some((by, row)) = first(configured) {
            let name = format!("{} ({by})", row.name);
            let source = self.make(row, &name).map_err(wrongly_set)?;
            return self.chosen(state, source, scopes, self.limit(WHOLE)).await;
        }
        missing.iter().for_each(|(name, what)| log_debug!("{}: no token from {name}: {what}", self.vault()));
        let unconfigured: Vec<&Row> = rows.into_iter().filter(|row| UNCONFIGURED.contains(&row.kind)).collect();
        self.in_turn(state, &unconfigured, &missing, scopes).await
    }

    /// Asks those that need no configuration, each if the one before has no token.
    async fn in_turn(
        &self,
        state: &mut State,
        rows: &[&Row],
        missing: &[(&str, String)],
        scopes: &[&str],
    ) -> azure_core::Result<AccessToken> {
        // None of several sources may use up the time of all.
        let limit = self.limit(if rows.len() > 1 { WHOLE / 2.0 } else { WHOLE });
        // What is configured by half is what somebody means.
        let mut tried = half_configured(missing);
        for row in rows {
            let source = match self.make(row, row.name) {
                Ok(source) => source,
                Err(why) => {
                    tried.push(why);
                    continue;
                }
            };
            match self.chosen(state, source, scopes, limit).await {
                Err(error) if rows.len() > 1 => tried.push(words_of(&error)),
                answer => return answer,
            }
        }
        tried.extend(not_configured(missing, self.context.settings.credential));
        Err(credential_error(format!("no token: {}", tried.join("; "))))
    }

    fn vault(&self) -> &str {
        &self.context.settings.vault_url
    }

    fn make(&self, row: &Row, name: &str) -> Result<Source, String> {
        let tokens = (row.make)(&self.context).map_err(|why| format!("{name}: {why}"))?;
        Ok(Source { tokens, name: name.to_owned() })
    }

    /// Asks a source, and stays with it if it has a token.
    async fn chosen(
        &self,
        state: &mut State,
        source: Source,
        scopes: &[&str],
        limit: Duration,
    ) -> azure_core::Result<AccessToken> {
        let token = self.ask(&source, scopes, limit).await;
        match &token {
            Ok(_) => log_debug!("a token for {} from {}", self.vault(), source.name),
            Err(error) => log_debug!("{}: no token from {}", self.vault(), self.context.masked(words_of(error))),
        }
        let token = token?;
        state.chosen = Some(source);
        Ok(token)
    }

    async fn ask(&self, source: &Source, scopes: &[&str], limit: Duration) -> azure_core::Result<AccessToken> {
        let name = &source.name;
        match tokio::time::timeout(limit, source.tokens.get_token(scopes, None)).await {
            Ok(Ok(token)) if token.token.secret().is_empty() => {
                // Of a reply without a token, azure_identity makes an empty one.
                Err(credential_error(format!("{name}: the reply to the request for a token holds none")))
            }
            Ok(Ok(token)) => Ok(token),
            Ok(Err(error)) => Err(self.context.failed(name, &error)),
            Err(_) => Err(in_the_way(&Obstacle::lasting(Cause::TimedOut, format!("no answer within {limit:?}")), name)),
        }
    }

    fn limit(&self, part: f64) -> Duration {
        self.context.settings.network.call_timeout.mul_f64(part)
    }
}

/// Of the time of a call, so that the failure can say whose it is before the call ends.
const WHOLE: f64 = 0.9;

/// The first of those by options, else the first of all.
fn first<T>(configured: Vec<(By, T)>) -> Option<(By, T)> {
    configured.into_iter().min_by_key(|(by, _)| matches!(by, By::Found(_)))
}

/// Whether that is not configured at all: nothing says that somebody means it.
fn is_absent(what: &str) -> bool {
    what.starts_with("no ")
}

/// Those of which a part is there, each with what is missing.
fn half_configured(missing: &[(&str, String)]) -> Vec<String> {
    let parts = missing.iter().filter(|(_, what)| !is_absent(what));
    parts.map(|(name, what)| format!("{name}: {what}")).collect()
}

/// The short clause of those that are not configured; with what would do so where one was asked for by name.
fn not_configured(missing: &[(&str, String)], wanted: Credential) -> Option<String> {
    let each = |(name, what): &(&str, String)| match wanted {
        Credential::Default => (*name).to_owned(),
        _ => format!("{name} ({what})"),
    };
    let all: Vec<String> = missing.iter().filter(|(_, what)| is_absent(what)).map(each).collect();
    (!all.is_empty()).then(|| format!("not configured: {}", all.join(", ")))
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

pub(super) fn credential_error(message: String) -> Error {
    Error::with_message(ErrorKind::Credential, message)
}

/// The error of a source that is kept from its authority.
fn in_the_way(obstacle: &Obstacle, name: &str) -> Error {
    let message = format!("{name}: {}", obstacle.message);
    Error::new(ErrorKind::Credential, Obstacle { message, ..obstacle.clone() })
}

/// What a source is made from is missing or wrong: nobody was asked for a token.
fn wrongly_set(why: String) -> Error {
    Error::new(ErrorKind::Credential, Obstacle::lasting(Cause::Settings, why))
}

/// What azure_identity says where the program is not there, and what helps.
const NO_AZ: &str = "az not found on PATH";
const INSTALL: &str =
    ": install the Azure CLI, put its folder into this program's PATH, or choose another \"azure_credential\"";

/// What azure_identity says round the words of others.
const FRAMES: [&str; 4] =
    [" authentication failed.", "\nTo troubleshoot", "retry policy expired", "non-transport error occurred"];

/// That of the authority's reply.
fn status(error: &Error) -> Option<u16> {
    causes(error).filter_map(|error| error.downcast_ref::<Error>()).find_map(|error| match error.kind() {
        ErrorKind::HttpResponse { status, .. } => Some(u16::from(*status)),
        _ => None,
    })
}

/// An error's own words, in one line: the authority's, with the status of its reply, else those of the innermost cause.
fn own_words(error: &Error) -> String {
    let status = status(error).map(|status| format!("HTTP status {status}: "));
    let framed = |words: &String| FRAMES.iter().any(|frame| words.contains(frame));
    let mut words: Vec<String> = causes(error).map(ToString::to_string).filter(|words| !framed(words)).collect();
    words.dedup();
    // What comes behind the authority's own words is of no use.
    words.truncate(if status.is_some() { 1 } else { usize::MAX });
    let own = if words.is_empty() { error.to_string() } else { words.join(": ") };
    format!("{}{}", status.unwrap_or_default(), own.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn nothing(_: &Context) -> Configured {
    Err(String::new())
}

/// A value of the settings, else of the environment, else the sentence that says what is missing.
fn needed(setting: &Option<String>, option: &str, name: &str) -> Result<String, String> {
    let value = setting.clone().filter(|value| !value.is_empty()).or_else(|| env(name));
    value.ok_or_else(|| format!("it also needs \"{option}\" or {name}"))
}

impl Context {
    fn tenant(&self) -> Result<String, String> {
        needed(&self.settings.tenant_id, "azure_tenant_id", "AZURE_TENANT_ID")
    }

    fn client(&self) -> Result<String, String> {
        needed(&self.settings.client_id, "azure_client_id", "AZURE_CLIENT_ID")
    }

    /// A variable counts only if what it needs is there, too: one alone may be meant for another program. `option` would
    /// do in its place.
    fn by_variable(&self, name: &str, option: &str) -> Configured {
        env(name).ok_or_else(|| format!("no \"{option}\" or {name}"))?;
        self.tenant().and_then(|_| self.client()).map_err(|why| format!("{name} is set, and {why}"))?;
        Ok(By::Found(name.to_owned()))
    }

    /// Without a setting that of the vault's cloud.
    fn authority(&self) -> String {
        let host = self.settings.authority_host.clone().or_else(|| env("AZURE_AUTHORITY_HOST"));
        let host = host.unwrap_or_else(|| self.challenge.authority(&self.settings.vault_url));
        let url = if host.contains("://") { host } else { format!("https://{host}") };
        url.trim_end_matches('/').to_owned()
    }

    fn options(&self, authority: &str) -> ClientOptions {
        with_authority(self.options.clone(), authority)
    }

    fn with_secret(&self, tenant: &str, client: String, secret: String, authority: &str) -> Made {
        let options = ClientSecretCredentialOptions { client_options: self.options(authority) };
        let made = ClientSecretCredential::new(tenant, client, Secret::new(secret), Some(options));
        Ok(made.map_err(|e| own_words(&e))?)
    }

    fn with_certificate(&self, tenant: String, client: String, path: &Path, authority: &str) -> Made {
        let audience = format!("{authority}/{tenant}/oauth2/v2.0/token");
        let (file, password) = (credential_file::private_bytes(path)?, self.password()?);
        let certificate = ClientCertificate::read(&file, password.as_ref());
        let certificate = certificate.map_err(|why| format!("{}: {why}", path.display()))?;
        let assertion = SignedAssertion { certificate, client: client.clone(), audience };
        self.with_assertion(tenant, client, assertion, authority)
    }

    /// The password of the client certificate's file, if somebody has set one.
    fn password(&self) -> Result<Option<GivenPassword>, String> {
        if let Some(path) = &self.settings.client_certificate_password_file {
            let text = credential_file::secret(path).map_err(|why| format!("option \"{PASSWORD_FILE}\": {why}"))?;
            return Ok(Some(GivenPassword { text, by: path.display().to_string() }));
        }
        let given = |text| GivenPassword { text: Zeroizing::new(text), by: PASSWORD.into() };
        Ok(env(PASSWORD).map(given))
    }

    fn with_assertion(
        &self,
        tenant: String,
        client: String,
        assertion: impl ClientAssertion + 'static,
        authority: &str,
    ) -> Made {
        let options = ClientAssertionCredentialOptions { client_options: self.options(authority) };
        let made = ClientAssertionCredential::new(tenant, client, assertion, Some(options));
        Ok(made.map_err(|e| own_words(&e))?)
    }

    /// Words for the log, without the secret if that is a PIN.
    fn masked(&self, words: String) -> String {
        match (&self.settings.client_secret, self.settings.credential) {
            (Some(pin), Credential::Login) => masked(&words, pin.expose()),
            _ => words,
        }
    }

    /// The error of a source of that name.
    fn failed(&self, name: &str, error: &Error) -> Error {
        if let Some(obstacle) = Obstacle::within(error) {
            return in_the_way(obstacle, name);
        }
        if is_timeout(error) {
            return in_the_way(&Obstacle::lasting(Cause::TimedOut, "no answer to the request for a token"), name);
        }
        let mut words = own_words(error);
        if words.contains(NO_AZ) && self.settings.credential == Credential::Cli {
            words.push_str(INSTALL);
        }
        // The authority has not refused: it was not able to answer.
        match status(error) {
            Some(500..) => return in_the_way(&Obstacle::lasting(Cause::Internal, words), name),
            Some(429) => return in_the_way(&Obstacle::lasting(Cause::Throttled, words), name),
            _ => {}
        }
        // Only the authority's own codes can be about the wrong cloud.
        let contradiction = words.contains("AADSTS").then(|| self.challenge.contradiction(&self.authority())).flatten();
        let more = contradiction.map(|words| format!("; {words}")).unwrap_or_default();
        credential_error(format!("{name}: {words}{more}"))
    }
}

fn has_secret(context: &Context) -> Configured {
    match (&context.settings.client_secret, &context.settings.client_secret_file) {
        (Some(_), _) => Ok(By::Option("azure_client_secret")),
        (None, Some(_)) => Ok(By::Option("azure_client_secret_file")),
        (None, None) => context.by_variable("AZURE_CLIENT_SECRET", "azure_client_secret_file"),
    }
}

fn client_secret(context: &Context) -> Made {
    let settings = &context.settings;
    let secret = match (&settings.client_secret, &settings.client_secret_file) {
        (Some(secret), _) => secret.expose().to_owned(),
        (None, Some(file)) => credential_file::secret(file)?.to_string(),
        (None, None) => env("AZURE_CLIENT_SECRET").ok_or("no AZURE_CLIENT_SECRET")?,
    };
    context.with_secret(&context.tenant()?, context.client()?, secret, &context.authority())
}

fn has_certificate(context: &Context) -> Configured {
    match context.settings.client_certificate_path {
        Some(_) => Ok(By::Option("azure_client_certificate_path")),
        None => context.by_variable("AZURE_CLIENT_CERTIFICATE_PATH", "azure_client_certificate_path"),
    }
}

fn client_certificate(context: &Context) -> Made {
    let path = context.settings.client_certificate_path.clone();
    let path = path.or_else(|| env("AZURE_CLIENT_CERTIFICATE_PATH").map(PathBuf::from));
    let path = path.ok_or("no AZURE_CLIENT_CERTIFICATE_PATH")?;
    context.with_certificate(context.tenant()?, context.client()?, &path, &context.authority())
}

const PASSWORD_FILE: &str = "azure_client_certificate_password_file";
const PASSWORD: &str = "AZURE_CLIENT_CERTIFICATE_PASSWORD";

fn has_token(context: &Context) -> Configured {
    match context.settings.federated_token_file {
        Some(_) => Ok(By::Option("azure_federated_token_file")),
        None => context.by_variable("AZURE_FEDERATED_TOKEN_FILE", "azure_federated_token_file"),
    }
}

fn workload_identity(context: &Context) -> Made {
    let file = context.settings.federated_token_file.clone();
    let file = file.or_else(|| env("AZURE_FEDERATED_TOKEN_FILE").map(PathBuf::from));
    let file = file.ok_or("no AZURE_FEDERATED_TOKEN_FILE")?;
    context.with_assertion(context.tenant()?, context.client()?, TokenFile(file), &context.authority())
}

/// The file that the option names, else the first of those that may lie around which tells of an application.
fn has_auth_file(context: &Context) -> Configured {
    if context.settings.auth_file.is_some() {
        return Ok(By::Option("azure_auth_file"));
    }
    found_auth_file(context).map(|(path, _)| By::Found(path.display().to_string()))
}

fn found_auth_file(context: &Context) -> Result<(&Path, AuthFile), String> {
    let mut why = Vec::new();
    for path in &context.settings.auth_files {
        match AuthFile::read(path) {
            Ok(file) => return Ok((path, file)),
            // What is not there is not configured; of what is, and is of no use, somebody should know.
            Err(reason) if path.metadata().is_ok() => why.push(reason),
            Err(_) => {}
        }
    }
    let places: Vec<_> = context.settings.auth_files.iter().map(|path| path.display().to_string()).collect();
    Err(if why.is_empty() { format!("no \"azure_auth_file\" or {}", places.join(", ")) } else { why.join(", ") })
}

fn auth_file(context: &Context) -> Made {
    let file = match &context.settings.auth_file {
        Some(path) => AuthFile::read(path)?,
        None => found_auth_file(context)?.1,
    };
    let is_set = context.settings.authority_host.is_some() || env("AZURE_AUTHORITY_HOST").is_some();
    let authority = file.authority.filter(|_| !is_set).map(|url| url.trim_end_matches('/').to_owned());
    let authority = authority.unwrap_or_else(|| context.authority());
    match file.proof {
        Proof::Secret(secret) => context.with_secret(&file.tenant, file.client, secret.expose().to_owned(), &authority),
        Proof::Certificate(path) => context.with_certificate(file.tenant, file.client, &path, &authority),
    }
}

fn az(context: &Context) -> Made {
    // Less than the limit of the call, so that the failure can say what it was that took so long.
    let executor: Arc<dyn Executor> = Arc::new(Helper { limit: context.settings.network.call_timeout.mul_f64(0.75) });
    // Not AZURE_TENANT_ID: the login of `az` has a tenant of its own.
    let tenant_id = context.settings.tenant_id.clone();
    let options = AzureCliCredentialOptions { tenant_id, executor: Some(executor), ..Default::default() };
    Ok(AzureCliCredential::new(Some(options)).map_err(|e| own_words(&e))?)
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
    let retries = context.settings.network.retries;
    let user_assigned_id = context.client().ok().map(UserAssignedId::ClientId);
    let client = LinkLocal {
        client: context.link_local.clone(),
        host: env("AZURE_POD_IDENTITY_AUTHORITY_HOST").and_then(|host| Url::parse(&host).ok()),
        retries: if context.settings.credential == Credential::ManagedIdentity { retries } else { 0 },
    };
    let client_options = ClientOptions { transport: Some(Transport::new(Arc::new(client))), ..Default::default() };
    let options = ManagedIdentityCredentialOptions { user_assigned_id, client_options };
    Ok(ManagedIdentityCredential::new(Some(options)).map_err(|e| own_words(&e))?)
}

/// The way to the endpoint for managed identities. azure_identity knows the address of IMDS only as a constant.
#[derive(Debug)]
struct LinkLocal {
    client: reqwest::Client,
    host: Option<Url>,
    /// How often a machine that seems to have no such endpoint is asked again. The SDK would do so for a minute.
    retries: u32,
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
        let mut attempts = 0;
        loop {
            let error = match self.client.execute_request(&request).await {
                Ok(reply) => return Ok(reply),
                Err(error) => error,
            };
            match unconnected(request.url(), &error) {
                None => return Err(error),
                Some(words) if attempts >= self.retries => return Err(credential_error(words)),
                Some(_) => attempts += 1,
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Between attempts to reach the endpoint for managed identities, which may come a moment later than a machine.
const PAUSE: Duration = Duration::from_millis(100);

/// That nobody listens there.
fn unconnected(url: &Url, error: &Error) -> Option<String> {
    let is_connect = causes(error).filter_map(|e| e.downcast_ref::<reqwest::Error>()).any(|e| e.is_connect());
    let why = causes(error).last().map(ToString::to_string).unwrap_or_default();
    let (host, port) = (url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or(80));
    is_connect.then(|| format!("this machine has none: no connection to {host}:{port} ({why})"))
}

/// A federated token: another process writes it anew before it expires, so it is read each time.
#[derive(Debug)]
struct TokenFile(PathBuf);

#[async_trait::async_trait]
impl ClientAssertion for TokenFile {
    async fn secret(&self, _options: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        credential_file::token(&self.0).map(|token| token.to_string()).map_err(wrongly_set)
    }
}

/// For fuzzers: whether that is an `azureauth.json`.
#[cfg(any(test, fuzzing))]
pub(super) fn check_auth_file(text: &str) -> Result<(), String> {
    AuthFile::parse(Path::new("azureauth.json"), text).map(drop)
}

/// For fuzzers: whether that is a client certificate with its key.
#[cfg(any(test, fuzzing))]
pub(super) fn check_certificate(file: &[u8]) -> Result<(), String> {
    let password = GivenPassword { text: Zeroizing::new("password".into()), by: PASSWORD.into() };
    ClientCertificate::read(file, None).or_else(|_| ClientCertificate::read(file, Some(&password))).map(drop)
}
