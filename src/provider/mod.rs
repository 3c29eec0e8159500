//! The module from C_Initialize to C_Finalize: its slots and its sessions.
//!
//! This code handles no raw pointers. PKCS#11 3.1 sections 5.4 to 5.7.

pub mod session;

use crate::cloud::lazy::Lazy;
use crate::cloud::{Failure, ListedKey, SharedBackend};
use crate::config::{Config, Keys, Quirks, Service, Slot, SlotIdentity};
use crate::error::{Error, Result};
use crate::host::fork;
use crate::log_error;
use crate::object::attribute::Attribute;
use crate::object::{Object, next_handle};
use crate::store::public_keys::PublicKeyCache;
use crate::token::tokens::{Backends, Tokens};
use crate::token::{Token, invalid_handle};
use cryptoki_sys::*;
use session::Session;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;

/// The slots and sessions of the module. C_Initialize creates the provider, and C_Finalize removes it.
pub struct Provider {
    tokens: Tokens,
    listings: Vec<Listing>,
    sessions: RwLock<HashMap<CK_SESSION_HANDLE, Arc<Session>>>,
    read_ahead: Mutex<ReadAhead>,
    /// The fork generation in which C_Initialize last returned CKR_OK.
    initialized_generation: AtomicU64,
    /// Whether C_Finalize was called.
    is_finalized: AtomicBool,
}

/// A service whose keys become one slot each when a caller first asks for the slots.
struct Listing {
    service: Arc<Service>,
    backend: SharedBackend,
    keys: Lazy<Vec<ListedKey>>,
    /// Whether the slots of the keys were added.
    is_added: Mutex<bool>,
}

/// The state of reading ahead. A caller that searches one slot after the other is expected to search the next slots
/// too.
#[derive(Default)]
struct ReadAhead {
    /// The slot that follows the last searched slot. A caller that searches the slots in order searches it next.
    next_slot: usize,
    /// Loading has started for all slots before this one.
    loading_until: usize,
    /// The number of slots that were read ahead when the read-ahead last grew.
    window: usize,
    /// The recent templates, and for each the slot before which loading has started. For each template, the loading
    /// of a slot is started once.
    recent_searches: Vec<(Vec<Attribute>, usize)>,
}

/// The operations that may use a private key, as flags of C_SessionCancel. They end when a logout hides the private
/// keys.
const PRIVATE_KEY_OPERATIONS: CK_FLAGS =
    CKF_FIND_OBJECTS | CKF_SIGN | CKF_VERIFY | CKF_DECRYPT | CKF_MESSAGE_SIGN | CKF_MESSAGE_VERIFY;

/// The number of recent templates that are remembered. A caller that goes through the slots makes several searches in
/// each: for private keys, public keys, certificates, a label.
const MAX_RECENT_SEARCHES: usize = 8;

impl ReadAhead {
    /// Returns the slots whose loading is to start when `slot` is searched with `template`: the first slot, and the
    /// slot after the last.
    fn slots_to_load(&mut self, slot: usize, template: &[Attribute]) -> (usize, usize) {
        if slot + 1 != self.next_slot {
            if slot == 0 || slot != self.next_slot {
                (self.loading_until, self.window) = (slot + 1, 0);
                self.recent_searches.clear();
            } else if slot >= self.loading_until {
                self.window = (self.window * 4).max(4);
                self.loading_until = slot + 1 + self.window;
            }
            self.next_slot = slot + 1;
        }
        let recent = self.recent_searches.iter_mut().find(|(searched, _)| searched == template);
        match recent {
            Some((_, done)) => (std::mem::replace(done, self.loading_until).max(self.next_slot), self.loading_until),
            None => {
                self.recent_searches.truncate(MAX_RECENT_SEARCHES - 1);
                self.recent_searches.insert(0, (template.to_vec(), self.loading_until));
                (self.next_slot, self.loading_until)
            }
        }
    }
}

impl Provider {
    /// Creates the provider of a configuration. Makes no request and reads no file.
    pub fn new(config: Config) -> Self {
        Self::with_backends(config, Service::open)
    }

