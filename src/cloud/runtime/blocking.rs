//! Work that blocks, on one of the runtime's few threads for it.

use crate::host::watch;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tokio::task::spawn_blocking;

/// Does `work` on another thread. To be awaited on the runtime.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    let work = || {
        let answer = work();
        // The answer wakes the runtime, by a descriptor.
        watch::leave_if_lost();
        answer
    };
    contained(|| spawn_blocking(work))?.await.map_err(io::Error::other)
}

/// With these words tokio panics where the system starts no thread.
const NO_THREAD: &str = "OS can't spawn worker thread";

/// Whether a panic with that message is tokio's way to say so: `contained` makes an error of it.
pub fn is_lack_of_threads(message: &str) -> bool {
    message.starts_with(NO_THREAD)
}

/// Runs what starts threads of tokio's.
///
/// # Errors
/// That none can be started; else that it has panicked, which the panic's own line tells.
pub(crate) fn contained<T>(start: impl FnOnce() -> T) -> io::Result<T> {
    catch_unwind(AssertUnwindSafe(start)).map_err(|panic| {
        let message = panic.downcast_ref::<String>().map(String::as_str);
        match message.or_else(|| panic.downcast_ref::<&str>().copied()) {
            Some(message) if is_lack_of_threads(message) => io::Error::from_raw_os_error(libc::EAGAIN),
            _ => io::Error::other("a panic while threads were started"),
        }
    })
}
