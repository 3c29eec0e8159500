//! The faults of one emulator.

use super::action::Action;
use super::fault::Fault;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The faults that are set.
#[derive(Debug, Default)]
pub(crate) struct FaultSet {
    set: Mutex<Vec<(Fault, Instant)>>,
}

impl FaultSet {
    pub(crate) fn add(&self, fault: Fault) {
        self.set.lock().unwrap_or_else(PoisonError::into_inner).push((fault, Instant::now()));
    }

    pub(crate) fn clear(&self) {
        self.set.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(crate) fn list(&self) -> Vec<Fault> {
        self.set.lock().unwrap_or_else(PoisonError::into_inner).iter().map(|(fault, _)| fault.clone()).collect()
    }

    /// Whether a fault denies this operation.
    pub(crate) fn denies(&self, operation: &str, names: &[String]) -> bool {
        let set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        set.iter().any(|(fault, _)| fault.action == Action::Deny && fault.concerns(operation, names, None))
    }

    /// What happens to this request; a fault that is limited in number is used up by it.
    pub(crate) fn take(&self, operation: &str, names: &[String], region: Option<&str>) -> Vec<Action> {
        let mut set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        set.retain(|(fault, since)| fault.for_ms.is_none_or(|limit| since.elapsed() < Duration::from_millis(limit)));
        let mut actions = Vec::new();
        for (fault, _) in set.iter_mut().filter(|(fault, _)| fault.concerns(operation, names, region)) {
            if let Some(times) = &mut fault.times {
                let Some(left) = times.checked_sub(1) else { continue };
                *times = left;
            }
            actions.push(fault.action.clone());
        }
        set.retain(|(fault, _)| fault.times != Some(0));
        actions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_used_up_and_knows_its_key() {
        let faults = FaultSet::default();
        faults.add(Fault::new("kms.", Action::Hang).key("blue").times(1));
        assert!(faults.take("vault.keys.get", &["blue".into()], None).is_empty());
        assert!(faults.take("kms.Sign", &["red".into()], None).is_empty());
        assert_eq!(faults.take("kms.Sign", &["red".into(), "alias/blue".into()], None), [Action::Hang]);
        assert!(faults.take("kms.Sign", &["alias/blue".into()], None).is_empty());
        assert!(faults.list().is_empty());
    }

    #[test]
    fn a_fault_of_a_region_hits_no_other() {
        let faults = FaultSet::default();
        faults.add(Fault::new("kms.", Action::Hang).region("eu-west-1"));
        assert!(faults.take("kms.Sign", &[], None).is_empty());
        assert!(faults.take("kms.Sign", &[], Some("eu-central-1")).is_empty());
        assert_eq!(faults.take("kms.Sign", &[], Some("eu-west-1")), [Action::Hang]);
    }
}
