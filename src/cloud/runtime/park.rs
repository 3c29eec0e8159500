//! The worker's stop while the process forks.
//!
//! It is stopped between two tasks, where it holds no lock of the process (std's of backtraces, the crypto library's)
//! that the child would inherit locked. Threads for blocking work are not stopped: what takes such a lock there
//! (getaddrinfo) runs inside the gate.

use crate::host::fork;
use crate::host::fork::PATIENCE;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use tokio::runtime::Runtime;

/// Before a fork: waits until the one worker has come to its stop.
pub(crate) fn stop(runtime: &Runtime) {
    let park = Arc::new(Park::default());
    let stop = park.clone();
    runtime.spawn(async move { stop.stop() });
    park.wait_until(PATIENCE, |state| state.reached);
    parked(|parked| *parked = Some(park));
}

/// After it, in the parent.
pub(crate) fn release() {
    if let Some(park) = parked(Option::take) {
        park.change(|state| state.released = true);
    }
}

/// After it, in the child: there is no worker, and its lock may be held for ever.
pub(crate) fn forget() {
    std::mem::forget(parked(Option::take));
}

/// Only the fork handlers touch it, and one fork runs at a time.
static PARKED: Mutex<Option<Arc<Park>>> = Mutex::new(None);

fn parked<T>(access: impl FnOnce(&mut Option<Arc<Park>>) -> T) -> T {
    access(&mut PARKED.lock().unwrap_or_else(PoisonError::into_inner))
}

#[derive(Default)]
struct Park {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    reached: bool,
    released: bool,
}

impl Park {
    fn stop(&self) {
        self.change(|state| state.reached = true);
        // A fork takes milliseconds. The bound is for one whose handlers were not all run.
        self.wait_until(10 * PATIENCE, |state| state.released);
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
