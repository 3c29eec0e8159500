//! Configuration files, our own and the old modules': any bytes.
//!
//! A file is read or refused; what was read makes a provider, whose slots can be listed unless a service has to be asked.

use super::config;
use crate::config::Config;
use crate::provider::Provider;

/// Our own file.
pub fn strict(data: &[u8]) {
    config::strict(data).into_iter().for_each(provided);
}

/// One of the old modules' files.
pub fn legacy(data: &[u8]) {
    provided(config::legacy(data));
}

fn provided(config: Config) {
    let (slots, listed) = (config.slots.len(), config.listed.len());
    let provider = Provider::new(config);
    if listed == 0 {
        assert_eq!(provider.slots().len(), slots);
    }
    for slot in 0..slots {
        let token = provider.token(slot as u64).unwrap_or_else(|error| panic!("{error}"));
        assert!(!token.backend().place().is_empty() || token.label().is_empty() || slots > 0);
    }
}
