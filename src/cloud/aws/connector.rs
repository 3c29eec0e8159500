//! The HTTP client of the AWS SDK, and the headers of its requests to KMS.
//!
//! The connections are those that all clouds share.

use crate::cloud::failure::obstacle::Obstacle;
use crate::cloud::http::exchange::SendError;
use crate::cloud::http::{LARGEST_REPLY, REPLY_TOO_LARGE, ServiceClient, link_local};
use aws_runtime::invocation_id::InvocationIdInterceptor;
use aws_runtime::request_info::RequestInfoInterceptor;
use aws_runtime::user_agent::UserAgentInterceptor;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::interceptors::context::BeforeSerializationInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{Intercept, disable_interceptor, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::{ConfigBag, FrozenLayer, Layer};
use http::header::{HeaderValue, USER_AGENT};
use http_body_util::BodyExt;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The HTTP client of the AWS SDK. It consists of the shared client, whose connections can be replaced, and a
/// client for the metadata services of the machine. The SDK asks for a connector before each attempt.
#[derive(Debug)]
pub(crate) struct SdkHttpClient {
    shared: Arc<ServiceClient>,
    link_local: reqwest::Client,
}

impl SdkHttpClient {
    pub(crate) fn new(far: Arc<ServiceClient>) -> Result<Self, String> {
        Ok(Self { shared: far, link_local: link_local()? })
    }
}

impl HttpClient for SdkHttpClient {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        // The SDK sets both timeouts only for requests to the metadata service of a machine or a container. These
        // requests end earlier than the limits of the HTTP client.
        let limit = settings.connect_timeout().zip(settings.read_timeout());
        let near = limit.map(|(connect, read)| (self.link_local.clone(), connect + read));
        SharedHttpConnector::new(Connector { far: self.shared.clone(), near })
    }
}

/// A connector whose replies have at most [`LARGEST_REPLY`] bytes.
#[derive(Debug)]
struct Connector {
    far: Arc<ServiceClient>,
    /// The client for requests without TLS, and their time limit. This client uses no proxy: a proxy would reach
    /// the metadata service of another machine, if any.
    near: Option<(reqwest::Client, Duration)>,
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let near = self.near.as_ref().filter(|_| request.uri().starts_with("http:"));
        let limit = self.near.as_ref().map(|(_, limit)| *limit);
        let (near, far) = (near.map(|(client, _)| client.clone()), self.far.clone());
        let request = to_reqwest(request, limit);
        HttpConnectorFuture::new(async move {
            let request = request?;
            let reply = match near {
                // The metadata service of a machine is behind no proxy and does not use TLS, so no advice about proxies
                // or TLS applies.
                Some(near) => {
                    near.execute(request).await.map_err(|error| match Obstacle::missing_resource(&error) {
                        Some(obstacle) => obstacle_error(obstacle),
                        None => http_error(error),
                    })?
                }
                None => far.send(request).await.map_err(|error| match error {
                    SendError::Obstacle(obstacle) => obstacle_error(obstacle),
                    SendError::Http(error) => http_error(error),
                })?,
            };
            let reply = http::Response::<reqwest::Body>::from(reply);
            let limited = |body| http_body_util::Limited::new(body, LARGEST_REPLY).map_err(BodyError::from);
            let reply = reply.map(|body| SdkBody::from_body_1_x(limited(body)));
            HttpResponse::try_from(reply).map_err(|e| ConnectorError::other(e.into(), None))
        })
    }
}

fn to_reqwest(request: HttpRequest, limit: Option<Duration>) -> Result<reqwest::Request, ConnectorError> {
    let unusable = |error: BoxError| ConnectorError::user(error);
    let request = request.try_into_http1x().map_err(|e| unusable(e.into()))?;
    let (mut parts, body) = request.into_parts();
    // The SDK's requests for credentials have a User-Agent of their own.
    parts.headers.entry(USER_AGENT).or_insert(HeaderValue::from_static(USER_AGENT_VALUE));
    let body = body.bytes().ok_or_else(|| unusable("the request's body is not in memory".into()))?.to_vec();
    let request = http::Request::from_parts(parts, body);
    let mut request = reqwest::Request::try_from(request).map_err(|e| unusable(e.into()))?;
    *request.timeout_mut() = limit;
    Ok(request)
}

