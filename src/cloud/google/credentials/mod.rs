//! Where access tokens come from: a credential file, or the metadata server.
//!
//! "How Application Default Credentials works"; <https://google.aip.dev/auth/4110>. The official crate google-cloud-auth makes
//! its own HTTP client, which has none of this module's settings for connections.

pub(crate) mod access_token;
pub(crate) mod credential_file;
pub(crate) mod external_account;
pub(crate) mod impersonation;
pub(crate) mod memory;
pub(crate) mod metadata;
pub(crate) mod refresh_token;
pub(crate) mod service_account;
pub(crate) mod source;
pub(crate) mod token_error;
pub(crate) mod token_server;

use super::settings::Credentials;
use crate::cloud::credentials::file;
use crate::cloud::failure::Cause;
use crate::cloud::failure::refused::FailedAttempt;
use access_token::{AccessToken, DEFAULT_UNIVERSE, KMS_SCOPE};
use credential_file::Members;
use impersonation::Impersonated;
use source::Source;
use std::path::Path;
use std::time::{Duration, SystemTime};
use token_server::Context;

/// Returns the file of the credentials, if there is one.
pub(crate) fn file_of(credentials: &Credentials) -> Option<&Path> {
    match credentials {
        Credentials::File(path) | Credentials::FileOrMetadata(path) => Some(path),
        Credentials::None | Credentials::Metadata => None,
    }
}

/// Returns the time at which the file of the credentials was last changed, if there is one.
pub(crate) fn file_version(credentials: &Credentials) -> Option<SystemTime> {
    file_of(credentials).and_then(file::modified)
}

/// Reads the credentials, and fetches a token with them. Returns how long the token is valid.
///
/// # Errors
/// What is wrong with the credentials, or what the token server says.
pub(crate) async fn fetch(context: &Context<'_>) -> Result<(AccessToken, Duration), FailedAttempt> {
    let settings = context.settings;
    let universe = settings.universe_domain.clone();
    let Some(source) = source(context)? else {
        let token = AccessToken {
            token: None,
            quota_project: settings.quota_project.clone(),
            universe_domain: universe.unwrap_or_else(|| DEFAULT_UNIVERSE.to_owned()),
            origin: "no credentials".to_owned(),
        };
        return Ok((token, Duration::MAX));
    };
    token_of(context, source).await
}

/// Fetches a token with these credentials. Returns how long the token is valid.
///
/// # Errors
/// As [`fetch`].
pub(crate) async fn token_of(context: &Context<'_>, source: Source) -> Result<(AccessToken, Duration), FailedAttempt> {
    let named = |mut refused: FailedAttempt| {
        refused.failure.message = format!("no access token for the {}: {}", source.origin, refused.failure.message);
        refused
    };
    let check = |own: &str| check_universe(context, own, &source.origin);
    // What is known is checked before a secret is sent anywhere.
    source.universe_domain.as_deref().map_or(Ok(()), check)?;
    let (issued, universe_domain) = source.token(context, KMS_SCOPE).await.map_err(named)?;
    check(&universe_domain)?;
    let quota_project = context.settings.quota_project.clone().or_else(|| source.quota_project.clone());
    let token = AccessToken { token: Some(issued.token), quota_project, universe_domain, origin: source.origin };
    Ok((token, issued.lifetime))
}

/// Returns the credentials that the settings select.
fn source(context: &Context<'_>) -> Result<Option<Source>, FailedAttempt> {
    let wrong = |why: String| context.bad_credentials(why);
    let read = |path: &Path| Members::read(path).and_then(Source::new);
    let source = match &context.settings.credentials {
        Credentials::None => return Ok(None),
        Credentials::Metadata => Source::metadata(),
        Credentials::FileOrMetadata(path) if !path.exists() => Source::metadata(),
        Credentials::File(path) | Credentials::FileOrMetadata(path) => read(path).map_err(wrong)?,
    };
    let Some(email) = &context.settings.impersonated_account else { return Ok(Some(source)) };
    let universe = source.universe_domain.as_ref().or(context.settings.universe_domain.as_ref());
    let universe = universe.map_or(DEFAULT_UNIVERSE, String::as_str);
    let account = Impersonated::by_email(email, universe).map_err(|why| context.refused(Cause::Settings, why))?;
    Ok(Some(source.impersonating(account)))
}

/// Credentials of one universe are never shown to another one.
fn check_universe(context: &Context<'_>, own: &str, origin: &str) -> Result<(), FailedAttempt> {
    match &context.settings.universe_domain {
        Some(wanted) if wanted != own => {
            let message = format!(
                "the {origin} belongs to the universe {own}, but the universe of the settings is {wanted}; \
                correct \"google_universe_domain\" (GOOGLE_CLOUD_UNIVERSE_DOMAIN), or use credentials of {wanted}"
            );
            Err(context.refused(Cause::Settings, message))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
