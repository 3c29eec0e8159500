//! Everything that one emulator holds. All requests share it. The services use it; it uses no service.

pub(crate) mod aws;
pub(crate) mod azure;
mod connections;
pub(crate) mod google;
mod ids;
mod switches;
mod traffic;

use crate::authority::Authority;
use crate::clock::Clock;
use crate::crypto::MaterialPool;
use crate::faults::FaultSet;
use aws::Account;
use azure::{Directory, VaultStore};
use connections::Connections;
pub(crate) use connections::Fate;
use google::Google;
pub(crate) use ids::Ids;
use std::sync::{Mutex, PoisonError};
pub use switches::Switches;
pub use traffic::Entry;
use traffic::Traffic;

pub(crate) struct State {
    pub(crate) port: u16,
    pub(crate) clock: Clock,
    pub(crate) ids: Ids,
    pub(crate) traffic: Traffic,
    pub(crate) connections: Connections,
    pub(crate) faults: FaultSet,
    pub(crate) materials: MaterialPool,
    pub(crate) authority: Authority,
    pub(crate) aws: Account,
    pub(crate) entra: Directory,
    pub(crate) vaults: VaultStore,
    pub(crate) google: Google,
    switches: Mutex<Switches>,
}

impl State {
    pub(crate) fn new(port: u16, seed: Option<u64>) -> std::io::Result<Self> {
        Ok(Self {
            port,
            clock: Clock::default(),
            ids: Ids::new(seed),
            traffic: Traffic::default(),
            connections: Connections::default(),
            faults: FaultSet::default(),
            materials: MaterialPool::default(),
            authority: Authority::new()?,
            aws: Account::default(),
            entra: Directory::default(),
            vaults: VaultStore::default(),
            google: Google::default(),
            switches: Mutex::default(),
        })
    }

    pub(crate) fn switches(&self) -> Switches {
        self.switches.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_switches(&self, change: impl FnOnce(&mut Switches)) {
        change(&mut self.switches.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
