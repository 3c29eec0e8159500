//! Operations with a key of a slot, one request each, and what replies and failures reveal about the key.

use super::SlotKey;
use super::uses::{RequestId, SignRequest, Use, UsedData};
use crate::cloud::{Cause, Failure, KeyDescription, Pending, SecretBytes, Signature, Target};
use crate::error::{Error, Result};
use crate::key::{Algorithm, Kind, PublicKey, Purpose, Scheme, unwrapped_point};
use crate::log_warn;
use cryptoki_sys::*;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// The failures of a request that assumes a kind of key other than the one in the service. A signature of an unexpected
/// length is malformed.
const WRONG_KIND_CAUSES: [Cause; 3] = [Cause::Rejected, Cause::Unsupported, Cause::Malformed];

impl SlotKey {
    /// Returns the facts that apply to this purpose. If a certificate or the cache describes the key for another
    /// purpose, the service is asked, once.
    ///
    /// # Errors
    /// Those of the service.
    pub fn facts_for(
        &self,
        purpose: Purpose,
        facts: Arc<KeyDescription>,
        deadline: Instant,
    ) -> Result<Arc<KeyDescription>> {
        let told = facts.usage.is_some() || facts.unusable_reason.is_some();
        if told || facts.permits(purpose) && self.described.value().is_none() {
            return Ok(facts);
        }
        let told = self.describe(deadline, |_| ()).map_err(|failure| Error::from(failure).with_context(self))?;
        self.adopt_description(&told, &facts);
        Ok(told)
    }

    /// Asks the service about a key that a certificate or the cache already describes: one request, once. Calls `failed`
    /// for a new failure.
    pub(super) fn describe(
        &self,
        deadline: Instant,
        failed: impl FnOnce(&Failure),
    ) -> std::result::Result<Arc<KeyDescription>, Failure> {
        self.described.start_loading(|| self.common.backend.describe(&self.key.name));
        self.described.get(deadline, failed)
    }

    /// Corrects the objects by the service's description. If the certificate or the cached public key was that of another
    /// key, logs that once and returns `true`.
    pub(super) fn adopt_description(&self, told: &Arc<KeyDescription>, facts: &KeyDescription) -> bool {
        let is_stale = told.public_key != facts.public_key && facts.immutable_id.is_none();
        if is_stale && self.is_unconfirmed() {
            self.replace_cached_facts(told);
        } else if is_stale
            && !self.local().is_empty()
            && !self.is_configured_certificate_wrong.swap(true, Ordering::Relaxed)
        {
            let (source, kind) = (self.certificate_source(), told.kind.name());
            log_warn!(
                "{self}: {source} belongs to another key; the module uses the public key of the service, of kind {kind}"
            );
        }
        self.replace_facts(told);
        is_stale
    }

    /// What told the module about a key whose immutable id it does not know, for messages.
    fn source_of_facts(&self) -> String {
        if self.local().is_empty() { "the cached public key".into() } else { self.certificate_source() }
    }

    /// Signs, or computes a MAC: one request. A signature is verified before it is returned.
    ///
    /// # Errors
    /// CKR_USER_NOT_LOGGED_IN, CKR_KEY_HANDLE_INVALID if the certificate that described the key is that of another
    /// key, and those of the service.
    pub fn sign(&self, facts: &KeyDescription, request: SignRequest, deadline: Instant) -> Result<Vec<u8>> {
        let used = Use { operation: "sign", mechanism: request.mechanism, data: UsedData::Signed(request) };
        self.recorded(facts, used, |id| self.verified_signature(facts, request, deadline, id))
    }

    fn verified_signature(
        &self,
        facts: &KeyDescription,
        SignRequest { scheme, data, .. }: SignRequest,
        deadline: Instant,
        id: &mut RequestId,
    ) -> Result<Vec<u8>> {
        let mut request = || self.send(facts, deadline, id, |target| self.common.backend.sign(target, scheme, data));
        let verifies = |key: &PublicKey, by: &Signature| key.verifies(scheme, data, &by.bytes);
        let is_valid = |by: &Signature| facts.public_key.as_ref().is_none_or(|key| verifies(key, by));
        let mut signature = request()?;
        let mut valid = is_valid(&signature);
        if !valid && self.is_pinned_to_another(&signature) {
            signature = request()?;
            valid = is_valid(&signature);
        }
        match valid {
            true => self.set_confirmed(facts),
            false => self.check_with_service_key(facts, scheme, |key| verifies(key, &signature), deadline)?,
        }
        self.shown().immutable_id = Some(signature.immutable_id);
        Ok(signature.bytes)
    }

