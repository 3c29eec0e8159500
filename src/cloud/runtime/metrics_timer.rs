//! The timer that writes the file of the metrics.

use super::blocking::run_blocking;
use crate::metrics;
use std::time::Duration;
use tokio::runtime::Runtime;

/// Starts the timer on the runtime, if there is a file to write. It ends with the runtime. Called inside the gate.
pub(super) fn start(runtime: &Runtime) {
    if let Some(file) = metrics::file() {
        runtime.spawn(repeat(metrics::INTERVAL, move || metrics::write_to(&file)));
    }
}

/// Calls `write` on a thread for blocking work, again and again. A slow disk delays no request.
async fn repeat(interval: Duration, write: impl Fn() + Clone + Send + 'static) {
    loop {
        tokio::time::sleep(interval).await;
        // An error means that no thread could be started, or that `write` panicked. The next turn may succeed.
        let _ = run_blocking(write.clone()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::failure::Failure;
    use crate::cloud::runtime;
    use crate::cloud::runtime::testing::share;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Instant;

    #[test]
    fn the_file_is_written_again_and_again_beside_the_worker() {
        let _turn = share();
        let count = Arc::new(AtomicU32::new(0));
        let own = count.clone();
        let write = move || {
            // The third write panics, which does not end the timer.
            assert_ne!(own.fetch_add(1, Ordering::SeqCst), 2, "on purpose");
        };
        let timer = runtime::spawn("Test", move || async move {
            tokio::spawn(repeat(Duration::from_millis(1), write));
            while count.load(Ordering::SeqCst) < 5 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            Ok::<_, Failure>(())
        });
        assert_eq!(timer.wait(Instant::now() + Duration::from_secs(60)), Ok(()));
    }
}
