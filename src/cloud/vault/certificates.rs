//! Certificates that newer servers store with keys.
//!
//! "Set certificate chain" and "Read key" of "Transit secrets engine (API)".

use super::client::{Clients, Request};
use super::keys::{KeyReply, facts};
use super::operations::{READ_KEY, SET_CERTIFICATE};
use crate::certificate::Certificate;
use crate::cloud::failure::{Cause, Failure};
use crate::cloud::http::transport::json_body;
use crate::cloud::key::KeyName;
use crate::log_info;
use http::Method;
use serde_json::json;
use std::sync::Arc;

impl Clients {
    /// Returns the certificate of a key and its chain, or None if the key has none or the server stores none.
    pub(crate) async fn certificate(self: &Arc<Self>, key: &KeyName) -> Result<Option<Vec<Certificate>>, Failure> {
        chain(key, &self.read_key(key).await?)
    }

    /// Stores a certificate with its key. Returns false if the certificate belongs to another key, if the server stores no
    /// certificates, and if the user may not change the key.
    pub(crate) async fn set_certificate(
        self: &Arc<Self>,
        key: &KeyName,
        certificate: &Certificate,
    ) -> Result<bool, Failure> {
        let reply = self.read_key(key).await?;
        let public_key = facts(&self.settings.mount, key, &reply).ok().and_then(|facts| facts.public_key);
        if !public_key.is_some_and(|public_key| certificate.certifies(&public_key)) {
            return Ok(false);
        }
        let fields = json_body(&json!({ "version": reply.version(key), "certificate_chain": certificate.to_pem() }));
        let path = self.path(&["keys", &key.id, "set-certificate"]);
        let request = Request { method: Method::POST, path: &path, body: Some(fields) };
        match self.change(&SET_CERTIFICATE, &key.id, &request).await {
            Ok(()) => Ok(true),
            // Vault has the operation since version 1.15.
            Err(failure) if failure.cause == Cause::Unsupported => Ok(false),
            Err(failure) if failure.cause == Cause::Denied => {
                log_info!("the certificate of key {} is not stored in Vault: {failure}", key.id);
                Ok(false)
            }
            Err(failure) => Err(failure),
        }
    }
}

/// Returns the certificates in the description of a key.
pub(crate) fn chain(key: &KeyName, reply: &KeyReply) -> Result<Option<Vec<Certificate>>, Failure> {
    let Some(text) = reply.certificate_chain(key).filter(|text| !text.is_empty()) else { return Ok(None) };
    let found = Certificate::parse_all(text.as_bytes());
    let (chain, _) = found.map_err(|unusable| READ_KEY.failure(Cause::Malformed, unusable.0))?;
    Ok(Some(chain))
}