    /// Whether another thread has resolved the name of the key while the signature was requested by that name, and the name
    /// meant another key.
    fn is_pinned_to_another(&self, signature: &Signature) -> bool {
        self.shown().immutable_id.as_ref().is_some_and(|id| *id != signature.immutable_id)
    }

    /// Called when a signature does not verify. A wrong certificate or an outdated cache must not make a working key
    /// unusable, so the service's own public key decides.
    fn check_with_service_key(
        &self,
        facts: &KeyDescription,
        scheme: Scheme,
        verifies: impl Fn(&PublicKey) -> bool,
        deadline: Instant,
    ) -> Result<()> {
        let told = if facts.immutable_id.is_none() { self.describe(deadline, |_| ()).ok() } else { None };
        let Some(told) = told.filter(|told| self.adopt_description(told, facts)) else {
            return Err(self.invalid_signature_error(facts));
        };
        match &told.public_key {
            // The signed mu was computed with the wrong public key (FIPS 204, algorithm 7), so the signature is not that of
            // the message.
            Some(_) if scheme.family == Algorithm::MlDsaMu => Err(self.other_key_error(&told)),
            Some(key) if verifies(key) => Ok(()),
            _ => Err(self.invalid_signature_error(facts)),
        }
    }

    /// Explains an error that the service or a local check reported. If the request assumed the wrong kind of key
    /// because the certificate or the cached public key is that of another key, the error says so.
    fn explain(&self, error: Error, facts: &KeyDescription, deadline: Instant) -> Error {
        if facts.immutable_id.is_some() {
            return error;
        }
        match self.describe(deadline, |_| ()) {
            Ok(told) if self.adopt_description(&told, facts) => {
                Error { device_error: error.device_error, ..self.other_key_error(&told) }
            }
            _ => error,
        }
    }

    fn other_key_error(&self, told: &KeyDescription) -> Error {
        let (source, kind) = (self.source_of_facts(), told.kind.name());
        let text = format!("{source} belongs to another key; this key is of kind {kind}; search for the key again");
        Error::new(CKR_KEY_HANDLE_INVALID, text).with_context(self)
    }

    /// Verifies a MAC of the data of `request`: one request.
    ///
    /// # Errors
    /// CKR_SIGNATURE_INVALID, and as [`SlotKey::sign`].
    pub fn verify(&self, facts: &KeyDescription, request: SignRequest, mac: &[u8], deadline: Instant) -> Result<()> {
        let SignRequest { mechanism, scheme, data, .. } = request;
        self.recorded(facts, Use { operation: "verify", mechanism, data: UsedData::Signed(request) }, |id| {
            let good =
                self.send(facts, deadline, id, |target| self.common.backend.verify(target, scheme, data, mac))?;
            if good { Ok(()) } else { Err(Error::invalid_signature()) }
        })
    }

    /// Decrypts a plaintext, or unwraps a secret key: one request.
    ///
    /// # Errors
    /// CKR_ENCRYPTED_DATA_LEN_RANGE, and as [`SlotKey::sign`].
    pub fn decrypt(
        &self,
        facts: &KeyDescription,
        purpose: Purpose,
        mechanism: &'static str,
        scheme: Scheme,
        ciphertext: &[u8],
        deadline: Instant,
    ) -> Result<SecretBytes> {
        let length = facts.kind.signature_len();
        if ciphertext.len() != length {
            let text =
                format!("the ciphertext has {} bytes, but ciphertexts of this key have {length}", ciphertext.len());
            let error = Error::new(CKR_ENCRYPTED_DATA_LEN_RANGE, text).with_context(self);
            return Err(self.explain(error, facts, deadline));
        }
        let (backend, is_unwrap) = (&self.common.backend, purpose == Purpose::Unwrap);
        let operation = if is_unwrap { "unwrap" } else { "decrypt" };
        self.recorded(facts, Use { operation, mechanism, data: UsedData::Ciphertext(ciphertext) }, |id| {
            self.send(facts, deadline, id, |target| match is_unwrap {
                true => backend.unwrap(target, scheme, ciphertext),
                false => backend.decrypt(target, scheme, ciphertext),
            })
        })
    }