    /// Creates the provider of a configuration with the backends that `open` returns. `open` is called once for all
    /// services that are equal, but once for each slot of a service whose tokens need a login.
    pub fn with_backends(config: Config, open: impl Fn(&Service) -> Option<SharedBackend>) -> Self {
        let cache = config.cache_directory.map(|folder| Arc::new(PublicKeyCache::new(folder)));
        let listed: Vec<Arc<Service>> = config.legacy_services.into_iter().map(Arc::new).collect();
        let backends = Backends::new(listed.iter().chain(config.slots.services()), open);
        let listings = listed.into_iter().filter_map(|service| {
            let backend = backends.of(&service)?;
            Some(Listing { backend, service, keys: Lazy::default(), is_added: Mutex::new(false) })
        });
        Self {
            listings: listings.collect(),
            tokens: Tokens::new(config.slots, backends, cache),
            sessions: RwLock::default(),
            read_ahead: Mutex::default(),
            initialized_generation: AtomicU64::new(fork::generation()),
            is_finalized: AtomicBool::new(false),
        }
    }

    /// Implements C_Initialize in a process that inherited this provider through a fork. Succeeds once in each such
    /// process.
    ///
    /// # Errors
    /// CKR_CRYPTOKI_ALREADY_INITIALIZED if C_Initialize has already succeeded in this process.
    pub fn initialize_after_fork(&self) -> Result<()> {
        let now = fork::generation();
        if self.initialized_generation.swap(now, Ordering::Relaxed) == now {
            return Err(Error::new(
                CKR_CRYPTOKI_ALREADY_INITIALIZED,
                "the module is already initialized; call C_Finalize first",
            ));
        }
        Ok(())
    }

    /// Called by C_Finalize. A search that is still running then fails with CKR_FUNCTION_CANCELED, instead of finding
    /// no objects.
    pub fn finalize(&self) {
        self.is_finalized.store(true, Ordering::Relaxed);
    }

    /// Returns the ids of all slots. An id is the position of the slot in the configuration. If the configuration
    /// requests it, this function lists the keys of services. The slots of these keys follow the configured slots.
    pub fn list_slots(&self) -> Vec<CK_SLOT_ID> {
        let unlisted: Vec<_> = self.listings.iter().filter(|listing| !*lock(&listing.is_added)).collect();
        unlisted.iter().for_each(|listing| listing.keys.start_loading(|| listing.backend.list(false)));
        let start = Instant::now();
        for listing in unlisted {
            self.add_listed_slots(listing, start);
        }
        (0..self.tokens.len() as CK_SLOT_ID).collect()
    }

    /// Returns the token of a slot.
    ///
    /// # Errors
    /// CKR_SLOT_ID_INVALID if there is no such slot.
    pub fn token(&self, slot: CK_SLOT_ID) -> Result<Arc<Token>> {
        self.tokens.token(slot).ok_or_else(|| Error::new(CKR_SLOT_ID_INVALID, format!("slot {slot} does not exist")))
    }

    /// Opens a session and returns its handle (section 5.6.1).
    ///
    /// # Errors
    /// * CKR_SLOT_ID_INVALID if there is no such slot.
    /// * CKR_SESSION_PARALLEL_NOT_SUPPORTED without CKF_SERIAL_SESSION.
    /// * CKR_SESSION_READ_WRITE_SO_EXISTS for a read-only session while the security officer is logged in.
    pub fn open_session(&self, slot: CK_SLOT_ID, flags: CK_FLAGS) -> Result<CK_SESSION_HANDLE> {
        let token = self.token(slot)?;
        if flags & CKF_SERIAL_SESSION == 0 {
            return Err(Error::new(
                CKR_SESSION_PARALLEL_NOT_SUPPORTED,
                "C_OpenSession needs the flag CKF_SERIAL_SESSION",
            ));
        }
        let read_write = flags & CKF_RW_SESSION != 0;
        if token.user() == Some(CKU_SO) && !read_write {
            return Err(Error::new(
                CKR_SESSION_READ_WRITE_SO_EXISTS,
                "the security officer is logged in; log out, or open the session with CKF_RW_SESSION",
            ));
        }
        let handle = next_handle();
        let mut sessions = self.sessions.write().unwrap_or_else(PoisonError::into_inner);
        token.session_opened(read_write);
        sessions.insert(handle, Arc::new(Session::new(slot, token, read_write)));
        Ok(handle)
    }

    /// Returns the session with this handle.
    ///
    /// # Errors
    /// CKR_SESSION_HANDLE_INVALID if there is no such session.
    pub fn session(&self, handle: CK_SESSION_HANDLE) -> Result<Arc<Session>> {
        let sessions = self.sessions.read().unwrap_or_else(PoisonError::into_inner);
        sessions.get(&handle).cloned().ok_or_else(|| session_handle_invalid(handle))
    }

