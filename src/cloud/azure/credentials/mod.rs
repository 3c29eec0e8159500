//! The sources of tokens for Key Vault: which source is selected, and which has returned a token.
//!
//! azure_identity has the individual credentials, but no chain of them.

pub(crate) mod assertion;
pub(crate) mod auth_file;
pub(crate) mod certificate;
pub(crate) mod context;
pub(crate) mod managed_identity;
pub(crate) mod sources;
pub(crate) mod token_error;

use super::environment::Challenge;
use super::settings::{Credential, Settings};
use crate::cloud::failure::Cause;
use crate::cloud::failure::error_chain::message_of;
use crate::cloud::failure::obstacle::Obstacle;
use crate::cloud::login::mask_pin;
use crate::log_debug;
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::http::ClientOptions;
use azure_core::time::OffsetDateTime;
use context::Context;
use sources::{ConfiguredBy, SOURCES, SourceKind};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use token_error::{credential_error, obstacle_error, settings_error};
use tokio::sync::Mutex;

/// Returns the source of tokens for these settings. `link_local` is the client for managed identities, and
/// `challenge` is the authority that the vault names.
pub(crate) fn chain(
    settings: &Settings,
    options: ClientOptions,
    link_local: reqwest::Client,
    challenge: Challenge,
) -> Arc<Chain> {
    let context = Context { settings: settings.clone(), options, link_local, challenge };
    Arc::new(Chain { context, state: Mutex::default() })
}

/// A source of tokens that determines by itself which of the sources is available. A token is used until 300
/// seconds before it expires, or, if no new token can be obtained, until 30 seconds before it expires.
pub(crate) struct Chain {
    context: Context,
    /// Locked while a token is requested: one caller requests it, and all others wait for it.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    selected_source: Option<Source>,
    token: Option<(String, AccessToken)>,
}