    /// Returns the secret that the key shares with the owner of the public point: one request. The point may be
    /// wrapped in an OCTET STRING.
    ///
    /// # Errors
    /// CKR_MECHANISM_PARAM_INVALID if the point is not on the key's curve, and as [`SlotKey::sign`].
    pub fn derive(
        &self,
        facts: &KeyDescription,
        mechanism: &'static str,
        point: &[u8],
        deadline: Instant,
    ) -> Result<SecretBytes> {
        let peer = peer(facts.kind, point).map_err(|text| {
            let text = format!("the public key of the other party: {text}");
            self.explain(Error::new(CKR_MECHANISM_PARAM_INVALID, text).with_context(self), facts, deadline)
        })?;
        self.recorded(facts, Use { operation: "derive", mechanism, data: UsedData::Point(point) }, |id| {
            self.send(facts, deadline, id, |target| self.common.backend.derive(target, &peer))
        })
    }

    /// Checks that requests can be made: a logout may have come between.
    pub(super) fn check_login(&self) -> Result<()> {
        match self.common.backend.is_ready() {
            true => Ok(()),
            false => Err(Error::new(CKR_USER_NOT_LOGGED_IN, "the login has ended").with_context(self)),
        }
    }

    fn send<T: Clone>(
        &self,
        facts: &KeyDescription,
        deadline: Instant,
        id_of_request: &mut RequestId,
        request: impl FnOnce(Target) -> Pending<T>,
    ) -> Result<T> {
        self.check_login()?;
        let id = self.shown().immutable_id.clone().or_else(|| facts.immutable_id.clone());
        let target = Target { name: &self.key.name, kind: facts.kind, immutable_id: id.as_deref() };
        let pending = request(target);
        let answer = pending.wait(deadline);
        *id_of_request = match &answer {
            Ok(_) => pending.request_id().map(str::to_owned),
            Err(failure) => failure.request_id.clone(),
        };
        answer.map_err(|failure| {
            let is_wrong_kind = WRONG_KIND_CAUSES.contains(&failure.cause);
            // The key no longer exists, or its name means another key. (A disabled key is kept: it may be enabled
            // again, and the handles that a server holds stay valid.)
            if failure.cause == Cause::NotFound {
                self.invalidate();
            }
            let error = Error::from(failure).with_context(self);
            if is_wrong_kind { self.explain(error, facts, deadline) } else { error }
        })
    }

    fn invalid_signature_error(&self, facts: &KeyDescription) -> Error {
        let why = if self.facts_are_cached.load(Ordering::Relaxed) {
            self.invalidate();
            "the cached public key is not the public key of this key; the next use requests it again"
        } else if facts.immutable_id.is_none() && !self.local().is_empty() {
            self.is_configured_certificate_wrong.store(true, Ordering::Relaxed);
            self.invalidate();
            "the configured certificate belongs to another key, and the signature does not verify under the service's public key either"
        } else {
            // The name cannot mean another key, so the reply is wrong. The handles that a server holds stay valid.
            "the signature in the reply does not verify under the key's public key"
        };
        Error::from(Failure::new(Cause::Malformed, "Sign", why)).with_context(self)
    }
}

/// Returns the public key of the other party.
fn peer(kind: Kind, point: &[u8]) -> std::result::Result<PublicKey, String> {
    let Kind::Ec(curve) = kind else { return Err(format!("a key of kind {} has no point", kind.name())) };
    let peer = PublicKey::ec(curve, point).or_else(|_| PublicKey::ec(curve, unwrapped_point(point)));
    let peer = peer.map_err(|unusable| unusable.0)?;
    if peer.is_on_its_curve() { Ok(peer) } else { Err(format!("its point is not on {}", curve.name())) }
}
