//! The tokens of all slots.
//!
//! A token is created when it is first requested: a program that uses one of ten thousand slots pays for one. This
//! module does not depend on sessions or searches.

use super::Token;
use crate::cloud::SharedBackend;
use crate::config::{Service, Slot, Slots};
use crate::store::public_keys::PublicKeyCache;
use cryptoki_sys::CK_SLOT_ID;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// The tokens of all slots, each created when it is first requested.
pub struct Tokens {
    backends: Backends,
    cache: Option<Arc<PublicKeyCache>>,
    all: RwLock<State>,
}

/// The slots, and the tokens created so far. Slots are added, never removed.
struct State {
    slots: Slots,
    tokens: HashMap<CK_SLOT_ID, Arc<Token>>,
}

impl Tokens {
    /// Creates the collection for these slots. `backends` has a backend for the service of each slot.
    pub fn new(slots: Slots, backends: Backends, cache: Option<Arc<PublicKeyCache>>) -> Self {
        Self { backends, cache, all: RwLock::new(State { slots, tokens: HashMap::new() }) }
    }

    /// The number of slots. The slot ids are the numbers from zero to this number, exclusive.
    pub fn len(&self) -> usize {
        self.read().slots.len()
    }

    /// Whether there are no slots.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the token of a slot, if the slot exists.
    pub fn token(&self, id: CK_SLOT_ID) -> Option<Arc<Token>> {
        let made = self.read().tokens.get(&id).cloned();
        made.or_else(|| self.create(id))
    }

    /// Adds slots after the existing ones.
    pub fn extend(&self, slots: impl Iterator<Item = Slot>) {
        self.write().slots.extend(slots);
    }

    fn create(&self, id: CK_SLOT_ID) -> Option<Arc<Token>> {
        let State { slots, tokens: made } = &mut *self.write();
        if let Some(token) = made.get(&id) {
            // Another thread has created the token meanwhile.
            return Some(token.clone());
        }
        let slot = slots.take(usize::try_from(id).ok()?)?;
        let backend = self.backends.of(&slot.service)?;
        let token = Arc::new(Token::new(id, slot, backend, self.cache.clone()));
        made.insert(id, token.clone());
        Some(token)
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.all.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.all.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The backends of all services. Equal services share a backend, unless each of their tokens has its own login.
pub struct Backends {
    shared: HashMap<Arc<Service>, SharedBackend>,
    /// Services with a login, with a backend for each slot. Each token takes one backend out.
    per_token: Mutex<HashMap<Arc<Service>, Vec<SharedBackend>>>,
}

impl Backends {
    /// Opens the backends of these services, of which there is one for each slot. `open` is called once for equal
    /// services, and once for each slot whose service has a login. Slots whose service can't be opened get no token.
    pub fn new<'a>(
        services: impl Iterator<Item = &'a Arc<Service>>,
        open: impl Fn(&Service) -> Option<SharedBackend>,
    ) -> Self {
        let (mut shared, mut own) = (HashMap::new(), HashMap::<_, Vec<_>>::new());
        let mut last: Option<&Arc<Service>> = None;
        for service in services {
            // The login of one token must not be used by another.
            if service.settings().needs_login() {
                own.entry(service.clone()).or_default().extend(open(service));
                continue;
            }
            // Consecutive slots share one service. Comparing the pointers avoids hashing its settings, which are
            // long.
            if last.is_none_or(|last| !Arc::ptr_eq(last, service)) {
                if let Entry::Vacant(first) = shared.entry(service.clone())
                    && let Some(backend) = open(service)
                {
                    first.insert(backend);
                }
                last = Some(service);
            }
        }
        Self { shared, per_token: Mutex::new(own) }
    }

    /// Returns the backend of a slot with this service.
    pub fn of(&self, service: &Arc<Service>) -> Option<SharedBackend> {
        let own = || self.per_token.lock().unwrap_or_else(PoisonError::into_inner).get_mut(service)?.pop();
        self.shared.get(service).cloned().or_else(own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::aws;
    use crate::config::Keys;
    use crate::fuzzing::fake::FakeBackend;
    use std::cell::Cell;

    #[test]
    fn a_token_is_made_once_and_a_backend_for_each_service() {
        let slot = |region: &str| Slot {
            label: region.into(),
            service: Arc::new(Service::Aws(aws::Settings { region: Some(region.into()), ..Default::default() })),
            keys: Keys::Discovered,
            hide_keys: Vec::new(),
            quirks: Default::default(),
            management: None,
        };
        let (slots, opened) = (Slots::from_iter(["a", "b", "a"].map(slot)), Cell::new(0));
        let backends = Backends::new(slots.services(), |_| {
            opened.set(opened.get() + 1);
            Some(Arc::<FakeBackend>::default())
        });
        let tokens = Tokens::new(slots, backends, None);
        assert_eq!((tokens.len(), opened.get()), (3, 2));
        let all: Vec<_> = (0..4).filter_map(|id| tokens.token(id)).collect();
        assert_eq!(all.iter().map(|token| token.label()).collect::<Vec<_>>(), ["a", "b", "a"]);
        assert!((0..3).all(|id| tokens.token(id).is_some_and(|token| Arc::ptr_eq(&token, &all[id as usize]))));
        assert!(tokens.token(CK_SLOT_ID::MAX).is_none());
    }
}
