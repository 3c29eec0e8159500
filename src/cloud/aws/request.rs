//! Requests whose parts are set up once: JSON 1.1, signed with Signature Version 4.
//!
//! The SDK's client of KMS sets itself up anew for each request, which takes a quarter of the CPU time of a signature.
//! The SDK's clients of the certificate services have dozens of operations, of which the module needs one each. So the
//! module puts these requests together itself. The signer, the credentials, their cache and the connections are those
//! of the SDK's client of KMS.
//!
//! "AWS JSON 1.1 protocol" of the Smithy specification; "AWS Signature Version 4 for API requests", IAM User Guide.

use super::errors::may_be_clock;
use aws_config::SdkConfig;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_runtime::auth::SigV4OperationSigningConfig;
use aws_runtime::auth::sigv4::{SCHEME_ID, SigV4AuthScheme, SigV4Signer};
use aws_smithy_async::time::TimeSource;
use aws_smithy_runtime::client::orchestrator::endpoints::StaticUriEndpointResolver;
use aws_smithy_runtime::client::retries::strategy::NeverRetryStrategy;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::auth::static_resolver::StaticAuthSchemeOptionResolver;
use aws_smithy_runtime_api::client::auth::{AuthSchemeEndpointConfig, Sign};
use aws_smithy_runtime_api::client::http::{HttpClient, HttpConnector, HttpConnectorSettings, SharedHttpConnector};
use aws_smithy_runtime_api::client::identity::{Identity, ResolveCachedIdentity, SharedIdentityResolver};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::{ConnectorError, SdkError};
use aws_smithy_runtime_api::client::runtime_components::{RuntimeComponents, RuntimeComponentsBuilder};
use aws_smithy_types::DateTime;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::{ConfigBag, Layer};
use aws_smithy_types::date_time::Format;
use aws_smithy_types::error::ErrorMetadata;
use aws_types::SigningName;
use aws_types::region::SigningRegion;
use http_body_util::BodyExt;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

/// One service of AWS in one region, and everything that its requests have in common.
#[derive(Debug)]
pub(crate) struct SignedService {
    url: String,
    components: RuntimeComponents,
    credentials: SharedIdentityResolver,
    connector: SharedHttpConnector,
    config: ConfigBag,
    clock: ServiceClock,
}

/// A failed request. The raw reply belongs to it.
pub(crate) type RequestError = SdkError<ErrorMetadata, HttpResponse>;

impl SignedService {
    /// Sets the requests up. `service` is the service's name in signatures, for example "kms". `url` is its endpoint.
    /// `clock` is corrected by the replies. Makes no request.
    ///
    /// # Errors
    /// The part of the configuration that is missing.
    pub(crate) fn new(
        service: &'static str,
        url: &str,
        sdk: &SdkConfig,
        credentials: SharedCredentialsProvider,
        clock: ServiceClock,
    ) -> Result<Self, BoxError> {
        let credentials = SharedIdentityResolver::new(credentials);
        let components = RuntimeComponentsBuilder::new(service)
            .with_auth_scheme(SigV4AuthScheme::new())
            .with_auth_scheme_option_resolver(Some(StaticAuthSchemeOptionResolver::new(vec![SCHEME_ID])))
            .with_endpoint_resolver(Some(StaticUriEndpointResolver::uri(url)))
            .with_identity_resolver(SCHEME_ID, credentials.clone())
            .with_identity_cache(sdk.identity_cache())
            .with_retry_strategy(Some(NeverRetryStrategy::new()))
            .with_time_source(Some(clock.clone()))
            .with_sleep_impl(sdk.sleep_impl())
            .build()?;
        let client = sdk.http_client().ok_or("the HTTP client is missing")?;
        let mut config = Layer::new(service);
        config.store_put(SigV4OperationSigningConfig {
            region: sdk.region().cloned().map(SigningRegion::from),
            name: Some(SigningName::from_static(service)),
            ..SigV4OperationSigningConfig::default()
        });
        Ok(Self {
            url: format!("{}/", url.trim_end_matches('/')),
            connector: client.http_connector(&HttpConnectorSettings::default(), &components),
            components,
            credentials,
            config: ConfigBag::of_layers([config]),
            clock,
        })
    }

    /// Sends a request once. `target` names the operation, for example "TrentService.Sign".
    ///
    /// # Errors
    /// An error in the reply, or what kept the request from being sent, as the SDK reports it.
    pub(crate) async fn send<T: DeserializeOwned>(
        &self,
        target: &'static str,
        body: String,
    ) -> Result<T, RequestError> {
        let not_sent = |error| SdkError::dispatch_failure(ConnectorError::other(error, None));
        let identity = self.identity().await.map_err(not_sent)?;
        let request = self.request(target, body, &identity).map_err(SdkError::construction_failure)?;
        let reply = self.connector.call(request).await.map_err(SdkError::dispatch_failure)?;
        let reply = with_whole_body(reply).await?;
        match parse(&reply) {
            Ok(Ok(output)) => Ok(output),
            Ok(Err(error)) => {
                if error.code().is_some_and(may_be_clock) {
                    self.clock.follow(&reply);
                }
                Err(SdkError::service_error(error, reply))
            }
            Err(error) => Err(SdkError::response_error(error, reply)),
        }
    }

