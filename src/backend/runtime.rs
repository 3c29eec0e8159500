//! The blocking bridge into async: a request runs on one thread of ours, and the host's thread waits for its answer.
//!
//! The host's threads never poll a future, so sockets, TLS, deep stacks and SIGPIPE stay on our thread, which blocks
//! all signals. The runtime starts with the first request and ends with C_Finalize. A forked child has none of the
//! parent's threads: it starts anew, and whatever belongs to the parent is forgotten: not dropped, joined or locked.

use super::blocking::contained;
use super::obstacle::Obstacle;
use super::{Cause, Failure, park};
use crate::log_warn;
use crate::process::{self, ForkHooks, Remembered};
use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};
use tokio::task::AbortHandle;

/// An answer that is under way. Clones wait for the same answer; dropping the last one cancels the request.
#[derive(Clone)]
pub struct Pending<T>(Arc<Slot<T>>);

struct Slot<T> {
    operation: &'static str,
    life: Life,
    answer: OnceLock<Result<T, Failure>>,
    /// Held for the blink between looking at `answer` and going to sleep.
    lock: Mutex<()>,
    changed: Condvar,
    task: OnceLock<AbortHandle>,
}

impl<T: Clone> Pending<T> {
    /// An answer that is there already.
    pub fn ready(answer: Result<T, Failure>) -> Self {
        let slot = Slot::new("");
        let _ = slot.answer.set(answer);
        Self(Arc::new(slot))
    }

    /// Waits for the answer, outside the gate. After the deadline the request goes on, and can be waited for again.
    pub fn wait(&self, deadline: Instant) -> Result<T, Failure> {
        if let Some(answer) = self.peek() {
            return answer;
        }
        if self.is_stale() {
            return Err(self.0.failure(Cause::Interrupted, STALE));
        }
        process::outside(|| self.0.sleep(deadline));
        if self.is_stale() {
            return Err(self.0.failure(Cause::Interrupted, STALE));
        }
        self.peek().unwrap_or_else(|| Err(self.0.failure(Cause::TimedOut, "the service has not answered yet")))
    }

    /// The answer, if it is there. Takes no lock.
    pub fn peek(&self) -> Option<Result<T, Failure>> {
        self.0.answer.get().cloned()
    }

    /// Whether it is the same answer, not only an equal one.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Whether it will never be answered: another process has asked, of which this one is a fork, or the connection is lost.
    pub fn is_stale(&self) -> bool {
        !self.0.life.is_of_this_process() && self.0.answer.get().is_none()
    }
}

impl<T> fmt::Debug for Pending<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pending({}, answered: {})", self.0.operation, self.0.answer.get().is_some())
    }
}

/// Starts a request, which bounds its own time, and answers at once. To be called from the host's threads only.
///
/// The request is made on our thread, straight into the heap: a future of the SDKs takes some 10 KB, several of which may
/// lie on a stack while it is made, and the host's thread may have one of 64 KB (stunnel).
pub fn spawn<T, F>(operation: &'static str, request: impl FnOnce() -> F + Send + 'static) -> Pending<T>
where
    T: Clone + Send + Sync + 'static,
    F: Future<Output = Result<T, Failure>> + Send + 'static,
{
    process::fill_standard_descriptors();
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
    process::arm(ForkHooks { prepare: park, parent: park::release, child: forget });
    process::inside(|| running().open = true);
}

