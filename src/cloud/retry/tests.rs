//! Tests: which requests are repeated, how often, and which failure is reported in the end.

use crate::cloud::retry::*;
use crate::cloud::runtime;
use crate::cloud::runtime::testing::share;
use std::sync::atomic::{AtomicU32, Ordering};

/// Makes a call whose attempts return `answers` in their order, and then the last one forever. Returns the result
/// of the call, the number of attempts, and the number of renewals.
fn made(network: &Network, answers: Vec<Result<u8, FailedAttempt>>) -> (Result<u8, Failure>, u32, u32) {
    let _turn = share();
    let (network, answers) = (network.clone(), std::sync::Mutex::new(answers));
    let pending = runtime::spawn("Test", move || async move {
        let (count, renewed) = (AtomicU32::new(0), AtomicU32::new(0));
        let call = Call::new("test", "Test", &"Test", &network);
        let attempt = async || {
            count.fetch_add(1, Ordering::SeqCst);
            let next = {
                let mut answers = answers.lock().unwrap();
                if answers.len() > 1 { answers.remove(0) } else { copy(&answers[0]) }
            };
            match next {
                Err(refused) if refused.failure.message == "never" => std::future::pending().await,
                next => next,
            }
        };
        let renew = |refused: &FailedAttempt, _| {
            renewed.fetch_add(u32::from(refused.remedy == RetryPolicy::OnceWithNewCredentials), Ordering::SeqCst);
        };
        let answer = call.run(attempt, renew).await;
        Ok((answer, count.into_inner(), renewed.into_inner()))
    });
    pending.wait(Instant::now() + Duration::from_secs(60)).unwrap()
}

fn copy(answer: &Result<u8, FailedAttempt>) -> Result<u8, FailedAttempt> {
    match answer {
        Ok(answer) => Ok(*answer),
        Err(FailedAttempt { failure, remedy, retry_after: wait }) => {
            Err(FailedAttempt { failure: failure.clone(), remedy: *remedy, retry_after: *wait })
        }
    }
}

fn refused(cause: Cause) -> Result<u8, FailedAttempt> {
    Err(Failure::new(cause, "Test", format!("words of {cause:?}")).into())
}

fn network(call_timeout: u64, retries: u32) -> Network {
    Network { call_timeout: Duration::from_millis(call_timeout), retries, ..Network::default() }
}

#[test]
fn accidents_are_retried_up_to_the_limit() {
    for cause in [Cause::Internal, Cause::Unreachable, Cause::TimedOut] {
        let patient = network(60_000, 2);
        let (answer, attempts, _) = made(&patient, vec![refused(cause), refused(cause), Ok(7)]);
        assert_eq!((answer, attempts), (Ok(7), 3));
        let (answer, attempts, _) = made(&patient, vec![refused(cause)]);
        let failure = answer.unwrap_err();
        assert_eq!((failure.cause, attempts), (cause, 3));
        assert_eq!(failure.message, format!("words of {cause:?} (attempt 3)"));
        assert_eq!(made(&network(60_000, 0), vec![refused(cause), Ok(7)]).1, 1);
    }
}

#[test]
fn permanent_failures_are_not_retried() {
    for cause in
        [Cause::Denied, Cause::NotFound, Cause::Disabled, Cause::Rejected, Cause::Malformed, Cause::Credentials]
    {
        let (answer, attempts, _) = made(&network(60_000, 3), vec![refused(cause), Ok(7)]);
        assert_eq!((answer.unwrap_err().message, attempts), (format!("words of {cause:?}"), 1));
    }
}

#[test]
fn throttling_is_waited_out_for_as_long_as_there_is_time() {
    let throttled = || refused(Cause::Throttled);
    let many = (0..4).map(|_| throttled()).chain([Ok(7)]).collect();
    assert_eq!(made(&network(60_000, 1), many).0, Ok(7), "throttled requests are repeated more often than `retries`");
    let (answer, attempts, _) = made(&network(500, 1), vec![throttled()]);
    assert_eq!(answer.unwrap_err().cause, Cause::Throttled, "the failure quotes the service, not the deadline");
    assert!(attempts > 1);
    assert_eq!(made(&network(60_000, 0), vec![throttled(), Ok(7)]).1, 1, "no retry with `retries` 0");
}

