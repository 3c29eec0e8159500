//! What a client remembers of earlier tokens.

use crate::cloud::http::exchange::http_date;
use crate::cloud::secret::Secret;
use crate::log_warn;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

/// What a client remembers of earlier tokens. It belongs to one process.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// How many seconds the clock of Google's servers is ahead of this machine's clock.
    difference: AtomicI64,
    /// The refresh token of the file, and the one with which a server has replaced it.
    replaced: Mutex<Option<(Secret, Secret)>>,
}

impl Memory {
    /// Returns the time by the clock of Google's servers, as far as it is known, in seconds since 1970.
    pub(crate) fn now(&self) -> u64 {
        let now = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
        now.saturating_add_signed(self.difference.load(Ordering::Relaxed))
    }

    /// Learns the time of Google's servers from the header `Date` of a reply.
    pub(crate) fn learn_time(&self, date: Option<&str>) {
        let Some(time) = date.and_then(http_date) else { return };
        let change = i64::try_from(i128::from(time) - i128::from(self.now())).unwrap_or_default();
        self.difference.fetch_add(change, Ordering::Relaxed);
        if change.unsigned_abs() > TOLERATED_DIFFERENCE {
            log_warn!("the clock of this machine is wrong by {change} s; set it (timedatectl status)");
        }
    }

    /// Returns the refresh token that is to be used in place of that of the file.
    pub(crate) fn current(&self, of_file: &Secret) -> Secret {
        let replaced = self.replaced.lock().unwrap_or_else(PoisonError::into_inner);
        replaced.as_ref().filter(|(old, _)| old == of_file).map_or_else(|| of_file.clone(), |(_, new)| new.clone())
    }

    /// Records that a server has replaced the refresh token of the file.
    pub(crate) fn replace(&self, of_file: &Secret, new: Secret) {
        *self.replaced.lock().unwrap_or_else(PoisonError::into_inner) = Some((of_file.clone(), new));
    }
}

/// The difference of two clocks, in seconds, that is not worth a line in the log.
const TOLERATED_DIFFERENCE: u64 = 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_of_a_reply_sets_the_clock() {
        let memory = Memory::default();
        memory.learn_time(Some("Wed, 02 Jan 2041 03:04:05 GMT"));
        let passed = memory.now() - 2_240_708_645;
        assert!(passed < 600, "{passed}");
        for wrong in [
            "",
            "Wed",
            "Wed, 32 Jan 2041 03:04:05 GMT",
            "Wed, 02 Jan 2041 03:04 GMT",
            "Wed, 02 X 2041 03:04:05 GMT",
            "Wed, 02 Jan 2041 03:04:05 CET",
        ] {
            assert_eq!(http_date(wrong), None, "{wrong}");
        }
        assert_eq!(http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
    }
}
