//! Certificates of AWS Certificate Manager (ACM) and AWS Private CA, which configurations name by their ARNs.
//!
//! API reference: GetCertificate of the AWS Certificate Manager API Reference and of the AWS Private CA API Reference.

mod endpoint;
pub(crate) mod name;

use super::client::{Clients, region_of_arn};
use super::errors::refusal;
use super::request::SignedService;
use crate::certificate::Certificate;
use crate::cloud::aws::settings::CLOUD;
use crate::cloud::failure::error_chain::message_of;
use crate::cloud::failure::refused::FailedAttempt;
use crate::cloud::failure::{Cause, Failure};
use crate::cloud::key::CertificateName;
use crate::cloud::retry::Call;
use name::CertificateService;
use serde::Deserialize;
use serde_json::json;

/// The reply: PEM texts.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Reply {
    certificate: String,
    certificate_chain: Option<String>,
}

/// Fetches a certificate, followed by its chain. The region is that of the certificate's ARN.
///
/// # Errors
/// Those of the service; [`Cause::Rejected`] while the certificate is not issued yet.
pub(crate) async fn certificate(clients: &Clients, name: &CertificateName) -> Result<Vec<Certificate>, Failure> {
    let service = CertificateService::of(name);
    let operation = service.operation();
    let region = region_of_arn(&name.id).ok_or_else(|| operation.failure(Cause::Settings, "the ARN has no region"))?;
    let description = format!("{} {} at {} in {region}", operation.name, name.id, service.full_name());
    let call = Call {
        concurrency_limit: Some(&clients.load_permits),
        ..Call::new(CLOUD, operation.name, &description, &clients.settings.network)
    };
    let attempt = async || {
        let answer = attempt(clients, name, &region).await;
        match answer {
            Ok(reply) => Ok(reply),
            Err(refused) => Err(clients.mask_pin(clients.explain_missing_credentials(refused).await)),
        }
    };
    let reply = call.run(attempt, |refused, since| clients.discard_stale(refused, since)).await?;
    parse(&reply).map_err(|message| operation.failure(Cause::Malformed, message))
}

async fn attempt(clients: &Clients, name: &CertificateName, region: &str) -> Result<Reply, FailedAttempt> {
    let service = CertificateService::of(name);
    let operation = service.operation();
    let (sdk, credentials) = clients.shared_configuration(operation.name, region).await?;
    let endpoint =
        endpoint::resolve(service, region, &sdk).await.map_err(|obstacle| obstacle.failure(operation.name))?;
    let signed = SignedService::new(service.code(), &endpoint.url, &sdk, credentials, clients.clock.clone());
    let signed = signed.map_err(|error| operation.failure(Cause::Settings, message_of(&*error)))?;
    signed.send(service.target(), input(name)).await.map_err(|error| {
        let mut refused = refusal(operation, error);
        // `explain_missing_credentials` recognizes messages about credentials by their start and end.
        if refused.failure.cause != Cause::Credentials {
            refused.failure.message = format!("{}: {}", endpoint.place, refused.failure.message);
        }
        refused
    })
}

fn input(name: &CertificateName) -> String {
    match &name.authority {
        Some(authority) => json!({ "CertificateAuthorityArn": authority, "CertificateArn": name.id }),
        None => json!({ "CertificateArn": name.id }),
    }
    .to_string()
}

/// Returns the certificates of a reply. The key's own comes first, then its chain in the order of the service.
fn parse(reply: &Reply) -> Result<Vec<Certificate>, String> {
    let all =
        |text: &str| Certificate::parse_all(text.as_bytes()).map(|(found, _)| found).map_err(|unusable| unusable.0);
    let mut chain = all(&reply.certificate)?;
    if let Some(text) = reply.certificate_chain.as_deref().filter(|text| !text.trim().is_empty()) {
        chain.extend(all(text)?);
    }
    Ok(chain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_names_the_authority_of_a_private_certificate() {
        let name =
            |authority: Option<&str>| CertificateName { id: "c".into(), authority: authority.map(str::to_owned) };
        let json = |authority| serde_json::from_str::<serde_json::Value>(&input(&name(authority))).unwrap();
        assert_eq!(json(None), json!({ "CertificateArn": "c" }));
        assert_eq!(json(Some("a")), json!({ "CertificateArn": "c", "CertificateAuthorityArn": "a" }));
    }
}