/// The User-Agent of requests to KMS. The service's own log (CloudTrail) shows it.
const USER_AGENT_VALUE: &str = concat!("cloud-kms-pkcs11/", env!("CARGO_PKG_VERSION"), " aws-sdk-rust");

/// Disables the headers in which the SDK describes itself and its retries to KMS. The SDK makes no retries of
/// these requests. For each request it would create four headers, one of them signed, which took an eighth of the
/// SDK's instructions.
#[derive(Debug)]
pub(crate) struct OmitSdkHeaders(FrozenLayer);

impl OmitSdkHeaders {
    pub(crate) fn new() -> Self {
        const CAUSE: &str = "each request is an operation of its own";
        let mut off = Layer::new("FewHeaders");
        off.store_put(disable_interceptor::<UserAgentInterceptor>(CAUSE))
            .store_put(disable_interceptor::<InvocationIdInterceptor>(CAUSE))
            .store_put(disable_interceptor::<RequestInfoInterceptor>(CAUSE));
        Self(off.freeze())
    }
}

#[dyn_dispatch_hint]
impl Intercept for OmitSdkHeaders {
    fn name(&self) -> &'static str {
        "FewHeaders"
    }

    fn read_before_execution(
        &self,
        _: &BeforeSerializationInterceptorContextRef<'_>,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        bag.push_shared_layer(self.0.clone());
        Ok(())
    }
}

fn http_error(error: reqwest::Error) -> ConnectorError {
    match error.is_timeout() {
        true => ConnectorError::timeout(error.into()),
        false => ConnectorError::io(error.into()),
    }
}

/// Returns the obstacle as an error of the SDK. The SDK retries an I/O error, and does not retry the other kind.
fn obstacle_error(obstacle: Obstacle) -> ConnectorError {
    match obstacle.is_transient {
        true => ConnectorError::io(obstacle.into()),
        false => ConnectorError::other(obstacle.into(), None),
    }
}

/// The reason why the body of a reply is incomplete.
#[derive(Debug)]
pub(crate) enum BodyError {
    /// The connection failed before the end of the body.
    Interrupted(BoxError),
    /// The body has more than [`LARGEST_REPLY`] bytes.
    TooLarge,
}

impl From<BoxError> for BodyError {
    fn from(error: BoxError) -> Self {
        if error.is::<http_body_util::LengthLimitError>() { Self::TooLarge } else { Self::Interrupted(error) }
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if matches!(self, Self::TooLarge) {
            REPLY_TOO_LARGE
        } else {
            "the connection broke before the reply was complete"
        })
    }
}

impl Error for BodyError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Interrupted(error) => Some(&**error),
            Self::TooLarge => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzzing::replies::block_on;
    use aws_sdk_kms::config::retry::RetryConfig;
    use aws_sdk_kms::config::{BehaviorVersion, Config, Credentials, Region};
    use aws_smithy_runtime_api::client::http::http_client_fn;
    use std::sync::Mutex;

    /// Records the headers of the requests, and lets each request fail.
    #[derive(Clone, Debug, Default)]
    struct Seen(Arc<Mutex<Vec<http::HeaderMap>>>);

    impl HttpConnector for Seen {
        fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
            let request = to_reqwest(request, None).expect("a request");
            self.0.lock().expect("no panic").push(request.headers().clone());
            HttpConnectorFuture::ready(Err(ConnectorError::user("seen".into())))
        }
    }

    #[test]
    fn requests_carry_only_required_headers_and_user_agent() {
        let seen = Seen::default();
        let connector = SharedHttpConnector::new(seen.clone());
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("eu-central-1"))
            .credentials_provider(Credentials::new("id", "secret", None, None, "test"))
            .retry_config(RetryConfig::disabled())
            .interceptor(OmitSdkHeaders::new())
            .http_client(http_client_fn(move |_, _| connector.clone()));
        let client = aws_sdk_kms::Client::from_conf(config.build());
        block_on(client.list_keys().send()).expect_err("no answer");
        let seen = seen.0.lock().expect("no panic");
        let [headers] = &seen[..] else { panic!("{seen:?}") };
        let mut names: Vec<&str> = headers.keys().map(|name| name.as_str()).collect();
        names.sort_unstable();
        let needed = ["authorization", "content-length", "content-type", "user-agent", "x-amz-date", "x-amz-target"];
        assert_eq!(names, needed);
        assert!(headers["user-agent"].to_str().expect("text").starts_with("cloud-kms-pkcs11/"));
    }
}
