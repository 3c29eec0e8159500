//! One life of the module, from C_Initialize to C_Finalize: its slots and its sessions.
//!
//! Knows no pointers. PKCS#11 3.1 sections 5.4 to 5.7.

pub mod session;

use crate::cloud::lazy::Lazy;
use crate::cloud::{Failure, ListedKey, SharedBackend};
use crate::config::{Config, Keys, Manner, Service, Slot};
use crate::error::{Error, Result};
use crate::host::fork;
use crate::log_error;
use crate::object::attribute::Attribute;
use crate::object::{Object, next_handle};
use crate::store::public_keys::Cache;
use crate::token::slots::{Backends, Tokens};
use crate::token::{Token, no_object};
use cryptoki_sys::*;
use session::Session;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;

/// See the head of the file.
pub struct Provider {
    tokens: Tokens,
    listings: Vec<Listing>,
    sessions: RwLock<HashMap<CK_SESSION_HANDLE, Arc<Session>>>,
    ahead: Mutex<Ahead>,
    /// The fork generation whose C_Initialize was answered with CKR_OK last.
    initialized_in: AtomicU64,
    ended: AtomicBool,
}

/// A service whose keys become a slot each, once somebody asks for the slots.
struct Listing {
    service: Arc<Service>,
    backend: SharedBackend,
    keys: Lazy<Vec<ListedKey>>,
    done: Mutex<bool>,
}

/// Reading ahead: a caller who searches one slot after the other will search the next ones too.
#[derive(Default)]
struct Ahead {
    /// The slot that a caller in order searches next.
    next: usize,
    /// The slots before this one were begun.
    begun: usize,
    window: usize,
    /// What was searched for lately, and up to which slot that was begun: each slot is begun once for each.
    searches: Vec<(Vec<Attribute>, usize)>,
}

/// What may go on with a private key, and ends when it becomes unknown: C_SessionCancel's flags.
const OF_PRIVATE_KEYS: CK_FLAGS =
    CKF_FIND_OBJECTS | CKF_SIGN | CKF_VERIFY | CKF_DECRYPT | CKF_MESSAGE_SIGN | CKF_MESSAGE_VERIFY;

/// A caller goes through the slots with as many searches in each: private keys, public keys, certificates, a label.
const SEARCHES: usize = 8;

impl Ahead {
    /// The slots to begin now, from and to, when `slot` is searched by that template.
    fn after(&mut self, slot: usize, template: &[Attribute]) -> (usize, usize) {
        if slot + 1 != self.next {
            if slot == 0 || slot != self.next {
                (self.begun, self.window) = (slot + 1, 0);
                self.searches.clear();
            } else if slot >= self.begun {
                self.window = (self.window * 4).max(4);
                self.begun = slot + 1 + self.window;
            }
            self.next = slot + 1;
        }
        let known = self.searches.iter_mut().find(|(searched, _)| searched == template);
        match known {
            Some((_, done)) => (std::mem::replace(done, self.begun).max(self.next), self.begun),
            None => {
                self.searches.truncate(SEARCHES - 1);
                self.searches.insert(0, (template.to_vec(), self.begun));
                (self.next, self.begun)
            }
        }
    }
}

impl Provider {
    /// The provider of a configuration: no request, no file read.
    pub fn new(config: Config) -> Self {
        Self::with_backends(config, Service::open)
    }

    /// The same with backends from elsewhere: `open` is called once for each of the services.
    pub fn with_backends(config: Config, open: impl Fn(&Service) -> SharedBackend) -> Self {
        let cache = config.cache.map(|folder| Arc::new(Cache::new(folder)));
        let listed: Vec<Arc<Service>> = config.listed.into_iter().map(Arc::new).collect();
        let backends = Backends::new(listed.iter().chain(config.slots.services()), open);
        let listings = listed.into_iter().filter_map(|service| {
            let backend = backends.of(&service)?;
            Some(Listing { backend, service, keys: Lazy::default(), done: Mutex::new(false) })
        });
        Self {
            listings: listings.collect(),
            tokens: Tokens::new(config.slots, backends, cache),
            sessions: RwLock::default(),
            ahead: Mutex::default(),
            initialized_in: AtomicU64::new(fork::generation()),
            ended: AtomicBool::new(false),
        }
    }

    /// C_Initialize of a process that inherited this provider by fork: answered once in each process.
    ///
    /// # Errors
    /// CKR_CRYPTOKI_ALREADY_INITIALIZED where it is this process's own.
    pub fn initialize_again(&self) -> Result<()> {
        let now = fork::generation();
        if self.initialized_in.swap(now, Ordering::Relaxed) == now {
            return Err(Error::new(CKR_CRYPTOKI_ALREADY_INITIALIZED, "C_Initialize was called before"));
        }
        Ok(())
    }

