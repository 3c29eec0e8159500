//! One slot and its token: its keys and profiles, what a search finds among them, its login state.
//!
//! Nothing is loaded before it is needed, and all that a search needs is loaded at once.
//! PKCS#11 3.1 sections 5.5 (slots and tokens), 5.6 (login), 5.7 (search).

mod changes;
mod login;

use crate::attribute::{Attribute, number_in};
use crate::backend::{Failure, KeyFacts, ListedKey, Plain, SharedBackend};
use crate::cache::Cache;
use crate::config::{Keys, Manner, Slot};
use crate::error::{Error, Result};
use crate::key::Kind;
use crate::lazy::Lazy;
use crate::log_error;
use crate::mechanism::MECHANISMS;
use crate::object::Object;
use crate::profile;
use crate::session_object::SessionObject;
use crate::slot_key::{Common, SlotKey, Wanted};
use changes::Changes;
use cryptoki_sys::*;
pub use login::LONGEST_PIN;
pub use login::logged_out;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::{Duration, Instant};

/// See the head of the file.
#[derive(Debug)]
pub struct Token {
    common: Arc<Common>,
    serial: String,
    call_timeout: Duration,
    /// Made when a mechanism is first asked for.
    listed_mechanisms: OnceLock<Box<[(CK_MECHANISM_TYPE, CK_FLAGS)]>>,
    listed: Lazy<Vec<ListedKey>>,
    keys: Mutex<TokenKeys>,
    changes: Mutex<Changes>,
    /// Whose the handles are that a search has given out.
    owners: Mutex<HashMap<CK_OBJECT_HANDLE, Arc<SlotKey>>>,
    session_objects: Mutex<HashMap<CK_OBJECT_HANDLE, Arc<SessionObject>>>,
    /// Made when a search is about them.
    profiles: OnceLock<Vec<Arc<Object>>>,
    usage: Mutex<Usage>,
}

/// The key of an operation.
pub enum UsedKey {
    /// One of the token's, and which of its objects.
    Token {
        /// The key.
        key: Arc<SlotKey>,
        /// What is known of it.
        facts: Arc<KeyFacts>,
        /// The object's class.
        class: CK_OBJECT_CLASS,
    },
    /// One of a session's.
    Session(Arc<SessionObject>),
}

/// A token's keys. They are made when they are first needed: a program that wants one of ten thousand slots pays for one.
#[derive(Debug)]
enum TokenKeys {
    Configured(Keys),
    Made(Arc<Vec<Arc<SlotKey>>>),
}

/// Who uses a token.
#[derive(Debug, Default)]
struct Usage {
    sessions: usize,
    /// Those of them that are read-write.
    writing: usize,
    login: Option<CK_USER_TYPE>,
}

impl Token {
    /// The token of a slot; nothing is loaded.
    pub fn new(id: CK_SLOT_ID, slot: Slot, backend: SharedBackend, cache: Option<Arc<Cache>>) -> Self {
        let serial = slot.serial();
        let (label, hidden_kinds, manner, management) = (slot.label, slot.hide_keys, slot.manner, slot.management);
        let common = Common { slot: id, label, hidden_kinds, backend, cache, manner, management };
        Self {
            common: Arc::new(common),
            serial,
            call_timeout: slot.service.network().call_timeout,
            listed_mechanisms: OnceLock::new(),
            listed: Lazy::default(),
            keys: Mutex::new(TokenKeys::Configured(slot.keys)),
            changes: Mutex::default(),
            owners: Mutex::default(),
            session_objects: Mutex::default(),
            profiles: OnceLock::new(),
            usage: Mutex::default(),
        }
    }

    /// The token's label in full.
    pub fn label(&self) -> &str {
        &self.common.label
    }

    /// CK_TOKEN_INFO.serialNumber.
    pub fn serial(&self) -> &str {
        &self.serial
    }

    /// Where its keys live.
    pub fn backend(&self) -> &SharedBackend {
        &self.common.backend
    }

    /// The mechanisms for any key, of its service and here: the same before and after keys are loaded.
    pub fn mechanisms(&self) -> Vec<CK_MECHANISM_TYPE> {
        let mut mechanisms: Vec<_> = self.listed_mechanisms().iter().map(|(ckm, _)| *ckm).collect();
        mechanisms.extend(self.generations().map(|row| row.ckm));
        mechanisms.sort_unstable();
        mechanisms
    }

    /// CK_MECHANISM_INFO of a mechanism, if the token has it.
    pub fn mechanism_info(&self, ckm: CK_MECHANISM_TYPE) -> Option<CK_MECHANISM_INFO> {
        if let Some(row) = self.generations().find(|row| row.ckm == ckm) {
            return Some(row.info());
        }
        let (smallest, largest, more) = MECHANISMS.iter().find(|row| row.ckm == ckm)?.sizes();
        let flags = self.mechanism_flags(ckm);
        let info = CK_MECHANISM_INFO { ulMinKeySize: smallest, ulMaxKeySize: largest, flags: flags | more };
        (flags != 0).then_some(info)
    }

