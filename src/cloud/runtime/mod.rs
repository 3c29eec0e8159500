//! The blocking bridge into async: a request runs on a thread of this module, and the host's thread waits for the
//! result.
//!
//! The host's threads never poll a future. So sockets, TLS, deep stacks and SIGPIPE stay on the module's thread,
//! which blocks all signals. The runtime starts with the first request and ends with C_Finalize. A forked child
//! has none of the parent's threads, so the child starts a new runtime. Everything that belongs to the parent is
//! leaked: it is not dropped, joined or locked.

pub mod blocking;
mod life;
mod metrics_timer;
mod park;
mod pending;
mod per_process;
pub(crate) mod request_id;

use super::failure::obstacle::Obstacle;
use super::failure::{Cause, Failure};
use crate::host::descriptor_watch;
use crate::host::descriptors;
use crate::host::fork;
use crate::host::fork::ForkHooks;
use crate::host::signals;
use crate::metrics;
use blocking::catch_panic;
use life::{DESCRIPTOR_LOSSES, EPOCH, Incarnation, MARKER};
pub use pending::Pending;
use pending::{CHECK_INTERVAL, FINALIZED, Promise, Slot};
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

/// Starts a request and returns at once. The request limits its own time. Must be called on the host's threads
/// only.
///
/// The request is made on the module's thread, directly on the heap. A future of the SDKs takes some 10 KB, and
/// several futures may lie on a stack while the request is made. The host's thread may have a stack of 64 KB
/// (stunnel).
pub fn spawn<T, F>(operation: &'static str, request: impl FnOnce() -> F + Send + 'static) -> Pending<T>
where
    T: Clone + Send + Sync + 'static,
    F: Future<Output = Result<T, Failure>> + Send + 'static,
{
    descriptors::fill_standard_descriptors();
    let slot = Arc::new(Slot::new(operation));
    let start = |runtime: &Runtime| {
        // The task must not keep the slot alive, because a slot that nothing waits for cancels its task.
        let mut promise = Promise(Arc::downgrade(&slot));
        let task = async move {
            let answer = Box::pin(request()).await;
            promise.fulfill(answer, request_id::take());
        };
        runtime.spawn(request_id::scope(task)).abort_handle()
    };
    match with_runtime(start) {
        Ok(task) => drop(slot.task.set(task)),
        Err((cause, message)) => slot.fill(Err(slot.failure(cause, &message))),
    }
    Pending(slot)
}

/// Allows requests from now on. Called by C_Initialize.
pub fn open() {
    fork::register_handlers(ForkHooks { prepare: before_fork, parent: park::release, child: after_fork_in_child });
    fork::inside_gate(|| running().is_open = true);
}

/// Refuses requests from now on. Called by C_Finalize. [`Shutdown::join`] ends the requests that are running.
pub fn close() -> Shutdown {
    fork::inside_gate(|| {
        let mut running = running();
        running.is_open = false;
        // With a new epoch, the guards of dying tasks and the holders of clients find that their runtime has ended. The lock
        // is held, so that no call with the new epoch finds the old runtime.
        EPOCH.fetch_add(1, Ordering::Relaxed);
        Shutdown(running.held.take())
    })
}

/// A runtime that accepts no more requests.
#[must_use]
pub struct Shutdown(Option<ActiveRuntime>);

impl Shutdown {
    /// Ends the running requests with [`Cause::Interrupted`] and joins the threads. Waits for at most `limit`, and
    /// for at most `limit` again if the host has closed the module's descriptors.
    pub fn join(self, limit: Duration) {
        match self.0 {
            // Runs inside the gate, so that a fork waits: threads that are ending cannot be parked.
            Some(own) if own.life.is_usable() => fork::inside_gate(|| {
                // The shutdown closes the marker, which must not count as a loss.
                MARKER.forget();
                own.runtime.shutdown_timeout(limit);
            }),
            parents => std::mem::forget(parents),
        }
        if DESCRIPTOR_LOSSES.load(Ordering::SeqCst) > 0 {
            wait_for_leaving_threads(limit);
        }
    }
}

/// Waits for the threads whose descriptors were closed. These threads end by themselves.
fn wait_for_leaving_threads(limit: Duration) {
    let end = Instant::now() + limit;
    fork::outside_gate(|| {
        while descriptor_watch::watching_threads() > 0 && Instant::now() < end {
            std::thread::park_timeout(Duration::from_millis(5));
        }
    });
}

