//! The tokens of all slots, each made when it is first asked for: a program that wants one of ten thousand pays for one.
//!
//! Knows no session and no search.

use super::Token;
use crate::cloud::SharedBackend;
use crate::config::{Service, Slot, Slots};
use crate::store::public_keys::Cache;
use cryptoki_sys::CK_SLOT_ID;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// See the head of the file.
pub struct Tokens {
    backends: Backends,
    cache: Option<Arc<Cache>>,
    all: RwLock<All>,
}

/// Slots are added, never taken away.
struct All {
    slots: Slots,
    made: HashMap<CK_SLOT_ID, Arc<Token>>,
}

impl Tokens {
    /// The tokens of these slots, all of whose services are among the backends.
    pub fn new(slots: Slots, backends: Backends, cache: Option<Arc<Cache>>) -> Self {
        Self { backends, cache, all: RwLock::new(All { slots, made: HashMap::new() }) }
    }

    /// How many there are; their slots' ids are the numbers below.
    pub fn len(&self) -> usize {
        self.read().slots.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The token of a slot, if there is such a slot.
    pub fn token(&self, id: CK_SLOT_ID) -> Option<Arc<Token>> {
        let made = self.read().made.get(&id).cloned();
        made.or_else(|| self.make(id))
    }

    /// Adds slots behind the others.
    pub fn extend(&self, slots: impl Iterator<Item = Slot>) {
        self.write().slots.extend(slots);
    }

    fn make(&self, id: CK_SLOT_ID) -> Option<Arc<Token>> {
        let All { slots, made } = &mut *self.write();
        if let Some(token) = made.get(&id) {
            // Another thread was quicker.
            return Some(token.clone());
        }
        let slot = slots.take(usize::try_from(id).ok()?)?;
        let backend = self.backends.of(&slot.service)?;
        let token = Arc::new(Token::new(id, slot, backend, self.cache.clone()));
        made.insert(id, token.clone());
        Some(token)
    }

    fn read(&self) -> RwLockReadGuard<'_, All> {
        self.all.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, All> {
        self.all.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A backend for each service: equal services share it, unless their tokens have logins of their own.
pub struct Backends {
    shared: HashMap<Arc<Service>, SharedBackend>,
    /// One for each slot of such a service; each token takes one away.
    own: Mutex<HashMap<Arc<Service>, Vec<SharedBackend>>>,
}

impl Backends {
    /// The backends of these services, one for each slot: `open` is called once for those that are equal.
    pub fn new<'a>(services: impl Iterator<Item = &'a Arc<Service>>, open: impl Fn(&Service) -> SharedBackend) -> Self {
        let (mut shared, mut own) = (HashMap::new(), HashMap::<_, Vec<_>>::new());
        let mut last: Option<&Arc<Service>> = None;
        for service in services {
            // One token's login must not serve another.
            if service.wants_login() {
                own.entry(service.clone()).or_default().push(open(service));
                continue;
            }
            // Slots that follow each other share it, and its settings are long.
            if last.is_none_or(|last| !Arc::ptr_eq(last, service)) {
                shared.entry(service.clone()).or_insert_with(|| open(service));
                last = Some(service);
            }
        }
        Self { shared, own: Mutex::new(own) }
    }

    /// The backend of a slot of one of the services.
    pub fn of(&self, service: &Arc<Service>) -> Option<SharedBackend> {
        let own = || self.own.lock().unwrap_or_else(PoisonError::into_inner).get_mut(service)?.pop();
        self.shared.get(service).cloned().or_else(own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::aws;
    use crate::config::Keys;
    use crate::fuzzing::fake::Fake;
    use std::cell::Cell;

    #[test]
    fn a_token_is_made_once_and_a_backend_for_each_service() {
        let slot = |region: &str| Slot {
            label: region.into(),
            service: Arc::new(Service::Aws(aws::Settings { region: Some(region.into()), ..Default::default() })),
            keys: Keys::Discover,
            hide_keys: Vec::new(),
            manner: Default::default(),
            management: None,
        };
        let (slots, opened) = (Slots::from_iter(["a", "b", "a"].map(slot)), Cell::new(0));
        let backends = Backends::new(slots.services(), |_| {
            opened.set(opened.get() + 1);
            Arc::<Fake>::default()
        });
        let tokens = Tokens::new(slots, backends, None);
        assert_eq!((tokens.len(), opened.get()), (3, 2));
        let all: Vec<_> = (0..4).filter_map(|id| tokens.token(id)).collect();
        assert_eq!(all.iter().map(|token| token.label()).collect::<Vec<_>>(), ["a", "b", "a"]);
        assert!((0..3).all(|id| tokens.token(id).is_some_and(|token| Arc::ptr_eq(&token, &all[id as usize]))));
        assert!(tokens.token(CK_SLOT_ID::MAX).is_none());
    }
}