#[test]
fn retry_after_is_honoured_unless_it_exceeds_the_deadline() {
    let asks = |wait| {
        refused(Cause::Throttled)
            .map_err(|refused| FailedAttempt { retry_after: Some(Duration::from_millis(wait)), ..refused })
    };
    let start = Instant::now();
    assert_eq!(made(&network(60_000, 1), vec![asks(400), Ok(7)]).0, Ok(7));
    assert!(start.elapsed() >= Duration::from_millis(400));
    let (answer, attempts, _) = made(&network(60_000, 3), vec![asks(3_600_000), Ok(7)]);
    assert_eq!((answer.unwrap_err().cause, attempts), (Cause::Throttled, 1));
}

#[test]
fn credentials_are_renewed_once() {
    let expired = || {
        refused(Cause::Credentials)
            .map_err(|refused| FailedAttempt { remedy: RetryPolicy::OnceWithNewCredentials, ..refused })
    };
    assert_eq!(made(&network(60_000, 0), vec![expired(), Ok(7)]), (Ok(7), 2, 1));
    let (answer, attempts, renewed) = made(&network(60_000, 3), vec![expired()]);
    assert_eq!((answer.unwrap_err().cause, attempts, renewed), (Cause::Credentials, 2, 1));
}

#[test]
fn a_timeout_reports_the_previous_failure() {
    let (answer, ..) = made(&network(300, 3), vec![refused(Cause::Internal), Err(silent())]);
    let failure = answer.unwrap_err();
    assert_eq!(failure.cause, Cause::TimedOut);
    assert!(failure.message.contains("words of Internal"), "{failure}");
    let (answer, ..) = made(&network(200, 3), vec![Err(silent())]);
    assert_eq!(answer.unwrap_err().message, "no reply within 200ms (option \"call_timeout_ms\")");
}

/// Returns a refusal that stands for an attempt that never ends.
fn silent() -> FailedAttempt {
    Failure::new(Cause::TimedOut, "Test", "never").into()
}

#[test]
fn pauses_grow_and_have_full_jitter() {
    let again = FailedAttempt::from(Failure::new(Cause::Internal, "Test", ""));
    let calls: Vec<Vec<_>> = (0..200)
        .map(|_| {
            let mut tries = RetryState::new(100);
            (0..10).filter_map(|_| tries.next_pause(&again)).collect()
        })
        .collect();
    for (attempt, whole) in [(0, FIRST_PAUSE), (1, FIRST_PAUSE * 2), (5, LONGEST_PAUSE), (9, LONGEST_PAUSE)] {
        let pauses: Vec<_> = calls.iter().map(|call| call[attempt]).collect();
        assert!(pauses.iter().all(|pause| *pause <= whole), "{pauses:?}");
        // Each of the four quarters has some of the 200 pauses.
        for quarter in 0..4 {
            let range = whole * quarter / 4..=whole * (quarter + 1) / 4;
            assert!(pauses.iter().any(|pause| range.contains(pause)), "{pauses:?}");
        }
    }
}

#[test]
fn callers_that_the_service_asks_to_wait_return_at_different_times() {
    let asked = Duration::from_secs(1);
    let pauses: Vec<_> = (0..20)
        .filter_map(|_| {
            let failure = Failure::new(Cause::Throttled, "Test", "");
            RetryState::new(1).next_pause(&FailedAttempt { retry_after: Some(asked), ..failure.into() })
        })
        .collect();
    assert!(pauses.iter().all(|pause| (asked..=asked + FIRST_PAUSE).contains(pause)), "{pauses:?}");
    assert!(pauses.windows(2).any(|pair| pair[0] != pair[1]), "{pauses:?}");
}

#[test]
fn a_huge_retry_after_ends_the_call() {
    let wait = Some(Duration::from_secs(u64::MAX));
    let later = FailedAttempt { retry_after: wait, ..Failure::new(Cause::Throttled, "Test", "slow down").into() };
    let (answer, attempts, _) = made(&network(60_000, 2), vec![Err(later)]);
    assert_eq!((answer.unwrap_err().cause, attempts), (Cause::Throttled, 1));
}