    /// What is done by that mechanism with some key of the token: flags of CK_MECHANISM_INFO; 0, if it is not listed.
    pub fn mechanism_flags(&self, ckm: CK_MECHANISM_TYPE) -> CK_FLAGS {
        let listed = self.listed_mechanisms();
        listed.binary_search_by_key(&ckm, |(own, _)| *own).map_or(0, |index| listed[index].1)
    }

    /// The mechanisms of keys with their flags, by their numbers.
    fn listed_mechanisms(&self) -> &[(CK_MECHANISM_TYPE, CK_FLAGS)] {
        self.listed_mechanisms.get_or_init(|| {
            let schemes = |kind: Kind| (kind, self.common.backend.schemes(kind), kind.local_schemes());
            let kinds: Vec<_> = Kind::all().map(schemes).collect();
            let mut listed: Vec<(CK_MECHANISM_TYPE, CK_FLAGS)> = Vec::with_capacity(MECHANISMS.len());
            for row in MECHANISMS {
                let of = |(kind, service, local): &(Kind, Vec<_>, Vec<_>)| row.flags(*kind, service, local);
                match (
                    kinds.iter().map(of).fold(0, |all, own| all | own),
                    listed.iter_mut().find(|own| own.0 == row.ckm),
                ) {
                    (0, _) => {}
                    // A mechanism that both signs and decrypts has two rows.
                    (flags, Some(own)) => own.1 |= flags,
                    (flags, None) => listed.push((row.ckm, flags)),
                }
            }
            listed.sort_unstable();
            listed.into()
        })
    }

