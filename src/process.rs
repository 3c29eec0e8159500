//! The host process: fork, signal masks, raw descriptors. The only `unsafe` outside `ffi`.
//!
//! **The gate.** Every C_ call is inside the gate while it computes, and outside while it waits for a service.
//! `fork` closes the gate and waits until it is empty, so a child never inherits a lock of ours in a locked state.

#![allow(unsafe_code, reason = "fork handlers, signal masks and write(2) have no safe interface in std")]

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"), not(miri)))]
mod clock;
mod file_id;
mod remembered;
mod watch;

pub use file_id::{FileId, is_write_only};
pub use remembered::Remembered;
pub use watch::{forget_watching, leave_if_lost, watch, watch_no_more, watching};

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

/// What else has to happen round a fork (the runtime parks its worker).
pub struct ForkHooks {
    /// Before the fork, in the forking thread.
    pub prepare: fn(),
    /// After it, in the parent.
    pub parent: fn(),
    /// After it, in the child.
    pub child: fn(),
}

/// How often this line of processes has forked: state made under another generation belongs to the parent.
pub fn generation() -> u64 {
    GENERATION.load(Ordering::Relaxed)
}

/// Registers the fork handlers, once per process line. They stay: the module is linked `-z nodelete`.
pub fn arm(hooks: ForkHooks) {
    HOOKS.get_or_init(|| {
        // SAFETY: the three handlers are `extern "C"` functions that live as long as the process.
        unsafe { libc::pthread_atfork(Some(prepare), Some(parent), Some(child)) };
        hooks
    });
}

/// Runs `call` inside the gate: no fork of another thread happens meanwhile.
pub fn inside<T>(call: impl FnOnce() -> T) -> T {
    enter();
    let _leave = OnDrop(leave);
    call()
}

/// Runs `wait` outside the gate, for a thread that is inside; forks may happen meanwhile.
pub fn outside<T>(wait: impl FnOnce() -> T) -> T {
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

/// Blocks every signal in this thread until the guard is dropped: threads started meanwhile inherit that,
/// so the host's signals are never delivered to a thread of ours.
pub fn block_signals() -> impl Drop {
    // SAFETY: both sets are plain data that the calls fill.
    let previous = unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        let mut previous: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut previous);
        previous
    };
    OnDrop(move || {
        // SAFETY: `previous` was filled by pthread_sigmask above.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &previous, std::ptr::null_mut()) };
    })
}

/// A command whose process starts with an empty signal mask, though our threads block all signals.
pub fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    // SAFETY: the closure only calls async-signal-safe functions.
    unsafe {
        command.pre_exec(|| {
            let mut none: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&mut none);
            libc::pthread_sigmask(libc::SIG_SETMASK, &none, std::ptr::null_mut());
            Ok(())
        })
    };
    command
}

/// Ends all processes of a group that a child of ours leads.
pub fn kill_group(leader: u32) {
    if let Ok(leader @ 2..) = i32::try_from(leader) {
        // SAFETY: plain numbers; the group is one of a child that has not been waited for, so its id is still its own.
        unsafe { libc::kill(-leader, libc::SIGKILL) };
    }
}

/// Puts /dev/null where standard input, output or error is closed: else a socket of ours gets its number, and whatever the
/// host or a library prints goes to the other side of a connection. The host may close them and open others at any time.
pub fn fill_standard_descriptors() {
    for standard in 0..=libc::STDERR_FILENO {
        // SAFETY: plain numbers.
        if unsafe { libc::fcntl(standard, libc::F_GETFD) } != -1 {
            continue;
        }
        // SAFETY: a C string that lives as long as the program. It gets the lowest number that is free.
        let opened = unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC) };
        if opened > libc::STDERR_FILENO {
            // SAFETY: it is ours; another thread was quicker.
            unsafe { libc::close(opened) };
        }
    }
}

/// The user that this process acts as.
pub fn user() -> u32 {
    // SAFETY: it takes nothing and always succeeds.
    unsafe { libc::geteuid() }
}

