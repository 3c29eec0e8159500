//! The certificates of a key: from the configuration, the service, the slot's certificate store, or generated.

use super::SlotKey;
use crate::certificate::Certificate;
use crate::certificate::bundle::Bundle;
use crate::certificate::generated;
use crate::cloud::{KeyDescription, Pending, purposes_of, schemes_for};
use crate::config::{CertificateSource, Right};
use crate::key::{PublicKey, Purpose};
use crate::object::{Names, Object};
use crate::store::certificates::CertificateStore;
use crate::{log_error, log_warn};
use cryptoki_sys::*;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

impl SlotKey {
    /// Returns what the local certificate says about the key, without a request. Returns `None` if it is not clear
    /// which certificate is the key's, or if the service has keys with a single purpose or scheme and the certificate
    /// does not tell which one that is.
    pub(super) fn local_facts(&self) -> Option<KeyDescription> {
        let own = self.local().leaf().filter(|_| !self.is_configured_certificate_wrong.load(Ordering::Relaxed))?;
        let public_key = own.public_key().ok()?;
        let backend = &*self.common.backend;
        let mut purposes = purposes_of(backend, public_key.kind());
        if backend.has_single_purpose() {
            purposes.retain(|purpose| own.usage.as_ref().is_none_or(|usage| usage.contains(purpose)));
            if purposes.len() != 1 {
                return None;
            }
        }
        let schemes = schemes_for(backend, public_key.kind(), &purposes);
        let is_certain = schemes.len() == 1 || !backend.has_single_scheme();
        is_certain.then(|| KeyDescription::from_public_key(public_key, schemes))
    }

    pub(super) fn certificate_objects(&self, deadline: Instant) -> Vec<Arc<Object>> {
        if let Some(objects) = &self.shown().certificates {
            return objects.clone();
        }
        let local = self.local();
        let kept = if local.is_empty() { self.service_chain(deadline).filter(|chain| !chain.is_empty()) } else { None };
        if local.is_empty() && kept.is_none() && !self.has_certificates_of_slot() {
            return Vec::new();
        }
        let Some(facts) = self.loaded_facts(deadline) else { return Vec::new() };
        let Some(public_key) = &facts.public_key else { return Vec::new() };
        let objects = match kept {
            Some(chain) => {
                let objects = self.certificate_objects_of(&chain, public_key, false);
                if !objects.is_empty() {
                    self.cache_certificate(&chain);
                }
                objects
            }
            None if !local.is_empty() => self.certificate_objects_of(&local.chain_of(public_key), public_key, false),
            None => self.objects_of_slot(public_key, &facts),
        };
        if objects.is_empty() && self.store().is_some() {
            // Not remembered: another program may store a certificate.
            return objects;
        }
        let mut shown = self.shown();
        let objects = shown.certificates.get_or_insert(objects);
        // The label may have changed since the objects were created.
        if let Some(own) = objects.first_mut() {
            self.with_label(|label| Arc::make_mut(own).attributes.set(CKA_LABEL, label.as_bytes()));
        }
        objects.clone()
    }

    /// Returns the chain as objects, if its first certificate is that of the key. Otherwise logs an error and
    /// returns no objects.
    pub(super) fn certificate_objects_of(
        &self,
        chain: &[Certificate],
        public_key: &PublicKey,
        destroyable: bool,
    ) -> Vec<Arc<Object>> {
        let Some((own, issuers)) = chain.split_first().filter(|(own, _)| own.certifies(public_key)) else {
            log_error!("{self}: {} belongs to another key, so the key is shown without it", self.certificate_source());
            return Vec::new();
        };
        let own = self.with_slot_attributes(Object::certificate(self.names(&own.subject), own), destroyable);
        let mut objects = vec![Arc::new(own)];
        for issuer in issuers {
            let id = crate::key::hash::Hash::Sha1.digest(&issuer.spki);
            let named = |label: &str| issuer.common_name.clone().unwrap_or_else(|| format!("{label} issuer"));
            let names = Names { label: &named(&self.key.label), id: &id, subject: &issuer.subject };
            let object = Object::certificate(names, issuer).with_label(&self.with_label(named));
            objects.push(Arc::new(object.with_destroyable(destroyable)));
        }
        objects
    }

    /// Returns the certificate chain that the service stores with the key. Failures are logged.
    pub(super) fn service_chain(&self, deadline: Instant) -> Option<Vec<Certificate>> {
        let source = match &self.key.certificate {
            CertificateSource::Named(_) => self.certificate_source(),
            _ => "the certificate".into(),
        };
        let kept = self
            .service_certificates
            .get(deadline, |failure| log_error!("{self}: {source} can't be fetched: {failure}"))
            .ok()?;
        (*kept).clone()
    }

    /// Returns the certificate of the cache, or else starts the request for it.
    pub(super) fn request_certificate(&self) -> Pending<Option<Vec<Certificate>>> {
        let backend = &self.common.backend;
        let CertificateSource::Named(name) = &self.key.certificate else { return backend.certificate(&self.key.name) };
        let cached = self.common.cache.as_ref().and_then(|cache| cache.certificate_chain(name));
        cached.map_or_else(|| backend.named_certificate(name), |chain| Pending::ready(Ok(Some(chain))))
    }

