//! The HTTP client that all regions and token services of AWS with the same network settings share.

use super::Network;
use super::http::{Connections, LARGEST_REPLY, TOO_LARGE};
use super::resolver::Resolver;
use crate::certificate::Certificate;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use http_body_util::BodyExt;
use pem_rfc7468::LineEnding;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// The client whose connections can be given up for new ones. The SDK asks for a connector before each attempt.
#[derive(Debug)]
pub(super) struct Http(pub(super) Arc<Connections<SharedHttpClient>>);

impl HttpClient for Http {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(Limited(self.0.current().http_connector(settings, components)))
    }
}

/// A connector whose replies have at most [`LARGEST_REPLY`].
#[derive(Debug)]
struct Limited(SharedHttpConnector);

impl HttpConnector for Limited {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let reply = self.0.call(request);
        HttpConnectorFuture::new(async move {
            let limited = |body| http_body_util::Limited::new(body, LARGEST_REPLY).map_err(BadBody::from);
            Ok(reply.await?.map(|body| SdkBody::from_body_1_x(limited(body))))
        })
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

/// A client for a service that may be anywhere.
pub(super) fn client(network: &Network) -> Result<SharedHttpClient, String> {
    let tls = TlsContext::builder().with_trust_store(trust_store(network)?).build().map_err(|e| e.to_string())?;
    let proxy = match &network.proxy {
        // Without the URL itself, which may hold a password.
        Some(url) => ProxyConfig::all(url.expose()).map_err(|e| format!("proxy: {e}"))?,
        None => ProxyConfig::from_env(),
    };
    Ok(Builder::new().build_with_connector_fn(move |settings, components| {
        // Without settings it is only to load the trust anchors early; then they would be loaded twice.
        let Some(settings) = settings else { return Connector::builder().build_http() };
        let mut connector = Connector::builder()
            .tls_provider(Provider::rustls(CryptoMode::AwsLc))
            .tls_context(tls.clone())
            .proxy_config(proxy.clone())
            .connector_settings(settings.clone());
        connector.set_sleep_impl(components.and_then(|components| components.sleep_impl()));
        connector.build_with_resolver(Resolver)
    }))
}

/// The system's certificate authorities, and those of the bundle that can be parsed: the client panics at others.
fn trust_store(network: &Network) -> Result<TrustStore, String> {
    let Some(path) = &network.ca_bundle else { return Ok(TrustStore::default()) };
    let text = std::fs::read_to_string(path).map_err(|e| format!("ca_bundle {}: {e}", path.display()))?;
    let bundle = Certificate::chain_from_pem(&text).map_err(|e| format!("ca_bundle {}: {}", path.display(), e.0))?;
    let pem = |der: &[u8]| pem_rfc7468::encode_string("CERTIFICATE", LineEnding::LF, der);
    Ok(bundle.iter().filter_map(|ca| pem(&ca.der).ok()).fold(TrustStore::default(), TrustStore::with_pem_certificate))
}
