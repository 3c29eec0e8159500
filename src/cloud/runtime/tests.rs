//! Tests of the bridge, without a network. The tests share one runtime, so a test that ends the runtime runs
//! alone.

use super::testing::{alone, share};
use crate::cloud::runtime::*;
use crate::host::fork::testing::holds_in_child;
use std::sync::atomic::AtomicUsize;
use std::thread;

const LONG: Duration = Duration::from_secs(30);

/// Does what C_Finalize and C_Initialize do.
fn restart() {
    close().join(LONG);
    open();
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

fn after(delay: u64, answer: u32) -> Pending<u32> {
    spawn("Test", move || async move {
        tokio::time::sleep(Duration::from_millis(delay)).await;
        Ok(answer)
    })
}

fn forever() -> Pending<u32> {
    after(600_000, 0)
}

fn cause<T: std::fmt::Debug>(answer: Result<T, Failure>) -> Cause {
    answer.unwrap_err().cause
}

/// Returns whether the module has no threads left. The kernel removes a thread from its list a moment after the
/// thread was joined, so this function waits.
fn no_thread_is_left() -> bool {
    let end = Instant::now() + LONG;
    while !module_threads().is_empty() {
        if Instant::now() > end {
            return false;
        }
        thread::yield_now();
    }
    true
}

fn module_threads() -> Vec<std::path::PathBuf> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().map(|entry| entry.unwrap().path());
    tasks.filter(|task| std::fs::read_to_string(task.join("comm")).unwrap_or_default() == "cloud-kms\n").collect()
}

#[test]
fn many_threads_wait_for_one_answer() {
    let _turn = share();
    let pending = after(50, 7);
    thread::scope(|scope| {
        let waiters: Vec<_> = (0..8).map(|_| scope.spawn(|| pending.wait(soon()))).collect();
        waiters.into_iter().for_each(|waiter| assert_eq!(waiter.join().unwrap(), Ok(7)));
    });
    assert_eq!(pending.peek(), Some(Ok(7)));
    assert_eq!(Pending::ready(Ok(1)).wait(Instant::now()), Ok(1));
}

#[test]
fn an_answer_that_came_too_late_can_still_be_picked_up() {
    let _turn = share();
    let (answer, awaited) = tokio::sync::oneshot::channel();
    let pending = spawn("Test", || async { Ok(awaited.await.unwrap()) });
    assert_eq!(cause(pending.wait(Instant::now() + Duration::from_millis(20))), Cause::TimedOut);
    assert_eq!(pending.peek(), None);
    answer.send(7).unwrap();
    assert_eq!(pending.wait(soon()), Ok(7));
}

#[test]
fn a_panic_in_a_task_is_a_failure_and_the_next_works() {
    let _turn = share();
    let pending: Pending<u32> = spawn("Test", || async { panic!("on purpose") });
    assert_eq!(cause(pending.wait(soon())), Cause::Panic);
    assert_eq!(after(0, 7).wait(soon()), Ok(7));
}

#[test]
fn a_request_that_nobody_waits_for_is_cancelled() {
    let _turn = share();
    struct Flag(Arc<AtomicUsize>);
    impl Drop for Flag {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let dropped = Arc::new(AtomicUsize::new(0));
    let flag = Flag(dropped.clone());
    let pending: Pending<u32> = spawn("Test", move || async move {
        let _flag = flag;
        std::future::pending().await
    });
    let other = pending.clone();
    drop(pending);
    assert_eq!(after(20, 7).wait(soon()), Ok(7));
    assert_eq!(dropped.load(Ordering::SeqCst), 0, "a call still waits for the result");
    drop(other);
    assert_eq!(after(20, 7).wait(soon()), Ok(7));
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
}

#[test]
fn a_child_works_before_and_after_the_parent() {
    let _turn = alone();
    restart();
    assert!(holds_in_child(|| after(1, 7).wait(soon()) == Ok(7)), "a child works if the parent has no runtime");
    assert_eq!(after(1, 7).wait(soon()), Ok(7));
    let (under_way, answered) = (forever(), after(0, 8));
    assert_eq!(answered.wait(soon()), Ok(8));
    for _ in 0..20 {
        let held = holds_in_child(|| {
            let stale = under_way.is_stale() && cause(under_way.wait(soon())) == Cause::Interrupted;
            let kept = !answered.is_stale() && answered.wait(soon()) == Ok(8);
            drop((under_way.clone(), answered.clone()));
            let works = after(1, 7).wait(soon()) == Ok(7);
            let grandchild = holds_in_child(|| after(1, 7).wait(soon()) == Ok(7));
            close().join(LONG);
            stale && kept && works && grandchild && no_thread_is_left()
        });
        assert!(held);
        assert!(holds_in_child(|| {
            restart();
            after(1, 7).wait(soon()) == Ok(7)
        }));
        assert_eq!(after(1, 7).wait(soon()), Ok(7), "the parent still works");
    }
    assert!(!under_way.is_stale() && under_way.peek().is_none());
}

#[test]
fn forks_with_busy_threads_never_hang() {
    let _turn = alone();
    // The first backtrace reads the symbols of this program, which takes longer than a fork waits.
    let _ = std::backtrace::Backtrace::force_capture().to_string();
    let stop = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while stop.load(Ordering::SeqCst) == 0 {
                    // A backtrace takes a lock of the whole process.
                    let pending: Pending<usize> =
                        spawn("Test", || async { Ok(std::backtrace::Backtrace::force_capture().to_string().len()) });
                    let answer = fork::inside_gate(|| pending.wait(soon()));
                    assert!(answer.is_ok(), "{answer:?}");
                }
            });
        }
        for _ in 0..50 {
            let held = holds_in_child(|| {
                let traced = std::backtrace::Backtrace::force_capture();
                fork::inside_gate(|| after(1, 7).wait(soon()) == Ok(7)) && !traced.to_string().is_empty()
            });
            if !held {
                stop.store(1, Ordering::SeqCst);
            }
            assert!(held);
        }
        stop.store(1, Ordering::SeqCst);
    });
}