/// Whether the process has more rights than whoever started it and set its variables (AT_SECURE: setuid, capabilities).
pub fn is_privileged() -> bool {
    // SAFETY: plain numbers; an entry that is not there is 0.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// Makes `descriptor`, which is one of ours, mean `file` from now on.
pub fn replace(descriptor: i32, file: File) -> io::Result<()> {
    // SAFETY: both are open descriptors of ours; the new one is closed when `file` is dropped.
    match unsafe { libc::dup3(file.as_raw_fd(), descriptor, libc::O_CLOEXEC) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Writes `bytes` by one write(2), without a lock, if that can be done within `patience`. Answers whether all were written.
///
/// No signal comes of it: not SIGPIPE, where the reader of a pipe or socket is gone, nor SIGXFSZ, where a file may not grow.
/// Both would end the host.
pub fn write(descriptor: i32, bytes: &[u8], patience: Duration) -> bool {
    let mut ready = libc::pollfd { fd: descriptor, events: libc::POLLOUT, revents: 0 };
    let milliseconds = patience.as_millis().try_into().unwrap_or(i32::MAX);
    // SAFETY: one entry, which lives as long as the call.
    if unsafe { libc::poll(&mut ready, 1, milliseconds) } == 0 {
        return false;
    }
    let signals = WriteSignals::hold();
    // SAFETY: pointer and length are those of a live slice.
    let written = unsafe { libc::write(descriptor, bytes.as_ptr().cast(), bytes.len()) };
    if written == -1 {
        signals.take_ours();
    }
    written == bytes.len() as isize
}

/// The signals that write(2) sends to its thread, held back there until this is dropped.
struct WriteSignals {
    /// The thread's mask before.
    mask: libc::sigset_t,
    /// Those that were waiting already: they are the host's.
    earlier: libc::sigset_t,
}

const OF_WRITE: [i32; 2] = [libc::SIGPIPE, libc::SIGXFSZ];

impl WriteSignals {
    fn hold() -> Self {
        // SAFETY: the sets are plain data that the calls fill.
        unsafe {
            let mut held = Self { mask: std::mem::zeroed(), earlier: std::mem::zeroed() };
            let mut ours: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&mut ours);
            for signal in OF_WRITE {
                libc::sigaddset(&mut ours, signal);
            }
            libc::sigpending(&mut held.earlier);
            libc::pthread_sigmask(libc::SIG_BLOCK, &ours, &mut held.mask);
            held
        }
    }

    /// Takes away the signal that a write has sent.
    fn take_ours(&self) {
        // SAFETY: the sets are plain data; the time is over at once.
        unsafe {
            let mut ours: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&mut ours);
            for signal in OF_WRITE {
                if libc::sigismember(&self.earlier, signal) == 0 {
                    libc::sigaddset(&mut ours, signal);
                }
            }
            let at_once = libc::timespec { tv_sec: 0, tv_nsec: 0 };
            while libc::sigtimedwait(&ours, std::ptr::null_mut(), &at_once) == -1
                && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
            {}
        }
    }
}

impl Drop for WriteSignals {
    fn drop(&mut self) {
        // SAFETY: `mask` was filled by pthread_sigmask.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.mask, std::ptr::null_mut()) };
    }
}

static HOOKS: OnceLock<ForkHooks> = OnceLock::new();
static GENERATION: AtomicU64 = AtomicU64::new(0);
static GATE: Gate = Gate { state: Mutex::new(State { inside: 0, closed: false }), changed: Condvar::new() };

/// How many turns a fork waits for others: half a second. A C_ call computes for milliseconds at most; whoever takes
/// longer (a thread that forks inside a call, a name server that does not answer) is not waited for.
pub const PATIENCE: u32 = 10;
const TURN: Duration = Duration::from_millis(50);

/// Waits for as many turns of 50 ms as long as `condition` holds. A machine that stands still for a while uses up one of
/// them, not all: when it goes on, so may those who are waited for.
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
    /// How often this thread is inside the gate.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    /// The gate, held from `prepare` to `parent` or `child`, which run in the same thread.
    static HELD: RefCell<Option<MutexGuard<'static, State>>> = const { RefCell::new(None) };
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
    let own = DEPTH.get();
    let state = wait_while(&GATE.changed, gate(), PATIENCE, |state| {
        // Each time, since another thread's fork may have ended meanwhile and opened it.
        state.closed = true;
        state.inside > own
    });
    if let Some(hooks) = HOOKS.get() {
        (hooks.prepare)();
    }
    HELD.with_borrow_mut(|held| *held = Some(state));
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
    // Only the forking thread lives on here.
    reopen(|state| state.inside = DEPTH.get());
}

fn reopen(correct: impl FnOnce(&mut State)) {
    if let Some(mut state) = HELD.with_borrow_mut(Option::take) {
        state.closed = false;
        correct(&mut state);
        GATE.changed.notify_all();
    }
}

struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)()
    }
}

/// Forking for tests, which may contain no `unsafe` of their own.
#[cfg(test)]
pub(crate) mod testing {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    /// Whether `check` holds in a forked child, which has 20 seconds for it.
    pub(crate) fn holds_in_child(check: impl FnOnce() -> bool) -> bool {
        // SAFETY: the child computes and leaves by _exit, without running any handler or destructor of the parent's.
        match unsafe { libc::fork() } {
            0 => {
                // SAFETY: a plain number.
                unsafe { libc::alarm(60) };
                let held = catch_unwind(AssertUnwindSafe(check)).unwrap_or(false);
                // SAFETY: as above.
                unsafe { libc::_exit(i32::from(!held)) }
            }
            child => {
                let mut status = -1;
                // SAFETY: `status` is a live int of ours.
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
    fn a_machine_that_stands_still_uses_up_one_turn() {
        let (done, changed) = (Mutex::new(false), Condvar::new());
        let (mut asked, all) = (0, TURN * PATIENCE);
        std::thread::scope(|scope| {
            let held = done.lock().unwrap();
            // It gets the lock as soon as the other waits, and not before.
            scope.spawn(|| {
                *done.lock().unwrap() = true;
                changed.notify_all();
            });
            let outcome = wait_while(&changed, held, PATIENCE, |done| {
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
    fn what_does_not_end_is_waited_for_that_long_and_no_longer() {
        let (state, changed) = (Mutex::new(()), Condvar::new());
        let began = std::time::Instant::now();
        drop(wait_while(&changed, state.lock().unwrap(), 3, |()| true));
        assert!(began.elapsed() >= 3 * TURN);
    }
}
