//! One key of a slot: its name, what has been loaded for it, and its objects.
//!
//! The public key comes from a local certificate, else from the cache, else from the service.

mod certificates;
mod confirmation;
mod lifecycle;
mod requests;
pub mod uses;

use crate::certificate::Certificate;
use crate::certificate::bundle::Bundle;
use crate::cloud::lazy::Lazy;
use crate::cloud::{Cause, Failure, KeyDescription, ListedKey, Pending, SharedBackend};
use crate::config::{Key, Management, Quirks};
use crate::key::Purpose;
use crate::object::attribute::{Attribute, depends_on_key, number_in};
use crate::object::{Names, Object, public_schemes};
use crate::store::public_keys::PublicKeyCache;
use crate::{log_error, log_info, log_warn};
use cryptoki_sys::*;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::{Duration, Instant};

/// One key of a slot, with what has been loaded for it.
#[derive(Debug)]
pub struct SlotKey {
    key: Key,
    /// The label that the service stores for the key. `None` means the label in `key`.
    label: Mutex<Option<String>>,
    /// The CKA_ID that the key was created with in this process. `None` means the key's name.
    requested_id: Option<Vec<u8>>,
    /// Found by listing, not named by the user. If the key cannot be used, it is left out without an error.
    is_discovered: bool,
    common: Arc<SlotContext>,
    /// The facts come from the cache, not from the service.
    facts_are_cached: AtomicBool,
    /// The loaded facts have been logged and offered to the cache.
    facts_logged: AtomicBool,
    facts: Lazy<KeyDescription>,
    /// The service's own description. Requested when the key is needed for a purpose that `facts` do not contain,
    /// or when `facts` are in doubt.
    described: Lazy<KeyDescription>,
    service_certificates: Lazy<Option<Vec<Certificate>>>,
    configured_certificates: OnceLock<Bundle>,
    generated_certificate: Mutex<Option<Certificate>>,
    /// The local certificate turned out to be that of another key. What the certificate says about the key is no
    /// longer used.
    is_configured_certificate_wrong: AtomicBool,
    objects: Mutex<KeyObjects>,
}

/// What the keys of one slot share.
#[derive(Debug)]
pub struct SlotContext {
    /// The slot's id, for log lines.
    pub slot: CK_SLOT_ID,
    /// The token's label.
    pub label: String,
    /// The kinds of keys that the token hides.
    pub hidden_kinds: Vec<String>,
    /// The service that holds the keys.
    pub backend: SharedBackend,
    /// The cache of public keys.
    pub cache: Option<Arc<PublicKeyCache>>,
    /// Per-slot deviations from the default behavior.
    pub quirks: Quirks,
    /// What programs may change in the service.
    pub management: Option<Arc<Management>>,
}

/// The objects created so far, and the facts from which they were created.
#[derive(Debug, Default)]
struct KeyObjects {
    facts: Option<Arc<KeyDescription>>,
    private: Option<Arc<Object>>,
    public: Option<Arc<Object>>,
    certificates: Option<Vec<Arc<Object>>>,
    immutable_id: Option<String>,
}

/// How long a key counts as disabled after its listing has reported it as disabled. After that time the service is
/// asked again, in case someone has enabled the key.
const DISABLED_RETRY_AFTER: Duration = Duration::from_secs(300);

/// The objects of a key that a search can find: its keys, its certificates, or both. Other objects need not be
/// loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the sentence above says it")]
pub struct ObjectClasses {
    pub keys: bool,
    pub certificates: bool,
    /// The search asks for private keys by their names only. A public key that may be out of date is enough.
    pub only_to_sign: bool,
}

/// The classes of a key's objects.
const KEYS: [CK_OBJECT_CLASS; 3] = [CKO_PRIVATE_KEY, CKO_PUBLIC_KEY, CKO_SECRET_KEY];

