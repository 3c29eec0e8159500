//! The vault that a request is for.

use crate::azure::clouds::{CLOUDS, Cloud};
use crate::http::Request;
use crate::state::State;
use crate::state::azure::HSM;

/// Which vault a host name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) vault: String,
    pub(crate) hsm: bool,
    /// Reached under its real name.
    pub(crate) real: bool,
    pub(super) cloud: &'static Cloud,
}

impl Place {
    pub(crate) fn of(state: &State, request: &Request) -> Self {
        let host = request.hostname();
        let label = |suffix: &str| host.strip_suffix(suffix).map(str::to_owned);
        for cloud in &CLOUDS {
            for (service, hsm) in [("vault", false), ("managedhsm", true)] {
                if let Some(vault) = label(&format!(".{service}.{}", cloud.domain)) {
                    return Self { vault, hsm, real: true, cloud };
                }
            }
        }
        let vault = label(".localhost").unwrap_or_else(|| "default".to_owned());
        Self { hsm: state.vaults.is_hsm(&vault), vault, real: false, cloud: &CLOUDS[0] }
    }

    /// The name in the store: a Managed HSM may have the name of a vault.
    pub(crate) fn store_name(&self) -> String {
        if self.hsm && self.real { format!("{}{HSM}", self.vault) } else { self.vault.clone() }
    }

    pub(super) fn resource(&self) -> String {
        format!("https://{}.{}", if self.hsm { "managedhsm" } else { "vault" }, self.cloud.domain)
    }
}