/// From now on none can be made: C_Finalize. What runs is ended by [`Ending::join`].
pub fn close() -> Ending {
    // Guards of the dying tasks and holders of clients see by this that their life is over.
    EPOCH.fetch_add(1, Ordering::Relaxed);
    process::inside(|| {
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
            Some(own) if own.life.is_of_this_process() => process::inside(|| {
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
    process::outside(|| {
        while process::watching() > 0 && Instant::now() < end {
            std::thread::park_timeout(Duration::from_millis(5));
        }
    });
}

/// A value (clients with their connections) that each process, and each time between C_Initialize and C_Finalize,
/// has to make for itself. To be used from the host's threads only, which are inside the gate.
pub struct PerProcess<T>(Mutex<Option<(Life, Arc<T>)>>);

#[allow(clippy::new_without_default, reason = "Default is not const")]
impl<T> PerProcess<T> {
    /// A value that is made at its first use.
    pub const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// The value, made by `make` where this process has none yet.
    pub fn get(&self, make: impl FnOnce() -> T) -> Arc<T> {
        process::inside(|| {
            let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((_, value)) = made.as_ref().filter(|(life, _)| *life == Life::current()) {
                return value.clone();
            }
            let value = Arc::new(make());
            discard(made.replace((Life::current(), value.clone())));
            value
        })
    }

    /// Takes this value from now on; or none, so that the next use makes one.
    pub fn replace(&self, value: Option<Arc<T>>) {
        process::inside(|| {
            let value = value.map(|value| (Life::current(), value));
            let earlier = std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), value);
            discard(earlier);
        });
    }
}

impl<T> Drop for PerProcess<T> {
    fn drop(&mut self) {
        discard(self.0.get_mut().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// Drops a value of this process; leaks one of the parent's, whose sockets and locks are not ours.
fn discard<T>(made: Option<(Life, Arc<T>)>) {
    if let Some((life, value)) = made
        && !life.is_of_this_process()
    {
        std::mem::forget(value);
    }
}

/// Between which fork and which shutdown something was made, and for which descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Life {
    generation: u64,
    /// How often the host had closed our descriptors.
    losses: u64,
    /// For children whose fork ran no handlers (a raw clone).
    process: u32,
    epoch: u64,
}

static EPOCH: AtomicU64 = AtomicU64::new(0);
static LOSSES: AtomicU64 = AtomicU64::new(0);
/// A descriptor of ours that nothing is done with. A host that closes all descriptors, as daemons do, closes this one, too.
static MARKER: Remembered = Remembered::new();

impl Life {
    fn current() -> Self {
        let (epoch, losses) = (EPOCH.load(Ordering::Relaxed), losses());
        Self { generation: process::generation(), losses, process: std::process::id(), epoch }
    }

    /// Whether this process has made it, and its descriptors are still its own.
    fn is_of_this_process(self) -> bool {
        self.generation == process::generation() && self.process == std::process::id() && self.losses == losses()
    }
}

/// How often the host has closed our descriptors, until now.
fn losses() -> u64 {
    if MARKER.is_lost() {
        LOSSES.fetch_add(1, Ordering::SeqCst);
        log_warn!(
            "the program has closed descriptors that are not its own: connections are made anew; it should close what it has \
             opened, or call C_Finalize before it closes all"
        );
    }
    LOSSES.load(Ordering::SeqCst)
}

impl<T> Slot<T> {
    fn new(operation: &'static str) -> Self {
        Self {
            operation,
            life: Life::current(),
            answer: OnceLock::new(),
            lock: Mutex::new(()),
            changed: Condvar::new(),
            task: OnceLock::new(),
        }
    }

    fn fill(&self, answer: Result<T, Failure>) {
        let _ = self.answer.set(answer);
        // Whoever looked before has the lock until it sleeps: it can't miss the call.
        drop(self.lock.lock());
        self.changed.notify_all();
    }

    fn sleep(&self, deadline: Instant) {
        let mut guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        while self.answer.get().is_none() && self.life.is_of_this_process() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            // Nobody answers any more where another thread of the host has closed our descriptors.
            guard = self.changed.wait_timeout(guard, left.min(LOOK)).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn failure(&self, cause: Cause, message: &str) -> Failure {
        Failure::new(cause, self.operation, message)
    }
}

impl<T> Drop for Slot<T> {
    fn drop(&mut self) {
        match self.task.take() {
            Some(task) if self.life.is_of_this_process() => task.abort(),
            task => std::mem::forget(task),
        }
    }
}

/// The task's side of a slot: however the task ends, the slot is filled.
struct Promise<T>(Weak<Slot<T>>);

impl<T> Promise<T> {
    fn keep(&mut self, answer: Result<T, Failure>) {
        if let Some(slot) = std::mem::take(&mut self.0).upgrade() {
            slot.fill(answer);
        }
    }
}

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        let Some(slot) = self.0.upgrade() else { return };
        let failure = if slot.life == Life::current() {
            slot.failure(Cause::Defect, "a panic while the request was made")
        } else {
            slot.failure(Cause::Interrupted, ENDED)
        };
        slot.fill(Err(failure));
    }
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
    process::inside(|| {
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

const ENDED: &str = "C_Finalize ended it";
const STALE: &str = "the process has forked since, or the program has closed the module's descriptors";

/// How often a waiting call looks whether the process still has our descriptors.
const LOOK: Duration = Duration::from_secs(1);

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
                std::mem::forget(process::block_signals());
                process::watch(number);
            })
            .on_thread_stop(process::watch_no_more)
            .enable_io()
            .enable_time()
            .build()
    };
    // A thread starts with the mask of the one that starts it.
    let _blocked = process::block_signals();
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
    process::forget_watching();
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
#[path = "runtime_tests.rs"]
mod tests;
