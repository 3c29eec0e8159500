//! The checks of one slot.

use super::check::Check;
use super::key::KeyRound;
use super::problem::name_for_key;
use super::report::SlotReport;
use super::service::{ServiceRound, Services};
use crate::cloud::{Failure, ListedKey, Pending};
use crate::config::{Key, Keys, Management, Slot};
use std::sync::Arc;

/// How many of the keys that a service lists are checked.
const MOST_LISTED_KEYS: usize = 50;

/// A slot whose checks are under way.
pub(super) struct SlotRound {
    label: String,
    service: Arc<ServiceRound>,
    management: Option<Arc<Management>>,
    keys: Vec<KeyRound>,
    listing: Option<Pending<Vec<ListedKey>>>,
    /// The result of the listing.
    listed: Option<Result<String, Failure>>,
}

impl SlotRound {
    /// Starts the requests about the keys of a slot. Returns `None` if this build does not support its cloud.
    pub(super) fn start(slot: Slot, services: &Services) -> Option<Self> {
        let service = services.of(&slot.service)?;
        let is_ready = service.backend().is_ready();
        let (mut keys, mut listing) = (Vec::new(), None);
        match slot.keys {
            _ if !is_ready => {}
            Keys::Discovered => listing = Some(service.backend().list(false)),
            Keys::Named(named) => keys.extend(named.into_iter().map(|key| KeyRound::start(key, false, &service))),
            Keys::Listed(listed) => {
                keys.extend(listed.into_iter().map(|key| KeyRound::start(Key::listed(key.name), true, &service)));
            }
        }
        Some(Self { label: slot.label, service, management: slot.management, keys, listing, listed: None })
    }

    /// Starts the requests about the keys that the service has listed.
    pub(super) fn start_listed_keys(&mut self) {
        let Some(listing) = self.listing.take() else { return };
        match listing.wait(self.service.deadline()) {
            Ok(listed) => {
                let enabled: Vec<ListedKey> = listed.iter().filter(|key| !key.is_disabled).cloned().collect();
                let checked = enabled.len().min(MOST_LISTED_KEYS);
                let rest =
                    if checked < enabled.len() { format!("; the first {checked} are checked") } else { String::new() };
                self.listed = Some(Ok(format!(
                    "the service lists {} keys, {} of them enabled{rest}",
                    listed.len(),
                    enabled.len()
                )));
                let chosen = enabled.into_iter().take(MOST_LISTED_KEYS);
                self.keys.extend(chosen.map(|key| KeyRound::start(Key::listed(key.name), true, &self.service)));
            }
            Err(failure) => self.listed = Some(Err(failure)),
        }
    }

    /// Starts the requests that need the description of a key.
    pub(super) fn start_uses(&mut self, sign: bool) {
        self.keys.iter_mut().for_each(|key| key.start_uses(&self.service, sign));
    }

    /// Waits for all requests.
    pub(super) fn report(self) -> SlotReport {
        let Self { label, service, management, keys, listed, .. } = self;
        let (known, identity) = (service.failures(), service.identity());
        let is_alone = keys.len() == 1;
        let mut works = matches!(listed, Some(Ok(_)));
        let mut of_keys = Vec::new();
        match listed {
            Some(Ok(text)) => of_keys.push(Check::ok("key", text)),
            Some(Err(failure)) if is_known(&known, &failure) => {}
            Some(Err(failure)) => of_keys.push(Check::failed(name_for_key(&failure), &failure, None)),
            None => {}
        }
        for key in keys {
            works |= key.is_described();
            let name = key.name().to_owned();
            let checks = key.checks(&service, management.as_deref(), &|failure| is_known(&known, failure));
            of_keys.extend(checks.into_iter().map(|check| if is_alone { check } else { check.about(&name) }));
        }
        if let Some(identity) = &identity {
            let whom = identity.split(", ").next().unwrap_or_default();
            of_keys.iter_mut().for_each(|check| grant_to(check, whom));
        }
        let checks = service.checks(works).into_iter().chain(of_keys).collect();
        SlotReport { label, place: service.backend().place(), checks }
    }
}

/// Returns whether the failure of a request is one of the service itself, which the report already has.
fn is_known(known: &[Failure], failure: &Failure) -> bool {
    known.iter().any(|known| known.cause == failure.cause)
}

/// Adds to the fix for a missing permission whose permission it is.
fn grant_to(check: &mut Check, whom: &str) {
    if let Some(fix) = check.fix.as_mut().filter(|fix| fix.starts_with("grant ")) {
        *fix = format!("{fix}, to {whom}");
    }
}
