//! GetCertificate of AWS Certificate Manager and of AWS Private CA (their API References): JSON 1.1, as KMS.

use super::kms::{CONTENT_TYPE, KmsError};
use super::sigv4;
use crate::http::{Reply, Request};
use crate::state::State;
use crate::state::aws::{IssuedCertificate, USER_ARN};
use serde_json::{Value, json};

/// The targets, and the operations as they are counted. The part before the dot is also the service in signatures.
const TARGETS: [(&str, &str); 2] = [
    ("CertificateManager.GetCertificate", "acm.GetCertificate"),
    ("ACMPrivateCA.GetCertificate", "acm-pca.GetCertificate"),
];

/// The operation that `X-Amz-Target` names.
pub(crate) fn operation(request: &Request) -> Option<&'static str> {
    let target = request.header("x-amz-target")?;
    TARGETS.iter().find(|(known, _)| *known == target).map(|(_, operation)| *operation)
}

/// The ARN that a request is for.
pub(crate) fn certificate_names(request: &Request) -> Vec<String> {
    member(request, "CertificateArn").into_iter().collect()
}

/// Answers one request.
pub(crate) fn answer(state: &State, request: &Request) -> Reply {
    match certificate(state, request) {
        Ok(body) => Reply::new(200, CONTENT_TYPE, body.to_string().into_bytes()),
        Err(error) => error.reply(400, state),
    }
    .with("x-amzn-requestid", state.ids.uuid())
}

fn certificate(state: &State, request: &Request) -> Result<Value, KmsError> {
    let service = operation(request).and_then(|name| name.split('.').next()).unwrap_or_default();
    let caller = sigv4::check(&state.aws.credentials, request, service, state.clock.now())?;
    let arn = member(request, "CertificateArn").ok_or_else(|| missing("certificateArn"))?;
    let fields: Vec<&str> = arn.split(':').collect();
    if fields.get(2) != Some(&service) {
        return Err(KmsError::new("InvalidArnException", format!("{arn} is not a valid ARN")));
    }
    if service == "acm-pca" {
        let authority = member(request, "CertificateAuthorityArn").ok_or_else(|| missing("certificateAuthorityArn"))?;
        if !arn.starts_with(&format!("{authority}/certificate/")) {
            return Err(no_certificate(&arn));
        }
    }
    let known = state.aws.certificates.get(&arn).filter(|_| fields.get(3) == Some(&caller.region.as_str()));
    match known.ok_or_else(|| no_certificate(&arn))? {
        IssuedCertificate { certificate: None, .. } => {
            Err(KmsError::new("RequestInProgressException", format!("The request of {arn} is in progress")))
        }
        IssuedCertificate { certificate, chain: None } => Ok(json!({ "Certificate": certificate })),
        IssuedCertificate { certificate, chain } => {
            Ok(json!({ "Certificate": certificate, "CertificateChain": chain }))
        }
    }
}

fn member(request: &Request, name: &str) -> Option<String> {
    request.json()?.get(name)?.as_str().map(str::to_owned)
}

fn missing(member: &str) -> KmsError {
    KmsError::validation(format!(
        "1 validation error detected: Value null at '{member}' failed to satisfy constraint: Member must not be null"
    ))
}

fn no_certificate(arn: &str) -> KmsError {
    KmsError::new("ResourceNotFoundException", format!("Could not find certificate {arn}"))
}

/// A denial as IAM words it.
pub(crate) fn denied(operation: &str, certificate: &str) -> KmsError {
    let action = operation.replacen('.', ":", 1);
    let text = format!(
        "User: {USER_ARN} is not authorized to perform: {action} on resource: {certificate} because no identity-based policy allows the {action} action"
    );
    KmsError::new("AccessDeniedException", text)
}
