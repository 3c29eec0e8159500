//! The client of KMS in one region.

use super::endpoint::Endpoint;
use crate::cloud::aws::connector::OmitSdkHeaders;
use crate::cloud::aws::request::{ServiceClock, SignedService};
use crate::cloud::failure::error_chain::message_of;
use crate::cloud::failure::obstacle::Obstacle;
use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_credential_types::provider::SharedCredentialsProvider;

/// A client of KMS, and the endpoint of its requests.
pub(crate) struct RegionClient {
    /// The SDK's client, for all operations but those that need to be fast.
    pub(crate) sdk: aws_sdk_kms::Client,
    /// KMS, for the operations that need to be fast.
    pub(crate) signed: SignedService,
    pub(super) place: String,
    pub(super) config: SdkConfig,
    pub(super) credentials: SharedCredentialsProvider,
}

impl RegionClient {
    /// Creates the client. Makes no request.
    pub(super) fn new(
        endpoint: &Endpoint,
        config: SdkConfig,
        credentials: SharedCredentialsProvider,
        clock: ServiceClock,
    ) -> Result<Self, Obstacle> {
        // The retries in `config` are for requests for credentials. `Call` retries the requests to KMS.
        let mut own = aws_sdk_kms::config::Builder::from(&config)
            .retry_config(RetryConfig::disabled())
            .interceptor(OmitSdkHeaders::new());
        // As it is, not wrapped into another provider: then all services share what the identity cache has of it.
        own.set_credentials_provider(Some(credentials.clone()));
        // Not set in `config`: the URL would apply to requests to STS as well.
        own.set_endpoint_url(endpoint.configured.clone());
        let signed = SignedService::new("kms", &endpoint.url, &config, credentials.clone(), clock);
        Ok(Self {
            sdk: aws_sdk_kms::Client::from_conf(own.build()),
            signed: signed.map_err(|error| message_of(&*error))?,
            place: endpoint.place.clone(),
            config,
            credentials,
        })
    }
}
