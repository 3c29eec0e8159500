//! Blocking work, which runs on one of the runtime's few threads for it.

use crate::host::descriptor_watch;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tokio::task::spawn_blocking;

/// Runs `work` on another thread. Must be awaited on the runtime.
pub(crate) async fn run_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    let work = || {
        let answer = work();
        // The result wakes the runtime through a descriptor, so the thread ends here if the descriptors are lost.
        descriptor_watch::exit_thread_if_lost();
        answer
    };
    catch_panic(|| spawn_blocking(work))?.await.map_err(io::Error::other)
}

/// The beginning of tokio's panic message if the system cannot start a thread.
const TOKIO_NO_THREAD: &str = "OS can't spawn worker thread";

/// Returns whether a panic with this message means that the system cannot start a thread. `catch_panic` turns such a
/// panic into an error.
pub fn is_thread_start_panic(message: &str) -> bool {
    message.starts_with(TOKIO_NO_THREAD)
}

/// Runs `start`, which may start threads of tokio.
///
/// # Errors
/// EAGAIN if no thread can be started. For any other panic, an error without details, which the log line of the
/// panic contains.
pub(crate) fn catch_panic<T>(start: impl FnOnce() -> T) -> io::Result<T> {
    catch_unwind(AssertUnwindSafe(start)).map_err(|panic| {
        let message = panic.downcast_ref::<String>().map(String::as_str);
        match message.or_else(|| panic.downcast_ref::<&str>().copied()) {
            Some(message) if is_thread_start_panic(message) => io::Error::from_raw_os_error(libc::EAGAIN),
            _ => io::Error::other("a panic occurred while a thread was started"),
        }
    })
}
