//! The quota of the fake service: a token bucket for signatures, as KMS has one for each family of keys in a region
//! and Key Vault one for each vault.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A token bucket. Without a rate it admits every request.
#[derive(Default)]
pub struct Quota(Mutex<Option<Bucket>>);

struct Bucket {
    /// Tokens per second.
    rate: f64,
    tokens: f64,
    filled: Instant,
}

/// The time whose tokens the bucket holds. A short time makes the quota strict: what was not used is soon lost.
const CAPACITY: Duration = Duration::from_millis(100);

impl Quota {
    /// Sets the number of signatures per second. 0 removes the quota.
    pub fn set(&self, rate: f64) {
        let bucket = Bucket { rate, tokens: rate * CAPACITY.as_secs_f64(), filled: Instant::now() };
        *self.bucket() = (rate > 0.0).then_some(bucket);
    }

    /// Takes a token. Returns whether there was one.
    pub fn admit(&self) -> bool {
        self.bucket().as_mut().is_none_or(|bucket| bucket.take(Instant::now()))
    }

    fn bucket(&self) -> MutexGuard<'_, Option<Bucket>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bucket {
    fn take(&mut self, now: Instant) -> bool {
        let grown = self.tokens + self.rate * (now - self.filled).as_secs_f64();
        (self.tokens, self.filled) = (grown.min(self.rate * CAPACITY.as_secs_f64()), now);
        let admits = self.tokens >= 1.0;
        if admits {
            self.tokens -= 1.0;
        }
        admits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_admits_its_rate_and_no_more() {
        let start = Instant::now();
        let mut bucket = Bucket { rate: 1000.0, tokens: 0.0, filled: start };
        // Three requests each millisecond, for two seconds.
        let admitted = (0..6000).filter(|n| bucket.take(start + Duration::from_millis(n / 3))).count();
        assert!((1990..=2000).contains(&admitted), "{admitted}");
        let burst = (0..6000).filter(|_| bucket.take(start + Duration::from_secs(60))).count();
        assert_eq!(burst, 100, "what was not used in a minute is lost but for a tenth of a second");
    }
}
