//! The result of a request that is under way.

use super::life::Incarnation;
use crate::cloud::failure::{Cause, Failure};
use crate::host::fork;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};
use tokio::task::AbortHandle;

/// The result of a request that is under way. All clones wait for the same result. Dropping the last clone cancels
/// the request.
#[derive(Clone)]
pub struct Pending<T>(pub(super) Arc<Slot<T>>);

pub(super) struct Slot<T> {
    operation: &'static str,
    life: Incarnation,
    answer: OnceLock<Result<T, Failure>>,
    /// The service's id of the request. Known before the answer.
    request_id: OnceLock<String>,
    /// Held only for the short time between the check of `answer` and the beginning of the wait.
    lock: Mutex<()>,
    changed: Condvar,
    pub(super) task: OnceLock<AbortHandle>,
}

impl<T: Clone> Pending<T> {
    /// Creates a result that is already available.
    pub fn ready(answer: Result<T, Failure>) -> Self {
        let slot = Slot::new("");
        let _ = slot.answer.set(answer);
        Self(Arc::new(slot))
    }

    /// Waits for the result, outside the gate. After the deadline the request goes on, and the caller can wait for
    /// it again.
    ///
    /// # Errors
    /// The failure of the request; [`Cause::TimedOut`] if there is no result by the deadline;
    /// [`Cause::Interrupted`] if there will never be a result.
    pub fn wait(&self, deadline: Instant) -> Result<T, Failure> {
        if let Some(answer) = self.peek() {
            return answer;
        }
        if self.is_stale() {
            return Err(self.0.failure(Cause::Interrupted, STALE));
        }
        fork::outside_gate(|| self.0.wait_for_answer(deadline));
        if self.is_stale() {
            return Err(self.0.failure(Cause::Interrupted, STALE));
        }
        self.peek().unwrap_or_else(|| Err(self.0.failure(Cause::TimedOut, "the service has not replied yet")))
    }

    /// Returns the result if it is available. Takes no lock.
    pub fn peek(&self) -> Option<Result<T, Failure>> {
        self.0.answer.get().cloned()
    }

    /// Returns the service's id of the request that succeeded, if the service has such ids and there is an audit trail,
    /// which needs them.
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.get().map(String::as_str)
    }

    /// Returns whether both values are for the same request, and not only have equal results.
    pub fn is_same_request(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Returns whether there will never be a result, because another process started the request before it forked
    /// this process, or because the host has closed the module's descriptors.
    pub fn is_stale(&self) -> bool {
        !self.0.life.is_usable() && self.0.answer.get().is_none()
    }
}

impl<T> fmt::Debug for Pending<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pending({}, answered: {})", self.0.operation, self.0.answer.get().is_some())
    }
}

impl<T> Slot<T> {
    pub(super) fn new(operation: &'static str) -> Self {
        Self {
            operation,
            life: Incarnation::current(),
            answer: OnceLock::new(),
            request_id: OnceLock::new(),
            lock: Mutex::new(()),
            changed: Condvar::new(),
            task: OnceLock::new(),
        }
    }

    pub(super) fn fill(&self, answer: Result<T, Failure>) {
        let _ = self.answer.set(answer);
        // A thread that found no answer holds the lock until it waits, so it cannot miss the notification.
        drop(self.lock.lock());
        self.changed.notify_all();
    }

    fn wait_for_answer(&self, deadline: Instant) {
        let mut guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        while self.answer.get().is_none() && self.life.is_usable() {
            let remaining = deadline.saturating_duration_since(Instant::now());
            if remaining.is_zero() {
                return;
            }
            // The wait is limited, because there will be no answer if another thread of the host has closed the
            // module's descriptors.
            guard = self
                .changed
                .wait_timeout(guard, remaining.min(CHECK_INTERVAL))
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    pub(super) fn failure(&self, cause: Cause, message: &str) -> Failure {
        Failure::new(cause, self.operation, message)
    }
}

impl<T> Drop for Slot<T> {
    fn drop(&mut self) {
        match self.task.take() {
            Some(task) if self.life.is_usable() => task.abort(),
            task => std::mem::forget(task),
        }
    }
}

/// The task's side of a slot. The slot is filled no matter how the task ends.
pub(super) struct Promise<T>(pub(super) Weak<Slot<T>>);

impl<T> Promise<T> {
    pub(super) fn fulfill(&mut self, answer: Result<T, Failure>, request_id: Option<String>) {
        if let Some(slot) = std::mem::take(&mut self.0).upgrade() {
            if let Some(id) = request_id {
                let _ = slot.request_id.set(id);
            }
            slot.fill(answer);
        }
    }
}

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        let Some(slot) = self.0.upgrade() else { return };
        let failure = if slot.life == Incarnation::current() {
            slot.failure(
                Cause::Panic,
                "a panic occurred while the request was made; please report it, with the line before",
            )
        } else {
            slot.failure(Cause::Interrupted, FINALIZED)
        };
        slot.fill(Err(failure));
    }
}

pub(super) const FINALIZED: &str = "C_Finalize ended the call";

const STALE: &str = "the process forked, or the program closed the module's descriptors, while the call waited";

/// How often a waiting call checks whether the module's descriptors are still open.
pub(super) const CHECK_INTERVAL: Duration = Duration::from_secs(1);
