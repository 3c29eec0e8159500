//! A call that several regions can answer: which region gets it, for how long, and which failure is reported.
//!
//! The regions are tried in their order. Each gets an equal share of the time that is left, so a silent region
//! leaves enough time for the others. A region that failed is left alone until its [`CircuitBreaker`] admits a call.

use super::circuit_breaker::{CircuitBreaker, Permit};
use crate::cloud::failure::{Cause, Failure};
use crate::{log_debug, log_warn};
use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The circuit breakers of the regions, for one process and one set of settings.
pub(crate) struct Failover {
    open_time: Duration,
    breakers: Mutex<HashMap<String, Arc<CircuitBreaker>>>,
}

/// The meaning of a failure for the regions after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// The region failed. The next region is tried.
    RegionFailed,
    /// The region works, but its replica of the key is missing or can't be used. The next region is tried.
    ReplicaRefused,
    /// Every region would refuse the call, or the first region refused it.
    Refused,
    /// This machine can't use the replica's region, for example because its credentials are not valid there. The
    /// next region is tried.
    RegionUnusable,
    /// The call failed on this machine.
    Local,
}

impl Verdict {
    fn of(cause: Cause, is_first: bool) -> Self {
        match cause {
            Cause::Unreachable
            | Cause::Unresolved
            | Cause::Proxy
            | Cause::TimedOut
            | Cause::Throttled
            | Cause::Internal => Self::RegionFailed,
            Cause::NotFound | Cause::Denied | Cause::Disabled if !is_first => Self::ReplicaRefused,
            Cause::NotFound
            | Cause::Denied
            | Cause::Disabled
            | Cause::Rejected
            | Cause::Malformed
            | Cause::Unsupported
            | Cause::Undecryptable => Self::Refused,
            Cause::Credentials | Cause::Untrusted | Cause::Settings if !is_first => Self::RegionUnusable,
            Cause::Credentials
            | Cause::Interrupted
            | Cause::Untrusted
            | Cause::Settings
            | Cause::Threads
            | Cause::Descriptors
            | Cause::Memory
            | Cause::Panic => Self::Local,
        }
    }
}

/// How many times a call's time limit a region that failed is left alone.
const OPEN_TIME_FACTOR: u32 = 3;

impl Failover {
    /// Creates closed circuits. A region that failed is left alone for three times the time limit of a call.
    pub(crate) fn new(call_timeout: Duration) -> Self {
        Self { open_time: call_timeout.saturating_mul(OPEN_TIME_FACTOR), breakers: Mutex::default() }
    }

    /// Calls the regions in their order until one answers. `call` gets the region and its time limit. The time
    /// limits of all calls together are at most `time`.
    ///
    /// A region whose circuit is open is tried last, if the others failed and time is left.
    ///
    /// # Errors
    /// The failure of the first region in the order that was tried, with the failures of the others in its message.
    pub(crate) async fn run<T, F>(
        &self,
        regions: &[String],
        time: Duration,
        call: impl Fn(String, Duration) -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let end = Instant::now() + time;
        let (mut skipped, mut failures) = (Vec::new(), Vec::new());
        for (index, region) in regions.iter().enumerate() {
            let now = Instant::now();
            let Some(permit) = self.breaker(region).try_acquire(now) else {
                skipped.push(index);
                continue;
            };
            let others = regions[index + 1..].iter().filter(|other| self.breaker(other).is_available(now)).count();
            let answer = call(region.clone(), share(end, others)).await;
            match self.report(regions, index, permit, answer) {
                Ok(answer) => return answer,
                Err(failure) => failures.push((index, failure)),
            }
        }
        let count = skipped.len();
        for (position, index) in skipped.into_iter().enumerate() {
            let share = share(end, count - 1 - position);
            if share.is_zero() {
                break;
            }
            let permit = self.breaker(&regions[index]).acquire_last_resort();
            let answer = call(regions[index].clone(), share).await;
            match self.report(regions, index, permit, answer) {
                Ok(answer) => return answer,
                Err(failure) => failures.push((index, failure)),
            }
        }
        Err(combined(regions, failures))
    }

