//! Changes to a key of a slot: it is created, relabeled and destroyed, and certificates are added and removed.

use super::{KeyObjects, SlotContext, SlotKey};
use crate::certificate::Certificate;
use crate::cloud::{Cause, CreatedKey, Failure, KeyDescription, KeyName, Pending};
use crate::config::{CertificateSource, Key, Right};
use crate::error::{Error, Result};
use crate::key::PublicKey;
use crate::object::Object;
use cryptoki_sys::*;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

impl SlotKey {
    /// Creates a `SlotKey` for a key that the service has just created. `id` is the CKA_ID that the program asked
    /// for.
    pub fn created(made: CreatedKey, id: Option<Vec<u8>>, common: Arc<SlotContext>) -> Self {
        let own = Self { label: Mutex::new(made.label), requested_id: id, ..Self::new(Key::listed(made.name), common) };
        own.facts.start_loading(|| Pending::ready(Ok(made.facts)));
        own
    }

    /// The key's name in the service.
    pub fn name(&self) -> &KeyName {
        &self.key.name
    }

    /// The key's CKA_ID.
    pub(crate) fn id(&self) -> &[u8] {
        self.requested_id.as_deref().unwrap_or(self.key.name.id.as_bytes())
    }

    pub(crate) fn is_destroyable(&self) -> bool {
        // A key that is configured with its version is not a whole key of Key Vault, and only a whole key can be
        // deleted.
        self.allows(Right::Destroy) && self.key.name.version.is_none()
    }

    pub(crate) fn is_modifiable(&self) -> bool {
        self.allows(Right::Labels)
    }

    pub(super) fn allows(&self, right: Right) -> bool {
        self.common.management.as_ref().is_some_and(|own| own.allows(right))
    }

    /// Sets the key's label in the service. The key's objects have the new label at once, and keep their handles.
    ///
    /// # Errors
    /// Those of the service.
    pub fn relabel(&self, label: &str, deadline: Instant) -> Result<()> {
        let relabelled = self.common.backend.relabel(&self.key.name, label).wait(deadline);
        relabelled.map_err(|failure| Error::from(failure).with_context(self))?;
        *self.label.lock().unwrap_or_else(PoisonError::into_inner) = Some(label.to_owned());
        let mut shown = self.shown();
        let KeyObjects { private, public, certificates, .. } = &mut *shown;
        let certificate = certificates.as_mut().and_then(|chain| chain.first_mut());
        for object in private.iter_mut().chain(public).chain(certificate) {
            Arc::make_mut(object).attributes.set(CKA_LABEL, label.as_bytes());
        }
        Ok(())
    }

    /// Destroys the key in the service and forgets what is known about it. Returns how the key can be recovered.
    ///
    /// # Errors
    /// CKR_ACTION_PROHIBITED, and those of the service.
    pub fn destroy(&self, facts: &KeyDescription, deadline: Instant) -> Result<String> {
        if !self.is_destroyable() {
            let text = "the service deletes a key with all its versions, but the configuration names one version; \
                        remove \"key_version\"";
            return Err(Error::new(CKR_ACTION_PROHIBITED, text).with_context(self));
        }
        let id = self.shown().immutable_id.clone().or_else(|| facts.immutable_id.clone());
        let id = id.map_or_else(|| self.confirmed_id(facts, deadline), Ok)?;
        let days = self.common.management.as_ref().map_or(30, |own| own.destroy_days);
        let destroyed = self.common.backend.destroy(&self.key.name, &id, days).wait(deadline);
        let how = destroyed.map_err(|failure| Error::from(failure).with_context(self))?;
        self.invalidate();
        Ok(how)
    }

    /// Returns the immutable id of a key that is known only from a local certificate. Asks the service and checks
    /// that the certificate is that of the key, because the key is about to be destroyed.
    fn confirmed_id(&self, facts: &KeyDescription, deadline: Instant) -> Result<String> {
        let described = self.common.backend.describe(&self.key.name).wait(deadline);
        let described = described.map_err(|failure| Error::from(failure).with_context(self))?;
        match described.immutable_id.filter(|_| described.public_key == facts.public_key) {
            Some(id) => Ok(id),
            None => {
                let why = "the configured certificate belongs to another key, so the key was not destroyed";
                Err(Error::from(Failure::new(Cause::Rejected, "DeleteKey", why)).with_context(self))
            }
        }
    }

