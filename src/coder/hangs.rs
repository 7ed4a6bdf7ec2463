//! What does not answer in time is left alone for a while, so that not every caller waits for nothing. One path may hang
//! (an enormous list, a lock in the server's database) while all others answer, and so may one endpoint on all its paths:
//! neither makes the server dead, and an answer on another path does not make it alive.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::breaker::BreakerConfig;
use super::path::Method;

/// Calls of one path that were given up in a row, until it is left alone.
const OF_A_PATH: u32 = 2;
/// Calls of one endpoint that were given up in a row, whatever their paths.
const OF_AN_ENDPOINT: u32 = 5;
/// How many paths are remembered. Past it nothing new is, until some answer.
const CAPACITY: usize = 4096;

/// What did not answer in time lately.
#[derive(Debug)]
pub(super) struct Hangs {
    config: BreakerConfig,
    state: Mutex<HashMap<Key, Hang>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Path(Method, String),
    Endpoint(Method, &'static str),
}

#[derive(Debug)]
struct Hang {
    in_a_row: u32,
    /// When it may be tried again.
    next: Instant,
    /// Somebody tries.
    trying: bool,
}

impl Key {
    fn threshold(&self) -> u32 {
        match self {
            Self::Path(..) => OF_A_PATH,
            Self::Endpoint(..) => OF_AN_ENDPOINT,
        }
    }
}

/// The right to make one call. Dropped without a word it says nothing, and if it was a try, the next call is.
#[must_use]
#[derive(Debug)]
pub(super) struct Try<'a> {
    hangs: &'a Hangs,
    keys: [Key; 2],
    over: bool,
}

impl Hangs {
    pub(super) fn new(config: BreakerConfig) -> Self {
        Self {
            config,
            state: Mutex::default(),
        }
    }

    /// Leave to call, or when to ask again.
    pub(super) fn admit(&self, method: Method, template: &'static str, path: &str) -> Result<Try<'_>, Instant> {
        let keys = [Key::Path(method, path.to_owned()), Key::Endpoint(method, template)];
        let now = Instant::now();
        let mut state = self.lock();
        let blocks = |key: &Key, hang: &Hang| hang.in_a_row >= key.threshold() && (hang.trying || hang.next > now);
        let until = keys
            .iter()
            .filter_map(|key| state.get(key).filter(|hang| blocks(key, hang)))
            .map(|hang| hang.next)
            .max();
        if let Some(until) = until {
            return Err(until.max(now + self.config.first));
        }
        for key in &keys {
            if let Some(hang) = state.get_mut(key) {
                hang.trying = hang.in_a_row >= key.threshold();
            }
        }
        drop(state);
        Ok(Try {
            hangs: self,
            keys,
            over: false,
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Hang>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Try<'_> {
    /// It was answered, somehow.
    pub(super) fn answered(mut self) {
        self.over = true;
        let mut state = self.hangs.lock();
        for key in &self.keys {
            state.remove(key);
        }
    }

    /// It was given up.
    pub(super) fn hung(mut self) {
        self.over = true;
        let now = Instant::now();
        let mut state = self.hangs.lock();
        for key in &self.keys {
            if state.len() >= CAPACITY && !state.contains_key(key) {
                continue;
            }
            let hang = state.entry(key.clone()).or_insert(Hang {
                in_a_row: 0,
                next: now,
                trying: false,
            });
            hang.in_a_row = hang.in_a_row.saturating_add(1);
            hang.trying = false;
            if let Some(beyond) = hang.in_a_row.checked_sub(key.threshold()) {
                hang.next = now + self.hangs.config.distance(beyond);
            }
        }
    }
}

impl Drop for Try<'_> {
    fn drop(&mut self) {
        if !self.over {
            let mut state = self.hangs.lock();
            for key in &self.keys {
                if let Some(hang) = state.get_mut(key) {
                    hang.trying = false;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;

    const GROUP: &str = "/groups/{group}";

    fn hangs() -> Hangs {
        Hangs::new(BreakerConfig {
            jitter: Arc::new(|| 1.0),
            ..BreakerConfig::default()
        })
    }

    fn call<'a>(hangs: &'a Hangs, path: &str) -> Result<Try<'a>, Instant> {
        hangs.admit(Method::Patch, GROUP, path)
    }

    #[tokio::test(start_paused = true)]
    async fn a_path_that_hangs_is_tried_by_one_at_a_time_and_holds_up_no_other() {
        let hangs = hangs();
        for _ in 0..2 {
            call(&hangs, "/groups/1").unwrap().hung();
            call(&hangs, "/groups/2").unwrap().answered();
        }
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            let until = call(&hangs, "/groups/1").unwrap_err();
            assert_eq!(until - Instant::now(), Duration::from_secs(seconds));
            call(&hangs, "/groups/2").unwrap().answered();
            tokio::time::advance(Duration::from_secs(seconds)).await;
            let one = call(&hangs, "/groups/1").unwrap();
            assert!(call(&hangs, "/groups/1").is_err(), "one at a time");
            one.hung();
        }
        tokio::time::advance(Duration::from_mins(1)).await;
        call(&hangs, "/groups/1").unwrap().answered();
        let together = (call(&hangs, "/groups/1"), call(&hangs, "/groups/1"));
        assert!(together.0.is_ok() && together.1.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn an_endpoint_that_hangs_on_all_its_paths_is_left_alone() {
        let hangs = hangs();
        for path in 0..5 {
            call(&hangs, &format!("/groups/{path}")).unwrap().hung();
        }
        assert!(call(&hangs, "/groups/6").is_err());
        assert!(
            hangs.admit(Method::Get, GROUP, "/groups/6").is_ok(),
            "reads are another matter"
        );
        tokio::time::advance(Duration::from_secs(1)).await;
        drop(call(&hangs, "/groups/6").unwrap());
        call(&hangs, "/groups/6").unwrap().answered();
        assert!(call(&hangs, "/groups/7").is_ok());
    }

    #[test]
    fn memory_is_bounded() {
        let hangs = hangs();
        for path in 0..2 * CAPACITY {
            let path = format!("/groups/{path}");
            if let Ok(call) = hangs.admit(Method::Get, "/a", &path) {
                call.hung();
            }
            hangs.state.lock().unwrap().remove(&Key::Endpoint(Method::Get, "/a"));
        }
        assert!(hangs.state.lock().unwrap().len() <= CAPACITY);
    }
}
