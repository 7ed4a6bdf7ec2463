//! How long a call may take. Most end within a fraction of a second, but a list grows with the deployment (4–5 ms a
//! group) and a change with what is in it, so that no fixed bound fits both.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The longest that anything is waited for: enough for 36 000 groups in one organization. When a server that hung is well
/// again, a call that it forgot is waited for so long.
pub(super) const LONGEST: Duration = Duration::from_mins(3);

/// A request of this size is worth one more second: 50 members of a group.
const BYTES_A_SECOND: usize = 2 << 10;

/// A list that took so long is given this many times as long the next time.
const SLACK: u32 = 4;

/// Lists that need more than the usual; more than these are usual again.
const CAPACITY: usize = 1024;

/// What was learned about lists.
#[derive(Debug)]
pub(super) struct Patience {
    usual: Duration,
    lists: Mutex<HashMap<String, Duration>>,
}

impl Patience {
    pub(super) fn new(usual: Duration) -> Self {
        Self {
            usual,
            lists: Mutex::default(),
        }
    }

    /// The usual bound, which also holds between two parts of an answer.
    pub(super) fn usual(&self) -> Duration {
        self.usual
    }

    /// Until when the answer to a list must have begun.
    pub(super) fn for_list(&self, path: &str) -> Duration {
        let lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        lists.get(path).copied().unwrap_or(self.usual)
    }

    /// Until when the answer to a change with a body of that size must have begun.
    pub(super) fn for_write(&self, body: usize) -> Duration {
        let seconds = u64::try_from(body / BYTES_A_SECOND).unwrap_or(u64::MAX);
        self.usual
            .saturating_add(Duration::from_secs(seconds))
            .min(LONGEST.max(self.usual))
    }

    /// A list took that long.
    pub(super) fn took(&self, path: &str, time: Duration) {
        self.set(path, time.saturating_mul(SLACK));
    }

    /// A list was given up after that long. It may not be dead but large: the next time it has twice as long.
    pub(super) fn gave_up(&self, path: &str, after: Duration) {
        self.set(path, after.saturating_mul(2));
    }

    fn set(&self, path: &str, patience: Duration) {
        let mut lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        if patience <= self.usual {
            lists.remove(path);
        } else if lists.len() < CAPACITY || lists.contains_key(path) {
            lists.insert(path.to_owned(), patience.min(LONGEST.max(self.usual)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_list_that_was_given_up_has_longer_the_next_time_but_not_for_ever() {
        let patience = Patience::new(SECOND * 30);
        let mut given = Vec::new();
        for _ in 0..6 {
            let now = patience.for_list("/groups");
            given.push(now.as_secs());
            patience.gave_up("/groups", now);
        }
        assert_eq!(given, [30, 60, 120, 180, 180, 180]);
        assert_eq!(patience.for_list("/organizations"), SECOND * 30);
        patience.took("/groups", SECOND * 20);
        assert_eq!(patience.for_list("/groups"), SECOND * 80, "what it took, and some more");
        patience.took("/groups", SECOND);
        assert_eq!(patience.for_list("/groups"), SECOND * 30);
        assert!(patience.lists.lock().unwrap().is_empty());
    }

    #[test]
    fn a_change_has_longer_the_more_is_in_it() {
        let patience = Patience::new(SECOND * 30);
        assert_eq!(patience.for_write(100), SECOND * 30);
        let members = 5000 * 39;
        assert!(patience.for_write(members) > SECOND * 120);
        assert_eq!(patience.for_write(usize::MAX), LONGEST);
    }

    #[test]
    fn memory_is_bounded() {
        let patience = Patience::new(SECOND);
        for list in 0..2 * CAPACITY {
            patience.gave_up(&format!("/{list}"), SECOND);
        }
        assert_eq!(patience.lists.lock().unwrap().len(), CAPACITY);
    }
}
