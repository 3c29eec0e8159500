//! Who may ask: the endpoints that issue access tokens, and the check of a request's token.

mod access_token;
mod assertion;
mod bearer;
mod error;
mod iam_credentials;
mod id_token;
mod metadata;
mod sts;
mod subject;
mod token_endpoint;

use super::status::pretty;
use crate::http::{Reply, Request};
use crate::state::State;
use crate::state::google::{PROJECT, PROJECT_NUMBER};
pub(crate) use access_token::issue;
pub(crate) use assertion::key_id;
pub(crate) use bearer::{authorize, expired};
pub(crate) use error::oauth_error;
use hyper::Method;
pub(crate) use iam_credentials::denied as impersonation_denied;
pub(crate) use id_token::issue as issue_id_token;
use serde_json::json;

/// One of the endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// `oauth2.googleapis.com/token`
    Token,
    /// `sts.googleapis.com/v1/token`
    Sts,
    /// `iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/...:generateAccessToken`
    IamCredentials,
    /// `cloudresourcemanager.googleapis.com/v1/projects/...`, which Python's client asks for the id of the project.
    Project,
    /// The metadata server of a machine, asked for a token.
    MetadataToken,
    /// The metadata server of a machine.
    Metadata,
}

impl Endpoint {
    /// The endpoint that a request is for.
    pub(crate) fn of(request: &Request) -> Option<Self> {
        let path = request.path.as_str();
        let metadata =
            path.starts_with("/computeMetadata/") || path == "/" && request.header("metadata-flavor").is_some();
        match path {
            "/token" if request.method == Method::POST => Some(Self::Token),
            "/v1/token" if request.method == Method::POST => Some(Self::Sts),
            _ if path.starts_with("/v1/projects/-/serviceAccounts/") => Some(Self::IamCredentials),
            _ if request.hostname().starts_with("cloudresourcemanager.") => Some(Self::Project),
            _ if metadata && path.ends_with("/token") => Some(Self::MetadataToken),
            _ if metadata => Some(Self::Metadata),
            _ => None,
        }
    }

    /// As it is counted.
    pub(crate) fn operation(self) -> &'static str {
        match self {
            Self::Token => "google.Token",
            Self::Sts => "google.StsToken",
            Self::IamCredentials => "google.GenerateAccessToken",
            Self::Project => "google.GetProject",
            Self::MetadataToken => "google.MetadataToken",
            Self::Metadata => "google.Metadata",
        }
    }

    /// Answers one request.
    pub(crate) fn answer(self, state: &State, request: &Request) -> Reply {
        match self {
            Self::Token => token_endpoint::answer(state, request),
            Self::Sts => sts::answer(state, request),
            Self::IamCredentials => iam_credentials::answer(state, request),
            Self::Project => project(state, request),
            Self::MetadataToken | Self::Metadata => metadata::answer(state, request),
        }
    }
}

/// GetProject of the Resource Manager.
fn project(state: &State, request: &Request) -> Reply {
    let project = json!({ "projectNumber": PROJECT_NUMBER, "projectId": PROJECT, "lifecycleState": "ACTIVE" });
    authorize(state, request, "GetProject").map_or_else(|error| error.reply(), |()| pretty(200, &project))
}
