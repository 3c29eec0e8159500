//! The HTTP client that AWS's SDK gets: the one that all clouds share.

use super::http::{Connections, LARGEST_REPLY, TOO_LARGE};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use http_body_util::BodyExt;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The client whose connections can be given up for new ones. The SDK asks for a connector before each attempt.
#[derive(Debug)]
pub(super) struct Http(pub(super) Arc<Connections>);

impl HttpClient for Http {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        // Who sets both wants less than the client's own limits: a machine's metadata service.
        let limit = settings.connect_timeout().zip(settings.read_timeout());
        let limit = limit.map(|(connect, read)| connect + read);
        SharedHttpConnector::new(Connector { client: self.0.current(), limit })
    }
}

/// A connector whose replies have at most [`LARGEST_REPLY`].
#[derive(Debug)]
struct Connector {
    client: reqwest::Client,
    limit: Option<Duration>,
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let client = self.client.clone();
        let request = with_whole_body(request, self.limit);
        HttpConnectorFuture::new(async move {
            let reply = client.execute(request?).await.map_err(failure)?;
            let reply = http::Response::<reqwest::Body>::from(reply);
            let limited = |body| http_body_util::Limited::new(body, LARGEST_REPLY).map_err(BadBody::from);
            let reply = reply.map(|body| SdkBody::from_body_1_x(limited(body)));
            HttpResponse::try_from(reply).map_err(|e| ConnectorError::other(e.into(), None))
        })
    }
}

fn with_whole_body(request: HttpRequest, limit: Option<Duration>) -> Result<reqwest::Request, ConnectorError> {
    let unusable = |error: BoxError| ConnectorError::user(error);
    let request = request.try_into_http1x().map_err(|e| unusable(e.into()))?;
    let (parts, body) = request.into_parts();
    let body = body.bytes().ok_or_else(|| unusable("a body that is not in memory".into()))?.to_vec();
    let request = http::Request::from_parts(parts, body);
    let mut request = reqwest::Request::try_from(request).map_err(|e| unusable(e.into()))?;
    *request.timeout_mut() = limit;
    Ok(request)
}

fn failure(error: reqwest::Error) -> ConnectorError {
    match error.is_timeout() {
        true => ConnectorError::timeout(error.into()),
        false => ConnectorError::io(error.into()),
    }
}

/// Why a reply's body did not come whole.
#[derive(Debug)]
pub(super) enum BadBody {
    /// The connection has ended before it.
    Cut(BoxError),
    /// It has more than [`LARGEST_REPLY`].
    TooLarge,
}

impl From<BoxError> for BadBody {
    fn from(error: BoxError) -> Self {
        if error.is::<http_body_util::LengthLimitError>() { Self::TooLarge } else { Self::Cut(error) }
    }
}

impl fmt::Display for BadBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if matches!(self, Self::TooLarge) { TOO_LARGE } else { "the reply broke off" })
    }
}

impl Error for BadBody {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Cut(error) => Some(&**error),
            Self::TooLarge => None,
        }
    }
}
