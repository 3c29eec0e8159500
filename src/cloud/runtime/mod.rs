//! The blocking bridge into async: a request runs on one thread of ours, and the host's thread waits for its answer.
//!
//! The host's threads never poll a future, so sockets, TLS, deep stacks and SIGPIPE stay on our thread, which blocks
//! all signals. The runtime starts with the first request and ends with C_Finalize. A forked child has none of the
//! parent's threads: it starts anew, and whatever belongs to the parent is forgotten: not dropped, joined or locked.

pub mod blocking;
mod life;
mod park;
mod pending;
mod per_process;

use super::failure::obstacle::Obstacle;
use super::failure::{Cause, Failure};
use crate::host::descriptors;
use crate::host::fork;
use crate::host::fork::ForkHooks;
use crate::host::signals;
use crate::host::watch;
use blocking::contained;
use life::{EPOCH, LOSSES, Life, MARKER};
pub use pending::Pending;
use pending::{ENDED, LOOK, Promise, Slot};
pub use per_process::PerProcess;
use std::cell::Cell;
use std::future::Future;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};

/// Starts a request, which bounds its own time, and answers at once. To be called from the host's threads only.
///
/// The request is made on our thread, straight into the heap: a future of the SDKs takes some 10 KB, several of which may
/// lie on a stack while it is made, and the host's thread may have one of 64 KB (stunnel).
pub fn spawn<T, F>(operation: &'static str, request: impl FnOnce() -> F + Send + 'static) -> Pending<T>
where
    T: Clone + Send + Sync + 'static,
    F: Future<Output = Result<T, Failure>> + Send + 'static,
{
    descriptors::fill_standard_descriptors();
    let slot = Arc::new(Slot::new(operation));
    let start = |runtime: &Runtime| {
        // The task must not keep the slot alive: a slot that nobody waits for cancels its task.
        let mut promise = Promise(Arc::downgrade(&slot));
        let task = async move { promise.keep(Box::pin(request()).await) };
        runtime.spawn(task).abort_handle()
    };
    match with_runtime(start) {
        Ok(task) => drop(slot.task.set(task)),
        Err((cause, message)) => slot.fill(Err(slot.failure(cause, &message))),
    }
    Pending(slot)
}

/// From now on requests can be made: C_Initialize.
pub fn open() {
    fork::arm(ForkHooks { prepare: park, parent: park::release, child: forget });
    fork::inside(|| running().open = true);
}

/// From now on none can be made: C_Finalize. What runs is ended by [`Ending::join`].
pub fn close() -> Ending {
    // Guards of the dying tasks and holders of clients see by this that their life is over.
    EPOCH.fetch_add(1, Ordering::Relaxed);
    fork::inside(|| {
        let mut running = running();
        running.open = false;
        Ending(running.held.take())
    })
}

/// A runtime that takes no more requests.
#[must_use]
pub struct Ending(Option<Held>);

impl Ending {
    /// Ends what runs, with [`Cause::Interrupted`], and joins the threads, for at most `limit`.
    pub fn join(self, limit: Duration) {
        match self.0 {
            // Inside the gate: threads that are ending can't be parked, so a fork waits for them.
            Some(own) if own.life.is_of_this_process() => fork::inside(|| {
                // What follows closes the marker, and that is no loss.
                MARKER.forget();
                own.runtime.shutdown_timeout(limit);
            }),
            parents => std::mem::forget(parents),
        }
        if LOSSES.load(Ordering::SeqCst) > 0 {
            wait_for_those_who_leave(limit);
        }
    }
}

/// Threads whose descriptors were closed end by themselves.
fn wait_for_those_who_leave(limit: Duration) {
    let end = Instant::now() + limit;
    fork::outside(|| {
        while watch::watching() > 0 && Instant::now() < end {
            std::thread::park_timeout(Duration::from_millis(5));
        }
    });
}

struct Held {
    life: Life,
    runtime: Runtime,
    /// [`MARKER`]'s.
    _marker: OwnedFd,
}

struct Running {
    /// Whether this is between C_Initialize and C_Finalize. A call that C_Finalize meets before its first request
    /// must not start a thread that nobody ends.
    open: bool,
    held: Option<Held>,
}

/// Locked inside the gate only, and so never at the moment of a fork.
static RUNNING: Mutex<Running> = Mutex::new(Running { open: false, held: None });

fn running() -> MutexGuard<'static, Running> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

fn with_runtime<T>(call: impl FnOnce(&Runtime) -> T) -> Result<T, (Cause, String)> {
    fork::inside(|| {
        let mut running = running();
        if !running.open {
            return Err((Cause::Interrupted, ENDED.to_owned()));
        }
        let held = match running.held.take() {
            Some(own) if own.life.is_of_this_process() => own,
            parents => {
                std::mem::forget(parents);
                let (runtime, marker) = start().map_err(|error| match Obstacle::of_this_machine(&error) {
                    Some(obstacle) => (obstacle.cause, obstacle.message),
                    None => (Cause::Settings, format!("no runtime for requests: {error}")),
                })?;
                Held { life: Life::current(), runtime, _marker: marker }
            }
        };
        Ok(call(&running.held.insert(held).runtime))
    })
}

/// One worker thread, and few others for what blocks (getaddrinfo, the az program).
fn start() -> io::Result<(Runtime, OwnedFd)> {
    // First, so that its number is the lowest: whoever closes one after the other begins with it.
    let marker = OwnedFd::from(UnixDatagram::unbound()?);
    let number = marker.as_raw_fd();
    let build = || {
        Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(8)
            .thread_name("cloud-kms")
            .thread_stack_size(if cfg!(debug_assertions) { 2 << 20 } else { 512 << 10 })
            // Threads for what blocks go by themselves, also where nobody can join them.
            .thread_keep_alive(LOOK)
            .on_thread_start(move || {
                IS_OURS.set(true);
                std::mem::forget(signals::block_signals());
                watch::watch(number);
            })
            .on_thread_stop(watch::watch_no_more)
            .enable_io()
            .enable_time()
            .build()
    };
    // A thread starts with the mask of the one that starts it.
    let _blocked = signals::block_signals();
    let runtime = contained(build)??;
    MARKER.set(number);
    Ok((runtime, marker))
}

thread_local! {
    /// Whether this is a thread of the runtime.
    static IS_OURS: Cell<bool> = const { Cell::new(false) };
}

/// After a fork, in the child: whatever it closes is no loss of its own.
fn forget() {
    MARKER.forget();
    watch::forget_watching();
    park::forget();
}

/// Before a fork.
fn park() {
    // A thread of ours forks to run a program; and then the child's first act is exec.
    if IS_OURS.get() {
        return;
    }
    let Ok(running) = RUNNING.try_lock() else { return };
    if let Some(held) = running.held.as_ref().filter(|held| held.life.is_of_this_process()) {
        park::stop(&held.runtime);
    }
}

/// The tests of the backends share one runtime, and those that end it need to be alone.
#[cfg(test)]
pub(crate) mod testing {
    use std::sync::{PoisonError, RwLock};

    static TURNS: RwLock<()> = RwLock::new(());

    /// For a test that uses the runtime.
    pub(crate) fn share() -> impl Drop {
        super::open();
        TURNS.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// For a test that ends the runtime or counts its threads.
    pub(crate) fn alone() -> impl Drop {
        super::open();
        TURNS.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