    /// Reports the answer of a region to its circuit breaker. Returns the answer of the call, or the failure after
    /// which the next region is tried.
    fn report<T>(
        &self,
        regions: &[String],
        index: usize,
        permit: Permit,
        answer: Result<T, Failure>,
    ) -> Result<Result<T, Failure>, Failure> {
        let region = &regions[index];
        let verdict = answer.as_ref().err().map(|failure| Verdict::of(failure.cause, index == 0));
        match (answer, verdict) {
            (Err(failure), Some(Verdict::RegionFailed)) => {
                if permit.fail(Instant::now()) {
                    self.warn_of_failed_region(regions, index, &failure);
                } else {
                    log_debug!("region {region} failed: {failure}");
                }
                Err(failure)
            }
            // Neither shows whether the region works. The permit is dropped without a result.
            (Err(failure), Some(Verdict::RegionUnusable)) => Err(failure),
            (answer, Some(Verdict::Local)) => Ok(answer),
            (answer, verdict) => {
                if permit.succeed() {
                    log_warn!("region {region} answers again; calls go to it again");
                }
                match answer {
                    Err(failure) if verdict == Some(Verdict::ReplicaRefused) => Err(failure),
                    answer => Ok(answer),
                }
            }
        }
    }

    fn warn_of_failed_region(&self, regions: &[String], index: usize, failure: &Failure) {
        let (region, pause, now) = (&regions[index], self.open_time, Instant::now());
        match regions.iter().find(|other| self.breaker(other).is_available(now)) {
            Some(next) => log_warn!(
                "region {region} failed: {failure}; calls go to region {next}, and one call tries {region} again in \
                 {pause:?}"
            ),
            None => log_warn!("region {region} failed, and so have all others: {failure}"),
        }
    }

    fn breaker(&self, region: &str) -> Arc<CircuitBreaker> {
        let mut breakers = self.breakers.lock().unwrap_or_else(PoisonError::into_inner);
        match breakers.get(region) {
            Some(breaker) => breaker.clone(),
            None => breakers.entry(region.to_owned()).or_insert_with(|| CircuitBreaker::new(self.open_time)).clone(),
        }
    }
}

/// Returns an equal share of the time that is left until `end`, for a call with so many others after it.
fn share(end: Instant, others: usize) -> Duration {
    let others = u32::try_from(others).unwrap_or(u32::MAX);
    let share = end.saturating_duration_since(Instant::now()) / others.saturating_add(1);
    // Messages show it.
    Duration::from_millis(u64::try_from(share.as_millis()).unwrap_or(u64::MAX))
}

