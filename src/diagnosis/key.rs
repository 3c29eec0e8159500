//! The checks of one key.

use super::certificate::CertificateRound;
use super::check::Check;
use super::problem::name_for_key;
use super::service::ServiceRound;
use super::uses::Uses;
use crate::cloud::{Cause, Failure, KeyDescription, Pending};
use crate::config::{Key, Management};
use crate::key::Purpose;
use crate::key::hash::{Hash, hex};

/// A key whose checks are under way.
pub(super) struct KeyRound {
    key: Key,
    /// Whether the service has listed the key. Such a key need not be one that the module can use.
    is_listed: bool,
    description: Pending<KeyDescription>,
    certificate: CertificateRound,
    uses: Option<Uses>,
}

impl KeyRound {
    /// Starts the requests about a key.
    pub(super) fn start(key: Key, is_listed: bool, service: &ServiceRound) -> Self {
        let (backend, description) = (service.backend(), service.backend().describe(&key.name));
        let certificate = CertificateRound::start(&key, backend);
        Self { key, is_listed, description, certificate, uses: None }
    }

    /// The name of the key in the service.
    pub(super) fn name(&self) -> &str {
        &self.key.name.id
    }

    /// Whether the service has described the key.
    pub(super) fn is_described(&self) -> bool {
        matches!(self.description.peek(), Some(Ok(_)))
    }

    /// Starts the requests that need the description of the key.
    pub(super) fn start_uses(&mut self, service: &ServiceRound, sign: bool) {
        if let Ok(description) = self.description.wait(service.deadline()) {
            self.uses = Some(Uses::start(&self.key.name, description, service, sign));
        }
    }

    /// Waits for all requests. Failures that `is_known` are left out.
    pub(super) fn checks(
        self,
        service: &ServiceRound,
        slot: Option<&Management>,
        is_known: &dyn Fn(&Failure) -> bool,
    ) -> Vec<Check> {
        let remedy = |failure: &Failure| service.diagnosis.remedy(&self.key.name, failure);
        let description = match self.description.wait(service.deadline()) {
            Ok(description) => description,
            Err(failure) if is_known(&failure) => return Vec::new(),
            // For example a symmetric key.
            Err(failure) if self.is_listed && matches!(failure.cause, Cause::Unsupported | Cause::Disabled) => {
                return vec![Check::ok("key", format!("not shown to programs: {failure}"))];
            }
            Err(failure) => return vec![Check::failed(name_for_key(&failure), &failure, remedy(&failure))],
        };
        let mut checks = vec![match impediment(&description) {
            Some(failure) if self.is_listed => Check::ok("key", format!("not shown to programs: {}", failure.message)),
            Some(failure) => {
                let fix = remedy(&failure).unwrap_or_else(|| "use another key".to_owned());
                Check::problem("key", format!("{} can't be used: {}", self.key.name.id, failure.message), fix)
            }
            None => Check::ok("key", text(&self.key, &description)),
        }];
        let uses = self.uses.map(|uses| uses.checks(service, &remedy, is_known)).unwrap_or_default();
        // A key that is disabled has been found to be so by its use.
        if uses.iter().any(|check| check.name == "key") {
            checks.clear();
        }
        checks.extend(uses);
        if let Some(public_key) = &description.public_key {
            checks.extend(self.certificate.check(public_key, slot, service.deadline()));
        }
        checks
    }
}

/// Words about a key that is not in the state in which it can be used, but could be.
const STATES: [&str; 4] = ["disabled", "expired", "not valid before", "KeyState"];

/// Returns why the key can't be used, or can't sign now although it is a key that signs.
fn impediment(description: &KeyDescription) -> Option<Failure> {
    let is_state = |words: &str| STATES.iter().any(|state| words.contains(state));
    let signs = description.schemes.iter().any(|scheme| scheme.family.purpose() == Purpose::Sign);
    let words = match (&description.unusable_reason, &description.usage) {
        (Some(reason), _) => reason,
        (None, Some(usage)) if signs && !description.permits(Purpose::Sign) && is_state(usage) => usage,
        _ => return None,
    };
    let cause = if is_state(words) { Cause::Disabled } else { Cause::Unsupported };
    Some(Failure::new(cause, "Describe", words.to_string()))
}

/// Purposes, and what a key does that serves them.
const PURPOSES: [(Purpose, &str); 4] = [
    (Purpose::Sign, "signs"),
    (Purpose::Decrypt, "decrypts"),
    (Purpose::Unwrap, "unwraps keys"),
    (Purpose::Derive, "derives secrets"),
];

fn text(key: &Key, description: &KeyDescription) -> String {
    let does: Vec<_> = PURPOSES.iter().filter(|row| description.permits(row.0)).map(|row| row.1).collect();
    let digest = description
        .public_key
        .as_ref()
        .map(|own| format!("; SHA-256 of its public half: {}", hex(&Hash::Sha256.digest(own.spki()))));
    let (id, kind) = (&key.name.id, description.kind.name());
    format!("{id} is of kind {kind}, and {}{}", does.join(", "), digest.unwrap_or_default())
}
