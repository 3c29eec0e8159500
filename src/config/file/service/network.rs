//! How a slot reaches its service, from the slot's options.

use crate::cloud::Network;
use crate::config::file::section::Section;
use crate::error::Result;
use std::time::Duration;

/// Returns the timeouts, retries, proxy and certificate authorities of a slot.
///
/// # Errors
/// CKR_GENERAL_ERROR if `connect_timeout_ms` exceeds `call_timeout_ms`, or if a path is invalid.
pub(super) fn network(section: &Section) -> Result<Network> {
    let default = Network::default();
    let milliseconds = |name: &str| section.number(name).map(|number| Duration::from_millis(number.into()));
    let call_timeout = milliseconds("call_timeout_ms").unwrap_or(default.call_timeout);
    let connect_timeout = milliseconds("connect_timeout_ms").unwrap_or(default.connect_timeout.min(call_timeout));
    if connect_timeout > call_timeout {
        let (connect, call) = (connect_timeout.as_millis(), call_timeout.as_millis());
        let message =
            format!("{connect} is more than \"call_timeout_ms\" ({call}); reduce it, or raise \"call_timeout_ms\"");
        return Err(section.error("connect_timeout_ms", message));
    }
    Ok(Network {
        ca_bundle: section.path("ca_bundle")?,
        proxy: section.text("proxy").map(Into::into),
        connect_timeout,
        call_timeout,
        retries: section.number("retries").unwrap_or(default.retries),
        ..default
    })
}
