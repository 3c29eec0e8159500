//! Metrics: what this process has done so far, as numbers, written to a file that a monitoring system reads.
//!
//! The option `metrics_file` names the file. Without it, nothing is counted. docs/monitoring.md describes each metric.
//!
//! The numbers are relaxed atomics, so counting takes no lock. The runtime writes the file each minute on one of its
//! threads for blocking work, and C_Finalize writes it once more. A forked child counts from zero.

mod exposition;
mod file;
mod series;

pub use file::MetricsFile;

use exposition::Exposition;
use series::{Counter, Histogram};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The time between two writes of the file.
pub const INTERVAL: Duration = Duration::from_secs(60);

/// The outcome of a request that has succeeded. Other outcomes are names of causes.
pub const OK: &str = "ok";

static REQUESTS: Counter<3> = Counter::new(
    "cloud_kms_pkcs11_requests",
    "Requests to key services, by their outcome after all attempts.",
    ["cloud", "operation", "outcome"],
);

static REQUEST_DURATION: Histogram<2> = Histogram::new(
    "cloud_kms_pkcs11_request_duration_seconds",
    "Time of requests to key services, with all attempts.",
    ["cloud", "operation"],
);

static RETRIES: Counter<3> = Counter::new(
    "cloud_kms_pkcs11_retries",
    "Attempts that failed and were repeated, by the cause of the failure.",
    ["cloud", "operation", "cause"],
);

static CONNECTIONS: Counter<0> =
    Counter::new("cloud_kms_pkcs11_connections", "Connections opened to services and proxies.", []);

static KEY_USES: Counter<3> = Counter::new(
    "cloud_kms_pkcs11_key_uses",
    "Uses of private and secret keys, by the CK_RV.",
    ["operation", "mechanism", "result"],
);

static FUNCTION_CALLS: Counter<2> = Counter::new(
    "cloud_kms_pkcs11_function_calls",
    "Calls of PKCS#11 functions, by the CK_RV that they returned. Queries of a length are calls, too.",
    ["function", "result"],
);

static IS_ENABLED: AtomicBool = AtomicBool::new(false);
/// When this process began to count, in milliseconds since 1970.
static START: AtomicU64 = AtomicU64::new(0);
/// Locked on the host's threads only, inside the gate for forks.
static FILE: Mutex<Option<MetricsFile>> = Mutex::new(None);

/// Begins to count, if there is a file to write. Called by C_Initialize.
pub fn start(file: Option<MetricsFile>) {
    IS_ENABLED.store(file.is_some(), Ordering::Relaxed);
    if file.is_some() && START.load(Ordering::Relaxed) == 0 {
        START.store(now(), Ordering::Relaxed);
    }
    *FILE.lock().unwrap_or_else(PoisonError::into_inner) = file;
}

/// Returns whether anything is counted.
pub fn is_enabled() -> bool {
    IS_ENABLED.load(Ordering::Relaxed)
}

/// Returns the file to write. Must be called inside the gate.
pub fn file() -> Option<MetricsFile> {
    match is_enabled() {
        true => FILE.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        false => None,
    }
}

/// Writes the file a last time, if there was a request. Called by C_Finalize. Many programs load every module of p11-kit and
/// use none of them.
pub fn write() {
    if let Some(file) = file().filter(|_| REQUESTS.has_events()) {
        write_to(&file);
    }
}

/// Writes the file. Called each minute.
pub fn write_to(file: &MetricsFile) {
    file.write(text);
}

/// Counts from zero. Called after a fork, in the child. Takes no lock.
pub fn reset_after_fork() {
    if !is_enabled() {
        return;
    }
    START.store(now(), Ordering::Relaxed);
    REQUESTS.reset();
    REQUEST_DURATION.reset();
    RETRIES.reset();
    CONNECTIONS.reset();
    KEY_USES.reset();
    FUNCTION_CALLS.reset();
}

/// A request that is under way. It is counted when it is dropped.
pub struct Request {
    cloud: &'static str,
    operation: &'static str,
    start: Instant,
    /// [`OK`] or the name of a cause.
    pub outcome: &'static str,
}

impl Request {
    /// Begins to measure a request. `outcome` is that of a request that nobody waits for any more.
    pub fn begin(cloud: &'static str, operation: &'static str, outcome: &'static str) -> Self {
        Self { cloud, operation, start: Instant::now(), outcome }
    }

    /// Counts a failed attempt that is repeated.
    pub fn count_retry(&self, cause: &'static str) {
        RETRIES.add([self.cloud, self.operation, cause]);
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        REQUESTS.add([self.cloud, self.operation, self.outcome]);
        REQUEST_DURATION.record([self.cloud, self.operation], self.start.elapsed());
    }
}

/// Counts a connection that was opened.
pub fn count_connection() {
    if is_enabled() {
        CONNECTIONS.add([]);
    }
}

/// Counts a use of a private or secret key. Called only if [`is_enabled`].
pub fn count_key_use(operation: &'static str, mechanism: &'static str, result: &'static str) {
    KEY_USES.add([operation, mechanism, result]);
}

/// Counts a call of a PKCS#11 function. Must be called inside the gate.
pub fn count_function_call(function: &'static str, result: &'static str) {
    FUNCTION_CALLS.add([function, result]);
}

/// Returns the text of the file. `labels` belong to each metric.
fn text(labels: &[(&'static str, &str)]) -> String {
    let mut text = Exposition::new(labels);
    text.info("cloud_kms_pkcs11_build_info", "The version of the module.", &[("version", env!("CARGO_PKG_VERSION"))]);
    let start = Duration::from_millis(START.load(Ordering::Relaxed));
    text.seconds(
        "cloud_kms_pkcs11_start_time_seconds",
        "When this process began to count, in seconds since 1970.",
        start,
    );
    REQUESTS.write_to(&mut text);
    REQUEST_DURATION.write_to(&mut text);
    RETRIES.write_to(&mut text);
    CONNECTIONS.write_to(&mut text);
    KEY_USES.write_to(&mut text);
    FUNCTION_CALLS.write_to(&mut text);
    text.finish()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}
