//! One slot and its token: its keys and profiles, the search among its objects, and its login state.
//!
//! A key is loaded only when it is needed. Whatever a search needs is requested at once.
//! PKCS#11 3.1 sections 5.5 (slots and tokens), 5.6 (login), 5.7 (search).

mod changes;
mod errors;
pub mod key;
mod keys;
mod login;
mod management;
mod mechanisms;
mod token_keys;
pub mod tokens;
mod usage;
mod used_key;

use crate::cloud::lazy::Lazy;
use crate::cloud::{ListedKey, SecretBytes, SharedBackend};
use crate::config::{Quirks, Slot, serial_number};
use crate::error::{Error, Result};
use crate::object::Object;
use crate::object::attribute::{Attribute, depends_on_key, number_in};
use crate::object::profile;
use crate::object::session_object::SessionObject;
use crate::store::public_keys::PublicKeyCache;
use changes::Changes;
use cryptoki_sys::*;
pub use errors::{invalid_handle, not_logged_in, session_read_only};
use key::{ObjectClasses, SlotContext, SlotKey};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::{Duration, Instant};
use token_keys::TokenKeys;
pub use usage::MAX_PIN_LEN;
use usage::SessionState;
pub use used_key::UsedKey;

/// The token of one slot. Shared by all sessions with the token.
#[derive(Debug)]
pub struct Token {
    slot_context: Arc<SlotContext>,
    serial: String,
    call_timeout: Duration,
    /// Built when a mechanism is first looked up.
    listed_mechanisms: OnceLock<Box<[(CK_MECHANISM_TYPE, CK_FLAGS)]>>,
    listing: Lazy<Vec<ListedKey>>,
    keys: Mutex<TokenKeys>,
    changes: Mutex<Changes>,
    /// The key to which each handle belongs that a search has returned.
    keys_by_handle: Mutex<HashMap<CK_OBJECT_HANDLE, Arc<SlotKey>>>,
    session_objects: Mutex<HashMap<CK_OBJECT_HANDLE, Arc<SessionObject>>>,
    /// Built when a search first includes profiles.
    profiles: OnceLock<Vec<Arc<Object>>>,
    usage: Mutex<SessionState>,
}

impl Token {
    /// Creates the token of a slot. Loads nothing.
    pub fn new(id: CK_SLOT_ID, slot: Slot, backend: SharedBackend, cache: Option<Arc<PublicKeyCache>>) -> Self {
        let serial = serial_number(&slot);
        let (label, hidden_kinds, quirks, management) = (slot.label, slot.hide_keys, slot.quirks, slot.management);
        let common = SlotContext { slot: id, label, hidden_kinds, backend, cache, quirks, management };
        Self {
            slot_context: Arc::new(common),
            serial,
            call_timeout: slot.service.settings().network().call_timeout,
            listed_mechanisms: OnceLock::new(),
            listing: Lazy::default(),
            keys: Mutex::new(TokenKeys::Configured(slot.keys)),
            changes: Mutex::default(),
            keys_by_handle: Mutex::default(),
            session_objects: Mutex::default(),
            profiles: OnceLock::new(),
            usage: Mutex::default(),
        }
    }

    /// The token's label, not truncated.
    pub fn label(&self) -> &str {
        &self.slot_context.label
    }

    /// The token's serial number (CK_TOKEN_INFO.serialNumber).
    pub fn serial(&self) -> &str {
        &self.serial
    }

    /// The description of the slot (CK_SLOT_INFO.slotDescription): the place of the keys, unless users' PKCS#11 URIs
    /// contain another.
    pub fn slot_description(&self) -> String {
        self.quirks().identity.slot_description().map_or_else(|| self.backend().place(), str::to_owned)
    }

    /// The service that holds the token's keys.
    pub fn backend(&self) -> &SharedBackend {
        &self.slot_context.backend
    }

