//! One call of a service: its turn, its deadline, its retries, and its line in the log. The same code serves every
//! cloud.
//!
//! The retries of the SDKs are switched off. Those of AWS do not wait as long as the service asks, and share a
//! budget that a busy process uses up. Those of Azure lose the body of a request. Neither SDK can report, when the
//! deadline has passed, what the service has replied so far.

pub(crate) mod circuit_breaker;
pub(crate) mod failover;

use super::failure::refused::{FailedAttempt, RetryPolicy};
use super::failure::{Cause, Failure};
use super::http::network::Network;
use crate::log_debug;
use crate::metrics;
use crate::metrics::Request;
use std::fmt;
use std::future::Future;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// A call: the operation, and its limits.
pub(crate) struct Call<'a> {
    /// The name of the cloud, for metrics.
    pub(crate) cloud: &'static str,
    /// The name of the operation in failures, for example "Sign".
    pub(crate) operation: &'static str,
    /// The operation, the key and the location of the service, for the log.
    pub(crate) description: &'a (dyn fmt::Display + Sync),
    /// The settings that limit the time of all attempts together and the number of retries.
    pub(crate) network: &'a Network,
    /// What limits the time, for messages.
    pub(crate) time_limit: TimeLimit,
    /// The semaphore on which the call waits for its turn. The time of the call counts from its turn. None for a
    /// call that never waits for a turn, such as a signature.
    pub(crate) concurrency_limit: Option<&'a Semaphore>,
}

/// What limits the time of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimeLimit {
    /// The option for the whole call.
    Option,
    /// A part of this time, because other regions can answer, too.
    ShareOfRegion,
}

impl TimeLimit {
    fn description(self) -> &'static str {
        match self {
            Self::Option => "option \"call_timeout_ms\"",
            Self::ShareOfRegion => "the region's share of \"call_timeout_ms\"",
        }
    }
}

impl<'a> Call<'a> {
    /// Returns a call that has the whole time of the settings and waits for no turn.
    pub(crate) fn new(
        cloud: &'static str,
        operation: &'static str,
        description: &'a (dyn fmt::Display + Sync),
        network: &'a Network,
    ) -> Self {
        Self { cloud, operation, description, network, time_limit: TimeLimit::Option, concurrency_limit: None }
    }

