//! Workload identity federation: the token of another provider of identities is exchanged for one of Google.
//!
//! <https://google.aip.dev/auth/4117>; "Method: v1.token" of the Security Token Service API; RFC 8693.

pub(crate) mod aws;
pub(crate) mod certificate;
pub(crate) mod executable;
pub(crate) mod subject_token;

use super::access_token::IssuedToken;
use super::credential_file::{CredentialSource, Members};
use super::refresh_token::basic_authentication;
use super::token_error::SUBJECT_ADVICE;
use super::token_server::{Context, Route, TokenReply};
use crate::cloud::failure::refused::FailedAttempt;
use crate::cloud::secret::Secret;
use aws::Aws;
use certificate::Certificate;
use executable::Executable;
use serde_json::json;
use subject_token::{SubjectTokenFormat, TokenFile, TokenUrl};
use zeroize::Zeroizing;

/// An identity of another provider.
#[derive(Debug)]
pub(crate) struct ExternalAccount {
    audience: String,
    subject_token_type: String,
    token_url: String,
    /// The OAuth client of a workforce identity pool.
    client: Option<(String, Secret)>,
    /// The project that is charged for a user of a workforce identity pool.
    user_project: Option<String>,
    source: SubjectTokenSource,
}

/// Where the token of the other provider comes from.
#[derive(Debug)]
enum SubjectTokenSource {
    File(TokenFile),
    Url(TokenUrl),
    Executable(Executable),
    Aws(Aws),
    Certificate(Certificate),
}

impl ExternalAccount {
    /// Takes the identity from a file.
    ///
    /// # Errors
    /// A sentence with the path, which says what to do.
    pub(crate) fn new(members: &mut Members, universe: &str) -> Result<Self, String> {
        let audience = members.required(&members.audience, "audience")?;
        let source = members.credential_source.take().ok_or_else(|| members.lacks("credential_source"))?;
        let user_project = members.workforce_pool_user_project.clone();
        if user_project.is_some() && !audience.contains("/workforcePools/") {
            return Err(members.wrong(
                "\"workforce_pool_user_project\" is for workforce identity pools, but \"audience\" names none",
            ));
        }
        let default = || format!("https://sts.{universe}/v1/token");
        let secret = |id| members.required_secret(&members.client_secret, "client_secret").map(|secret| (id, secret));
        Ok(Self {
            subject_token_type: members.required(&members.subject_token_type, "subject_token_type")?,
            token_url: members.token_url.clone().unwrap_or_else(default),
            client: members.client_id.clone().map(secret).transpose()?,
            user_project,
            source: SubjectTokenSource::new(source, members)?,
            audience,
        })
    }

    /// Exchanges the token of the other provider for one of Google.
    pub(crate) async fn token(&self, context: &Context<'_>, scope: &str) -> Result<IssuedToken, FailedAttempt> {
        let url = context.token_url(&self.token_url, "token_url")?;
        let subject = self.subject_token(context).await?;
        let options = self.user_project.as_ref().filter(|_| self.client.is_none());
        let options = options.map(|project| json!({ "userProject": project }).to_string());
        let mut fields = vec![
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ("audience", self.audience.as_str()),
            ("scope", scope),
            ("subject_token_type", self.subject_token_type.as_str()),
            ("subject_token", subject.as_str()),
        ];
        fields.extend(options.as_ref().map(|options| ("options", options.as_str())));
        let authorization = self.client.as_ref().map(|(id, secret)| basic_authentication(id, secret.expose()));
        let files = match &self.source {
            SubjectTokenSource::Certificate(own) => {
                Some(own.files(context.variable).map_err(|why| context.bad_credentials(why))?)
            }
            _ => None,
        };
        let route = files.as_ref().map_or(Route::Network, Route::MutualTls);
        let reply: TokenReply = context.post_form(url, &fields, authorization, (route, &SUBJECT_ADVICE)).await?;
        reply.issued(context)
    }

    async fn subject_token(&self, context: &Context<'_>) -> Result<Zeroizing<String>, FailedAttempt> {
        match &self.source {
            SubjectTokenSource::File(file) => file.token().map_err(|why| context.bad_credentials(why)),
            SubjectTokenSource::Url(url) => url.token(context).await,
            SubjectTokenSource::Executable(program) => {
                program.token(context, &self.audience, &self.subject_token_type).await
            }
            SubjectTokenSource::Aws(aws) => aws.token(context, &self.audience).await,
            SubjectTokenSource::Certificate(own) => {
                own.token(context.variable).map_err(|why| context.bad_credentials(why))
            }
        }
    }
}

impl SubjectTokenSource {
    fn new(source: CredentialSource, members: &Members) -> Result<Self, String> {
        let path =
            |path| members.path.parent().map_or_else(|| std::path::PathBuf::clone(path), |folder| folder.join(path));
        let format = SubjectTokenFormat::new(&source.format).map_err(|why| members.wrong(&why))?;
        if let Some(environment) = &source.environment_id {
            return Aws::new(environment, &source).map(Self::Aws).map_err(|why| members.wrong(&why));
        }
        if let Some(executable) = &source.executable {
            let email = members.service_account_impersonation_url.as_deref();
            return Executable::new(executable, email).map(Self::Executable).map_err(|why| members.wrong(&why));
        }
        if let Some(certificate) = &source.certificate {
            return Certificate::new(certificate).map(Self::Certificate).map_err(|why| members.wrong(&why));
        }
        match (&source.file, source.url) {
            (Some(file), None) => Ok(Self::File(TokenFile { path: path(file), format })),
            (None, Some(url)) => Ok(Self::Url(TokenUrl { url, headers: source.headers, format })),
            (Some(_), Some(_)) => {
                Err(members.wrong("\"credential_source\" has both \"file\" and \"url\"; remove one of them"))
            }
            (None, None) => Err(members
                .wrong("\"credential_source\" has none of file, url, executable, environment_id and certificate")),
        }
    }
}
