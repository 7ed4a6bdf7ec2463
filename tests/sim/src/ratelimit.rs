//! The request limiter: a sliding window over two fixed ones, counted per caller and exact path.
//!
//! As recorded: the method and the query do not matter, every call counts (refused ones too), the remaining count in the
//! answer includes the call itself, and a call over the limit is answered without being counted (recordings 00 and 13).

use std::collections::HashMap;

use jiff::Timestamp;

use crate::clock::seconds_between;

/// Length of a window in seconds.
const WINDOW: i64 = 60;

/// What the limiter said about one call.
pub(crate) struct Verdict {
    pub(crate) limit: u32,
    pub(crate) remaining: u32,
    pub(crate) reset: i64,
    pub(crate) allowed: bool,
}

/// Counters of one limit.
#[derive(Clone, Debug, Default)]
pub(crate) struct Limiter {
    counts: HashMap<String, Counter>,
}

#[derive(Clone, Debug, Default)]
struct Counter {
    window: i64,
    current: u32,
    previous: u32,
}

impl Verdict {
    /// Of a call that counts by itself.
    pub(crate) fn alone(limit: u32, now: Timestamp) -> Self {
        Limiter::default().take(String::new(), limit, now)
    }
}

impl Limiter {
    /// Counts a call of `key` at `now` against `limit` a minute.
    pub(crate) fn take(&mut self, key: String, limit: u32, now: Timestamp) -> Verdict {
        let window = now.as_second().div_euclid(WINDOW);
        let counter = self.counts.entry(key).or_default();
        if counter.window != window {
            counter.previous = if counter.window == window - 1 {
                counter.current
            } else {
                0
            };
            counter.current = 0;
            counter.window = window;
        }
        // The share of the previous window that still lies inside the last minute.
        let passed = Timestamp::from_second(window * WINDOW).map_or(0.0, |start| seconds_between(start, now));
        let length = f64::from(i32::try_from(WINDOW).unwrap_or(i32::MAX));
        let carried = f64::from(counter.previous) * (length - passed) / length;
        let used = rounded(carried + f64::from(counter.current));
        let reset = (window + 1) * WINDOW;
        if used >= limit {
            return Verdict {
                limit,
                remaining: limit.saturating_sub(used),
                reset,
                allowed: false,
            };
        }
        counter.current += 1;
        Verdict {
            limit,
            remaining: limit - used - 1,
            reset,
            allowed: true,
        }
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count of calls, never negative"
)]
fn rounded(rate: f64) -> u32 {
    rate.round() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_per_key_and_forgets_after_a_window() {
        let mut limiter = Limiter::default();
        let start = Timestamp::from_second(600).expect("a time");
        assert_eq!(limiter.take("a".to_owned(), 2, start).remaining, 1);
        assert_eq!(limiter.take("a".to_owned(), 2, start).remaining, 0);
        assert!(!limiter.take("a".to_owned(), 2, start).allowed);
        assert!(limiter.take("b".to_owned(), 2, start).allowed);
        let later = Timestamp::from_second(720).expect("a time");
        assert!(limiter.take("a".to_owned(), 2, later).allowed);
    }
}
