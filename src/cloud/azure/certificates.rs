//! Certificates that Key Vault stores with keys, and certificates that it waits for.
//!
//! Key Vault REST API reference: Get Certificate, Get Certificate Operation, Merge Certificate.

use super::client::Vault;
use super::errors::refusal;
use super::operations::{GET_CERTIFICATE, MERGE_CERTIFICATE, PENDING_CERTIFICATE};
use crate::certificate::Certificate;
use crate::cloud::failure::Cause;
use crate::cloud::failure::refused::FailedAttempt;
use crate::cloud::key::KeyName;
use crate::cloud::management::without_retry;
use crate::log_info;
use azure_security_keyvault_certificates::models::{
    CertificateClientGetCertificateOptions, MergeCertificateParameters,
};

/// Returns the certificate of a key, or None if there is none or the user must not read it. A certificate has the
/// name and the version of its key, because Key Vault creates both together.
pub(crate) async fn certificate(vault: &Vault, key: &KeyName) -> Result<Option<Vec<Certificate>>, FailedAttempt> {
    let options =
        CertificateClientGetCertificateOptions { certificate_version: key.version.clone(), ..Default::default() };
    let reply = match vault.certificates.get_certificate(&key.id, Some(options)).await {
        Ok(reply) => reply.into_model().map_err(|e| refusal(&GET_CERTIFICATE, e))?,
        Err(error) => {
            let refused = refusal(&GET_CERTIFICATE, error);
            return match refused.failure.cause {
                Cause::NotFound => Ok(None),
                Cause::Denied => {
                    log_info!("the certificate of key {} can't be read: {}", key.id, refused.failure);
                    Ok(None)
                }
                _ => Err(refused),
            };
        }
    };
    let Some(der) = reply.cer.filter(|der| !der.is_empty()) else { return Ok(None) };
    let certificate = Certificate::from_der(&der);
    Ok(Some(vec![certificate.map_err(|unusable| GET_CERTIFICATE.failure(Cause::Malformed, unusable.0))?]))
}

/// Passes the certificate to the vault, if the vault waits for a certificate of that name and has created the
/// certificate request for this public key. Returns whether the vault has taken the certificate.
pub(crate) async fn merge(vault: &Vault, key: &KeyName, certificate: &Certificate) -> Result<bool, FailedAttempt> {
    let pending = match vault.certificates.get_certificate_operation(&key.id, None).await {
        Ok(reply) => reply.into_model().map_err(|e| refusal(&PENDING_CERTIFICATE, e))?,
        Err(error) => {
            let refused = refusal(&PENDING_CERTIFICATE, error);
            return match refused.failure.cause {
                Cause::NotFound => Ok(false),
                Cause::Denied => {
                    log_info!("the pending certificate of key {} can't be read: {}", key.id, refused.failure);
                    Ok(false)
                }
                _ => Err(refused),
            };
        }
    };
    // The certificate request contains the public key. If the vault waits for the certificate of another key,
    // nothing is sent.
    let csr = pending.csr.unwrap_or_default();
    let is_pending = pending.status.as_deref() == Some("inProgress");
    if !is_pending || !csr.windows(certificate.spki.len()).any(|part| part == certificate.spki) {
        return Ok(false);
    }
    let parameters =
        MergeCertificateParameters { x509_certificates: Some(vec![certificate.der.clone()]), ..Default::default() };
    let parameters = parameters.try_into().map_err(|e| refusal(&MERGE_CERTIFICATE, e))?;
    let merged = vault.certificates.merge_certificate(&key.id, parameters, None).await;
    merged.map_err(|e| without_retry(refusal(&MERGE_CERTIFICATE, e)))?;
    Ok(true)
}