/// Returns the failure of the first region that was tried, with the failures of the others in its message.
fn combined(regions: &[String], mut failures: Vec<(usize, Failure)>) -> Failure {
    failures.sort_by_key(|(index, _)| *index);
    let mut failures = failures.into_iter();
    let Some((_, mut first)) = failures.next() else {
        return Failure::new(Cause::Settings, "failover", "no region is configured");
    };
    for (index, failure) in failures {
        first.message = format!("{}; region {}: {failure}", first.message, regions[index]);
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::collections::VecDeque;

    const TIME: Duration = Duration::from_secs(8);

    /// Makes a call whose regions return `answers` in their order. Returns the result and the regions that were
    /// called, with their time limits.
    fn made(failover: &Failover, answers: &[Result<u8, Cause>]) -> (Result<u8, Failure>, Vec<(String, Duration)>) {
        let regions = ["a", "b", "c"].map(str::to_owned);
        let answers = RefCell::new(answers.iter().copied().collect::<VecDeque<_>>());
        let calls: RefCell<Vec<(String, Duration)>> = RefCell::default();
        let call = |region: String, limit: Duration| {
            let answer = answers.borrow_mut().pop_front().expect("another call than expected");
            calls.borrow_mut().push((region.clone(), limit));
            std::future::ready(answer.map_err(|cause| Failure::new(cause, "Sign", format!("words of {region}"))))
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let answer = runtime.block_on(failover.run(&regions, TIME, call));
        assert!(answers.borrow().is_empty(), "fewer calls than expected");
        (answer, calls.into_inner())
    }

    fn names(calls: &[(String, Duration)]) -> String {
        calls.iter().map(|(region, _)| region.as_str()).collect()
    }

    #[test]
    fn each_region_gets_an_equal_share_of_the_time_that_is_left() {
        let failed = Err(Cause::TimedOut);
        let (answer, calls) = made(&Failover::new(TIME), &[failed, failed, Ok(7)]);
        assert_eq!((answer, names(&calls).as_str()), (Ok(7), "abc"));
        for ((_, limit), parts) in calls.iter().zip([3, 2, 1]) {
            assert!(*limit <= TIME / parts && *limit > TIME / parts / 2, "{calls:?}");
        }
    }

    #[test]
    fn a_region_that_failed_is_left_alone() {
        for cause in
            [Cause::Unreachable, Cause::Unresolved, Cause::Proxy, Cause::TimedOut, Cause::Throttled, Cause::Internal]
        {
            let failover = Failover::new(TIME);
            assert_eq!(names(&made(&failover, &[Err(cause), Ok(1)]).1), "ab", "{cause:?}");
            let (answer, calls) = made(&failover, &[Ok(2)]);
            assert_eq!((answer, names(&calls).as_str()), (Ok(2), "b"), "{cause:?}");
            assert!(calls[0].1 <= TIME / 2, "{calls:?}");
        }
    }

    #[test]
    fn a_refusal_is_final_in_the_first_region() {
        for cause in [
            Cause::Denied,
            Cause::NotFound,
            Cause::Disabled,
            Cause::Rejected,
            Cause::Undecryptable,
            Cause::Credentials,
            Cause::Settings,
        ] {
            let failover = Failover::new(TIME);
            let (answer, calls) = made(&failover, &[Err(cause)]);
            assert_eq!((answer.unwrap_err().cause, names(&calls).as_str()), (cause, "a"));
            assert_eq!(names(&made(&failover, &[Ok(1)]).1), "a", "{cause:?} does not open the circuit");
        }
    }

    #[test]
    fn a_missing_replica_leaves_the_failure_of_the_first_region() {
        let failover = Failover::new(TIME);
        let answers = [Err(Cause::Internal), Err(Cause::NotFound), Err(Cause::Denied)];
        let failure = made(&failover, &answers).0.unwrap_err();
        assert_eq!(failure.cause, Cause::Internal);
        assert!(failure.message.starts_with("words of a; region b: Sign: not found: words of b"), "{failure}");
        // The circuit of the first region is open by now. The first region is the last resort.
        let answers = [Err(Cause::NotFound), Err(Cause::NotFound), Err(Cause::Unreachable)];
        let (answer, calls) = made(&failover, &answers);
        assert_eq!((answer.unwrap_err().cause, names(&calls).as_str()), (Cause::Unreachable, "bca"));
    }

    #[test]
    fn a_region_without_valid_credentials_leaves_the_failure_of_the_first_region() {
        let failover = Failover::new(TIME);
        let (failed, refused) = (Err(Cause::Unreachable), Err(Cause::Credentials));
        let (answer, calls) = made(&failover, &[failed, refused, refused]);
        assert_eq!((answer.unwrap_err().cause, names(&calls).as_str()), (Cause::Unreachable, "abc"));
        let (answer, calls) = made(&failover, &[refused, refused, failed]);
        assert_eq!((answer.unwrap_err().cause, names(&calls).as_str()), (Cause::Unreachable, "bca"));
    }

    #[test]
    fn a_refusal_of_the_data_is_final_in_every_region() {
        let (answer, calls) = made(&Failover::new(TIME), &[Err(Cause::Internal), Err(Cause::Undecryptable)]);
        assert_eq!((answer.unwrap_err().cause, names(&calls).as_str()), (Cause::Undecryptable, "ab"));
    }

    #[test]
    fn a_last_resort_that_answers_is_the_first_choice_again() {
        let failover = Failover::new(TIME);
        let failed = Err(Cause::Unreachable);
        assert!(made(&failover, &[failed; 3]).0.is_err());
        let (answer, calls) = made(&failover, &[Ok(3)]);
        assert_eq!((answer, names(&calls).as_str()), (Ok(3), "a"));
        assert_eq!(names(&made(&failover, &[Ok(4)]).1), "a");
    }
}
