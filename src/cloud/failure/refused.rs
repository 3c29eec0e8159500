//! A failed attempt, and its possible remedies.

use super::{Cause, Failure};
use std::time::Duration;

/// A failed attempt, and what may help.
pub(crate) struct Refused {
    pub(crate) failure: Failure,
    pub(crate) remedy: Remedy,
    /// How long the service asks the client to wait.
    pub(crate) wait: Option<Duration>,
}

/// What may help after a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// Nothing: the result would be the same.
    Nothing,
    /// The same request again, a limited number of times: the connection or the service failed by accident.
    Again,
    /// The same request later, for as long as there is time: the service receives too many requests.
    Later,
    /// The same request, once and immediately.
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
