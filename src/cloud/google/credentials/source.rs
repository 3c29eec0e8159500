//! The types of credentials, and the tokens that each type brings.

use super::access_token::{DEFAULT_UNIVERSE, IssuedToken, PLATFORM_SCOPE};
use super::credential_file::Members;
use super::external_account::ExternalAccount;
use super::impersonation::Impersonated;
use super::metadata;
use super::refresh_token::RefreshToken;
use super::service_account::ServiceAccount;
use super::token_server::Context;
use crate::cloud::failure::refused::FailedAttempt;
use std::time::Duration;

/// Credentials, and what is known of them without a request.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) kind: SourceKind,
    /// Whose credentials these are, and where they are, for messages.
    pub(crate) origin: String,
    /// None if only the metadata server knows it.
    pub(crate) universe_domain: Option<String>,
    pub(crate) quota_project: Option<String>,
}

#[derive(Debug)]
pub(crate) enum SourceKind {
    ServiceAccount(Box<ServiceAccount>),
    RefreshToken(RefreshToken),
    ExternalAccount(Box<ExternalAccount>),
    Impersonated(Impersonated, Box<Source>),
    Metadata,
}

/// Reads the rest of a file. The second argument is the domain of the universe.
type Parser = fn(&mut Members, &str) -> Parsed;
/// The credentials, and a name of them.
type Parsed = Result<(SourceKind, String), String>;

/// The types of credential files: the value of `type`, and what reads the rest of the file.
const TYPES: [(&str, Parser); 5] = [
    ("service_account", service_account),
    ("authorized_user", authorized_user),
    ("external_account", external_account),
    ("external_account_authorized_user", external_user),
    ("impersonated_service_account", impersonated),
];

fn service_account(members: &mut Members, _universe: &str) -> Parsed {
    let account = ServiceAccount::new(members)?;
    let name = format!("service account {}", account.email);
    Ok((SourceKind::ServiceAccount(Box::new(account)), name))
}

fn authorized_user(members: &mut Members, universe: &str) -> Parsed {
    if universe != DEFAULT_UNIVERSE {
        return Err(members.wrong(&format!("users have no credentials of this type in the universe {universe}")));
    }
    Ok((SourceKind::RefreshToken(RefreshToken::of_user(members)?), "user".to_owned()))
}

fn external_user(members: &mut Members, universe: &str) -> Parsed {
    let token = RefreshToken::of_external_user(members, universe)?;
    Ok((SourceKind::RefreshToken(token), "user of a workforce identity pool".to_owned()))
}

fn external_account(members: &mut Members, universe: &str) -> Parsed {
    let account = ExternalAccount::new(members, universe)?;
    let name = "workload identity federation".to_owned();
    let kind = SourceKind::ExternalAccount(Box::new(account));
    let Some(url) = members.service_account_impersonation_url.clone() else { return Ok((kind, name)) };
    let seconds = members.service_account_impersonation.token_lifetime_seconds;
    let source = Source::in_file(kind, members, name, universe);
    Ok(impersonating(url, Vec::new(), seconds, source))
}

fn impersonated(members: &mut Members, _universe: &str) -> Parsed {
    let url = members.required(&members.service_account_impersonation_url, "service_account_impersonation_url")?;
    let source = members.source()?;
    if source.kind.as_deref() == Some("impersonated_service_account") {
        return Err(
            members.wrong("\"source_credentials\" are impersonated themselves; name the chain in \"delegates\"")
        );
    }
    let source = Source::new(source)?;
    Ok(impersonating(url, std::mem::take(&mut members.delegates), None, source))
}

fn impersonating(url: String, delegates: Vec<String>, seconds: Option<u64>, source: Source) -> (SourceKind, String) {
    let lifetime = Duration::from_secs(seconds.unwrap_or(3600));
    let account = Impersonated { url, named_by: "service_account_impersonation_url", delegates, lifetime };
    let name = format!("service account {} by {}", account.email(), source.origin);
    (SourceKind::Impersonated(account, Box::new(source)), name)
}

impl Source {
    /// Takes the credentials from a file.
    ///
    /// # Errors
    /// A sentence with the path, which says what to do.
    pub(crate) fn new(mut members: Members) -> Result<Self, String> {
        let kind = members.required(&members.kind, "type")?;
        let universe = members.universe_domain.clone().filter(|domain| !domain.is_empty());
        let universe = universe.unwrap_or_else(|| DEFAULT_UNIVERSE.to_owned());
        let row = TYPES.iter().find(|(name, _)| *name == kind);
        let (_, parse) = row.ok_or_else(|| {
            let known = TYPES.map(|(name, _)| name).join(", ");
            members.wrong(&format!("credentials of the type {kind:?} are not supported; supported are {known}"))
        })?;
        let (kind, name) = parse(&mut members, &universe)?;
        let quota_project = members.quota_project_id.take().filter(|project| !project.is_empty());
        Ok(Self { quota_project, ..Self::in_file(kind, &members, name, &universe) })
    }

    fn in_file(kind: SourceKind, members: &Members, name: String, universe: &str) -> Self {
        let path = members.path.display();
        let origin = if matches!(kind, SourceKind::Impersonated(..)) { name } else { format!("{name} ({path})") };
        Self { kind, origin, universe_domain: Some(universe.to_owned()), quota_project: None }
    }

    /// The service account of the machine.
    pub(crate) fn metadata() -> Self {
        let origin = "the machine's service account (metadata server)".to_owned();
        Self { kind: SourceKind::Metadata, origin, universe_domain: None, quota_project: None }
    }

    /// The service account that these credentials impersonate.
    pub(crate) fn impersonating(self, account: Impersonated) -> Self {
        let origin = format!("service account {} by {}", account.email(), self.origin);
        let (universe_domain, quota_project) = (self.universe_domain.clone(), self.quota_project.clone());
        Self { kind: SourceKind::Impersonated(account, Box::new(self)), origin, universe_domain, quota_project }
    }

    /// Returns a new token, and the domain of the universe.
    pub(crate) async fn token(
        &self,
        context: &Context<'_>,
        scope: &str,
    ) -> Result<(IssuedToken, String), FailedAttempt> {
        let token = match &self.kind {
            SourceKind::ServiceAccount(account) => {
                account.sign(scope, context.memory.now()).map_err(|why| context.bad_credentials(why))?
            }
            SourceKind::RefreshToken(token) => token.token(context).await?,
            SourceKind::ExternalAccount(account) => account.token(context, scope).await?,
            SourceKind::Metadata => return metadata::token(context).await,
            SourceKind::Impersonated(account, source) => {
                let (token, universe) = Box::pin(source.token(context, PLATFORM_SCOPE)).await?;
                return Ok((account.token(context, &token.token, scope).await?, universe));
            }
        };
        Ok((token, self.universe_domain.clone().unwrap_or_else(|| DEFAULT_UNIVERSE.to_owned())))
    }
}