    /// The objects that have every attribute of the template. What can't be loaded is logged and left out.
    /// Profiles come last: a caller who takes whatever comes first means a key.
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
        self.common.backend.pin().is_none()
    }

    fn keys_and_certificates(&self, template: &[Attribute]) -> Vec<Arc<Object>> {
        let wanted = Wanted::by(template);
        let own = self.session_objects().values().map(|own| own.object.clone()).collect::<Vec<_>>();
        let mut found: Vec<_> = own.into_iter().filter(|object| object.attributes.matches(template)).collect();
        if !wanted.anything() {
            return found;
        }
        let deadline = self.deadline();
        let keys = candidates(&self.keys(deadline), template, wanted);
        keys.iter().for_each(|key| key.begin(wanted));
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

    /// Starts loading what a search by this template will need. Does not wait, and lists nothing.
    pub fn begin(&self, template: &[Attribute]) {
        let wanted = Wanted::by(template);
        let keys = self.known_keys().filter(|_| wanted.anything()).unwrap_or_default();
        let keys = self.changes().applied(keys);
        candidates(&keys, template, wanted).iter().for_each(|key| key.begin(wanted));
    }

    /// The object of a handle that a search has given out, or a session has made.
    pub fn object(&self, handle: CK_OBJECT_HANDLE) -> Option<Arc<Object>> {
        if let Some(own) = self.session_object(handle) {
            return Some(own.object.clone());
        }
        if let Some(profile) = self.profiles.get().into_iter().flatten().find(|object| object.handle == handle) {
            return Some(profile.clone());
        }
        self.owner(handle)?.object(handle)
    }

    /// The key of that handle.
    ///
    /// # Errors
    /// CKR_KEY_HANDLE_INVALID.
    pub fn key(&self, handle: CK_OBJECT_HANDLE) -> Result<UsedKey> {
        let unknown = || match self.common.backend.is_ready() {
            true => Error { rv: CKR_KEY_HANDLE_INVALID, ..no_object(handle) },
            false => logged_out(),
        };
        if let Some(own) = self.session_object(handle) {
            return Ok(UsedKey::Session(own));
        }
        let (key, object) =
            self.owner(handle).and_then(|key| Some((key.clone(), key.object(handle)?))).ok_or_else(unknown)?;
        if ![CKO_PRIVATE_KEY, CKO_PUBLIC_KEY, CKO_SECRET_KEY].contains(&object.class) {
            return Err(Error::new(CKR_KEY_HANDLE_INVALID, format!("the object of handle {handle} is no key")));
        }
        let facts = key.facts().ok_or_else(unknown)?;
        Ok(UsedKey::Token { key, facts, class: object.class })
    }

    /// Whose object of the token it is.
    pub fn owner(&self, handle: CK_OBJECT_HANDLE) -> Option<Arc<SlotKey>> {
        self.owners().get(&handle).cloned()
    }

    /// Random bytes of the service.
    ///
    /// # Errors
    /// Those of the service.
    pub fn random(&self, length: usize) -> Result<Plain> {
        if !self.common.backend.is_ready() {
            return Err(logged_out());
        }
        self.common.backend.random(length).wait(self.deadline()).map_err(Into::into)
    }

    /// What the slot does otherwise than others.
    pub fn manner(&self) -> Manner {
        self.common.manner
    }

    /// How long a call may take.
    pub fn call_timeout(&self) -> Duration {
        self.call_timeout
    }

    /// Keeps an object of a session.
    pub fn keep(&self, object: SessionObject) -> CK_OBJECT_HANDLE {
        let handle = object.object.handle;
        self.session_objects().insert(handle, Arc::new(object));
        handle
    }

    /// Forgets an object of a session. Answers whether it was one.
    pub fn discard(&self, handle: CK_OBJECT_HANDLE) -> bool {
        self.session_objects().remove(&handle).is_some()
    }

    fn session_object(&self, handle: CK_OBJECT_HANDLE) -> Option<Arc<SessionObject>> {
        self.session_objects().get(&handle).cloned()
    }

    /// How many sessions it has, and how many of them are read-write.
    pub fn session_counts(&self) -> (usize, usize) {
        let used = self.usage();
        (used.sessions, used.writing)
    }

    /// Counts a session.
    pub fn session_opened(&self, read_write: bool) {
        let mut used = self.usage();
        used.sessions += 1;
        used.writing += usize::from(read_write);
    }

    /// Counts a session no more, and forgets its objects; with the last one the login ends (section 5.6.2).
    pub fn session_closed(&self, session: CK_SESSION_HANDLE, read_write: bool) {
        self.session_objects().retain(|_, object| object.owner != session);
        let mut used = self.usage();
        used.sessions = used.sessions.saturating_sub(1);
        used.writing = used.writing.saturating_sub(usize::from(read_write));
        if used.sessions == 0 {
            self.end_login(&mut used);
        }
    }

    /// There is no session any more, and no login.
    pub fn all_sessions_closed(&self) {
        self.session_objects().clear();
        let mut used = self.usage();
        self.end_login(&mut used);
        *used = Usage::default();
    }

    /// When a call that begins now has to be over.
    fn deadline(&self) -> Instant {
        Instant::now() + self.call_timeout
    }

    fn known_keys(&self) -> Option<Arc<Vec<Arc<SlotKey>>>> {
        let mut keys = self.token_keys();
        let named = match &mut *keys {
            TokenKeys::Made(made) => return Some(made.clone()),
            TokenKeys::Configured(Keys::Discover) => return None,
            TokenKeys::Configured(Keys::Named(named)) => {
                std::mem::take(named).into_iter().map(|key| SlotKey::new(key, self.common.clone())).collect::<Vec<_>>()
            }
            TokenKeys::Configured(Keys::Listed(listed)) => {
                std::mem::take(listed).into_iter().map(|key| SlotKey::listed(key, self.common.clone())).collect()
            }
        };
        let made: Arc<Vec<_>> = Arc::new(named.into_iter().map(Arc::new).collect());
        *keys = TokenKeys::Made(made.clone());
        Some(made)
    }

    /// The token's keys as they are now.
    pub fn keys(&self, deadline: Instant) -> Arc<Vec<Arc<SlotKey>>> {
        let keys = self.known_or_listed(deadline);
        self.changes().applied(keys)
    }

    /// A token that discovers its keys lists them now, if it has not yet.
    fn known_or_listed(&self, deadline: Instant) -> Arc<Vec<Arc<SlotKey>>> {
        if let Some(keys) = self.known_keys() {
            return keys;
        }
        if !self.common.backend.is_ready() {
            return Arc::default();
        }
        self.listed.begin(|| self.common.backend.list(true));
        let told = |failure: &Failure| {
            log_error!(
                "token \"{}\": its keys in {} can't be listed: {failure}",
                self.common.label,
                self.common.backend.place()
            );
        };
        let Ok(listed) = self.listed.get(deadline, told) else { return Arc::default() };
        match &mut *self.token_keys() {
            TokenKeys::Made(made) => made.clone(),
            own => {
                let made = listed.iter().map(|key| Arc::new(SlotKey::listed(key.clone(), self.common.clone())));
                let made: Arc<Vec<_>> = Arc::new(made.collect());
                *own = TokenKeys::Made(made.clone());
                made
            }
        }
    }

    fn changes(&self) -> MutexGuard<'_, Changes> {
        self.changes.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn token_keys(&self) -> MutexGuard<'_, TokenKeys> {
        self.keys.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn owners(&self) -> MutexGuard<'_, HashMap<CK_OBJECT_HANDLE, Arc<SlotKey>>> {
        self.owners.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn session_objects(&self) -> MutexGuard<'_, HashMap<CK_OBJECT_HANDLE, Arc<SessionObject>>> {
        self.session_objects.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn usage(&self) -> MutexGuard<'_, Usage> {
        self.usage.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// A handle that nothing has, or nothing any more.
pub fn no_object(handle: CK_OBJECT_HANDLE) -> Error {
    Error::new(CKR_OBJECT_HANDLE_INVALID, format!("no object of this token has the handle {handle}"))
}

fn candidates(keys: &[Arc<SlotKey>], template: &[Attribute], wanted: Wanted) -> Vec<Arc<SlotKey>> {
    keys.iter().filter(|key| key.may_match(template, wanted)).cloned().collect()
}
