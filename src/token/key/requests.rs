//! Operations with a key of a slot, one request each, and what replies and failures reveal about the key.

use super::SlotKey;
use crate::cloud::{Cause, Failure, KeyFacts, Pending, Plain, Target};
use crate::error::{Error, Result};
use crate::key::{Kind, PublicKey, Purpose, Scheme, unwrapped_point};
use crate::log_warn;
use cryptoki_sys::*;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// The errors of a request that assumes a kind of key other than the one in the service.
const REFUSALS: [CK_RV; 4] =
    [CKR_FUNCTION_FAILED, CKR_FUNCTION_NOT_SUPPORTED, CKR_ENCRYPTED_DATA_LEN_RANGE, CKR_MECHANISM_PARAM_INVALID];

impl SlotKey {
    /// Returns the facts that apply to this purpose. If a certificate or the cache describes the key for another
    /// purpose, the service is asked, once.
    ///
    /// # Errors
    /// Those of the service.
    pub fn facts_for(&self, purpose: Purpose, facts: Arc<KeyFacts>, deadline: Instant) -> Result<Arc<KeyFacts>> {
        let told = facts.usage.is_some() || facts.refusal.is_some();
        if told || facts.does(purpose) && self.told.known().is_none() {
            return Ok(facts);
        }
        let told = self.ask_service(deadline).map_err(|failure| Error::from(failure).about(self))?;
        self.believe(&told, &facts);
        Ok(told)
    }

    /// Asks the service about a key that a certificate or the cache already describes: one request, once.
    fn ask_service(&self, deadline: Instant) -> std::result::Result<Arc<KeyFacts>, Failure> {
        self.told.begin(|| self.common.backend.describe(&self.key.name));
        self.told.get(deadline, |_| ())
    }

    /// Corrects the objects by the service's description. If the certificate was that of another key, logs that
    /// once and returns `true`.
    fn believe(&self, told: &Arc<KeyFacts>, facts: &KeyFacts) -> bool {
        let is_stale = told.public_key != facts.public_key && facts.immutable_id.is_none();
        if is_stale && !self.local_refused.swap(true, Ordering::Relaxed) {
            let (source, kind) = (self.certificate_source(), told.kind.name());
            log_warn!("{self}: {source} is another key's: the public half comes from the service, {kind}");
        }
        self.correct(told);
        is_stale
    }

    /// Signs, or computes a MAC: one request. A signature is verified before it is returned.
    ///
    /// # Errors
    /// CKR_USER_NOT_LOGGED_IN, CKR_KEY_HANDLE_INVALID if the certificate that described the key is that of another
    /// key, and those of the service.
    pub fn sign(&self, facts: &KeyFacts, scheme: Scheme, data: &[u8], deadline: Instant) -> Result<Vec<u8>> {
        let signature = self.ask(facts, deadline, |target| self.common.backend.sign(target, scheme, data))?;
        let verifies = |key: &PublicKey| key.verifies(scheme, data, &signature.bytes);
        // A wrong certificate must not make a working key unusable, so the service's own public key decides.
        let is_by_another = || {
            let told = if facts.immutable_id.is_none() { self.ask_service(deadline).ok() } else { None };
            told.is_some_and(|told| self.believe(&told, facts) && told.public_key.as_ref().is_some_and(verifies))
        };
        if !facts.public_key.as_ref().is_none_or(verifies) && !is_by_another() {
            return Err(self.refuse_signature(facts));
        }
        self.shown().immutable_id = Some(signature.immutable_id);
        Ok(signature.bytes)
    }

    /// Explains an error that the service or a local check reported. If the request assumed the wrong kind of key
    /// because the certificate is that of another key, the error says so.
    fn explained(&self, error: Error, facts: &KeyFacts, deadline: Instant) -> Error {
        if facts.immutable_id.is_some() || !REFUSALS.contains(&error.rv) {
            return error;
        }
        match self.ask_service(deadline) {
            Ok(told) if self.believe(&told, facts) => {
                let (source, kind) = (self.certificate_source(), told.kind.name());
                let text = format!("{source} is another key's: the key is of kind {kind}; search for it again");
                Error { device_error: error.device_error, ..Error::new(CKR_KEY_HANDLE_INVALID, text) }.about(self)
            }
            _ => error,
        }
    }

