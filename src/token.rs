//! One slot and its token: its keys, what a search finds among them, its login state.
//!
//! Nothing is loaded before it is needed, and all that a search needs is loaded at once.
//! PKCS#11 3.1 sections 5.5 (slots and tokens), 5.6 (login), 5.7 (search).

use crate::attribute::Attribute;
use crate::backend::{Failure, KeyName, SharedBackend};
use crate::cache::Cache;
use crate::config::{CertificateSource, Key, Keys, Slot};
use crate::error::{Error, Result};
use crate::key::{Curve, Kind};
use crate::lazy::Lazy;
use crate::log_error;
use crate::mechanism::{MECHANISMS, Mechanism, Request};
use crate::object::Object;
use crate::operation::Operation;
use crate::slot_key::{Common, SlotKey, Wanted};
use cryptoki_sys::*;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// See the head of the file.
#[derive(Debug)]
pub struct Token {
    common: Arc<Common>,
    accept_bare_digest: bool,
    call_timeout: Duration,
    listed: Lazy<Vec<KeyName>>,
    keys: Mutex<TokenKeys>,
    /// Whose the handles are that a search has given out.
    owners: Mutex<HashMap<CK_OBJECT_HANDLE, Arc<SlotKey>>>,
    usage: Mutex<Usage>,
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
        let common = Common { slot: id, label: slot.label, hidden_kinds: slot.hide_keys, backend, cache };
        Self {
            common: Arc::new(common),
            accept_bare_digest: slot.accept_bare_digest,
            call_timeout: slot.service.network().call_timeout,
            listed: Lazy::default(),
            keys: Mutex::new(TokenKeys::Configured(slot.keys)),
            owners: Mutex::default(),
            usage: Mutex::default(),
        }
    }

    /// The token's label in full.
    pub fn label(&self) -> &str {
        &self.common.label
    }

    /// Where its keys live.
    pub fn backend(&self) -> &SharedBackend {
        &self.common.backend
    }

    /// The mechanisms that its service has for any key: the same before and after keys are loaded.
    pub fn mechanisms(&self) -> Vec<&'static Mechanism> {
        let curves = [Curve::P256, Curve::P384, Curve::P521, Curve::Secp256k1];
        let kinds = curves.into_iter().map(Kind::Ec).chain([Kind::Rsa(2048)]);
        let schemes: Vec<_> = kinds.map(|kind| (kind, self.common.backend.schemes(kind))).collect();
        let offers =
            |row| schemes.iter().any(|(kind, own)| Mechanism::offered(*kind, own).any(|offered| offered == row));
        MECHANISMS.iter().filter(|row| offers(*row)).collect()
    }

    /// The objects that have every attribute of the template. What can't be loaded is logged and left out.
    pub fn find(&self, template: &[Attribute]) -> Vec<Arc<Object>> {
        let wanted = Wanted::by(template);
        if !wanted.anything() {
            return Vec::new();
        }
        let deadline = self.deadline();
        let keys = candidates(&self.keys(deadline), template, wanted);
        keys.iter().for_each(|key| key.begin(wanted));
        let mut found = Vec::new();
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
        candidates(&keys, template, wanted).iter().for_each(|key| key.begin(wanted));
    }

    /// The object of a handle that a search has given out.
    pub fn object(&self, handle: CK_OBJECT_HANDLE) -> Option<Arc<Object>> {
        let key = self.owners().get(&handle).cloned()?;
        key.object(handle)
    }

    /// Begins a signature with the private key of that handle.
    ///
    /// # Errors
    /// CKR_KEY_HANDLE_INVALID, CKR_KEY_FUNCTION_NOT_PERMITTED, and those of [`Operation::begin`].
    pub fn sign_init(&self, handle: CK_OBJECT_HANDLE, request: &Request) -> Result<Signing> {
        let key = self.owners().get(&handle).cloned();
        let unknown = || Error::new(CKR_KEY_HANDLE_INVALID, format!("no object of this token has the handle {handle}"));
        let (key, object) = key.and_then(|key| Some((key.clone(), key.object(handle)?))).ok_or_else(unknown)?;
        if object.class != CKO_PRIVATE_KEY {
            return Err(Error::new(CKR_KEY_FUNCTION_NOT_PERMITTED, format!("{key}: only its private key signs")));
        }
        let facts = key.facts().ok_or_else(unknown)?;
        let operation =
            Operation::begin(request, &facts, self.accept_bare_digest).map_err(|error| error.about(&key))?;
        Ok(Signing { key, facts, operation, call_timeout: self.call_timeout })
    }

    /// Who is logged in, if anybody is.
    pub fn user(&self) -> Option<CK_USER_TYPE> {
        self.usage().login
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

    /// Counts a session no more; with the last one the login ends (section 5.6.2).
    pub fn session_closed(&self, read_write: bool) {
        let mut used = self.usage();
        used.sessions = used.sessions.saturating_sub(1);
        used.writing = used.writing.saturating_sub(usize::from(read_write));
        if used.sessions == 0 {
            used.login = None;
        }
    }

    /// There is no session any more, and no login.
    pub fn all_sessions_closed(&self) {
        *self.usage() = Usage::default();
    }

    /// Logs a user in; no PIN is wrong, because none is needed (section 5.6.8).
    ///
    /// # Errors
    /// CKR_USER_ALREADY_LOGGED_IN, CKR_USER_ANOTHER_ALREADY_LOGGED_IN.
    pub fn log_in(&self, user: CK_USER_TYPE) -> Result<()> {
        let login = &mut self.usage().login;
        match *login {
            Some(own) if own == user => Err(Error::new(CKR_USER_ALREADY_LOGGED_IN, "already logged in")),
            Some(_) => Err(Error::new(CKR_USER_ANOTHER_ALREADY_LOGGED_IN, "another user is logged in")),
            None => {
                *login = Some(user);
                Ok(())
            }
        }
    }

    /// Logs out. Answers whether anybody was logged in.
    pub fn log_out(&self) -> bool {
        self.usage().login.take().is_some()
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
            TokenKeys::Configured(Keys::Named(named)) => std::mem::take(named),
        };
        let made = self.slot_keys(named.into_iter(), false);
        *keys = TokenKeys::Made(made.clone());
        Some(made)
    }

    /// The token's keys; a token that discovers them lists them now, if it has not yet.
    fn keys(&self, deadline: Instant) -> Arc<Vec<Arc<SlotKey>>> {
        if let Some(keys) = self.known_keys() {
            return keys;
        }
        self.listed.begin(|| self.common.backend.list());
        let told = |failure: &Failure| {
            log_error!(
                "token \"{}\": its keys in {} can't be listed: {failure}",
                self.common.label,
                self.common.backend.place()
            );
        };
        let Ok(names) = self.listed.get(deadline, told) else { return Arc::default() };
        match &mut *self.token_keys() {
            TokenKeys::Made(made) => made.clone(),
            own => {
                let made = self.slot_keys(names.iter().map(listed_key), true);
                *own = TokenKeys::Made(made.clone());
                made
            }
        }
    }

    fn slot_keys(&self, keys: impl Iterator<Item = Key>, discovered: bool) -> Arc<Vec<Arc<SlotKey>>> {
        let made = |key| Arc::new(SlotKey::new(key, discovered, self.common.clone()));
        Arc::new(keys.map(made).collect())
    }

    fn token_keys(&self) -> MutexGuard<'_, TokenKeys> {
        self.keys.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn owners(&self) -> MutexGuard<'_, HashMap<CK_OBJECT_HANDLE, Arc<SlotKey>>> {
        self.owners.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn usage(&self) -> MutexGuard<'_, Usage> {
        self.usage.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// A key as a listing names it: the name is id and label at once.
pub fn listed_key(name: &KeyName) -> Key {
    Key { name: name.clone(), label: name.id.clone(), certificate: CertificateSource::Service }
}

fn candidates(keys: &[Arc<SlotKey>], template: &[Attribute], wanted: Wanted) -> Vec<Arc<SlotKey>> {
    keys.iter().filter(|key| key.may_match(template, wanted)).cloned().collect()
}

/// A signature that was begun: all that is needed to end it without the token.
#[derive(Clone)]
pub struct Signing {
    key: Arc<SlotKey>,
    facts: Arc<crate::backend::KeyFacts>,
    operation: Operation,
    call_timeout: Duration,
}

impl Signing {
    /// The length of the signature in bytes.
    pub fn signature_len(&self) -> usize {
        self.operation.signature_len()
    }

    /// Takes a part of the data.
    pub fn update(&mut self, part: &[u8]) -> Result<()> {
        self.operation.update(part)
    }

    /// Signs: one request.
    pub fn finish(self) -> Result<Vec<u8>> {
        self.key.sign(&self.facts, self.operation, Instant::now() + self.call_timeout)
    }
}
