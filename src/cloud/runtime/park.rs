//! Stops the worker thread while the process forks.
//!
//! The worker is stopped between two tasks. At that point it holds no lock of the process (that of std for
//! backtraces, those of the crypto library) that the child would inherit locked. Threads for blocking work are not
//! stopped. Blocking work that takes such a lock (getaddrinfo) runs inside the gate.

use crate::host::fork;
use crate::host::fork::MAX_TURNS;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use tokio::runtime::Runtime;

/// Called before a fork. Waits until the worker has stopped, for at most `PATIENCE`.
pub(crate) fn stop(runtime: &Runtime) {
    let park = Arc::new(Park::default());
    let stop = park.clone();
    runtime.spawn(async move { stop.stop() });
    park.wait_until(MAX_TURNS, |state| state.is_stopped);
    with_parked_worker(|parked| *parked = Some(park));
}

/// Called after a fork, in the parent. Lets the worker continue.
pub(crate) fn release() {
    if let Some(park) = with_parked_worker(Option::take) {
        park.change(|state| state.is_released = true);
    }
}

/// Called after a fork, in the child. The child has no worker, and the lock of the `Park` may stay locked forever,
/// so the `Park` is leaked.
pub(crate) fn forget() {
    std::mem::forget(with_parked_worker(Option::take));
}

/// Accessed by the fork handlers only. Only one fork runs at a time.
static PARKED_WORKER: Mutex<Option<Arc<Park>>> = Mutex::new(None);

fn with_parked_worker<T>(access: impl FnOnce(&mut Option<Arc<Park>>) -> T) -> T {
    access(&mut PARKED_WORKER.lock().unwrap_or_else(PoisonError::into_inner))
}

#[derive(Default)]
struct Park {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    is_stopped: bool,
    is_released: bool,
}

impl Park {
    fn stop(&self) {
        self.change(|state| state.is_stopped = true);
        // A fork takes milliseconds. The limit is for a fork whose handlers are not all run.
        self.wait_until(10 * MAX_TURNS, |state| state.is_released);
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }

    fn wait_until(&self, turns: u32, done: impl Fn(&State) -> bool) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        drop(fork::wait_while(&self.changed, state, turns, |state| !done(state)));
    }
}
