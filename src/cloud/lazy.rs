//! A value that a service tells: asked for when first needed, once for all who wait, and kept.
//!
//! A failure is kept for a few seconds only. No lock is held while anybody waits. After a fork, a question that the
//! parent had under way is asked anew by the child.

use super::failure::{Cause, Failure};
use super::runtime::Pending;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// For how long a failure is answered from memory.
pub const RETRY_AFTER: Duration = Duration::from_secs(5);

/// See the head of the file.
#[derive(Debug)]
pub struct Lazy<T> {
    state: Mutex<State<T>>,
    retry_after: Duration,
}

#[derive(Debug)]
enum State<T> {
    Unknown,
    UnderWay(Pending<T>),
    Known(Arc<T>),
    Failed(Box<(Failure, Instant)>),
}

impl<T> Default for Lazy<T> {
    fn default() -> Self {
        Self::with_retry_after(RETRY_AFTER)
    }
}

impl<T> Lazy<T> {
    /// One that remembers a failure for that long.
    pub fn with_retry_after(retry_after: Duration) -> Self {
        Self { state: Mutex::new(State::Unknown), retry_after }
    }

    /// Forgets what is known, so that it is asked for again.
    pub fn forget(&self) {
        *self.lock() = State::Unknown;
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl<T: Clone> Lazy<T> {
    /// Whether [`Lazy::begin`] would ask now: it is not known, not under way, and did not fail just now.
    #[cfg(test)]
    fn is_cold(&self) -> bool {
        self.lock().is_cold(self.retry_after)
    }

    /// Asks, unless it is known or under way, or failed just now. Does not wait.
    pub fn begin(&self, ask: impl FnOnce() -> Pending<T>) {
        self.begin_if(|| Some(ask()));
    }

    /// The same where it may turn out that nobody can be asked.
    pub fn begin_if(&self, ask: impl FnOnce() -> Option<Pending<T>>) {
        // Asking only starts a task on the runtime, so the lock is held for microseconds, and only one caller asks.
        let mut state = self.lock();
        if state.is_cold(self.retry_after)
            && let Some(pending) = ask()
        {
            *state = State::UnderWay(pending);
        }
    }

    /// Knows this from now on, whatever it was told before.
    pub fn set(&self, value: Arc<T>) {
        *self.lock() = State::Known(value);
    }

    /// What is known, if anything is; never waits.
    pub fn known(&self) -> Option<Arc<T>> {
        match &*self.lock() {
            State::Known(value) => Some(value.clone()),
            _ => None,
        }
    }

    /// Waits for what was begun. `failed` is told of a failure once, not again by those who get it from memory.
    pub fn get(&self, deadline: Instant, failed: impl FnOnce(&Failure)) -> Result<Arc<T>, Failure> {
        let pending = match &*self.lock() {
            State::Known(value) => return Ok(value.clone()),
            State::Failed(failed) => return Err(failed.0.clone()),
            State::Unknown => return Err(Failure::new(Cause::Interrupted, "load", "was not begun")),
            State::UnderWay(pending) => pending.clone(),
        };
        let answer = pending.wait(deadline);
        self.settle(&pending, answer, failed)
    }

    fn settle(
        &self,
        pending: &Pending<T>,
        answer: Result<T, Failure>,
        failed: impl FnOnce(&Failure),
    ) -> Result<Arc<T>, Failure> {
        let mut state = self.lock();
        // What was forgotten meanwhile is for who has waited, and for nobody after.
        let is_current = matches!(&*state, State::UnderWay(own) if own.is(pending));
        match (&*state, answer) {
            // Another thread that waited for the same answer was quicker.
            (State::Known(value), _) => Ok(value.clone()),
            (State::Failed(failed), _) => Err(failed.0.clone()),
            (_, Ok(value)) => {
                let value = Arc::new(value);
                if is_current {
                    *state = State::Known(value.clone());
                }
                Ok(value)
            }
            // The caller's time is over, the request goes on: whoever asks next may find the answer.
            (_, Err(failure)) if pending.peek().is_none() && !pending.is_stale() => {
                drop(state);
                failed(&failure);
                Err(failure)
            }
            (_, Err(failure)) => {
                if is_current {
                    *state = State::Failed(Box::new((failure.clone(), Instant::now())));
                }
                drop(state);
                failed(&failure);
                Err(failure)
            }
        }
    }
}

impl<T: Clone> State<T> {
    fn is_cold(&self, retry_after: Duration) -> bool {
        match self {
            State::Unknown => true,
            State::UnderWay(pending) => pending.is_stale(),
            State::Known(_) => false,
            State::Failed(failed) => failed.1.elapsed() >= retry_after,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    fn denied() -> Failure {
        Failure::new(Cause::Denied, "GetPublicKey", "no")
    }

    #[test]
    fn it_asks_once_and_keeps_the_answer() {
        let (lazy, asked) = (Lazy::default(), Cell::new(0));
        let ask = || {
            asked.set(asked.get() + 1);
            Pending::ready(Ok(7))
        };
        assert!(lazy.is_cold());
        lazy.begin(ask);
        lazy.begin(ask);
        assert_eq!(lazy.get(soon(), |_| panic!("no failure")).as_deref(), Ok(&7));
        lazy.begin(ask);
        assert_eq!(asked.get(), 1);
        lazy.forget();
        lazy.begin(ask);
        assert_eq!(asked.get(), 2);
    }

    #[test]
    fn what_was_forgotten_while_somebody_waits_does_not_come_back() {
        let lazy = Lazy::default();
        lazy.begin(|| Pending::ready(Ok(1)));
        let pending = Pending::ready(Ok(1));
        assert_eq!(lazy.settle(&pending, Ok(1), |_| {}).as_deref(), Ok(&1));
        assert!(lazy.known().is_none(), "it is of another question");
        assert_eq!(lazy.settle(&pending, Err(denied()), |_| {}), Err(denied()));
        assert_eq!(lazy.get(soon(), |_| panic!("no failure")).as_deref(), Ok(&1));
        assert!(lazy.known().is_some());
    }

    #[test]
    fn a_failure_is_told_once_and_asked_again_later() {
        let told = Cell::new(0);
        let tell = |_: &Failure| told.set(told.get() + 1);
        let patient = Lazy::<u8>::with_retry_after(Duration::from_secs(3600));
        patient.begin(|| Pending::ready(Err(denied())));
        assert_eq!(patient.get(soon(), tell), Err(denied()));
        assert_eq!(patient.get(soon(), tell), Err(denied()));
        assert_eq!(told.get(), 1);
        assert!(!patient.is_cold());
        let hasty = Lazy::with_retry_after(Duration::ZERO);
        hasty.begin(|| Pending::ready(Err(denied())));
        assert_eq!(hasty.get(soon(), tell), Err(denied()));
        hasty.begin(|| Pending::ready(Ok(1)));
        assert_eq!(hasty.get(soon(), tell).as_deref(), Ok(&1));
    }
}
