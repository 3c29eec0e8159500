//! GetCertificate of both services: a request in JSON 1.1 that the SDK's orchestrator signs and sends.
//!
//! Each SDK crate of the two services has dozens of operations. This module needs one of each, so it describes the
//! operation itself. The orchestrator, the signer, the credentials and the HTTP client are those of the KMS client.

use super::endpoint::Endpoint;
use super::name::CertificateService;
use crate::cloud::aws::connector::OmitSdkHeaders;
use crate::cloud::key::CertificateName;
use aws_config::SdkConfig;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_runtime::auth::SigV4OperationSigningConfig;
use aws_runtime::auth::sigv4::{SCHEME_ID, SigV4AuthScheme};
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::auth::static_resolver::StaticAuthSchemeOptionResolver;
use aws_smithy_runtime_api::client::auth::{
    AuthSchemeOptionResolverParams, SharedAuthScheme, SharedAuthSchemeOptionResolver,
};
use aws_smithy_runtime_api::client::interceptors::SharedInterceptor;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError};
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponentsBuilder;
use aws_smithy_runtime_api::client::runtime_plugin::StaticRuntimePlugin;
use aws_smithy_runtime_api::client::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::Layer;
use aws_smithy_types::error::ErrorMetadata;
use aws_types::SigningName;
use aws_types::region::SigningRegion;
use serde::Deserialize;
use serde_json::json;

/// The reply: PEM texts.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Reply {
    pub(super) certificate: String,
    pub(super) certificate_chain: Option<String>,
}

/// An error in the reply.
#[derive(Deserialize)]
struct ErrorReply {
    #[serde(rename = "__type", alias = "code")]
    code: Option<String>,
    #[serde(alias = "Message")]
    message: Option<String>,
}

/// Sends the request once.
pub(super) async fn send(
    name: &CertificateName,
    endpoint: &Endpoint,
    (sdk, credentials): (SdkConfig, SharedCredentialsProvider),
    clock: SharedInterceptor,
) -> Result<Reply, SdkError<ErrorMetadata, HttpResponse>> {
    let service = CertificateService::of(name);
    let mut operation = Operation::builder()
        .service_name(service.code())
        .operation_name(service.operation().name)
        .endpoint_url(&endpoint.url)
        .no_retry()
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .interceptor(clock)
        .interceptor(OmitSdkHeaders::new())
        .runtime_plugin(signing(service, &sdk, credentials));
    if let Some(client) = sdk.http_client() {
        operation = operation.http_client(client);
    }
    if let Some(time) = sdk.time_source() {
        operation = operation.time_source(time);
    }
    let operation = operation.serializer(move |body: String| request(service, body)).deserializer(reply).build();
    operation.invoke(body(name)).await
}

/// The part of the orchestrator's configuration that signs requests with the credentials (Signature Version 4).
fn signing(
    service: CertificateService,
    sdk: &SdkConfig,
    credentials: SharedCredentialsProvider,
) -> StaticRuntimePlugin {
    let mut config = Layer::new("GetCertificate");
    config.store_put(AuthSchemeOptionResolverParams::new(()));
    config.store_put(SigV4OperationSigningConfig {
        region: sdk.region().cloned().map(SigningRegion::from),
        name: Some(SigningName::from_static(service.code())),
        ..SigV4OperationSigningConfig::default()
    });
    let options = SharedAuthSchemeOptionResolver::new(StaticAuthSchemeOptionResolver::new(vec![SCHEME_ID]));
    let components = RuntimeComponentsBuilder::new("GetCertificate")
        .with_auth_scheme(SharedAuthScheme::new(SigV4AuthScheme::new()))
        .with_auth_scheme_option_resolver(Some(options))
        .with_identity_resolver(SCHEME_ID, credentials)
        .with_identity_cache(sdk.identity_cache());
    StaticRuntimePlugin::new().with_config(config.freeze()).with_runtime_components(components)
}

fn body(name: &CertificateName) -> String {
    match &name.authority {
        Some(authority) => json!({ "CertificateAuthorityArn": authority, "CertificateArn": name.id }),
        None => json!({ "CertificateArn": name.id }),
    }
    .to_string()
}

fn request(service: CertificateService, body: String) -> Result<HttpRequest, BoxError> {
    let request = http::Request::post("/")
        .header("content-type", "application/x-amz-json-1.1")
        .header("content-length", body.len())
        .header("x-amz-target", service.target())
        .body(SdkBody::from(body))?;
    Ok(request.try_into()?)
}

fn reply(reply: &HttpResponse) -> Result<Reply, OrchestratorError<ErrorMetadata>> {
    let bytes = reply.body().bytes().unwrap_or_default();
    if reply.status().is_success() {
        return serde_json::from_slice(bytes).map_err(|error| OrchestratorError::response(error.into()));
    }
    let said: Option<ErrorReply> = serde_json::from_slice(bytes).ok();
    let (code, message) = said.map_or((None, None), |said| (said.code, said.message));
    let code = reply.headers().get("x-amzn-errortype").map(str::to_owned).or(code);
    let mut error = ErrorMetadata::builder();
    if let Some(code) = code.as_deref().and_then(|code| code.split(':').next()) {
        error = error.code(code);
    }
    if let Some(message) = message {
        error = error.message(message);
    }
    Err(OrchestratorError::operation(error.build()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_names_the_authority_of_a_private_certificate() {
        let name =
            |authority: Option<&str>| CertificateName { id: "c".into(), authority: authority.map(str::to_owned) };
        assert_eq!(body(&name(None)), r#"{"CertificateArn":"c"}"#);
        assert_eq!(body(&name(Some("a"))), r#"{"CertificateArn":"c","CertificateAuthorityArn":"a"}"#);
    }
}