    /// Closes a session. When the last session with a token is closed, its user is logged out (section 5.6.2).
    ///
    /// # Errors
    /// CKR_SESSION_HANDLE_INVALID if there is no such session.
    pub fn close_session(&self, handle: CK_SESSION_HANDLE) -> Result<()> {
        let mut sessions = self.sessions.write().unwrap_or_else(PoisonError::into_inner);
        let closed = sessions.remove(&handle).ok_or_else(|| session_handle_invalid(handle))?;
        closed.close();
        // The lock is still held: a session that another thread opens is counted after the logout.
        closed.token.session_closed(handle, closed.read_write);
        Ok(())
    }

    /// Closes all sessions with the token of a slot and logs its user out.
    ///
    /// # Errors
    /// CKR_SLOT_ID_INVALID if there is no such slot.
    pub fn close_all_sessions(&self, slot: CK_SLOT_ID) -> Result<()> {
        let token = self.token(slot)?;
        let mut sessions = self.sessions.write().unwrap_or_else(PoisonError::into_inner);
        sessions.extract_if(|_, session| session.slot == slot).for_each(|(_, closed)| closed.close());
        token.all_sessions_closed();
        Ok(())
    }

    /// Logs a user in to the session's token (section 5.6.8). Any PIN is accepted, and also no PIN, unless the PIN is
    /// the token's credential.
    ///
    /// # Errors
    /// * CKR_SESSION_HANDLE_INVALID if there is no such session.
    /// * CKR_USER_TYPE_INVALID for an unknown user type, and for CKU_SO if the PIN is a credential.
    /// * CKR_OPERATION_NOT_INITIALIZED for CKU_CONTEXT_SPECIFIC.
    /// * CKR_SESSION_READ_ONLY_EXISTS for CKU_SO while a read-only session is open.
    /// * CKR_SESSION_CLOSED if the session was closed during the login.
    /// * The errors of [`Token::log_in`].
    pub fn log_in(&self, session: CK_SESSION_HANDLE, user: CK_USER_TYPE, pin: &[u8]) -> Result<()> {
        let session = self.session(session)?;
        match user {
            CKU_USER => session.record_outcome(session.token.log_in(user, pin)),
            CKU_SO if session.token.backend().login().is_some() => Err(Error::new(
                CKR_USER_TYPE_INVALID,
                "the PIN of this token is a credential, so the token has no security officer; log in as CKU_USER",
            )),
            CKU_SO => {
                let (all, writing) = session.token.session_counts();
                if all > writing {
                    return Err(Error::new(
                        CKR_SESSION_READ_ONLY_EXISTS,
                        "a read-only session is open; close it before the security officer logs in",
                    ));
                }
                session.token.log_in(user, pin)
            }
            // No key has CKA_ALWAYS_AUTHENTICATE, so no operation ever waits for this login.
            CKU_CONTEXT_SPECIFIC => Err(Error::new(CKR_OPERATION_NOT_INITIALIZED, "no operation needs a login")),
            _ => Err(Error::new(CKR_USER_TYPE_INVALID, format!("user type {user} does not exist"))),
        }
    }

    /// Logs the user out of the session's token. If the PIN is the token's credential, the operations that may use a
    /// private key end in all sessions with the token.
    ///
    /// # Errors
    /// CKR_SESSION_HANDLE_INVALID if there is no such session; CKR_USER_NOT_LOGGED_IN if no user is logged in.
    pub fn log_out(&self, session: CK_SESSION_HANDLE) -> Result<()> {
        let session = self.session(session)?;
        if !session.token.log_out() {
            return Err(Error::new(CKR_USER_NOT_LOGGED_IN, "no user is logged in"));
        }
        if session.token.backend().login().is_some() {
            let sessions = self.sessions.read().unwrap_or_else(PoisonError::into_inner);
            sessions.values().filter(|own| own.slot == session.slot).for_each(|own| own.cancel(PRIVATE_KEY_OPERATIONS));
        }
        Ok(())
    }

    /// Starts a search in a session.
    ///
    /// # Errors
    /// * CKR_SESSION_HANDLE_INVALID if there is no such session.
    /// * CKR_OPERATION_ACTIVE if a search is active in the session.
    /// * CKR_FUNCTION_CANCELED if C_Finalize was called during the search.
    pub fn find_init(&self, session: CK_SESSION_HANDLE, template: &[Attribute]) -> Result<()> {
        let session = self.session(session)?;
        session.find.check_inactive()?;
        self.read_ahead(session.slot as usize, template);
        let found = session.token.find(template);
        if self.is_finalized.load(Ordering::Relaxed) {
            return Err(Error::new(CKR_FUNCTION_CANCELED, "C_Finalize ended the search"));
        }
        session.find_init(&found)
    }