#[test]
fn several_threads_may_fork_at_once() {
    let _turn = alone();
    let (stop, at_once) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..4 {
            // The threads are inside the gate most of the time, so that a fork that does not wait for them is
            // noticed.
            scope.spawn(|| {
                while stop.load(Ordering::SeqCst) == 0 {
                    fork::inside_gate(|| {
                        at_once.fetch_add(1, Ordering::SeqCst);
                        thread::sleep(Duration::from_micros(300));
                        at_once.fetch_sub(1, Ordering::SeqCst);
                    });
                }
            });
        }
        let fork = || (0..300).all(|_| holds_in_child(|| at_once.load(Ordering::SeqCst) == 0));
        let forking = [(); 6].map(|()| scope.spawn(fork));
        let held = forking.map(|thread| thread.join().unwrap());
        stop.store(1, Ordering::SeqCst);
        assert_eq!(held, [true; 6], "a child began while a thread of its parent was inside the gate");
    });
}

#[test]
fn shutdown_ends_running_calls_and_joins_the_threads() {
    let _turn = alone();
    for _ in 0..3 {
        let pending = forever();
        let blocking: Pending<u32> = spawn("Test", || async {
            let sleep = || thread::sleep(Duration::from_millis(100));
            let _ = tokio::task::spawn_blocking(sleep).await;
            Ok(7)
        });
        assert_eq!(blocking.wait(soon()), Ok(7));
        assert!(!module_threads().is_empty());
        let start = Instant::now();
        thread::scope(|scope| {
            let waiter = scope.spawn(|| pending.wait(soon()));
            close().join(LONG);
            assert_eq!(cause(waiter.join().unwrap()), Cause::Interrupted);
        });
        assert!(start.elapsed() < LONG, "C_Finalize woke the waiting call before its deadline");
        assert_eq!(cause(after(0, 7).wait(soon())), Cause::Interrupted, "a call after C_Finalize is interrupted");
        assert!(no_thread_is_left());
        open();
        assert_eq!(after(0, 7).wait(soon()), Ok(7));
    }
}

#[test]
fn module_threads_block_all_signals() {
    let _turn = alone();
    restart();
    let pending: Pending<u32> = spawn("Test", || async {
        let _ = tokio::task::spawn_blocking(|| ()).await;
        Ok(7)
    });
    assert_eq!(pending.wait(soon()), Ok(7));
    let tasks = module_threads();
    assert_eq!(tasks.len(), 2, "the worker and a blocking thread");
    for task in tasks {
        let status = std::fs::read_to_string(task.join("status")).unwrap();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigBlk:\t")).unwrap();
        let mask = u64::from_str_radix(mask, 16).unwrap();
        // Everything is blocked except KILL (9) and STOP (19), which cannot be blocked, and 32 to 34, which belong
        // to the C library.
        assert_eq!(mask | 1 << 8 | 1 << 18 | 7 << 31, u64::MAX);
    }
}

#[test]
fn each_process_and_life_makes_its_own_value() {
    let _turn = alone();
    struct Counted(Arc<AtomicUsize>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let dropped = Arc::new(AtomicUsize::new(0));
    let held: PerProcess<Counted> = PerProcess::new();
    let make = || Counted(dropped.clone());
    let first = Arc::as_ptr(&held.get(make));
    assert_eq!(Arc::as_ptr(&held.get(make)), first);
    assert!(holds_in_child(|| {
        let own = Arc::as_ptr(&held.get(make)) != first;
        own && dropped.load(Ordering::SeqCst) == 0
    }));
    restart();
    let _ = held.get(make);
    assert_eq!(dropped.load(Ordering::SeqCst), 1, "a new runtime gets a new client");
    drop(held);
    assert_eq!(dropped.load(Ordering::SeqCst), 2);
}

#[test]
fn a_call_that_c_finalize_overtakes_is_interrupted() {
    let _turn = alone();
    for _ in 0..100 {
        let start = std::sync::Barrier::new(5);
        thread::scope(|scope| {
            let call = || {
                start.wait();
                (0..20).map(|_| forever()).collect::<Vec<_>>()
            };
            let calls: Vec<_> = (0..4).map(|_| scope.spawn(call)).collect();
            start.wait();
            restart();
            let calls: Vec<_> = calls.into_iter().flat_map(|call| call.join().unwrap()).collect();
            // Those that belong to the new life go on until then.
            close().join(LONG);
            for call in calls {
                assert_eq!(cause(call.wait(soon())), Cause::Interrupted);
            }
            open();
        });
    }
}
