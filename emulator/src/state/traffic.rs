//! What the emulator saw: how often each operation was asked, and a log of the last requests.

use crate::http::Handshake;
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// One request and how it was answered.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// The operation, as it is counted.
    pub operation: String,
    /// The key as the client named it, if it named one.
    pub key: Option<String>,
    /// The region that a request to AWS was signed for.
    pub region: Option<String>,
    /// The host that was asked.
    pub host: String,
    /// Method and path.
    pub request: String,
    /// The HTTP status; 0 for a request that got no reply.
    pub status: u16,
    /// The number of the TCP connection that it came by; the first is 1.
    pub connection: u64,
    /// How TLS began on that connection, if it did.
    pub handshake: Option<Handshake>,
    /// The project of the header `x-goog-user-project`.
    pub quota_project: Option<String>,
    /// What was to be signed, in hexadecimal.
    pub digest: Option<String>,
}

/// Counts and log, and a way to wait for a count.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    seen: Mutex<Seen>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Seen {
    counts: BTreeMap<String, u64>,
    log: VecDeque<Entry>,
}

const LOG_LENGTH: usize = 20_000;

impl Traffic {
    pub(crate) fn count(&self, operation: &str) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        *seen.counts.entry(operation.to_owned()).or_default() += 1;
        drop(seen);
        self.changed.notify_all();
    }

    pub(crate) fn record(&self, entry: Entry) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.log.len() == LOG_LENGTH {
            seen.log.pop_front();
        }
        seen.log.push_back(entry);
    }

    pub(crate) fn counts(&self) -> BTreeMap<String, u64> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).counts.clone()
    }

    pub(crate) fn log(&self) -> Vec<Entry> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).log.iter().cloned().collect()
    }

    pub(crate) fn reset(&self) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Seen::default();
    }

    /// Waits until `operation` was counted `count` times; false if that did not happen in time.
    pub(crate) fn wait(&self, operation: &str, count: u64, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        while seen.counts.get(operation).copied().unwrap_or_default() < count {
            let Some(left) = end.checked_duration_since(Instant::now()) else { return false };
            seen = self.changed.wait_timeout(seen, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}
