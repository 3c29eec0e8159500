//! Certificates that Key Vault stores with keys, and certificates that it waits for.
//!
//! Key Vault REST API reference: Get Certificate, Get Certificate Operation, Merge Certificate.

use super::client::Vault;
use super::errors::refused;
use super::operations::{GET_CERTIFICATE, MERGE_CERTIFICATE, PENDING_CERTIFICATE};
use crate::certificate::Certificate;
use crate::cloud::failure::Cause;
use crate::cloud::failure::refused::Refused;
use crate::cloud::key::KeyName;
use crate::cloud::management::once;
use crate::log_info;
use azure_security_keyvault_certificates::models::{
    CertificateClientGetCertificateOptions, MergeCertificateParameters,
};

/// Returns the certificate of a key, or None if there is none or the user must not read it. A certificate has the
/// name and the version of its key, because Key Vault creates both together.
pub(crate) async fn certificate(vault: &Vault, key: &KeyName) -> Result<Option<Vec<Certificate>>, Refused> {
    let options =
        CertificateClientGetCertificateOptions { certificate_version: key.version.clone(), ..Default::default() };
    let reply = match vault.certificates.get_certificate(&key.id, Some(options)).await {
        Ok(reply) => reply.into_model().map_err(|e| refused(&GET_CERTIFICATE, e))?,
        Err(error) => {
            let refused = refused(&GET_CERTIFICATE, error);
            return match refused.failure.cause {
                Cause::Missing => Ok(None),
                Cause::Denied => {
                    log_info!("the certificate of key {} can't be looked for: {}", key.id, refused.failure);
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
pub(crate) async fn complete(vault: &Vault, key: &KeyName, certificate: &Certificate) -> Result<bool, Refused> {
    let pending = match vault.certificates.get_certificate_operation(&key.id, None).await {
        Ok(reply) => reply.into_model().map_err(|e| refused(&PENDING_CERTIFICATE, e))?,
        Err(error) => {
            let refused = refused(&PENDING_CERTIFICATE, error);
            return match refused.failure.cause {
                Cause::Missing => Ok(false),
                Cause::Denied => {
                    log_info!("whether a certificate is awaited for key {} can't be seen: {}", key.id, refused.failure);
                    Ok(false)
                }
                _ => Err(refused),
            };
        }
    };
    // The certificate request contains the public key. If the vault waits for the certificate of another key,
    // nothing is sent.
    let csr = pending.csr.unwrap_or_default();
    let waits = pending.status.as_deref() == Some("inProgress");
    if !waits || !csr.windows(certificate.spki.len()).any(|part| part == certificate.spki) {
        return Ok(false);
    }
    let parameters =
        MergeCertificateParameters { x509_certificates: Some(vec![certificate.der.clone()]), ..Default::default() };
    let parameters = parameters.try_into().map_err(|e| refused(&MERGE_CERTIFICATE, e))?;
    let merged = vault.certificates.merge_certificate(&key.id, parameters, None).await;
    merged.map_err(|e| once(refused(&MERGE_CERTIFICATE, e)))?;
    Ok(true)
}
