//! Why an attempt came to nothing, and what may help.

use super::{Cause, Failure};
use std::time::Duration;

/// Why an attempt came to nothing, and what may help.
pub(crate) struct Refused {
    pub(crate) failure: Failure,
    pub(crate) remedy: Remedy,
    /// How long the service asks to be left alone.
    pub(crate) wait: Option<Duration>,
}

/// What may help after a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// Nothing: the answer would be the same.
    Nothing,
    /// The same request once more, some times: the connection or the service had an accident.
    Again,
    /// The same request, later, for as long as there is time: the service is asked too much.
    Later,
    /// The same request, once, at once.
    Once,
    /// The same request, once, with other credentials or another token.
    Renewal,
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        let remedy = match failure.cause {
            Cause::Throttled => Remedy::Later,
            Cause::Internal | Cause::Unreachable | Cause::Unresolved | Cause::Proxy | Cause::TimedOut => Remedy::Again,
            _ => Remedy::Nothing,
        };
        Self { failure, remedy, wait: None }
    }
}