    /// Returns the objects that have every attribute of the template. Objects that cannot be loaded are logged and
    /// left out.
    ///
    /// Profiles come last: a caller who takes the first object expects a key.
    pub fn find(&self, template: &[Attribute]) -> Vec<Arc<Object>> {
        let mut found = self.keys_and_certificates(template);
        if number_in(template, CKA_CLASS).is_none_or(|class| class == CKO_PROFILE) {
            let all = self.profiles.get_or_init(|| profile::objects(self.certificates_are_public())).iter();
            found.extend(all.filter(|object| object.attributes.matches(template)).cloned());
        }
        found
    }

    /// Whether certificates are found without a login.
    fn certificates_are_public(&self) -> bool {
        self.slot_context.backend.login().is_none()
    }

    fn keys_and_certificates(&self, template: &[Attribute]) -> Vec<Arc<Object>> {
        let wanted = ObjectClasses::of_template(template);
        let own = self.session_objects().values().map(|own| own.object.clone()).collect::<Vec<_>>();
        let mut found: Vec<_> = own.into_iter().filter(|object| object.attributes.matches(template)).collect();
        if !wanted.is_any() {
            return found;
        }
        let deadline = self.deadline();
        let keys = keys_that_may_match(&self.keys(deadline), template, wanted);
        // Several public keys are requested at once, and not one after the other when they are read.
        let wanted = ObjectClasses { only_to_sign: wanted.only_to_sign && keys.len() == 1, ..wanted };
        keys.iter().for_each(|key| key.start_loading(wanted));
        for key in keys {
            for object in key.objects(wanted, deadline) {
                if object.attributes.matches(template) {
                    self.owners().insert(object.handle, key.clone());
                    found.push(object);
                }
            }
        }
        found
    }

    /// Starts the requests that a search with this template needs. Does not wait, and does not list keys.
    pub fn start_loading(&self, template: &[Attribute]) {
        let wanted = ObjectClasses { only_to_sign: false, ..ObjectClasses::of_template(template) };
        let keys = self.keys_if_known().filter(|_| wanted.is_any()).unwrap_or_default();
        let keys = self.changes().apply_to(keys);
        keys_that_may_match(&keys, template, wanted).iter().for_each(|key| key.start_loading(wanted));
    }

    /// Returns the token object that a search has returned under the handle, or the session object of the handle.
    pub fn object(&self, handle: CK_OBJECT_HANDLE) -> Option<Arc<Object>> {
        if let Some(own) = self.session_object(handle) {
            return Some(own.object.clone());
        }
        if let Some(profile) = self.profiles.get().into_iter().flatten().find(|object| object.handle == handle) {
            return Some(profile.clone());
        }
        self.slot_key(handle)?.object(handle)
    }

    /// Returns the key of the handle.
    ///
    /// # Errors
    /// CKR_KEY_HANDLE_INVALID; CKR_USER_NOT_LOGGED_IN for an unknown handle while the token waits for a login.
    pub fn key(&self, handle: CK_OBJECT_HANDLE) -> Result<UsedKey> {
        let unknown = || match self.slot_context.backend.is_ready() {
            true => Error { rv: CKR_KEY_HANDLE_INVALID, ..invalid_handle(handle) },
            false => not_logged_in(),
        };
        if let Some(own) = self.session_object(handle) {
            return Ok(UsedKey::Session(own));
        }
        let (key, object) =
            self.slot_key(handle).and_then(|key| Some((key.clone(), key.object(handle)?))).ok_or_else(unknown)?;
        if ![CKO_PRIVATE_KEY, CKO_PUBLIC_KEY, CKO_SECRET_KEY].contains(&object.class) {
            return Err(Error::new(
                CKR_KEY_HANDLE_INVALID,
                format!("the object with the handle {handle} is not a key"),
            ));
        }
        let facts = key.facts().ok_or_else(unknown)?;
        Ok(UsedKey::Token { key, facts, class: object.class })
    }

    /// Asks the service about the key of the handle, if its public key may be out of date: it comes from the cache, and the
    /// name of the key is mutable. Returns whether the service was asked.
    ///
    /// # Errors
    /// Those of the service.
    pub fn confirm(&self, handle: CK_OBJECT_HANDLE) -> Result<bool> {
        let key = self.slot_context.cache.as_ref().and_then(|_| self.slot_key(handle));
        key.map_or(Ok(false), |key| key.confirm(self.deadline()))
    }

