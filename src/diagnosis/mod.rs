//! Why the keys of a configuration do or do not work.
//!
//! The checks of a slot, by their names:
//!
//! | check | what it means |
//! |---|---|
//! | `credentials` | Credentials were found, and the service or its authority accepts them. The text says where they come from. A warning: they end soon, and nothing renews them |
//! | `identity` | Whose credentials they are, as the service says: the ARN (AWS), the application or user, object and tenant in the token (Azure), the account and universe (Google), the display name, policies and time to live (Vault). A warning if the service does not say so; signatures do not need it |
//! | `name` | The host name of the service has addresses. With a proxy, the proxy looks the name up |
//! | `proxy` | The proxy in force, the setting that names it, and whether it forwards requests. Absent without a proxy |
//! | `connection` | The service could not be reached, for a reason that none of the other names fits |
//! | `tls` | Whose certificate the service has, which authority has issued it, and when it expires. A warning: requests to another machine are not encrypted |
//! | `clock` | The difference between this machine's clock and the date in the service's reply: a warning from 60 seconds, a problem from 5 minutes |
//! | `key` | The key exists and is enabled; its kind, what it does, and the SHA-256 digest of its public half |
//! | `permission` | The credentials permit the use of the key, without using it: `DryRun` (AWS), testIamPermissions (Google), capabilities-self (Vault). Key Vault has no such request |
//! | `certificate` | The certificate of the key certifies its public half, and is valid: a warning in the last 30 days. Absent for a key without a certificate |
//! | `replicas` | Each region of `aws_failover_regions` has a replica of the key |
//! | `signature` | On request only: one signature, verified with the public half |
//!
//! The requests run in two rounds, because what a key may do is asked once the key is described. The first round is for all
//! slots at once, the second for 64 slots at a time.

mod certificate;
pub mod check;
mod connection;
mod display;
mod key;
mod principal;
mod problem;
mod report;
mod service;
mod slot;
mod uses;

use crate::cloud::runtime;
use crate::config::{Config, Keys, Quirks, Slot};
pub use report::SlotReport;
use service::Services;
use slot::SlotRound;
use std::sync::Arc;

/// Checks the slots of a configuration. Up to 64 slots take the time of the slowest.
/// `only` is the label of a slot; `sign` also makes one signature with each key that signs.
pub fn slots(config: &Config, only: Option<&str>, sign: bool) -> Vec<SlotReport> {
    runtime::open();
    let all = config.slots.iter().chain(config.legacy_services.iter().map(|service| Slot {
        label: "(all keys)".to_owned(),
        service: Arc::new(service.clone()),
        keys: Keys::Discovered,
        hide_keys: Vec::new(),
        quirks: Quirks::default(),
        management: None,
    }));
    let chosen: Vec<Slot> = all.filter(|slot| only.is_none_or(|label| slot.label == label)).collect();
    let services = Services::start(&chosen);
    let mut rounds: Vec<SlotRound> = chosen.into_iter().filter_map(|slot| SlotRound::start(slot, &services)).collect();
    rounds.iter_mut().for_each(SlotRound::start_listed_keys);
    let mut reports = Vec::new();
    while !rounds.is_empty() {
        let rest = rounds.split_off(rounds.len().min(MOST_SLOTS_AT_ONCE));
        rounds.iter_mut().for_each(|round| round.start_uses(sign));
        reports.extend(std::mem::replace(&mut rounds, rest).into_iter().map(SlotRound::report));
    }
    reports
}

/// How many slots are asked at once what may be done with their keys. A service throttles clients that ask more.
const MOST_SLOTS_AT_ONCE: usize = 64;
