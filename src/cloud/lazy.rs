//! A value that a service reports: requested when first needed, once for all waiting callers, and then kept.
//!
//! A failure is kept for a few seconds only. No lock is held while a caller waits. After a fork, the child repeats
//! a request that the parent had under way.

use super::failure::{Cause, Failure};
use super::runtime::Pending;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// How long a failure is returned from memory before the request may be repeated.
pub const FAILURE_KEPT_FOR: Duration = Duration::from_secs(5);

/// A value that is requested from a service once and shared by all callers.
#[derive(Debug)]
pub struct Lazy<T> {
    state: Mutex<State<T>>,
    retry_after: Duration,
}

#[derive(Debug)]
enum State<T> {
    Unknown,
    Loading(Pending<T>),
    Known(Arc<T>),
    Failed(Box<(Failure, Instant)>),
}

impl<T> Default for Lazy<T> {
    fn default() -> Self {
        Self::with_retry_after(FAILURE_KEPT_FOR)
    }
}

impl<T> Lazy<T> {
    /// Creates an unknown value whose failures are kept for `retry_after`.
    pub fn with_retry_after(retry_after: Duration) -> Self {
        Self { state: Mutex::new(State::Unknown), retry_after }
    }

    /// Forgets the value, so that it is requested again.
    pub fn forget(&self) {
        *self.lock() = State::Unknown;
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl<T: Clone> Lazy<T> {
    /// Returns whether [`Lazy::start_loading`] would start a request now: the value is not known, no request of this
    /// process is under way, and no request has failed within `retry_after`.
    #[cfg(test)]
    fn is_cold(&self) -> bool {
        self.lock().is_cold(self.retry_after)
    }

    /// Starts a request, unless the value is known, a request is under way, or a request has just failed. Does not
    /// wait.
    pub fn start_loading(&self, ask: impl FnOnce() -> Pending<T>) {
        self.try_start_loading(|| Some(ask()));
    }

    /// Like [`Lazy::start_loading`], but `ask` may return `None` if no request is possible. In that case nothing changes.
    pub fn try_start_loading(&self, ask: impl FnOnce() -> Option<Pending<T>>) {
        // `ask` only starts a task on the runtime. So the lock is held for microseconds, and only one caller
        // starts a request.
        let mut state = self.lock();
        if state.is_cold(self.retry_after)
            && let Some(pending) = ask()
        {
            *state = State::Loading(pending);
        }
    }

    /// Sets the value, whatever was known before.
    pub fn set(&self, value: Arc<T>) {
        *self.lock() = State::Known(value);
    }

    /// Returns the value if it is known. Never waits.
    pub fn value(&self) -> Option<Arc<T>> {
        match &*self.lock() {
            State::Known(value) => Some(value.clone()),
            _ => None,
        }
    }

    /// Waits for the request that was started and returns its value. Calls `failed` for a new failure, but not for
    /// a failure that is returned from memory.
    ///
    /// # Errors
    /// The failure of the request; [`Cause::TimedOut`] if there is no reply by the deadline;
    /// [`Cause::Interrupted`] if no request was started.
    pub fn get(&self, deadline: Instant, failed: impl FnOnce(&Failure)) -> Result<Arc<T>, Failure> {
        let pending = match &*self.lock() {
            State::Known(value) => return Ok(value.clone()),
            State::Failed(failed) => return Err(failed.0.clone()),
            State::Unknown => return Err(Failure::new(Cause::Interrupted, "load", "loading has not begun")),
            State::Loading(pending) => pending.clone(),
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
        // If the value was forgotten meanwhile, the result is returned to the waiting caller and not kept.
        let is_current = matches!(&*state, State::Loading(own) if own.is_same_request(pending));
        match (&*state, answer) {
            // Another thread that waited for the same result has already stored it.
            (State::Known(value), _) => Ok(value.clone()),
            (State::Failed(failed), _) => Err(failed.0.clone()),
            (_, Ok(value)) => {
                let value = Arc::new(value);
                if is_current {
                    *state = State::Known(value.clone());
                }
                Ok(value)
            }
            // The caller's deadline has passed, but the request goes on. A later caller may get its result.
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
            State::Loading(pending) => pending.is_stale(),
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
    fn a_value_is_requested_once_and_kept() {
        let (lazy, asked) = (Lazy::default(), Cell::new(0));
        let ask = || {
            asked.set(asked.get() + 1);
            Pending::ready(Ok(7))
        };
        assert!(lazy.is_cold());
        lazy.start_loading(ask);
        lazy.start_loading(ask);
        assert_eq!(lazy.get(soon(), |_| panic!("no failure")).as_deref(), Ok(&7));
        lazy.start_loading(ask);
        assert_eq!(asked.get(), 1);
        lazy.forget();
        lazy.start_loading(ask);
        assert_eq!(asked.get(), 2);
    }

    #[test]
    fn a_value_forgotten_during_a_wait_is_not_kept() {
        let lazy = Lazy::default();
        lazy.start_loading(|| Pending::ready(Ok(1)));
        let pending = Pending::ready(Ok(1));
        assert_eq!(lazy.settle(&pending, Ok(1), |_| {}).as_deref(), Ok(&1));
        assert!(lazy.value().is_none(), "a forgotten value is not stored again");
        assert_eq!(lazy.settle(&pending, Err(denied()), |_| {}), Err(denied()));
        assert_eq!(lazy.get(soon(), |_| panic!("no failure")).as_deref(), Ok(&1));
        assert!(lazy.value().is_some());
    }

    #[test]
    fn a_failure_is_reported_once_and_retried_later() {
        let told = Cell::new(0);
        let tell = |_: &Failure| told.set(told.get() + 1);
        let patient = Lazy::<u8>::with_retry_after(Duration::from_secs(3600));
        patient.start_loading(|| Pending::ready(Err(denied())));
        assert_eq!(patient.get(soon(), tell), Err(denied()));
        assert_eq!(patient.get(soon(), tell), Err(denied()));
        assert_eq!(told.get(), 1);
        assert!(!patient.is_cold());
        let hasty = Lazy::with_retry_after(Duration::ZERO);
        hasty.start_loading(|| Pending::ready(Err(denied())));
        assert_eq!(hasty.get(soon(), tell), Err(denied()));
        hasty.start_loading(|| Pending::ready(Ok(1)));
        assert_eq!(hasty.get(soon(), tell).as_deref(), Ok(&1));
    }
}