impl ObjectClasses {
    /// Returns what a search with this template can find.
    pub fn of_template(template: &[Attribute]) -> Self {
        let class = number_in(template, CKA_CLASS);
        let asked = template.iter().any(|(kind, _)| *kind == CKA_CLASS);
        Self {
            keys: !asked || class.is_some_and(|class| KEYS.contains(&class)),
            certificates: !asked || class == Some(CKO_CERTIFICATE),
            only_to_sign: class == Some(CKO_PRIVATE_KEY) && !template.iter().any(|(kind, _)| depends_on_key(*kind)),
        }
    }

    /// Whether the search can find any object of a key. NSS searches for classes of its own.
    pub fn is_any(self) -> bool {
        self.keys || self.certificates
    }
}

impl SlotKey {
    /// Creates a key of a slot. Loads nothing.
    pub fn new(key: Key, common: Arc<SlotContext>) -> Self {
        Self {
            key,
            label: Mutex::default(),
            requested_id: None,
            is_discovered: false,
            common,
            facts_are_cached: AtomicBool::new(false),
            facts_logged: AtomicBool::new(false),
            facts: Lazy::default(),
            described: Lazy::default(),
            service_certificates: Lazy::default(),
            configured_certificates: OnceLock::new(),
            generated_certificate: Mutex::default(),
            is_configured_certificate_wrong: AtomicBool::new(false),
            objects: Mutex::default(),
        }
    }

    /// Creates a key that the service has listed. Loads nothing else.
    pub fn listed(listed: ListedKey, common: Arc<SlotContext>) -> Self {
        let label = Mutex::new(listed.label);
        let own = Self { label, is_discovered: true, ..Self::new(Key::listed(listed.name), common) };
        match listed.is_disabled {
            true => own.disabled(),
            false => own,
        }
    }

    /// Marks the key as disabled, as its listing reports. No request is made about the key for `DISABLED_RETRY_AFTER`.
    fn disabled(self) -> Self {
        let own = Self { facts: Lazy::with_retry_after(DISABLED_RETRY_AFTER), ..self };
        let failure = Failure::new(Cause::Disabled, "list", "the service lists the key as disabled");
        own.facts.start_loading(|| Pending::ready(Err(failure)));
        own.service_certificates.start_loading(|| Pending::ready(Ok(None)));
        own
    }

    /// Whether an object of this key can match the template. Decided from the names of the key, before anything is
    /// loaded.
    pub fn may_match(&self, template: &[Attribute], wanted: ObjectClasses) -> bool {
        let fits = |kind, own: &[u8]| template.iter().all(|(asked, value)| *asked != kind || value == own);
        let own = fits(CKA_ID, self.id()) && self.with_label(|label| fits(CKA_LABEL, label.as_bytes()));
        // The certificates of a chain have names of their own, and are available locally.
        own || (wanted.certificates
            && (self.local().len() > 1 || self.store().is_some() || self.may_have_named_issuers()))
    }

    /// Starts the requests for objects that are wanted and not loaded yet. Does not wait.
    pub fn start_loading(&self, wanted: ObjectClasses) {
        let ready = self.common.backend.is_ready();
        if wanted.certificates && self.local().is_empty() && ready {
            self.service_certificates.start_loading(|| self.request_certificate());
        }
        // A certificate is shown only if it matches the key. If the key has no certificate, the key need not be
        // loaded.
        if wanted.keys || (wanted.certificates && !self.has_no_certificate()) {
            self.facts.try_start_loading(|| {
                match self.local_facts().or_else(|| self.cached_facts(wanted.only_to_sign && ready)) {
                    Some(facts) => Some(Pending::ready(Ok(facts))),
                    None => ready.then(|| self.common.backend.describe(&self.key.name)),
                }
            });
            if !wanted.only_to_sign && ready && self.is_unconfirmed() {
                self.described.start_loading(|| self.common.backend.describe(&self.key.name));
            }
        }
    }