    /// Returns the object with this handle.
    ///
    /// # Errors
    /// CKR_SESSION_HANDLE_INVALID if there is no such session; CKR_OBJECT_HANDLE_INVALID if there is no such object.
    pub fn object(&self, session: CK_SESSION_HANDLE, handle: CK_OBJECT_HANDLE) -> Result<Arc<Object>> {
        self.session(session)?.token.object(handle).ok_or_else(|| invalid_handle(handle))
    }

    /// Starts loading the slots after `slot` if the caller searches the slots in order. Whenever the caller reaches a
    /// slot whose loading has not started, the number of slots that are read ahead is multiplied by four. All slots
    /// together then take the time of a few requests. A caller that needs only one slot causes no request for another
    /// slot.
    fn read_ahead(&self, slot: usize, template: &[Attribute]) {
        let (from, to) = lock(&self.read_ahead).slots_to_load(slot, template);
        let slots = from..to.min(self.tokens.len());
        slots.filter_map(|slot| self.tokens.token(slot as CK_SLOT_ID)).for_each(|token| token.start_loading(template));
    }

    fn add_listed_slots(&self, listing: &Listing, start: Instant) {
        let deadline = start + listing.service.settings().network().call_timeout;
        let log_failure =
            |failure: &Failure| log_error!("the keys in {} can't be listed: {failure}", listing.backend.endpoint());
        let Ok(keys) = listing.keys.get(deadline, log_failure) else { return };
        let mut done = lock(&listing.is_added);
        if !*done {
            self.tokens.extend(keys.iter().map(|key| listed_slot(&listing.service, key)));
            *done = true;
        }
    }
}

/// Returns the slot of a listed key. Its label is the one that the modules which this module replaces use.
fn listed_slot(service: &Arc<Service>, key: &ListedKey) -> Slot {
    Slot {
        label: key.name.id.clone(),
        service: service.clone(),
        keys: Keys::Listed(vec![key.clone()]),
        hide_keys: Vec::new(),
        quirks: Quirks { accept_bare_digest: true, identity: SlotIdentity::SerialZero, ..Quirks::default() },
        management: None,
    }
}

fn session_handle_invalid(handle: CK_SESSION_HANDLE) -> Error {
    Error::new(CKR_SESSION_HANDLE_INVALID, format!("session {handle} does not exist, or is closed"))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_ahead_grows_only_for_sequential_searches() {
        let mut ahead = ReadAhead::default();
        assert_eq!(ahead.slots_to_load(0, &[]), (1, 1));
        assert_eq!(ahead.slots_to_load(0, &[]), (1, 1), "another search in the same slot");
        assert_eq!(ahead.slots_to_load(1, &[]), (2, 6));
        assert_eq!(ahead.slots_to_load(2, &[]), (6, 6), "it was begun");
        assert!((3..6).all(|slot| ahead.slots_to_load(slot, &[]) == (6, 6).max((slot + 1, 6))));
        assert_eq!(ahead.slots_to_load(6, &[]), (7, 23));
        assert_eq!(ahead.slots_to_load(40, &[]), (41, 41), "a jump");
        assert_eq!(ahead.slots_to_load(3, &[]), (4, 4), "a jump back");
    }

    #[test]
    fn each_slot_is_loaded_once_for_each_search() {
        let searches: Vec<Vec<Attribute>> = (0..3u8).map(|id| vec![(CKA_ID, vec![id])]).collect();
        let mut ahead = ReadAhead::default();
        let mut begun = [[0; 3]; 1000];
        for slot in 0..1000 {
            for (number, template) in searches.iter().enumerate() {
                let (from, to) = ahead.slots_to_load(slot, template);
                begun[from.min(1000)..to.min(1000)].iter_mut().for_each(|slot| slot[number] += 1);
            }
        }
        let found_cold: Vec<usize> = (0..1000).filter(|slot| begun[*slot] == [0; 3]).collect();
        assert_eq!(found_cold, [0, 1, 6, 23, 88, 345], "those whose search makes the window grow");
        assert_eq!(begun.iter().filter(|slot| **slot == [1; 3]).count(), 1000 - found_cold.len());
    }
}