    fn cache_certificate(&self, chain: &[Certificate]) {
        if let (CertificateSource::Named(name), Some(cache)) = (&self.key.certificate, &self.common.cache) {
            cache.insert_certificate_chain(name, chain);
        }
    }

    /// Whether the key may have certificates of issuers, with names of their own, in a service of certificates.
    pub(super) fn may_have_named_issuers(&self) -> bool {
        let known = self.service_certificates.value();
        let has_issuers = known.is_none_or(|kept| kept.as_ref().as_ref().is_some_and(|chain| chain.len() > 1));
        has_issuers && matches!(self.key.certificate, CertificateSource::Named(_))
    }

    pub(super) fn has_no_certificate(&self) -> bool {
        self.local().is_empty()
            && !self.has_certificates_of_slot()
            && self.service_certificates.value().is_some_and(|kept| kept.is_none())
    }

    /// The certificates of the configuration, read once.
    pub(super) fn local(&self) -> &Bundle {
        self.configured_certificates.get_or_init(|| match &self.key.certificate {
            CertificateSource::Service | CertificateSource::Named(_) => Bundle::default(),
            CertificateSource::Inline(certificates) => Bundle::new(certificates.clone()),
            CertificateSource::File(path) => {
                let bytes = std::fs::read(path).map_err(|error| error.to_string());
                let found = bytes.and_then(|bytes| Certificate::parse_all(&bytes).map_err(|unusable| unusable.0));
                let (certificates, others) = found.unwrap_or_else(|error| {
                    log_error!("{self}: {}: {error}; the key is shown without it", self.certificate_source());
                    Default::default()
                });
                for other in others {
                    log_warn!("{self}: {}: {other} is ignored", self.certificate_source());
                }
                Bundle::new(certificates)
            }
        })
    }

    /// The source of the certificate, for messages.
    pub(super) fn certificate_source(&self) -> String {
        match &self.key.certificate {
            CertificateSource::Service => "the certificate in the service".into(),
            CertificateSource::Inline(_) => "the certificate in the configuration (\"certificate\")".into(),
            CertificateSource::File(path) => format!("the certificate {}", path.display()),
            CertificateSource::Named(name) => format!("the certificate {}", name.id),
        }
    }

    /// CKA_SUBJECT: the subject of the key's certificate if that is available locally, else empty.
    pub(super) fn subject(&self, facts: &KeyDescription) -> Vec<u8> {
        let chain = facts.public_key.as_ref().map(|key| self.local().chain_of(key)).unwrap_or_default();
        chain.into_iter().next().map(|own| own.subject).unwrap_or_default()
    }

    /// Whether the key may have a certificate that neither its own options nor the service name.
    fn has_certificates_of_slot(&self) -> bool {
        self.store().is_some() || self.common.quirks.generate_certificate || !self.certificates_of_slot().is_empty()
    }

    fn certificates_of_slot(&self) -> &[Certificate] {
        self.common.management.as_ref().map(|own| own.certificates.as_slice()).unwrap_or_default()
    }

    /// Returns the certificate in the store, or among those of the slot, or else a generated one.
    fn objects_of_slot(&self, public_key: &PublicKey, facts: &KeyDescription) -> Vec<Arc<Object>> {
        let stored = self.stored_objects(public_key);
        if !stored.is_empty() {
            return stored;
        }
        let configured = self.certificates_of_slot().iter().filter(|own| own.certifies(public_key));
        let chain: Vec<_> = match configured.max_by_key(|own| own.not_before) {
            Some(own) => vec![own.clone()],
            None => self.generated_certificate(public_key, facts).into_iter().collect(),
        };
        if chain.is_empty() { Vec::new() } else { self.certificate_objects_of(&chain, public_key, false) }
    }

    /// Returns the certificate that the module generates for the key, always the same one. Returns `None` if the slot has no
    /// generated certificates, or if the service may have one that could not be fetched.
    fn generated_certificate(&self, public_key: &PublicKey, facts: &KeyDescription) -> Option<Certificate> {
        let is_missing = self.service_certificates.value().is_some_and(|kept| kept.is_none());
        if !self.common.quirks.generate_certificate || !is_missing {
            return None;
        }
        let mut generated = self.generated_certificate.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(own) = generated.as_ref().filter(|own| own.certifies(public_key)) {
            return Some(own.clone());
        }
        let purposes: Vec<_> = Purpose::ALL.into_iter().filter(|purpose| facts.permits(*purpose)).collect();
        match self.with_label(|label| generated::certificate(public_key, label, &purposes)) {
            Ok(own) => *generated = Some(own),
            Err(why) => log_error!("{self}: no certificate can be generated: {}", why.0),
        }
        generated.clone()
    }

    /// The store that may contain a certificate that a program has written for the key.
    pub(super) fn store(&self) -> Option<CertificateStore> {
        let folder = self.common.management.as_ref()?.certificate_store.as_deref()?;
        Some(CertificateStore::new(folder))
    }

    pub(super) fn stored_objects(&self, public_key: &PublicKey) -> Vec<Arc<Object>> {
        match self.store().map_or(Ok(Vec::new()), |store| store.chain(public_key)) {
            Ok(chain) if chain.is_empty() => Vec::new(),
            Ok(chain) => self.certificate_objects_of(&chain, public_key, self.allows(Right::Certificates)),
            Err(error) => {
                log_error!("{self}: {}; the key is shown without a certificate", error.message);
                Vec::new()
            }
        }
    }
}
