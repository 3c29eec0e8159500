//! What the checks of this machine are about.

use cloud_kms_pkcs11::config::{Config, Service};
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

/// The module, and what is known of its configuration.
pub struct Subject {
    /// The file of the module, if it was found.
    pub module: Option<PathBuf>,
    /// The configuration, unless it has a mistake.
    pub config: Option<Config>,
}

impl Subject {
    /// Returns the different services of the configuration. Thousands of slots may share one.
    pub fn services(&self) -> Vec<Arc<Service>> {
        let Some(config) = &self.config else { return Vec::new() };
        let legacy = config.legacy_services.iter().cloned().map(Arc::new);
        let all: HashSet<_> = config.slots.services().cloned().chain(legacy).collect();
        all.into_iter().collect()
    }

    /// Returns whether a slot is in this cloud, as far as it is known.
    pub fn uses(&self, cloud: &str) -> bool {
        self.config.is_none() || self.services().iter().any(|service| service.settings().cloud_and_place().0 == cloud)
    }
}

/// Returns the value of an environment variable. An empty one counts as none.
pub fn variable(name: &str) -> Option<String> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(|value| value.to_string_lossy().into_owned())
}

/// Returns a path in the user's directory for configuration files.
pub fn in_config_directory(name: &str) -> Option<PathBuf> {
    let home = || variable("HOME").map(|home| PathBuf::from(home).join(".config"));
    Some(variable("XDG_CONFIG_HOME").map(PathBuf::from).or_else(home)?.join(name))
}
