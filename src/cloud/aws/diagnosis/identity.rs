//! The source of the credentials, and the identity behind them.
//!
//! API reference: GetCallerIdentity of the AWS Security Token Service API Reference. It needs no permission.

use crate::cloud::aws::client::Clients;
use crate::cloud::aws::client::endpoint::configured_url;
use crate::cloud::aws::credentials::shared_files::profile_description;
use crate::cloud::aws::errors::refusal;
use crate::cloud::aws::operations::GET_CALLER_IDENTITY;
use crate::cloud::aws::settings::Settings;
use crate::cloud::diagnosis::Principal;
use crate::cloud::failure::{Cause, Failure};
use crate::cloud::http::endpoint::{is_loopback_host, url_without_credentials};
use crate::cloud::http::tls::utc;
use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::credential_feature::AwsCredentialFeature;
use aws_credential_types::provider::ProvideCredentials;
use aws_sdk_kms::config::http::HttpResponse;
use aws_sdk_kms::error::SdkError;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::error::ErrorMetadata;
use reqwest::Url;
use rustls::pki_types::UnixTime;
use std::time::{Duration, SystemTime};

/// Fetches the credentials, and asks STS whose they are.
pub(super) async fn principal(clients: &Clients, region: Option<&str>) -> Result<Principal, Failure> {
    let operation = GET_CALLER_IDENTITY.name;
    let loaded = Box::pin(clients.credentials(region)).await;
    let (sdk, provider) = loaded.map_err(|obstacle| obstacle.failure(operation))?;
    let credentials = match provider.provide_credentials().await {
        Ok(credentials) => credentials,
        Err(error) => {
            let error = ConnectorError::other(error.into(), None);
            let error = SdkError::<ErrorMetadata, HttpResponse>::dispatch_failure(error);
            let refused = clients.explain_missing_credentials(refusal(&GET_CALLER_IDENTITY, error)).await;
            return Err(clients.mask_pin(refused).failure);
        }
    };
    let identity = match sts_url(&clients.settings, &sdk) {
        Ok(url) => caller(&sdk, credentials.clone(), url).await,
        Err(why) => Err(GET_CALLER_IDENTITY.failure(Cause::Unsupported, why)),
    };
    if let Err(failure) = &identity
        && failure.cause == Cause::Credentials
    {
        return Err(failure.clone());
    }
    Ok(Principal { source: source(&clients.settings, &credentials), identity, warning: None })
}

/// Returns the URL of STS, or `None` if the SDK chooses it. An emulator on this machine is also its own STS.
///
/// # Errors
/// The reason why STS is not asked.
fn sts_url(settings: &Settings, sdk: &SdkConfig) -> Result<Option<String>, String> {
    let Some(url) = settings.endpoint_url.as_ref().filter(|_| configured_url(sdk, "STS").is_none()) else {
        return Ok(None);
    };
    let host = Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
    match host.contains("amazonaws.") || host.contains(".api.aws") {
        true => Ok(None),
        false if is_loopback_host(&host) => Ok(Some(url.clone())),
        false => {
            let url = url_without_credentials(url);
            Err(format!("not asked, because {url} is no endpoint of AWS and AWS_ENDPOINT_URL_STS is not set"))
        }
    }
}

async fn caller(sdk: &SdkConfig, credentials: Credentials, url: Option<String>) -> Result<String, Failure> {
    let mut config = aws_sdk_sts::config::Builder::from(sdk).credentials_provider(credentials);
    config.set_endpoint_url(url.or_else(|| configured_url(sdk, "STS")));
    let request = aws_sdk_sts::Client::from_conf(config.build()).get_caller_identity();
    let reply = request.send().await.map_err(|error| refusal(&GET_CALLER_IDENTITY, error).failure)?;
    let arn = reply.arn.unwrap_or_default();
    let account = reply.account.filter(|account| !arn.contains(account.as_str()));
    Ok(account.map_or(arn.clone(), |account| format!("{arn}, account {account}")))
}

/// The parts of the SDK's chain, and what they mean for a user.
#[rustfmt::skip]
const SOURCES: &[(AwsCredentialFeature, &str)] = &[
    (AwsCredentialFeature::CredentialsEnvVars, "the variables AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
    (AwsCredentialFeature::CredentialsEnvVarsStsWebIdToken, "a web identity token (AWS_WEB_IDENTITY_TOKEN_FILE)"),
    (AwsCredentialFeature::CredentialsProfileStsWebIdToken, "a web identity token"),
    (AwsCredentialFeature::CredentialsStsAssumeRoleWebId, "a role that a web identity token assumes"),
    (AwsCredentialFeature::CredentialsStsAssumeRole, "a role that is assumed (AssumeRole)"),
    (AwsCredentialFeature::CredentialsSso, "IAM Identity Center (SSO)"),
    (AwsCredentialFeature::CredentialsProfileSso, "IAM Identity Center (SSO)"),
    (AwsCredentialFeature::CredentialsProcess, "credential_process"),
    (AwsCredentialFeature::CredentialsHttp, "the role of this container (ECS, EKS Pod Identity)"),
    (AwsCredentialFeature::CredentialsImds, "the role of this machine (EC2 instance metadata)"),
    (AwsCredentialFeature::CredentialsProfileLogin, "aws login"),
    (AwsCredentialFeature::CredentialsLogin, "aws login"),
];

/// Returns where the credentials come from, and until when they are valid.
fn source(settings: &Settings, credentials: &Credentials) -> String {
    let features: &[AwsCredentialFeature] =
        credentials.get_property::<Vec<AwsCredentialFeature>>().map(Vec::as_slice).unwrap_or_default();
    let profile = profile_description(settings.profile.as_deref());
    let known = SOURCES.iter().filter(|(feature, _)| features.contains(feature)).map(|(_, words)| (*words).to_owned());
    let mut parts: Vec<String> = known.collect();
    // The providers of the module itself have no features: the login, and the program that a profile names.
    if settings.login.is_some() {
        parts = vec!["the login".to_owned()];
    } else if features.contains(&AwsCredentialFeature::CredentialsProfile) || settings.profile.is_some() {
        parts.insert(0, profile);
    } else if parts.is_empty() {
        parts.push(format!("the credential_process of {profile}"));
    }
    if let Some(role) = &settings.role_arn {
        parts.push(format!("which assumes {role} (option \"aws_role_arn\")"));
    }
    let end = credentials.expiry().and_then(|end| end.duration_since(SystemTime::UNIX_EPOCH).ok());
    let end = end.map(|end: Duration| format!(", valid until {}", utc(UnixTime::since_unix_epoch(end))));
    format!("{}{}", parts.join(": "), end.unwrap_or_default())
}
