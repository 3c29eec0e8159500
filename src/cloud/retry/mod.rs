//! One call of a service: its turn, its deadline, its retries, and its line in the log. The same code serves every
//! cloud.
//!
//! The retries of the SDKs are switched off. Those of AWS do not wait as long as the service asks, and share a
//! budget that a busy process uses up. Those of Azure lose the body of a request. Neither SDK can report, when the
//! deadline has passed, what the service has replied so far.

use super::failure::refused::{Refused, Remedy};
use super::failure::{Cause, Failure};
use super::http::network::Network;
use crate::log_debug;
use std::fmt;
use std::future::Future;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// A call: the operation, and its limits.
pub(crate) struct Call<'a> {
    /// The name of the operation in failures, for example "Sign".
    pub(crate) operation: &'static str,
    /// The operation, the key and the location of the service, for the log.
    pub(crate) what: &'a (dyn fmt::Display + Sync),
    /// The settings that limit the time of all attempts together and the number of retries.
    pub(crate) network: &'a Network,
    /// The semaphore on which the call waits for its turn. The time of the call counts from its turn. None for a
    /// call that never waits for a turn, such as a signature.
    pub(crate) turns: Option<&'a Semaphore>,
}

impl Call<'_> {
    /// Makes attempts until one succeeds, nothing can help, or the deadline has passed. Before each further
    /// attempt, calls `renew` with the refusal and the time at which the refused attempt began. `renew` replaces
    /// what must not be used again.
    pub(crate) async fn made<T, F>(
        &self,
        attempt: impl Fn() -> F,
        renew: impl Fn(&Refused, Instant),
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Refused>>,
    {
        let _turn = match self.turns {
            Some(turns) => turns.acquire().await.ok(),
            None => None,
        };
        let start = Instant::now();
        let answer = self.attempts(start, attempt, renew).await;
        match &answer {
            Ok(_) => log_debug!("{}: ok ({} ms)", self.what, start.elapsed().as_millis()),
            Err(failure) => log_debug!("{}: {failure} ({} ms)", self.what, start.elapsed().as_millis()),
        }
        answer
    }

    async fn attempts<T, F>(
        &self,
        start: Instant,
        attempt: impl Fn() -> F,
        renew: impl Fn(&Refused, Instant),
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Refused>>,
    {
        let end = start + limit(self.network.call_timeout);
        let mut tries = Tries::new(self.network.retries);
        let mut before: Option<Failure> = None;
        loop {
            let since = Instant::now();
            let outcome = tokio::time::timeout_at(end.into(), attempt()).await;
            let refused = match outcome {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(refused)) => refused,
                Err(_) => return Err(self.late(before)),
            };
            let pause = tries.pause(&refused).filter(|pause| *pause < end.saturating_duration_since(Instant::now()));
            let Some(pause) = pause else { return Err(tries.last(refused.failure)) };
            log_debug!("{}: {}; again in {} ms", self.what, refused.failure, pause.as_millis());
            renew(&refused, since);
            before = Some(refused.failure);
            tokio::time::sleep(pause).await;
        }
    }

    /// Returns the failure of a call whose deadline has passed during an attempt. `before` is the failure of the
    /// previous attempt.
    fn late(&self, before: Option<Failure>) -> Failure {
        let limit = self.network.call_timeout;
        let message = match before {
            None => format!("no answer within {limit:?}"),
            Some(before) => format!("no answer within {limit:?}; the attempt before that: {before}"),
        };
        Failure::new(Cause::TimedOut, self.operation, message)
    }
}

/// Returns a limit that is slightly shorter than `call_timeout`. The host's thread waits for `call_timeout` and
/// then gives up with a less detailed failure, so the failure of the call has to reach the thread earlier.
fn limit(call_timeout: Duration) -> Duration {
    call_timeout - (call_timeout / 20).min(Duration::from_millis(250))
}

/// The attempts of a call.
struct Tries {
    allowed: u32,
    made: u32,
    /// The number of retries after accidents, which `retries` limits.
    accidents: u32,
    renewed: bool,
}

/// The pause after the first attempt. Each further attempt doubles the pause, up to `LONGEST`.
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(1);

impl Tries {
    fn new(allowed: u32) -> Self {
        Self { allowed, made: 1, accidents: 0, renewed: false }
    }

    /// Returns how long to wait before the next attempt, or `None` if there is to be no other attempt.
    fn pause(&mut self, refused: &Refused) -> Option<Duration> {
        let pause = match refused.remedy {
            Remedy::Nothing => return None,
            Remedy::Once | Remedy::Renewal if self.renewed => return None,
            Remedy::Once | Remedy::Renewal => {
                self.renewed = true;
                Duration::ZERO
            }
            Remedy::Later if self.allowed == 0 => return None,
            Remedy::Later => self.back_off().max(refused.wait.unwrap_or_default()),
            Remedy::Again if self.accidents >= self.allowed => return None,
            Remedy::Again => {
                self.accidents += 1;
                self.back_off().max(refused.wait.unwrap_or_default())
            }
        };
        self.made += 1;
        Some(pause)
    }

    /// Returns a random time between half of the pause and the whole pause, so that callers that were refused
    /// together do not return together.
    fn back_off(&self) -> Duration {
        let whole = SHORTEST.saturating_mul(1 << (self.made - 1).min(10)).min(LONGEST);
        let mut random = [0];
        let _ = aws_lc_rs::rand::fill(&mut random);
        whole.mul_f64(0.5 + f64::from(random[0]) / 510.0)
    }

    fn last(&self, mut failure: Failure) -> Failure {
        if self.made > 1 {
            failure.message = format!("{} (attempt {})", failure.message, self.made);
        }
        failure
    }
}

#[cfg(test)]
mod tests;
