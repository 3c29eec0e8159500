//! What is done with a key of a slot: one request for each, and what its answers and failures say of the key.

use super::SlotKey;
use crate::cloud::{Cause, Failure, KeyFacts, Pending, Plain, Target};
use crate::error::{Error, Result};
use crate::key::{Kind, PublicKey, Purpose, Scheme, unwrapped_point};
use crate::log_warn;
use cryptoki_sys::*;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// With these a request is refused that goes with another kind of key than the service has.
const REFUSALS: [CK_RV; 4] =
    [CKR_FUNCTION_FAILED, CKR_FUNCTION_NOT_SUPPORTED, CKR_ENCRYPTED_DATA_LEN_RANGE, CKR_MECHANISM_PARAM_INVALID];

impl SlotKey {
    /// The same for that purpose: where a certificate or the cache told of the key, and of another purpose, the service is
    /// asked, once.
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

    /// What the service says of the key, though a certificate or the cache has told of it: one request, once.
    fn ask_service(&self, deadline: Instant) -> std::result::Result<Arc<KeyFacts>, Failure> {
        self.told.begin(|| self.common.backend.describe(&self.key.name));
        self.told.get(deadline, |_| ())
    }

    /// Corrects what is shown, and says so where a certificate was another key's. Answers whether it was.
    fn believe(&self, told: &Arc<KeyFacts>, facts: &KeyFacts) -> bool {
        let is_stale = told.public_key != facts.public_key && facts.immutable_id.is_none();
        if is_stale && !self.local_refused.swap(true, Ordering::Relaxed) {
            let (source, kind) = (self.certificate_source(), told.kind.name());
            log_warn!("{self}: {source} is another key's: the public half comes from the service, {kind}");
        }
        self.correct(told);
        is_stale
    }

    /// Signs, or makes a MAC: one request. A signature is verified before the caller gets it.
    pub fn sign(&self, facts: &KeyFacts, scheme: Scheme, data: &[u8], deadline: Instant) -> Result<Vec<u8>> {
        let signature = self.ask(facts, deadline, |target| self.common.backend.sign(target, scheme, data))?;
        let verifies = |key: &PublicKey| key.verifies(scheme, data, &signature.bytes);
        // A certificate must never make a key of no use that works: the service's own public half decides.
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

    /// The error of what was refused, by the service or here, or that it was meant for a key of another kind: that of a
    /// certificate which is not the key's.
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

    /// Whether the MAC is the message's: one request.
    pub fn verify(&self, facts: &KeyFacts, scheme: Scheme, data: &[u8], mac: &[u8], deadline: Instant) -> Result<bool> {
        self.ask(facts, deadline, |target| self.common.backend.verify(target, scheme, data, mac))
    }

    /// Decrypts, or unwraps: one request.
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

    /// The secret shared with the owner of that public point, which may be wrapped into an OCTET STRING: one request.
    ///
    /// # Errors
    /// CKR_MECHANISM_PARAM_INVALID for a point that is not on the key's curve.
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
            // It is another key now, or none. (One that is disabled may be enabled again: a server's handles stay good.)
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
            // The key can't be another one under that name, so the reply is wrong; a server's handles stay good.
            "the signature in the service's reply is not one by the key of this object"
        };
        Error::from(Failure::new(Cause::Malformed, "Sign", why)).about(self)
    }
}

/// The public key of the other side.
fn peer(kind: Kind, point: &[u8]) -> std::result::Result<PublicKey, String> {
    let Kind::Ec(curve) = kind else { return Err(format!("{} has no points", kind.name())) };
    let peer = PublicKey::ec(curve, point).or_else(|_| PublicKey::ec(curve, unwrapped_point(point)));
    let peer = peer.map_err(|unusable| unusable.0)?;
    if peer.is_on_its_curve() { Ok(peer) } else { Err(format!("it is not on {}", curve.name())) }
}