    /// C_Finalize was called: a search that still runs has not found nothing, but was ended.
    pub fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    /// The ids of all slots: positions in the configuration. Lists services where the configuration says so.
    pub fn slots(&self) -> Vec<CK_SLOT_ID> {
        let open: Vec<_> = self.listings.iter().filter(|listing| !*lock(&listing.done)).collect();
        open.iter().for_each(|listing| listing.keys.begin(|| listing.backend.list(false)));
        let start = Instant::now();
        for listing in open {
            self.finish(listing, start);
        }
        (0..self.tokens.len() as CK_SLOT_ID).collect()
    }

    /// The token of a slot.
    ///
    /// # Errors
    /// CKR_SLOT_ID_INVALID.
    pub fn token(&self, slot: CK_SLOT_ID) -> Result<Arc<Token>> {
        self.tokens.token(slot).ok_or_else(|| Error::new(CKR_SLOT_ID_INVALID, format!("there is no slot {slot}")))
    }

    /// Opens a session (section 5.6.1).
    ///
    /// # Errors
    /// CKR_SLOT_ID_INVALID, CKR_SESSION_PARALLEL_NOT_SUPPORTED, CKR_SESSION_READ_WRITE_SO_EXISTS.
    pub fn open_session(&self, slot: CK_SLOT_ID, flags: CK_FLAGS) -> Result<CK_SESSION_HANDLE> {
        let token = self.token(slot)?;
        if flags & CKF_SERIAL_SESSION == 0 {
            return Err(Error::new(CKR_SESSION_PARALLEL_NOT_SUPPORTED, "CKF_SERIAL_SESSION is not set"));
        }
        let read_write = flags & CKF_RW_SESSION != 0;
        if token.user() == Some(CKU_SO) && !read_write {
            return Err(Error::new(CKR_SESSION_READ_WRITE_SO_EXISTS, "the security officer is logged in"));
        }
        let handle = next_handle();
        let mut sessions = self.sessions.write().unwrap_or_else(PoisonError::into_inner);
        token.session_opened(read_write);
        sessions.insert(handle, Arc::new(Session::new(slot, token, read_write)));
        Ok(handle)
    }

    /// A session by its handle.
    ///
    /// # Errors
    /// CKR_SESSION_HANDLE_INVALID.
    pub fn session(&self, handle: CK_SESSION_HANDLE) -> Result<Arc<Session>> {
        let sessions = self.sessions.read().unwrap_or_else(PoisonError::into_inner);
        sessions.get(&handle).cloned().ok_or_else(|| no_session(handle))
    }

    /// Closes a session; with the last one of a token its login ends (section 5.6.2).
    ///
    /// # Errors
    /// CKR_SESSION_HANDLE_INVALID.
    pub fn close_session(&self, handle: CK_SESSION_HANDLE) -> Result<()> {
        let mut sessions = self.sessions.write().unwrap_or_else(PoisonError::into_inner);
        let closed = sessions.remove(&handle).ok_or_else(|| no_session(handle))?;
        closed.close();
        // Within the lock: a session that is opened meanwhile comes after the logout.
        closed.token.session_closed(handle, closed.read_write);
        Ok(())
    }

    /// Closes all sessions with the token of a slot, and ends its login.
    ///
    /// # Errors
    /// CKR_SLOT_ID_INVALID.
    pub fn close_all_sessions(&self, slot: CK_SLOT_ID) -> Result<()> {
        let token = self.token(slot)?;
        let mut sessions = self.sessions.write().unwrap_or_else(PoisonError::into_inner);
        sessions.extract_if(|_, session| session.slot == slot).for_each(|(_, closed)| closed.close());
        token.all_sessions_closed();
        Ok(())
    }

    /// Logs a user in to the session's token (section 5.6.8): any PIN will do, and none, unless the PIN is its credential.
    ///
    /// # Errors
    /// CKR_USER_TYPE_INVALID, CKR_OPERATION_NOT_INITIALIZED, CKR_SESSION_READ_ONLY_EXISTS, and those of [`Token::log_in`].
    pub fn log_in(&self, session: CK_SESSION_HANDLE, user: CK_USER_TYPE, pin: &[u8]) -> Result<()> {
        let session = self.session(session)?;
        match user {
            CKU_USER => session.concluded(session.token.log_in(user, pin)),
            CKU_SO if session.token.backend().pin().is_some() => {
                Err(Error::new(CKR_USER_TYPE_INVALID, "this token has no security officer: the PIN is a credential"))
            }
            CKU_SO => {
                let (all, writing) = session.token.session_counts();
                if all > writing {
                    return Err(Error::new(CKR_SESSION_READ_ONLY_EXISTS, "a read-only session is open"));
                }
                session.token.log_in(user, pin)
            }
            // No key here has CKA_ALWAYS_AUTHENTICATE, so no operation ever waits for this.
            CKU_CONTEXT_SPECIFIC => Err(Error::new(CKR_OPERATION_NOT_INITIALIZED, "no operation waits for a login")),
            _ => Err(Error::new(CKR_USER_TYPE_INVALID, format!("there is no user type {user}"))),
        }
    }