/// A source that has been created.
#[derive(Clone)]
struct Source {
    tokens: Arc<dyn TokenCredential>,
    /// The source and the setting that configures it, for messages.
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
        let fetched = match state.selected_source.clone() {
            Some(source) => {
                let token = self.request_token(&source, scopes, self.time_share(SOURCE_TIME_SHARE)).await;
                // A file from which the source was created may have changed.
                state.selected_source = state.selected_source.take().filter(|_| token.is_ok());
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
    /// Returns the source that has returned a token, with the setting that configures it.
    pub(crate) async fn source(&self) -> Option<String> {
        self.state.lock().await.selected_source.as_ref().map(|source| source.name.clone())
    }

    async fn choose(&self, state: &mut State, scopes: &[&str]) -> azure_core::Result<AccessToken> {
        let wanted = self.context.settings.credential;
        let rows: Vec<&SourceKind> = SOURCES.iter().filter(|row| wanted.includes(row.kind)).collect();
        let (mut missing, mut configured) = (Vec::new(), Vec::new());
        for (row, configures) in rows.iter().filter_map(|row| Some((row, row.configured?))) {
            match configures(&self.context) {
                Ok(by) => configured.push((by, *row)),
                Err(what) => missing.push((row.name, what)),
            }
        }
        if let Some((by, row)) = preferred(configured) {
            let name = format!("{} ({by})", row.name);
            let source = self.make(row, &name).map_err(settings_error)?;
            return self.try_source(state, source, scopes, self.time_share(SOURCE_TIME_SHARE)).await;
        }
        missing.iter().for_each(|(name, what)| log_debug!("{}: no token from {name}: {what}", self.vault()));
        let unconfigured: Vec<&SourceKind> = rows.into_iter().filter(|row| row.configured.is_none()).collect();
        self.try_unconfigured(state, &unconfigured, &missing, scopes).await
    }

    /// Requests a token from each of the sources that need no configuration, in turn, until one of them returns a
    /// token.
    async fn try_unconfigured(
        &self,
        state: &mut State,
        rows: &[&SourceKind],
        missing: &[(&str, String)],
        scopes: &[&str],
    ) -> azure_core::Result<AccessToken> {
        // None of several sources may use up the time of all of them.
        let limit = self.time_share(if rows.len() > 1 { SOURCE_TIME_SHARE / 2.0 } else { SOURCE_TIME_SHARE });
        // The user probably intends a source that is configured in part.
        let mut tried = half_configured(missing);
        for row in rows {
            let source = match self.make(row, row.name) {
                Ok(source) => source,
                Err(why) => {
                    tried.push(why);
                    continue;
                }
            };
            match self.try_source(state, source, scopes, limit).await {
                Err(error) if rows.len() > 1 => tried.push(message_of(&error)),
                answer => return answer,
            }
        }
        tried.extend(not_configured(missing, self.context.settings.credential));
        Err(credential_error(format!("no source returned a token: {}", tried.join("; "))))
    }

    fn vault(&self) -> &str {
        &self.context.settings.vault_url
    }

    fn make(&self, row: &SourceKind, name: &str) -> Result<Source, String> {
        let tokens = (row.make)(&self.context).map_err(|why| format!("{name}: {why}"))?;
        Ok(Source { tokens, name: name.to_owned() })
    }

    /// Requests a token from a source, and selects the source if it returns one.
    async fn try_source(
        &self,
        state: &mut State,
        source: Source,
        scopes: &[&str],
        limit: Duration,
    ) -> azure_core::Result<AccessToken> {
        let token = self.request_token(&source, scopes, limit).await;
        match &token {
            Ok(_) => log_debug!("got a token for {} from {}", self.vault(), source.name),
            Err(error) => log_debug!("{}: no token from {}", self.vault(), self.mask_pin(message_of(error))),
        }
        let token = token?;
        state.selected_source = Some(source);
        Ok(token)
    }

    async fn request_token(
        &self,
        source: &Source,
        scopes: &[&str],
        limit: Duration,
    ) -> azure_core::Result<AccessToken> {
        let name = &source.name;
        match tokio::time::timeout(limit, source.tokens.get_token(scopes, None)).await {
            Ok(Ok(token)) if token.token.secret().is_empty() => {
                // If a reply has no token, azure_identity returns an empty one.
                Err(credential_error(format!("{name}: the reply to the request for a token lacks the token")))
            }
            Ok(Ok(token)) => Ok(token),
            Ok(Err(error)) => Err(self.context.source_error(name, &error)),
            Err(_) => {
                Err(obstacle_error(&Obstacle::permanent(Cause::TimedOut, format!("no reply within {limit:?}")), name))
            }
        }
    }

    /// Returns the message for the log. The secret is removed if it is a PIN.
    fn mask_pin(&self, words: String) -> String {
        match (&self.context.settings.client_secret, self.context.settings.credential) {
            (Some(pin), Credential::Login) => mask_pin(&words, pin.expose()),
            _ => words,
        }
    }

    fn time_share(&self, part: f64) -> Duration {
        self.context.settings.network.call_timeout.mul_f64(part)
    }
}

/// The part of the time of a call that one source may take, so that the failure can name the source before the
/// call ends.
const SOURCE_TIME_SHARE: f64 = 0.9;

/// Returns the first source that an option configures, or else the first of all.
fn preferred<T>(configured: Vec<(ConfiguredBy, T)>) -> Option<(ConfiguredBy, T)> {
    configured.into_iter().min_by_key(|(by, _)| matches!(by, ConfiguredBy::Found(_)))
}

/// Returns whether the message says that a source is not configured at all, so that nothing suggests that the user
/// intends it.
fn is_unconfigured(what: &str) -> bool {
    what.starts_with("no ")
}

/// Returns the sources that are configured in part, each with what is missing.
fn half_configured(missing: &[(&str, String)]) -> Vec<String> {
    let parts = missing.iter().filter(|(_, what)| !is_unconfigured(what));
    parts.map(|(name, what)| format!("{name}: {what}")).collect()
}

/// Returns a short clause about the sources that are not configured. If the user has selected a source by name,
/// the clause says what would configure it.
fn not_configured(missing: &[(&str, String)], wanted: Credential) -> Option<String> {
    let each = |(name, what): &(&str, String)| match wanted {
        Credential::Default => (*name).to_owned(),
        _ => format!("{name} ({what})"),
    };
    let all: Vec<String> = missing.iter().filter(|(_, what)| is_unconfigured(what)).map(each).collect();
    (!all.is_empty()).then(|| format!("not configured: {}", all.join(", ")))
}

impl Credential {
    /// Returns whether this setting includes the source. A login must be selected explicitly, because it cannot be
    /// found.
    fn includes(self, kind: Credential) -> bool {
        self == kind || self == Credential::Default && kind != Credential::Login
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Chain")
    }
}
