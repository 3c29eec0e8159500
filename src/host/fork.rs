//! Fork handlers, and the gate that keeps a fork out of the module's critical sections.
//!
//! **The gate.** Every C_ call is inside the gate while it computes, and outside the gate while it waits for a
//! service. `fork` closes the gate and waits until the gate is empty, so a child never inherits a locked lock of
//! this module. [`MAX_TURNS`] limits the wait.

use super::on_drop::OnDrop;
use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

/// Functions to call around a fork. The runtime uses them to park its worker thread.
pub struct ForkHooks {
    /// Called before the fork, in the forking thread.
    pub prepare: fn(),
    /// Called after the fork, in the parent.
    pub parent: fn(),
    /// Called after the fork, in the child.
    pub child: fn(),
}

/// Returns the number of forks in the line of processes that leads to this process. State that was created under
/// another generation belongs to a parent process.
pub fn generation() -> u64 {
    GENERATION.load(Ordering::Relaxed)
}

/// Registers the fork handlers, once per line of processes. The handlers stay registered: the module is linked
/// with `-z nodelete`.
pub fn register_handlers(hooks: ForkHooks) {
    HOOKS.get_or_init(|| {
        // SAFETY: the three handlers are `extern "C"` functions that live as long as the process.
        unsafe { libc::pthread_atfork(Some(prepare), Some(parent), Some(child)) };
        hooks
    });
}

/// Runs `call` inside the gate. Another thread that forks meanwhile waits for `call` to return, but no longer than
/// [`MAX_TURNS`].
pub fn inside_gate<T>(call: impl FnOnce() -> T) -> T {
    enter();
    let _leave = OnDrop(leave);
    call()
}

/// Runs `wait` outside the gate if this thread is inside it. Other threads may fork meanwhile.
pub fn outside_gate<T>(wait: impl FnOnce() -> T) -> T {
    let held = DEPTH.get() > 0;
    if held {
        leave();
    }
    let _enter = OnDrop(move || {
        if held {
            enter()
        }
    });
    wait()
}

static HOOKS: OnceLock<ForkHooks> = OnceLock::new();
static GENERATION: AtomicU64 = AtomicU64::new(0);
static GATE: Gate = Gate { state: Mutex::new(State { inside: 0, closed: false }), changed: Condvar::new() };

/// The number of turns of 50 ms that a fork waits for other threads: half a second in total. A C_ call computes
/// for milliseconds at most. The fork does not wait for a thread that takes longer, such as a thread that forks
/// inside a call or waits for a name server that does not reply.
pub const MAX_TURNS: u32 = 10;
/// The length of a turn.
const TURN: Duration = Duration::from_millis(50);

/// Waits on `changed` while `condition` holds, for at most `turns` turns of 50 ms. If the whole machine stops for
/// a while, the stop uses up one turn only. When the machine continues, the threads that are waited for continue
/// as well and still have the other turns.
pub fn wait_while<'a, T>(
    changed: &Condvar,
    mut guard: MutexGuard<'a, T>,
    turns: u32,
    mut condition: impl FnMut(&mut T) -> bool,
) -> MutexGuard<'a, T> {
    for _ in 0..turns {
        let waited = changed.wait_timeout_while(guard, TURN, &mut condition);
        let (held, turn) = waited.unwrap_or_else(|poisoned| poisoned.into_inner());
        guard = held;
        if !turn.timed_out() {
            break;
        }
    }
    guard
}

struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    inside: usize,
    closed: bool,
}

thread_local! {
    /// How many times this thread has entered the gate and not left it.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    /// The lock of the gate, held from `prepare` to `parent` or `child`, which run in the same thread.
    static GATE_LOCK: RefCell<Option<MutexGuard<'static, State>>> = const { RefCell::new(None) };
}

fn gate() -> MutexGuard<'static, State> {
    GATE.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn enter() {
    let mut state = gate();
    while state.closed && DEPTH.get() == 0 {
        state = GATE.changed.wait(state).unwrap_or_else(|poisoned| poisoned.into_inner());
    }
    state.inside += 1;
    DEPTH.set(DEPTH.get() + 1);
}

fn leave() {
    let mut state = gate();
    state.inside = state.inside.saturating_sub(1);
    DEPTH.set(DEPTH.get().saturating_sub(1));
    if state.closed {
        GATE.changed.notify_all();
    }
}

extern "C" fn prepare() {
    let own_depth = DEPTH.get();
    let state = wait_while(&GATE.changed, gate(), MAX_TURNS, |state| {
        // Set each time, because the fork of another thread may have ended meanwhile and opened the gate.
        state.closed = true;
        state.inside > own_depth
    });
    if let Some(hooks) = HOOKS.get() {
        (hooks.prepare)();
    }
    GATE_LOCK.with_borrow_mut(|held| *held = Some(state));
}

extern "C" fn parent() {
    if let Some(hooks) = HOOKS.get() {
        (hooks.parent)();
    }
    reopen(|_| {});
}

extern "C" fn child() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
    if let Some(hooks) = HOOKS.get() {
        (hooks.child)();
    }
    // Only the forking thread exists in the child.
    reopen(|state| state.inside = DEPTH.get());
}

fn reopen(correct: impl FnOnce(&mut State)) {
    if let Some(mut state) = GATE_LOCK.with_borrow_mut(Option::take) {
        state.closed = false;
        correct(&mut state);
        GATE.changed.notify_all();
    }
}

/// Forking for tests, which must not contain `unsafe` themselves.
#[cfg(test)]
pub(crate) mod testing {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    /// Returns whether `check` returns true in a forked child. The child has 60 seconds.
    pub(crate) fn holds_in_child(check: impl FnOnce() -> bool) -> bool {
        // SAFETY: the child computes and leaves by _exit(2), without running a handler or destructor of the
        // parent.
        match unsafe { libc::fork() } {
            0 => {
                // SAFETY: the call takes an integer only.
                unsafe { libc::alarm(60) };
                let held = catch_unwind(AssertUnwindSafe(check)).unwrap_or(false);
                // SAFETY: the call takes an integer only.
                unsafe { libc::_exit(i32::from(!held)) }
            }
            child => {
                let mut status = -1;
                // SAFETY: `status` is a live int.
                let waited = unsafe { libc::waitpid(child, &mut status, 0) };
                waited == child && status == 0
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suspended_machine_uses_one_turn() {
        let (done, changed) = (Mutex::new(false), Condvar::new());
        let (mut asked, all) = (0, TURN * MAX_TURNS);
        std::thread::scope(|scope| {
            let held = done.lock().unwrap();
            // This thread gets the lock only when the other thread waits.
            scope.spawn(|| {
                *done.lock().unwrap() = true;
                changed.notify_all();
            });
            let outcome = wait_while(&changed, held, MAX_TURNS, |done| {
                asked += 1;
                if asked == 1 {
                    std::thread::sleep(all);
                }
                !*done
            });
            assert!(*outcome);
        });
    }

    #[test]
    fn wait_while_ends_after_all_turns() {
        let (state, changed) = (Mutex::new(()), Condvar::new());
        let began = std::time::Instant::now();
        drop(wait_while(&changed, state.lock().unwrap(), 3, |()| true));
        assert!(began.elapsed() >= 3 * TURN);
    }
}
