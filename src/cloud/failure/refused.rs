//! A failed attempt, and its possible remedies.

use super::{Cause, Failure};
use std::time::Duration;

/// A failed attempt, and what may help.
#[derive(Clone)]
pub(crate) struct FailedAttempt {
    pub(crate) failure: Failure,
    pub(crate) remedy: RetryPolicy,
    /// How long the service asks the client to wait.
    pub(crate) retry_after: Option<Duration>,
}

/// What may help after a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RetryPolicy {
    /// Nothing: the result would be the same.
    Never,
    /// The same request again, a limited number of times: the connection or the service failed by accident.
    Limited,
    /// The same request later, for as long as there is time: the service receives too many requests.
    UntilDeadline,
    /// The same request, once and immediately.
    Once,
    /// The same request, once, with other credentials or another token.
    OnceWithNewCredentials,
}

impl From<Failure> for FailedAttempt {
    fn from(failure: Failure) -> Self {
        let remedy = match failure.cause {
            Cause::Throttled => RetryPolicy::UntilDeadline,
            Cause::Internal | Cause::Unreachable | Cause::Unresolved | Cause::Proxy | Cause::TimedOut => {
                RetryPolicy::Limited
            }
            _ => RetryPolicy::Never,
        };
        Self { failure, remedy, retry_after: None }
    }
}