    /// Returns the object of the handle, to read attributes of these types. See [`Token::confirm`].
    ///
    /// # Errors
    /// CKR_OBJECT_HANDLE_INVALID if there is no such object, and those of the service.
    pub fn object_with(
        &self,
        handle: CK_OBJECT_HANDLE,
        mut kinds: impl Iterator<Item = CK_ATTRIBUTE_TYPE>,
    ) -> Result<Arc<Object>> {
        if kinds.any(depends_on_key) {
            self.confirm(handle)?;
        }
        self.object(handle).ok_or_else(|| invalid_handle(handle))
    }

    /// Returns the key to which the token object of the handle belongs.
    pub fn slot_key(&self, handle: CK_OBJECT_HANDLE) -> Option<Arc<SlotKey>> {
        self.owners().get(&handle).cloned()
    }

    /// Returns random bytes from the service.
    ///
    /// # Errors
    /// CKR_USER_NOT_LOGGED_IN, and those of the service.
    pub fn random(&self, length: usize) -> Result<SecretBytes> {
        if !self.slot_context.backend.is_ready() {
            return Err(not_logged_in());
        }
        self.slot_context.backend.random(length).wait(self.deadline()).map_err(Into::into)
    }

    /// The slot's deviations from the default behavior.
    pub fn quirks(&self) -> Quirks {
        self.slot_context.quirks
    }

    /// How long a call may take.
    pub fn call_timeout(&self) -> Duration {
        self.call_timeout
    }

    /// Adds a session object and returns its handle.
    pub fn add_session_object(&self, object: SessionObject) -> CK_OBJECT_HANDLE {
        let handle = object.object.handle;
        self.session_objects().insert(handle, Arc::new(object));
        handle
    }

    /// Removes a session object. Returns whether the handle was that of a session object.
    pub fn remove_session_object(&self, handle: CK_OBJECT_HANDLE) -> bool {
        self.session_objects().remove(&handle).is_some()
    }

    fn session_object(&self, handle: CK_OBJECT_HANDLE) -> Option<Arc<SessionObject>> {
        self.session_objects().get(&handle).cloned()
    }

    /// Returns the number of sessions with the token, and the number of read-write sessions among them.
    pub fn session_counts(&self) -> (usize, usize) {
        let used = self.usage();
        (used.sessions, used.read_write_sessions)
    }

    /// Counts a new session.
    pub fn session_opened(&self, read_write: bool) {
        let mut used = self.usage();
        used.sessions += 1;
        used.read_write_sessions += usize::from(read_write);
    }

    /// Stops counting a session and removes its objects. The login ends with the last session (section 5.6.2).
    pub fn session_closed(&self, session: CK_SESSION_HANDLE, read_write: bool) {
        self.session_objects().retain(|_, object| object.session != session);
        let mut used = self.usage();
        used.sessions = used.sessions.saturating_sub(1);
        used.read_write_sessions = used.read_write_sessions.saturating_sub(usize::from(read_write));
        if used.sessions == 0 {
            self.end_login(&mut used);
        }
    }

    /// Removes all sessions, their objects and the login.
    pub fn all_sessions_closed(&self) {
        self.session_objects().clear();
        let mut used = self.usage();
        self.end_login(&mut used);
        *used = SessionState::default();
    }

    /// Returns the deadline of a call that begins now.
    fn deadline(&self) -> Instant {
        Instant::now() + self.call_timeout
    }

    fn owners(&self) -> MutexGuard<'_, HashMap<CK_OBJECT_HANDLE, Arc<SlotKey>>> {
        self.keys_by_handle.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn session_objects(&self) -> MutexGuard<'_, HashMap<CK_OBJECT_HANDLE, Arc<SessionObject>>> {
        self.session_objects.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn usage(&self) -> MutexGuard<'_, SessionState> {
        self.usage.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

fn keys_that_may_match(keys: &[Arc<SlotKey>], template: &[Attribute], wanted: ObjectClasses) -> Vec<Arc<SlotKey>> {
    keys.iter().filter(|key| key.may_match(template, wanted)).cloned().collect()
}
