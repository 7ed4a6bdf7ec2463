//! How long an object that failed waits before it is tried again.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::api::ObjectKey;

/// The first wait is at most this.
const FIRST: Duration = Duration::from_secs(1);
/// No wait is longer.
const LONGEST: Duration = Duration::from_mins(5);
/// No wait is shorter, so that an unlucky draw is no hot loop.
const SHORTEST: Duration = Duration::from_millis(100);

/// The failures in a row of each object.
#[derive(Default)]
pub struct Backoff {
    failures: Mutex<HashMap<ObjectKey, u32>>,
}

impl Backoff {
    /// Another failure: how long to wait, with full `jitter` (0 … 1), so that objects that failed together
    /// do not come back together.
    pub fn failed(&self, key: &ObjectKey, jitter: f64) -> Duration {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let count = failures.entry(key.clone()).or_insert(0);
        let longest = FIRST
            .saturating_mul(1_u32.checked_shl(*count).unwrap_or(u32::MAX))
            .min(LONGEST);
        *count = count.saturating_add(1).min(16);
        longest.mul_f64(jitter.clamp(0.0, 1.0)).max(SHORTEST)
    }

    /// None failed.
    pub fn reset_all(&self) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// It did not fail.
    pub fn reset(&self, key: &ObjectKey) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_start_over_after_a_success() {
        let backoff = Backoff::default();
        let key = ObjectKey::new("ns", "a");
        let waits: Vec<u64> = (0..11).map(|_| backoff.failed(&key, 1.0).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(backoff.failed(&ObjectKey::new("ns", "b"), 1.0), FIRST);
        backoff.reset(&key);
        assert_eq!(backoff.failed(&key, 1.0), FIRST);
        assert_eq!(backoff.failed(&key, 0.0), SHORTEST);
    }
}
