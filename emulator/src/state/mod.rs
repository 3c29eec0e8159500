//! Everything one emulator has: handed to each request, shared by all.

pub(crate) mod aws;
pub(crate) mod azure;
pub(crate) mod ids;
pub(crate) mod traffic;

use crate::authority::Authority;
use crate::azure::entra::token_endpoint::Entra;
use crate::clock::Clock;
use crate::crypto::MaterialPool;
use crate::faults::FaultSet;
use crate::server::delivery::Fate;
use aws::account::Store as AwsStore;
use azure::vaults::Store as VaultStore;
use ids::Ids;
use serde::{Deserialize, Serialize};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use traffic::Traffic;

/// Oddities of the real services that can be switched on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Switches {
    /// KMS: error types carry `com.amazonaws.kms#`.
    pub kms_type_prefix: bool,
    /// KMS: error messages are in `Message`.
    pub kms_capital_message: bool,
    /// KMS: the first page of each list is empty, with `Truncated` true.
    pub kms_empty_page: bool,
    /// Key Vault: the first page of a list is empty and still has a `nextLink`.
    pub vault_empty_page: bool,
    /// Key Vault: `n` of a JWK starts with a zero byte.
    pub jwk_leading_zero: bool,
    /// Key Vault: `x` and `y` of a JWK come without leading zero bytes.
    pub jwk_short_coordinates: bool,
    /// Key Vault: tokens that were not asked for with `claims` get a 401 with `error="insufficient_claims"`.
    pub require_claims: bool,
    /// Key Vault: keys made over HTTP are not valid for so many seconds after their creation.
    pub not_yet_valid_seconds: u32,
}

pub(crate) struct State {
    pub(crate) port: u16,
    pub(crate) clock: Clock,
    pub(crate) ids: Ids,
    pub(crate) traffic: Traffic,
    pub(crate) faults: FaultSet,
    pub(crate) materials: MaterialPool,
    pub(crate) authority: Authority,
    pub(crate) aws: AwsStore,
    pub(crate) entra: Entra,
    pub(crate) vaults: VaultStore,
    switches: Mutex<Switches>,
    /// The connections that are open, and some that were.
    open: Mutex<Vec<Weak<Fate>>>,
}

impl State {
    pub(crate) fn new(port: u16, seed: Option<u64>) -> std::io::Result<Self> {
        Ok(Self {
            port,
            clock: Clock::default(),
            ids: Ids::new(seed),
            traffic: Traffic::default(),
            faults: FaultSet::default(),
            materials: MaterialPool::default(),
            authority: Authority::new()?,
            aws: AwsStore::default(),
            entra: Entra::default(),
            vaults: VaultStore::default(),
            switches: Mutex::default(),
            open: Mutex::default(),
        })
    }

    pub(crate) fn opened(&self, connection: &Arc<Fate>) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|fate| fate.strong_count() > 0);
        open.push(Arc::downgrade(connection));
    }

    pub(crate) fn silence_open_connections(&self) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.iter().filter_map(Weak::upgrade).for_each(|fate| fate.silent.store(true, Ordering::SeqCst));
    }

    pub(crate) fn switches(&self) -> Switches {
        self.switches.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_switches(&self, change: impl FnOnce(&mut Switches)) {
        change(&mut self.switches.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
