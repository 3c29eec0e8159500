//! Requests for signatures that are sent together. If many threads sign with a key at the same time, a few requests are under
//! way, and everything that comes meanwhile goes with the next one.
//!
//! "Sign data, batch_input" of "Transit secrets engine (API)".

use crate::cloud::failure::refused::FailedAttempt;
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// The number of requests of a kind that are under way before others wait. So up to eight threads never wait, and a server that
/// is far away is not slower with batches.
const UNDER_WAY: usize = 8;

/// The number of signatures in one request. OpenBao limits the number of texts in the JSON of a request.
const LARGEST: usize = 100;

/// The requests of all kinds. A kind is the path and everything that the signatures have in common.
#[derive(Default)]
pub(crate) struct Batches(Mutex<HashMap<String, Kind>>);

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

/// The text of a signature, or None if the input is to be sent alone, because the server has not signed it in a batch.
pub(crate) type Answer = Option<Result<String, FailedAttempt>>;

/// The place of a caller.
pub(crate) enum Place {
    /// The caller sends a request at once, and calls [`Batches::leave`] afterwards.
    First,
    /// The input is sent with others.
    Waiting(oneshot::Receiver<Answer>),
}

impl Batches {
    pub(crate) fn enter(&self, kind: &str, input: &str) -> Place {
        let mut kinds = self.kinds();
        let own = kinds.entry(kind.to_owned()).or_default();
        if own.under_way < UNDER_WAY {
            own.under_way += 1;
            return Place::First;
        }
        let (answer, receiver) = oneshot::channel();
        own.waiting.push_back(Waiting { input: input.to_owned(), answer });
        Place::Waiting(receiver)
    }

    /// Ends a request. Returns what is to be sent in its place, after which `leave` is to be called again. Returns nothing if
    /// nobody waits.
    pub(crate) fn leave(&self, kind: &str) -> Vec<Waiting> {
        let mut kinds = self.kinds();
        let Some(own) = kinds.get_mut(kind) else { return Vec::new() };
        // The time of some callers may be over.
        own.waiting.retain(|waiting| !waiting.answer.is_closed());
        let next: Vec<_> = own.waiting.drain(..own.waiting.len().min(LARGEST)).collect();
        if next.is_empty() {
            own.under_way -= 1;
            if own.under_way == 0 {
                kinds.remove(kind);
            }
        }
        next
    }

    fn kinds(&self) -> MutexGuard<'_, HashMap<String, Kind>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_while_requests_are_under_way_goes_together() {
        let batches = Batches::default();
        for _ in 0..UNDER_WAY {
            assert!(matches!(batches.enter("k", "x"), Place::First));
        }
        let mut waiting: Vec<_> = (0..LARGEST + 2).map(|number| batches.enter("k", &number.to_string())).collect();
        assert!(matches!(batches.enter("other", "x"), Place::First), "another kind does not wait");
        // The first caller gives up.
        drop(waiting.remove(0));
        let next = batches.leave("k");
        assert_eq!((next.len(), next[0].input.as_str()), (LARGEST, "1"));
        assert_eq!(batches.leave("k").len(), 1);
        assert!(matches!(batches.enter("k", "x"), Place::Waiting(_)), "both places are taken again");
        for _ in 0..UNDER_WAY {
            assert!(batches.leave("k").is_empty());
        }
        assert!(batches.leave("other").is_empty() && batches.kinds().is_empty());
    }
}
