//! What all slots with the same service share: the way to it, and the credentials.

use super::check::Check;
use super::{connection, principal};
use crate::cloud::{Backend, Cause, Connection, Diagnosis, Failure, KeyName, Pending, Principal};
use crate::config::{Keys, Service, Slot};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The services of the slots, each once.
pub(super) struct Services(HashMap<Arc<Service>, Arc<ServiceRound>>);

impl Services {
    /// Starts the requests of all services.
    pub(super) fn start(slots: &[Slot]) -> Self {
        let mut keys: HashMap<Arc<Service>, Vec<KeyName>> = HashMap::new();
        for slot in slots {
            let own = keys.entry(slot.service.clone()).or_default();
            if let Keys::Named(named) = &slot.keys {
                own.extend(named.iter().map(|key| key.name.clone()));
            }
        }
        let opened = keys.into_iter().filter_map(|(service, keys)| {
            let round = ServiceRound::start(service.diagnosis()?, &service, &keys);
            Some((service, Arc::new(round)))
        });
        Self(opened.collect())
    }

    /// Returns a service. `None` if this build does not support its cloud.
    pub(super) fn of(&self, service: &Arc<Service>) -> Option<Arc<ServiceRound>> {
        self.0.get(service).cloned()
    }
}

/// A service, with the requests that all its slots share.
pub(super) struct ServiceRound {
    pub(super) diagnosis: Arc<dyn Diagnosis>,
    call_timeout: Duration,
    connections: Pending<Vec<Connection>>,
    /// `None` if there are no credentials before a login.
    principal: Option<Pending<Principal>>,
}

impl ServiceRound {
    fn start(diagnosis: Arc<dyn Diagnosis>, service: &Service, keys: &[KeyName]) -> Self {
        let connections = diagnosis.connect(keys);
        let backend: &(dyn Backend + 'static) = &*diagnosis;
        let principal = backend.is_ready().then(|| diagnosis.principal(keys));
        Self { call_timeout: service.settings().network().call_timeout, connections, principal, diagnosis }
    }

    /// The service, for requests about its keys.
    pub(super) fn backend(&self) -> &(dyn Backend + 'static) {
        &*self.diagnosis
    }

    /// Returns the deadline of a wait that begins now. Requests end by themselves within the call timeout, but each has to
    /// wait for its turn.
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + 2 * self.call_timeout
    }

    /// Returns whose credentials the requests have, if that is known.
    pub(super) fn identity(&self) -> Option<String> {
        self.principal.as_ref()?.wait(self.deadline()).ok()?.identity.ok()
    }

    /// Returns the failures of the service itself. Requests about keys fail in the same way.
    pub(super) fn failures(&self) -> Vec<Failure> {
        let connections = match self.connections.wait(self.deadline()) {
            Ok(all) => all.into_iter().filter_map(|connection| connection.reply.err()).collect(),
            Err(failure) => vec![failure],
        };
        let principal = self.principal.as_ref().and_then(|principal| principal.wait(self.deadline()).err());
        connections.into_iter().chain(principal).collect()
    }

    /// Returns the checks. `works` says whether a request about a key has succeeded.
    pub(super) fn checks(&self, works: bool) -> Vec<Check> {
        let failed = |name, failure: &Failure| {
            let remedy = self.diagnosis.credential_remedy(failure).map(str::to_owned);
            let check = Check::failed(name, failure, remedy);
            // The service has accepted the credentials, whatever its authority says about them.
            if works { check.into_warning() } else { check }
        };
        let mut checks = match self.principal.as_ref().map(|principal| principal.wait(self.deadline())) {
            Some(Ok(principal)) => principal::checks(&principal),
            Some(Err(failure)) => vec![failed("credentials", &failure)],
            None => {
                let pin = self.backend().pin_description().unwrap_or_default();
                vec![Check::ok(
                    "credentials",
                    format!("they come with the login (C_Login), so keys are not checked; the PIN is {pin}"),
                )]
            }
        };
        match self.connections.wait(self.deadline()) {
            Ok(all) => checks.extend(all.iter().flat_map(connection::checks)),
            // The settings from which the endpoint follows are also those from which the credentials follow.
            Err(failure) if failure.cause == Cause::Settings && checks.iter().any(|check| check.fix.is_some()) => {}
            Err(failure) => checks.push(failed("connection", &failure)),
        }
        checks
    }
}