    /// Makes attempts until one succeeds, nothing can help, or the deadline has passed. Before each further
    /// attempt, calls `renew` with the refusal and the time at which the refused attempt began. `renew` replaces
    /// what must not be used again.
    pub(crate) async fn run<T, F>(
        &self,
        attempt: impl Fn() -> F,
        renew: impl Fn(&FailedAttempt, Instant),
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, FailedAttempt>>,
    {
        let _turn = match self.concurrency_limit {
            Some(turns) => turns.acquire().await.ok(),
            None => None,
        };
        let mut measured =
            metrics::is_enabled().then(|| Request::begin(self.cloud, self.operation, Cause::Interrupted.name()));
        let start = Instant::now();
        let answer = self.attempts(start, attempt, renew, measured.as_ref()).await;
        if let Some(measured) = &mut measured {
            measured.outcome = answer.as_ref().map_or_else(|failure| failure.cause.name(), |_| metrics::OK);
        }
        match &answer {
            Ok(_) => log_debug!("{}: ok ({} ms)", self.description, start.elapsed().as_millis()),
            Err(failure) => log_debug!("{}: {failure} ({} ms)", self.description, start.elapsed().as_millis()),
        }
        answer
    }

    async fn attempts<T, F>(
        &self,
        start: Instant,
        attempt: impl Fn() -> F,
        renew: impl Fn(&FailedAttempt, Instant),
        measured: Option<&Request>,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, FailedAttempt>>,
    {
        let end = start + attempts_limit(self.network.call_timeout);
        let mut tries = RetryState::new(self.network.retries);
        let mut previous_failure: Option<Failure> = None;
        loop {
            let since = Instant::now();
            let outcome = tokio::time::timeout_at(end.into(), attempt()).await;
            let refused = match outcome {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(refused)) => refused,
                Err(_) => return Err(self.deadline_failure(previous_failure)),
            };
            // If the service throttles to the end, its words are the failure. An attempt that the deadline would end
            // has none. So an attempt that takes as long as this one must end in time.
            let took = if refused.remedy == RetryPolicy::UntilDeadline { since.elapsed() } else { Duration::ZERO };
            let left = end.saturating_duration_since(Instant::now());
            let pause = tries.next_pause(&refused).filter(|pause| pause.saturating_add(took) < left);
            let Some(pause) = pause else { return Err(tries.with_attempt_count(refused.failure)) };
            log_debug!("{}: {}; next attempt in {} ms", self.description, refused.failure, pause.as_millis());
            if let Some(measured) = measured {
                measured.count_retry(refused.failure.cause.name());
            }
            renew(&refused, since);
            previous_failure = Some(refused.failure);
            tokio::time::sleep(pause).await;
        }
    }

    /// Returns the failure of a call whose deadline has passed during an attempt. `before` is the failure of the
    /// previous attempt.
    fn deadline_failure(&self, before: Option<Failure>) -> Failure {
        let limit = self.network.call_timeout;
        let message = match before {
            None => format!("no reply within {limit:?} ({})", self.time_limit.description()),
            Some(before) => format!("no reply within {limit:?}; the previous attempt: {before}"),
        };
        Failure::new(Cause::TimedOut, self.operation, message)
    }
}

/// Returns a limit that is slightly shorter than `call_timeout`. The host's thread waits for `call_timeout` and
/// then gives up with a less detailed failure, so the failure of the call has to reach the thread earlier.
pub(crate) fn attempts_limit(call_timeout: Duration) -> Duration {
    call_timeout - (call_timeout / 20).min(Duration::from_millis(250))
}

/// The attempts of a call.
struct RetryState {
    max_retries: u32,
    attempts: u32,
    /// The number of retries after accidents, which `retries` limits.
    accidents: u32,
    retried_at_once: bool,
}

/// The pause after the first attempt. Each further attempt doubles the pause, up to `LONGEST_PAUSE`.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

impl RetryState {
    fn new(allowed: u32) -> Self {
        Self { max_retries: allowed, attempts: 1, accidents: 0, retried_at_once: false }
    }

    /// Returns how long to wait before the next attempt, or `None` if there is to be no other attempt.
    fn next_pause(&mut self, refused: &FailedAttempt) -> Option<Duration> {
        let pause = match refused.remedy {
            RetryPolicy::Never => return None,
            RetryPolicy::Once | RetryPolicy::OnceWithNewCredentials if self.retried_at_once => return None,
            RetryPolicy::Once | RetryPolicy::OnceWithNewCredentials => {
                self.retried_at_once = true;
                Duration::ZERO
            }
            RetryPolicy::UntilDeadline if self.max_retries == 0 => return None,
            RetryPolicy::UntilDeadline => self.back_off().saturating_add(refused.retry_after.unwrap_or_default()),
            RetryPolicy::Limited if self.accidents >= self.max_retries => return None,
            RetryPolicy::Limited => {
                self.accidents += 1;
                self.back_off().saturating_add(refused.retry_after.unwrap_or_default())
            }
        };
        self.attempts += 1;
        Some(pause)
    }

    /// Returns a random time up to the pause ("full jitter"), so that callers that were refused together do not return
    /// together.
    fn back_off(&self) -> Duration {
        let whole = FIRST_PAUSE.saturating_mul(1 << (self.attempts - 1).min(10)).min(LONGEST_PAUSE);
        let mut random = [0; 2];
        let _ = aws_lc_rs::rand::fill(&mut random);
        whole.mul_f64(f64::from(u16::from_ne_bytes(random)) / f64::from(u16::MAX))
    }

    fn with_attempt_count(&self, mut failure: Failure) -> Failure {
        if self.attempts > 1 {
            failure.message = format!("{} (attempt {})", failure.message, self.attempts);
        }
        failure
    }
}

#[cfg(test)]
mod tests;