    /// Returns the public key, if the key is visible and has one.
    pub fn public_key(&self, deadline: Instant) -> Option<PublicKey> {
        self.try_confirm(deadline, |failure| self.log_failure(failure)).ok()?;
        self.loaded_facts(deadline)?.public_key.clone()
    }

    /// Whether `issuer` has issued one of the key's stored certificates. Only the names in the certificates are
    /// compared.
    pub fn is_issued_by(&self, issuer: &Certificate, deadline: Instant) -> bool {
        let chain = self.public_key(deadline).and_then(|key| self.store()?.chain(&key).ok()).unwrap_or_default();
        chain.iter().any(|own| own.issuer == issuer.subject)
    }

    /// Adds a certificate to the key. The certificate goes to the service, if the service waits for it, and
    /// otherwise to the end of the chain in the slot's certificate store.
    ///
    /// # Errors
    /// CKR_ACTION_PROHIBITED if the key already has a certificate or there is no place for one; those of the
    /// service and the certificate store.
    pub fn add_certificate(&self, certificate: &Certificate, deadline: Instant) -> Result<()> {
        let prohibited = |text: &str| Err(Error::new(CKR_ACTION_PROHIBITED, text.to_owned()).with_context(self));
        let key = self.public_key(deadline).ok_or_else(|| Error::new(CKR_GENERAL_ERROR, "the key no longer exists"))?;
        if !self.local().is_empty() || matches!(self.key.certificate, CertificateSource::Named(_)) {
            return prohibited(
                "the configuration names the key's certificate (\"certificate\", \"certificate_path\" or an ARN); change it there",
            );
        }
        let own = certificate.certifies(&key);
        if own && self.merge_certificate(certificate, deadline)? {
            return Ok(());
        }
        self.service_certificates.start_loading(|| self.request_certificate());
        let kept = self
            .service_certificates
            .get(deadline, |_| {})
            .map_err(|failure| Error::from(failure).with_context(self))?;
        if kept.is_some() {
            return prohibited("the service already has a certificate for the key and accepts no other");
        }
        let Some(store) = self.store() else {
            return prohibited(
                "the service stores no certificates with keys; name a directory for them in \"certificate_store\"",
            );
        };
        let mut chain = store.chain(&key)?;
        if chain.contains(certificate) || (own && !chain.is_empty()) {
            return prohibited(
                "the certificate store already has a certificate of this key; delete that certificate first",
            );
        }
        chain.push(certificate.clone());
        store.replace(&key, &chain)?;
        self.shown().certificates = None;
        Ok(())
    }

    /// Gives a certificate to a service that waits for it. Returns whether the service did.
    ///
    /// # Errors
    /// Those of the service.
    pub fn merge_certificate(&self, certificate: &Certificate, deadline: Instant) -> Result<bool> {
        let completed = self.common.backend.complete_certificate(&self.key.name, certificate).wait(deadline);
        let completed = completed.map_err(|failure| Error::from(failure).with_context(self))?;
        if completed {
            // Before this, the key may have been unknown, unusable, or an older key.
            let known = self.shown().facts.clone().filter(|facts| facts.unusable_reason.is_none());
            let same =
                known.is_some_and(|facts| facts.public_key.as_ref().is_some_and(|key| certificate.certifies(key)));
            if !same {
                self.invalidate();
            }
            self.service_certificates.forget();
            self.shown().certificates = None;
        }
        Ok(completed)
    }

    /// Removes a certificate from the slot's certificate store. Removing the key's own certificate removes the
    /// whole chain.
    ///
    /// # Errors
    /// CKR_ACTION_PROHIBITED if the certificate is not in the store, and those of the store.
    pub fn remove_certificate(&self, object: &Object, deadline: Instant) -> Result<()> {
        let der = object.attributes.value(CKA_VALUE).unwrap_or_default();
        let key = self.public_key(deadline);
        let found = key.and_then(|key| Some((self.store()?, key)));
        let chain = found.as_ref().map_or(Ok(Vec::new()), |(store, key)| store.chain(key))?;
        match (found, chain.iter().position(|own| own.der == der)) {
            (Some((store, key)), Some(0)) => store.replace(&key, &[])?,
            (Some((store, key)), Some(index)) => {
                let rest: Vec<_> = [&chain[..index], &chain[index + 1..]].concat();
                store.replace(&key, &rest)?;
            }
            _ => {
                let text = "this certificate is the service's own, or stands in the configuration: only one that a \
                            program has written can be deleted";
                return Err(Error::new(CKR_ACTION_PROHIBITED, text).with_context(self));
            }
        }
        self.shown().certificates = None;
        Ok(())
    }
}