    /// Logs out of the session's token.
    ///
    /// # Errors
    /// CKR_USER_NOT_LOGGED_IN.
    pub fn log_out(&self, session: CK_SESSION_HANDLE) -> Result<()> {
        let session = self.session(session)?;
        if !session.token.log_out() {
            return Err(Error::new(CKR_USER_NOT_LOGGED_IN, "nobody is logged in"));
        }
        if session.token.backend().pin().is_some() {
            let sessions = self.sessions.read().unwrap_or_else(PoisonError::into_inner);
            sessions.values().filter(|own| own.slot == session.slot).for_each(|own| own.cancel(OF_PRIVATE_KEYS));
        }
        Ok(())
    }

    /// Starts a search in a session.
    ///
    /// # Errors
    /// CKR_OPERATION_ACTIVE, CKR_FUNCTION_CANCELED.
    pub fn find_init(&self, session: CK_SESSION_HANDLE, template: &[Attribute]) -> Result<()> {
        let session = self.session(session)?;
        session.find.is_free()?;
        self.read_ahead(session.slot as usize, template);
        let found = session.token.find(template);
        if self.ended.load(Ordering::Relaxed) {
            return Err(Error::new(CKR_FUNCTION_CANCELED, "C_Finalize ended the search"));
        }
        session.find_init(&found)
    }

    /// An object by its handle.
    ///
    /// # Errors
    /// CKR_OBJECT_HANDLE_INVALID.
    pub fn object(&self, session: CK_SESSION_HANDLE, handle: CK_OBJECT_HANDLE) -> Result<Arc<Object>> {
        self.session(session)?.token.object(handle).ok_or_else(|| no_object(handle))
    }

    /// Begins to load the slots that follow, where the caller goes through the slots in order: four times as many
    /// each time that it runs out of begun ones, so that all slots take the time of a few requests, while a caller
    /// who only wants one slot costs no request for another.
    fn read_ahead(&self, slot: usize, template: &[Attribute]) {
        let (from, to) = lock(&self.ahead).after(slot, template);
        let slots = from..to.min(self.tokens.len());
        slots.filter_map(|slot| self.tokens.token(slot as CK_SLOT_ID)).for_each(|token| token.begin(template));
    }

    fn finish(&self, listing: &Listing, start: Instant) {
        let deadline = start + listing.service.network().call_timeout;
        let told =
            |failure: &Failure| log_error!("the keys in {} can't be listed: {failure}", listing.backend.endpoint());
        let Ok(keys) = listing.keys.get(deadline, told) else { return };
        let mut done = lock(&listing.done);
        if !*done {
            self.tokens.extend(keys.iter().map(|key| listed_slot(&listing.service, key)));
            *done = true;
        }
    }
}

/// A slot for a listed key, named as the modules named it that this one replaces.
fn listed_slot(service: &Arc<Service>, key: &ListedKey) -> Slot {
    Slot {
        label: key.name.id.clone(),
        service: service.clone(),
        keys: Keys::Listed(vec![key.clone()]),
        hide_keys: Vec::new(),
        manner: Manner { accept_bare_digest: true, zero_serial: true, ..Manner::default() },
        management: None,
    }
}

fn no_session(handle: CK_SESSION_HANDLE) -> Error {
    Error::new(CKR_SESSION_HANDLE_INVALID, format!("there is no session {handle}"))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_ahead_grows_for_a_caller_in_order_only() {
        let mut ahead = Ahead::default();
        assert_eq!(ahead.after(0, &[]), (1, 1));
        assert_eq!(ahead.after(0, &[]), (1, 1), "another search in the same slot");
        assert_eq!(ahead.after(1, &[]), (2, 6));
        assert_eq!(ahead.after(2, &[]), (6, 6), "it was begun");
        assert!((3..6).all(|slot| ahead.after(slot, &[]) == (6, 6).max((slot + 1, 6))));
        assert_eq!(ahead.after(6, &[]), (7, 23));
        assert_eq!(ahead.after(40, &[]), (41, 41), "a jump");
        assert_eq!(ahead.after(3, &[]), (4, 4), "a jump back");
    }

    #[test]
    fn each_slot_is_begun_once_for_each_search() {
        let searches: Vec<Vec<Attribute>> = (0..3u8).map(|id| vec![(CKA_ID, vec![id])]).collect();
        let mut ahead = Ahead::default();
        let mut begun = [[0; 3]; 1000];
        for slot in 0..1000 {
            for (number, template) in searches.iter().enumerate() {
                let (from, to) = ahead.after(slot, template);
                begun[from.min(1000)..to.min(1000)].iter_mut().for_each(|slot| slot[number] += 1);
            }
        }
        let found_cold: Vec<usize> = (0..1000).filter(|slot| begun[*slot] == [0; 3]).collect();
        assert_eq!(found_cold, [0, 1, 6, 23, 88, 345], "those whose search makes the window grow");
        assert_eq!(begun.iter().filter(|slot| **slot == [1; 3]).count(), 1000 - found_cold.len());
    }
}