    /// Waits for the requests that `start_loading` started and returns the wanted objects. Failures are logged, and their
    /// objects are left out.
    pub fn objects(&self, wanted: ObjectClasses, deadline: Instant) -> Vec<Arc<Object>> {
        let mut objects = Vec::new();
        if !wanted.only_to_sign && (wanted.keys || !self.has_no_certificate()) {
            let _ = self.try_confirm(deadline, |failure| self.log_failure(failure));
            if self.is_unconfirmed() {
                return objects;
            }
        }
        if wanted.keys {
            objects.extend(self.key_objects(deadline));
        }
        if wanted.certificates && !self.has_no_certificate() {
            objects.extend(self.certificate_objects(deadline));
        }
        objects
    }

    /// Returns the object of the handle, if the object belongs to this key and still exists.
    pub fn object(&self, handle: CK_OBJECT_HANDLE) -> Option<Arc<Object>> {
        let shown = self.shown();
        let keys = shown.private.iter().chain(&shown.public);
        let mut all = keys.chain(shown.certificates.iter().flatten());
        all.find(|object| object.handle == handle).cloned()
    }

    /// Returns what is known about the key, for an operation with one of its objects.
    pub fn facts(&self) -> Option<Arc<KeyDescription>> {
        self.shown().facts.clone()
    }

    /// Removes the private object. Called at a logout.
    pub fn remove_private_object(&self) {
        self.shown().private = None;
    }

    /// Forgets what another login has loaded, so that the next use loads the key again. Objects that turn out to
    /// be the same keep their handles. Called at a login.
    pub fn invalidate_for_login(&self) {
        self.facts.forget();
        self.described.forget();
        self.service_certificates.forget();
        self.shown().immutable_id = None;
    }

    /// Forgets what was loaded, because the key may have changed. The next use loads the key again, with new
    /// handles.
    fn invalidate(&self) {
        if let Some(cache) = &self.common.cache {
            cache.remove(&self.common.backend, &self.key.name);
        }
        self.facts_logged.store(false, Ordering::Relaxed);
        self.facts.forget();
        self.described.forget();
        self.service_certificates.forget();
        *self.shown() = KeyObjects::default();
    }

    fn key_objects(&self, deadline: Instant) -> Vec<Arc<Object>> {
        let Some(facts) = self.loaded_facts(deadline) else { return Vec::new() };
        let mut shown = self.shown();
        if shown.facts.as_ref() != Some(&facts) {
            shown.public = self.public_object(&facts).map(Arc::new);
            // Another login may have found another key.
            if shown.facts.is_some() {
                shown.certificates = None;
            }
            (shown.private, shown.facts) = (None, Some(facts.clone()));
        }
        if shown.private.is_none() && self.common.backend.is_ready() {
            shown.private = Some(Arc::new(self.private_object(&facts)));
        }
        shown.private.iter().chain(&shown.public).cloned().collect()
    }

    fn public_object(&self, facts: &KeyDescription) -> Option<Object> {
        let key = facts.public_key.as_ref()?;
        let subject = self.subject(facts);
        let form = self.common.quirks.edwards_point;
        let object = Object::public_key(self.names(&subject), key, &public_schemes(facts), form);
        Some(self.with_slot_attributes(object.without_purposes(&facts.forbidden_purposes), self.is_destroyable()))
    }

    fn private_object(&self, facts: &KeyDescription) -> Object {
        let (subject, form) = (self.subject(facts), self.common.quirks.edwards_point);
        let mut object =
            self.with_slot_attributes(Object::private_key(self.names(&subject), facts, form), self.is_destroyable());
        // Section 4.4: a private object is visible only to a user who is logged in.
        if self.common.backend.login().is_some() {
            object.attributes.set(CKA_PRIVATE, &[CK_TRUE]);
        }
        object
    }

    /// Adopts the service's own description, which overrides a certificate and the cache. If the type of the key
    /// is the same, or the caller knows no type yet, the objects are replaced under the handles that callers know.
    fn replace_facts(&self, told: &Arc<KeyDescription>) {
        self.facts_logged.store(false, Ordering::Relaxed);
        self.facts.set(told.clone());
        self.replace_objects(told);
        // Last, because other threads show the objects from now on.
        self.facts_are_cached.store(false, Ordering::Release);
    }

