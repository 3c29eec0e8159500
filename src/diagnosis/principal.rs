//! The checks of the credentials and of the identity behind them.

use super::check::Check;
use crate::cloud::{Cause, Principal};

/// Returns the checks of the credentials of a service.
pub(super) fn checks(principal: &Principal) -> Vec<Check> {
    let Principal { source, identity, warning } = principal;
    let credentials = match warning {
        None => Check::ok("credentials", format!("source: {source}")),
        Some((text, fix)) => Check::warning("credentials", format!("source: {source}; {text}"), fix),
    };
    let identity = match identity {
        Ok(identity) => Check::ok("identity", identity),
        Err(failure) if failure.cause == Cause::Unsupported => Check::ok("identity", &failure.message),
        Err(failure) => Check::failed("identity", failure, None).into_warning(),
    };
    vec![credentials, identity]
}
