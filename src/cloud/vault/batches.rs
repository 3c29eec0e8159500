//! Requests for signatures that are sent together. If many threads sign with a key at the same time and the server is busy, a
//! few requests are under way, and everything that comes meanwhile goes with the next one.
//!
//! "Sign data, batch_input" of "Transit secrets engine (API)".

use crate::cloud::failure::refused::FailedAttempt;
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// The number of requests of a kind that are always sent at once. So up to eight threads never wait.
const UNDER_WAY: usize = 8;

/// A server is busy if a request takes this many times as long as the fastest request has taken. Only then do callers wait
/// for each other: a server that is far away and not busy answers each of them sooner alone.
const BUSY: u32 = 2;

/// The number of signatures in one request. OpenBao limits the number of texts in the JSON of a request.
const LARGEST: usize = 100;

/// The requests of all kinds. A kind is the path and everything that the signatures have in common.
#[derive(Default)]
pub(crate) struct Batches(Mutex<State>);

#[derive(Default)]
struct State {
    kinds: HashMap<String, Kind>,
    /// The time of the fastest request, and that of the last one.
    times: Option<(Duration, Duration)>,
}

#[derive(Default)]
struct Kind {
    under_way: usize,
    waiting: VecDeque<Waiting>,
}

/// An input that waits for the next request.
pub(crate) struct Waiting {
    /// The input in base64.
    pub(crate) input: String,
    pub(crate) answer: oneshot::Sender<Answer>,
}

/// The text of a signature and the id of the request, or None if the input is to be sent alone, because the server has not
/// signed it in a batch.
pub(crate) type Answer = Option<Result<(String, Option<String>), FailedAttempt>>;

/// The place of a caller.
pub(crate) enum Place {
    /// The caller sends a request at once, and calls [`Batches::leave`] afterwards.
    AtOnce,
    /// The input is sent with others.
    Waiting(oneshot::Receiver<Answer>),
}

impl Batches {
    pub(crate) fn enter(&self, kind: &str, input: &str) -> Place {
        let mut state = self.state();
        let is_busy = state.times.is_some_and(|(fastest, last)| last > fastest * BUSY);
        let own = state.kinds.entry(kind.to_owned()).or_default();
        if own.under_way < UNDER_WAY || !is_busy {
            own.under_way += 1;
            return Place::AtOnce;
        }
        let (answer, receiver) = oneshot::channel();
        own.waiting.push_back(Waiting { input: input.to_owned(), answer });
        Place::Waiting(receiver)
    }

    /// Ends a request, which has taken that time if it has succeeded. Returns what is to be sent in its place, after which
    /// `leave` is to be called again. Returns nothing if nobody waits.
    pub(crate) fn leave(&self, kind: &str, took: Option<Duration>) -> Vec<Waiting> {
        let mut state = self.state();
        if let Some(took) = took {
            let fastest = state.times.map_or(took, |(fastest, _)| fastest.min(took));
            state.times = Some((fastest, took));
        }
        let Some(own) = state.kinds.get_mut(kind) else { return Vec::new() };
        // The time of some callers may be over.
        own.waiting.retain(|waiting| !waiting.answer.is_closed());
        let next: Vec<_> = own.waiting.drain(..own.waiting.len().min(LARGEST)).collect();
        if next.is_empty() {
            own.under_way -= 1;
            if own.under_way == 0 {
                state.kinds.remove(kind);
            }
        }
        next
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAST: Option<Duration> = Some(Duration::from_millis(10));
    const SLOW: Option<Duration> = Some(Duration::from_millis(21));

    fn is_at_once(batches: &Batches, kind: &str) -> bool {
        matches!(batches.enter(kind, "x"), Place::AtOnce)
    }

    /// Returns batches of a server that has become slow.
    fn busy() -> Batches {
        let batches = Batches::default();
        for took in [FAST, SLOW] {
            assert!(is_at_once(&batches, "k") && batches.leave("k", took).is_empty());
        }
        batches
    }

    #[test]
    fn what_comes_while_requests_are_under_way_goes_together() {
        let batches = busy();
        assert!((0..UNDER_WAY).all(|_| is_at_once(&batches, "k")));
        let mut waiting: Vec<_> = (0..LARGEST + 2).map(|number| batches.enter("k", &number.to_string())).collect();
        assert!(is_at_once(&batches, "other"), "another kind does not wait");
        // The first caller gives up.
        drop(waiting.remove(0));
        let next = batches.leave("k", SLOW);
        assert_eq!((next.len(), next[0].input.as_str()), (LARGEST, "1"));
        assert_eq!(batches.leave("k", None).len(), 1);
        assert!(!is_at_once(&batches, "k"), "both places are taken again");
        for _ in 0..UNDER_WAY {
            assert!(batches.leave("k", None).is_empty());
        }
        assert!(batches.leave("other", None).is_empty() && batches.state().kinds.is_empty());
    }

    #[test]
    fn nobody_waits_for_a_server_that_is_not_busy() {
        let batches = Batches::default();
        assert!((0..UNDER_WAY * 2).all(|_| is_at_once(&batches, "k")), "nothing is known yet");
        batches.leave("k", FAST);
        assert!(is_at_once(&batches, "k"));
        batches.leave("k", SLOW);
        let waiting = batches.enter("k", "x");
        assert!(matches!(waiting, Place::Waiting(_)));
        assert_eq!(batches.leave("k", FAST).len(), 1);
        assert!(is_at_once(&batches, "k"), "it is as fast as before");
    }
}