    fn replace_objects(&self, told: &Arc<KeyDescription>) {
        let is_type_shown = !self.is_unconfirmed();
        let mut shown = self.shown();
        let Some(before) = shown.facts.clone() else { return };
        if is_type_shown && before.kind != told.kind || before.public_key.is_some() != told.public_key.is_some() {
            *shown = KeyObjects::default();
            return;
        }
        let renewed = |old: &Option<Arc<Object>>, new: Option<Object>| {
            let (old, new) = (old.as_ref()?, new?);
            Some(Arc::new(Object { handle: old.handle, ..new }))
        };
        shown.public = renewed(&shown.public, self.public_object(told));
        shown.private = renewed(&shown.private, Some(self.private_object(told)));
        let is_another = before.public_key != told.public_key;
        if is_another {
            shown.certificates = None;
        }
        if is_another || shown.immutable_id.is_none() {
            shown.immutable_id = told.immutable_id.clone();
        }
        shown.facts = Some(told.clone());
    }

    /// Waits for the facts and returns them, if the key is visible at all.
    fn loaded_facts(&self, deadline: Instant) -> Option<Arc<KeyDescription>> {
        let facts = self.facts.get(deadline, |failure| self.log_failure(failure)).ok()?;
        let hidden = self.common.hidden_kinds.contains(&facts.kind.name());
        if hidden && !self.facts_logged.swap(true, Ordering::Relaxed) {
            log_info!("{self}: hidden, because the slot's \"hide_keys\" contains {}", facts.kind.name());
        }
        if hidden || (facts.schemes.is_empty() && self.is_discovered) {
            return None;
        }
        if !self.facts_logged.swap(true, Ordering::Relaxed) {
            self.log_and_cache(&facts);
        }
        Some(facts)
    }

    /// Logs and caches facts that have just been loaded.
    fn log_and_cache(&self, facts: &KeyDescription) {
        if let Some(refusal) = &facts.unusable_reason {
            log_warn!("{self}: can't be used: {refusal}");
        } else if let Some(usage) = facts.usage.as_ref().filter(|_| !facts.permits(Purpose::Sign)) {
            log_info!("{self}: does not sign: {usage}");
        }
        if !self.facts_are_cached.load(Ordering::Relaxed) {
            self.cache_facts(facts);
        }
    }

    fn log_failure(&self, failure: &Failure) {
        match (self.is_discovered, failure.cause) {
            // For example a symmetric key, of which the service may list many.
            (true, Cause::Unsupported | Cause::Disabled) => log_info!("{self}: hidden: {failure}"),
            _ => log_error!("{self}: {failure}"),
        }
    }

    /// Sets CKA_LABEL, CKA_MODIFIABLE and CKA_DESTROYABLE, which do not follow from the object's content.
    fn with_slot_attributes(&self, object: Object, is_destroyable: bool) -> Object {
        self.with_label(|label| object.with_label(label))
            .with_modifiable(self.is_modifiable())
            .with_destroyable(is_destroyable)
    }

    /// Calls `done` with the CKA_LABEL of the key.
    fn with_label<T>(&self, done: impl FnOnce(&str) -> T) -> T {
        let given = self.label.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        done(given.as_deref().unwrap_or(&self.key.label))
    }

    /// Returns the names from which CKA_UNIQUE_ID is computed. These names never change.
    fn names<'a>(&'a self, subject: &'a [u8]) -> Names<'a> {
        Names { label: &self.key.label, id: self.id(), subject }
    }

    fn shown(&self) -> MutexGuard<'_, KeyObjects> {
        self.objects.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl std::fmt::Display for SlotKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let SlotContext { slot, label, backend, .. } = &*self.common;
        write!(f, "slot {slot}, token \"{label}\", key \"{}\" in {}", self.key.name.id, backend.endpoint())
    }
}
