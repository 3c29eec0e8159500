//! The fuzz targets for configuration files, with arbitrary bytes.
//!
//! A file is read or refused. A configuration that was read makes a provider, whose slots can be listed unless the
//! list requires a request to a service.

use super::config;
use crate::config::Config;
use crate::provider::Provider;

/// Runs the target for files of this module.
pub fn strict(data: &[u8]) {
    config::strict(data).into_iter().for_each(check_provider);
}

/// Runs the target for files of the modules that this one replaces.
pub fn legacy(data: &[u8]) {
    check_provider(config::legacy(data));
}

fn check_provider(config: Config) {
    let (slots, listed) = (config.slots.len(), config.legacy_services.len());
    let provider = Provider::new(config);
    if listed == 0 {
        assert_eq!(provider.list_slots().len(), slots);
    }
    for slot in 0..slots {
        let token = provider.token(slot as u64).unwrap_or_else(|error| panic!("{error}"));
        assert!(!token.backend().place().is_empty() || token.label().is_empty() || slots > 0);
    }
}
