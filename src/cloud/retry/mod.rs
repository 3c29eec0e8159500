//! One call of a service: its turn, its time, what is repeated, and its line in the log. The same for every cloud.
//!
//! The SDKs' own retries are switched off. AWS's does not wait as long as the service asks, and shares a budget that a
//! busy process uses up; Azure's loses the body of a request; and neither can tell, when the time is over, what the
//! service has said until then.

use super::failure::refused::{Refused, Remedy};
use super::failure::{Cause, Failure};
use super::http::network::Network;
use crate::log_debug;
use std::fmt;
use std::future::Future;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// What is asked, and within which bounds.
pub(crate) struct Call<'a> {
    /// The operation, for failures: "Sign".
    pub(crate) operation: &'static str,
    /// The operation, the key and the place, for the log.
    pub(crate) what: &'a (dyn fmt::Display + Sync),
    /// How long all attempts may take together, and how many there may be.
    pub(crate) network: &'a Network,
    /// Where it waits for its turn, if others go first; its time counts from then. A signature never waits.
    pub(crate) turns: Option<&'a Semaphore>,
}

impl Call<'_> {
    /// Makes attempts until one succeeds, nothing helps, or the time is over. `renew` is told of a refusal, and
    /// when the attempt began, before the next one: it makes anew what has to be.
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

    /// The time is over within an attempt.
    fn late(&self, before: Option<Failure>) -> Failure {
        let limit = self.network.call_timeout;
        let message = match before {
            None => format!("no answer within {limit:?}"),
            Some(before) => format!("no answer within {limit:?}; the attempt before that: {before}"),
        };
        Failure::new(Cause::TimedOut, self.operation, message)
    }
}

/// A little less than the whole call may take, so that its failure reaches the host's thread, which waits as long as
/// that, before that gives up with fewer words.
fn limit(call_timeout: Duration) -> Duration {
    call_timeout - (call_timeout / 20).min(Duration::from_millis(250))
}

/// How many attempts there were.
struct Tries {
    allowed: u32,
    made: u32,
    /// Those after accidents, which `retries` bounds.
    accidents: u32,
    renewed: bool,
}

/// The pause after the first accident; each one is twice as long as the one before, up to the longest.
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(1);

impl Tries {
    fn new(allowed: u32) -> Self {
        Self { allowed, made: 1, accidents: 0, renewed: false }
    }

    /// How long to wait before the next attempt, if there is to be one.
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

    /// Between half of it and all of it, at random: callers who were refused together don't come back together.
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