struct ActiveRuntime {
    life: Incarnation,
    runtime: Runtime,
    /// The descriptor that [`MARKER`] remembers.
    _marker: OwnedFd,
}

struct RuntimeState {
    /// Whether the module is between C_Initialize and C_Finalize. If C_Finalize overtakes a call before its first
    /// request, the call must not start a thread, because nothing would end that thread.
    is_open: bool,
    held: Option<ActiveRuntime>,
}

/// Locked inside the gate, and by `before_fork` while it prepares a fork. So it is never locked at the moment of a fork.
static RUNNING: Mutex<RuntimeState> = Mutex::new(RuntimeState { is_open: false, held: None });

fn running() -> MutexGuard<'static, RuntimeState> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

fn with_runtime<T>(call: impl FnOnce(&Runtime) -> T) -> Result<T, (Cause, String)> {
    fork::inside_gate(|| {
        let mut running = running();
        if !running.is_open {
            return Err((Cause::Interrupted, FINALIZED.to_owned()));
        }
        let held = match running.held.take() {
            Some(own) if own.life.is_usable() => own,
            parents => {
                std::mem::forget(parents);
                let (runtime, marker) = start().map_err(|error| match Obstacle::missing_resource(&error) {
                    Some(obstacle) => (obstacle.cause, obstacle.message),
                    None => (Cause::Settings, format!("the thread for requests can't be started: {error}")),
                })?;
                metrics_timer::start(&runtime);
                ActiveRuntime { life: Incarnation::current(), runtime, _marker: marker }
            }
        };
        Ok(call(&running.held.insert(held).runtime))
    })
}

/// Starts the runtime: one worker thread, and a few threads for blocking work (getaddrinfo, the az program).
fn start() -> io::Result<(Runtime, OwnedFd)> {
    // Opened first, so that its number is the lowest. A host that closes descriptors one after the other begins
    // with the marker.
    let marker = OwnedFd::from(UnixDatagram::unbound()?);
    let number = marker.as_raw_fd();
    let build = || {
        Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(8)
            .thread_name("cloud-kms")
            .thread_stack_size(if cfg!(debug_assertions) { 2 << 20 } else { 512 << 10 })
            // Idle threads for blocking work end by themselves, even if nothing can join them.
            .thread_keep_alive(CHECK_INTERVAL)
            .on_thread_start(move || {
                IS_RUNTIME_THREAD.set(true);
                std::mem::forget(signals::block_signals());
                descriptor_watch::watch(number);
            })
            .on_thread_stop(descriptor_watch::unwatch)
            .enable_io()
            .enable_time()
            .build()
    };
    // A new thread inherits the signal mask of the thread that starts it.
    let _blocked = signals::block_signals();
    let runtime = catch_panic(build)??;
    MARKER.set(number);
    Ok((runtime, marker))
}

thread_local! {
    /// Whether this is a thread of the runtime.
    static IS_RUNTIME_THREAD: Cell<bool> = const { Cell::new(false) };
}

/// Called after a fork, in the child. Descriptors that the child closes do not count as a loss.
fn after_fork_in_child() {
    MARKER.forget();
    descriptor_watch::reset_after_fork();
    metrics::reset_after_fork();
    park::forget();
}

/// Called before a fork.
fn before_fork() {
    // A thread of the runtime forks only to run a program, and the child first calls exec.
    if IS_RUNTIME_THREAD.get() {
        return;
    }
    let Ok(running) = RUNNING.try_lock() else { return };
    if let Some(held) = running.held.as_ref().filter(|held| held.life.is_usable()) {
        park::stop(&held.runtime);
    }
}

/// Guards for tests. The tests of the backends share one runtime, and a test that ends the runtime must run alone.
#[cfg(test)]
pub(crate) mod testing {
    use std::sync::{PoisonError, RwLock};

    static TURNS: RwLock<()> = RwLock::new(());

    /// Returns the guard of a test that uses the runtime.
    pub(crate) fn share() -> impl Drop {
        super::open();
        TURNS.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the guard of a test that ends the runtime or counts its threads.
    pub(crate) fn alone() -> impl Drop {
        super::open();
        TURNS.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