    /// Verifies a MAC: one request. Returns whether the MAC is that of `data`.
    ///
    /// # Errors
    /// As [`SlotKey::sign`].
    pub fn verify(&self, facts: &KeyFacts, scheme: Scheme, data: &[u8], mac: &[u8], deadline: Instant) -> Result<bool> {
        self.ask(facts, deadline, |target| self.common.backend.verify(target, scheme, data, mac))
    }

    /// Decrypts a plaintext, or unwraps a secret key: one request.
    ///
    /// # Errors
    /// CKR_ENCRYPTED_DATA_LEN_RANGE, and as [`SlotKey::sign`].
    pub fn decrypt(
        &self,
        facts: &KeyFacts,
        purpose: Purpose,
        scheme: Scheme,
        ciphertext: &[u8],
        deadline: Instant,
    ) -> Result<Plain> {
        let length = facts.kind.signature_len();
        if ciphertext.len() != length {
            let text = format!("{} bytes, where a ciphertext for this key has {length}", ciphertext.len());
            let error = Error::new(CKR_ENCRYPTED_DATA_LEN_RANGE, text).about(self);
            return Err(self.explained(error, facts, deadline));
        }
        let backend = &self.common.backend;
        self.ask(facts, deadline, |target| match purpose {
            Purpose::Unwrap => backend.unwrap(target, scheme, ciphertext),
            _ => backend.decrypt(target, scheme, ciphertext),
        })
    }

    /// Returns the secret that the key shares with the owner of the public point: one request. The point may be
    /// wrapped in an OCTET STRING.
    ///
    /// # Errors
    /// CKR_MECHANISM_PARAM_INVALID if the point is not on the key's curve, and as [`SlotKey::sign`].
    pub fn derive(&self, facts: &KeyFacts, point: &[u8], deadline: Instant) -> Result<Plain> {
        let peer = peer(facts.kind, point).map_err(|text| {
            let text = format!("the other side's point: {text}");
            self.explained(Error::new(CKR_MECHANISM_PARAM_INVALID, text).about(self), facts, deadline)
        })?;
        self.ask(facts, deadline, |target| self.common.backend.derive(target, &peer))
    }

    fn ask<T: Clone>(
        &self,
        facts: &KeyFacts,
        deadline: Instant,
        request: impl FnOnce(Target) -> Pending<T>,
    ) -> Result<T> {
        if !self.common.backend.is_ready() {
            return Err(Error::new(CKR_USER_NOT_LOGGED_IN, "the login has ended").about(self));
        }
        let id = self.shown().immutable_id.clone().or_else(|| facts.immutable_id.clone());
        let target = Target { name: &self.key.name, kind: facts.kind, immutable_id: id.as_deref() };
        request(target).wait(deadline).map_err(|failure| {
            // The key no longer exists, or its name means another key. (A disabled key is kept: it may be enabled
            // again, and the handles that a server holds stay valid.)
            if failure.cause == Cause::Missing {
                self.forget();
            }
            self.explained(Error::from(failure).about(self), facts, deadline)
        })
    }

    fn refuse_signature(&self, facts: &KeyFacts) -> Error {
        let why = if facts.immutable_id.is_none() {
            self.local_refused.store(true, Ordering::Relaxed);
            self.forget();
            "the configured certificate is not this key's, nor is the signature one by the service's own public half"
        } else if self.cached.swap(false, Ordering::Relaxed) {
            self.forget();
            "the cached public half is not this key's; it is loaded anew when next needed"
        } else {
            // The name cannot mean another key, so the reply is wrong. The handles that a server holds stay valid.
            "the signature in the service's reply is not one by the key of this object"
        };
        Error::from(Failure::new(Cause::Malformed, "Sign", why)).about(self)
    }
}

/// Returns the public key of the other party.
fn peer(kind: Kind, point: &[u8]) -> std::result::Result<PublicKey, String> {
    let Kind::Ec(curve) = kind else { return Err(format!("{} has no points", kind.name())) };
    let peer = PublicKey::ec(curve, point).or_else(|_| PublicKey::ec(curve, unwrapped_point(point)));
    let peer = peer.map_err(|unusable| unusable.0)?;
    if peer.is_on_its_curve() { Ok(peer) } else { Err(format!("it is not on {}", curve.name())) }
}
