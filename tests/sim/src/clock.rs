//! The simulator's own clock.
//!
//! Recorded licences were issued on one day and expire on another; a test that replays them must not rot when that day
//! has passed. So nothing here reads the system time except this file.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

/// A clock that runs at normal speed from a point that can be set. Clones share it.
#[derive(Clone, Debug)]
pub struct Clock {
    base: Arc<Mutex<(Timestamp, Instant)>>,
}

impl Clock {
    /// Runs with the system clock.
    #[must_use]
    pub fn system() -> Self {
        Self::starting_at(Timestamp::now())
    }

    /// Runs at normal speed from `start`.
    #[must_use]
    pub fn starting_at(start: Timestamp) -> Self {
        Self {
            base: Arc::new(Mutex::new((start, Instant::now()))),
        }
    }

    /// The time now, in whole microseconds: that is what the real server's database keeps.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let (base, since) = *self.base.lock().unwrap_or_else(PoisonError::into_inner);
        let now = base.saturating_add(since.elapsed()).unwrap_or(base);
        Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
    }

    /// Jumps to `to`, forwards or backwards.
    pub fn set(&self, to: Timestamp) {
        *self.base.lock().unwrap_or_else(PoisonError::into_inner) = (to, Instant::now());
    }

    /// Jumps forward by `by`.
    pub fn advance(&self, by: Duration) {
        let to = self.now().saturating_add(by).unwrap_or(Timestamp::MAX);
        self.set(to);
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

/// A time as Go prints it: RFC 3339, UTC, no trailing zeros in the fraction.
pub(crate) fn rfc3339(at: Timestamp) -> String {
    at.to_string()
}

/// Go's zero time: what a user who was never seen, or a proxy that was never checked, carries.
pub(crate) fn rfc3339_or_zero(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), rfc3339)
}

/// Whole seconds from `from` to `to`, negative when `to` is earlier.
pub(crate) fn seconds_between(from: Timestamp, to: Timestamp) -> f64 {
    let passed: SignedDuration = to.duration_since(from);
    passed.as_secs_f64()
}