    /// Returns the credentials, which the SDK's cache keeps.
    async fn identity(&self) -> Result<Identity, BoxError> {
        let cache = self.components.identity_cache();
        cache.resolve_cached_identity(self.credentials.clone(), &self.components, &self.config).await
    }

    fn request(&self, target: &'static str, body: String, identity: &Identity) -> Result<HttpRequest, BoxError> {
        let request = http::Request::post(&self.url)
            .header("content-type", "application/x-amz-json-1.1")
            .header("content-length", body.len())
            .header("x-amz-target", target)
            .body(SdkBody::from(body))?;
        let mut request = HttpRequest::try_from(request)?;
        let endpoint = AuthSchemeEndpointConfig::empty();
        SigV4Signer::new().sign_http_request(&mut request, identity, endpoint, &self.components, &self.config)?;
        Ok(request)
    }
}

/// The clock of the signatures: this machine's, corrected by the service's after a refusal that may be due to the
/// time. Clones share the correction.
#[derive(Clone, Debug, Default)]
pub(crate) struct ServiceClock {
    /// How many seconds the service's clock is ahead of this machine's.
    ahead: Arc<AtomicI64>,
}

impl ServiceClock {
    fn follow(&self, reply: &HttpResponse) {
        let date = reply.headers().get("date").and_then(|date| DateTime::from_str(date, Format::HttpDate).ok());
        if let Some(date) = date {
            let own = DateTime::from(SystemTime::now());
            self.ahead.store(date.secs().saturating_sub(own.secs()), Ordering::Relaxed);
        }
    }
}

impl TimeSource for ServiceClock {
    fn now(&self) -> SystemTime {
        let (now, ahead) = (SystemTime::now(), self.ahead.load(Ordering::Relaxed));
        let distance = Duration::from_secs(ahead.unsigned_abs());
        let corrected = if ahead < 0 { now.checked_sub(distance) } else { now.checked_add(distance) };
        corrected.unwrap_or(now)
    }
}

async fn with_whole_body(mut reply: HttpResponse) -> Result<HttpResponse, RequestError> {
    match reply.body_mut().collect().await {
        Ok(body) => {
            *reply.body_mut() = SdkBody::from(body.to_bytes());
            Ok(reply)
        }
        Err(error) => Err(SdkError::response_error(error, reply)),
    }
}

/// An error in a reply.
#[derive(Deserialize)]
struct ErrorReply {
    #[serde(rename = "__type", alias = "code")]
    code: Option<String>,
    #[serde(alias = "Message")]
    message: Option<String>,
}

/// Returns the output or the error of the operation.
///
/// # Errors
/// Why the output can't be read.
fn parse<T: DeserializeOwned>(reply: &HttpResponse) -> Result<Result<T, ErrorMetadata>, serde_json::Error> {
    let bytes = reply.body().bytes().unwrap_or_default();
    if reply.status().is_success() {
        return serde_json::from_slice(bytes).map(Ok);
    }
    let said: Option<ErrorReply> = serde_json::from_slice(bytes).ok();
    let (code, message) = said.map_or((None, None), |said| (said.code, said.message));
    let code = reply.headers().get("x-amzn-errortype").map(str::to_owned).or(code);
    let mut error = ErrorMetadata::builder();
    if let Some(code) = code.as_deref().map(without_namespace) {
        error = error.code(code);
    }
    if let Some(message) = message {
        error = error.message(message);
    }
    Ok(Err(error.build()))
}

/// Returns the name of an error: `FooError` for `aws.protocoltests#FooError:http://host/`. "AWS JSON 1.1 protocol, Operation
/// error serialization".
fn without_namespace(code: &str) -> &str {
    let code = code.split(':').next().unwrap_or_default();
    code.rsplit('#').next().unwrap_or(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_known_by_its_name() {
        let name = "InvalidSignatureException";
        for code in [name.to_owned(), format!("com.amazonaws.kms#{name}"), format!("a#{name}:http://host/a#b")] {
            let body = format!("{{\"__type\": \"{code}\", \"message\": \"words\"}}");
            let reply = HttpResponse::new(400.try_into().unwrap(), SdkBody::from(body));
            let error = parse::<()>(&reply).unwrap().unwrap_err();
            assert_eq!((error.code(), error.message()), (Some(name), Some("words")), "{code}");
            let mut reply = HttpResponse::new(400.try_into().unwrap(), SdkBody::from("{}"));
            reply.headers_mut().insert("x-amzn-errortype", code);
            assert_eq!(parse::<()>(&reply).unwrap().unwrap_err().code(), Some(name));
        }
    }

    #[test]
    fn the_clock_follows_the_service() {
        let clock = ServiceClock::default();
        for (date, year) in [("Tue, 01 Jan 2041 00:00:00 GMT", 2041), ("Sat, 01 Jan 2000 00:00:00 GMT", 2000)] {
            let mut reply = HttpResponse::new(400.try_into().unwrap(), SdkBody::empty());
            reply.headers_mut().insert("date", date);
            clock.follow(&reply);
            let now = DateTime::from(clock.now()).fmt(Format::DateTime).unwrap();
            assert!(now.starts_with(&format!("{year}-01-01T00:0")), "{now}");
        }
    }
}
