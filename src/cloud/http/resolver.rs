//! Resolves host names to addresses with the system's resolver, for the HTTP client of both clouds.

use crate::cloud::runtime::blocking::run_blocking;
use crate::host::fork;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::fs::File;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

/// A resolver that uses getaddrinfo.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resolver;

/// Returns the addresses of a host, with port 0.
pub(crate) async fn addresses(name: String) -> io::Result<Vec<SocketAddr>> {
    inside_gate(move || {
        let found = (name.as_str(), 0).to_socket_addrs().map(Iterator::collect);
        found.map_err(|error| descriptor_shortage().unwrap_or(error))
    })
    .await?
}

/// Returns the error if no more files can be opened. A resolver that can open neither its files nor a socket
/// reports only that the name has no address.
fn descriptor_shortage() -> Option<io::Error> {
    let error = File::open("/dev/null").err()?;
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)).then_some(error)
}

/// Runs `work` inside the gate, because `work` takes locks of the C library that a child must not inherit locked.
/// A fork waits for `work`, but no longer than `fork::PATIENCE`, and `work` waits for a fork.
async fn inside_gate<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    run_blocking(move || fork::inside_gate(work)).await
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let name = name.as_str().to_owned();
        Box::pin(async move { Ok(Box::new(addresses(name).await?.into_iter()) as Addrs) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::failure::{Cause, Failure};
    use crate::cloud::runtime::{Pending, spawn, testing};
    use crate::host::fork::testing::holds_in_child;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
    use std::time::{Duration, Instant};

    const LONG: Duration = Duration::from_secs(60);

    fn look_up(name: &'static str) -> Result<Vec<SocketAddr>, Failure> {
        let found: Pending<Vec<SocketAddr>> = spawn("Test", move || async move {
            addresses(name.to_owned()).await.map_err(|e| Failure::new(Cause::Unreachable, "Test", e.to_string()))
        });
        found.wait(Instant::now() + LONG)
    }

    #[test]
    fn names_become_addresses() {
        let _turn = testing::share();
        assert!(look_up("localhost").unwrap().iter().all(|address| address.ip().is_loopback()));
        assert_eq!(look_up("no-such-host.invalid").unwrap_err().cause, Cause::Unreachable);
    }

    #[test]
    fn a_fork_waits_for_a_lookup() {
        static LOCKED: Mutex<()> = Mutex::new(());
        let _turn = testing::alone();
        let stop = AtomicBool::new(false);
        let lookup = || async {
            let work = || {
                let _locked = LOCKED.lock();
                std::thread::sleep(Duration::from_millis(2));
            };
            inside_gate(work).await.map_err(|e| Failure::new(Cause::Internal, "Test", e.to_string()))
        };
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !stop.load(Ordering::SeqCst) {
                        let pending = spawn("Test", lookup);
                        assert_eq!(fork::inside_gate(|| pending.wait(Instant::now() + LONG)), Ok(()));
                    }
                });
            }
            let held = (0..100).all(|_| holds_in_child(|| LOCKED.try_lock().is_ok() && look_up("localhost").is_ok()));
            stop.store(true, Ordering::SeqCst);
            assert!(held, "a child inherited a locked lock");
        });
    }

    #[test]
    fn a_lookup_that_does_not_end_stops_no_fork() {
        static STATE: AtomicU32 = AtomicU32::new(0);
        let _turn = testing::alone();
        let pending = spawn("Test", || async {
            let work = || {
                STATE.store(1, Ordering::SeqCst);
                let end = Instant::now() + LONG;
                while STATE.load(Ordering::SeqCst) == 1 && Instant::now() < end {
                    std::thread::sleep(Duration::from_millis(1));
                }
                STATE.load(Ordering::SeqCst)
            };
            inside_gate(work).await.map_err(|e| Failure::new(Cause::Internal, "Test", e.to_string()))
        });
        while STATE.load(Ordering::SeqCst) == 0 {
            std::thread::yield_now();
        }
        assert!(holds_in_child(|| fork::inside_gate(|| look_up("localhost")).is_ok()));
        STATE.store(2, Ordering::SeqCst);
        assert_eq!(pending.wait(Instant::now() + LONG), Ok(2), "the fork waited until the lookup ended");
    }
}
