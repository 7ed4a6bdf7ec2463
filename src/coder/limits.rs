//! After a 429, a path is left alone for as long as the server asked.
//!
//! Coder counts by user and exact path, so one busy path says nothing about the others. Waiting here instead of at
//! the caller means that nobody has to know who else uses a path, and that a refused call costs the server nothing.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// More paths than one deployment's operator calls in a minute; past it, the path that is free first is forgotten.
const CAPACITY: usize = 4096;

/// Which paths are cooling down, and until when.
#[derive(Debug, Default)]
pub(super) struct CoolDowns(Mutex<HashMap<String, Instant>>);

impl CoolDowns {
    /// When the path may be called again, if not now.
    pub(super) fn until(&self, path: &str) -> Option<Instant> {
        let mut paths = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let until = *paths.get(path)?;
        if until > Instant::now() {
            return Some(until);
        }
        paths.remove(path);
        None
    }

    /// The path answered 429.
    pub(super) fn start(&self, path: &str, wait: Duration) {
        let now = Instant::now();
        let mut paths = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if paths.len() >= CAPACITY && !paths.contains_key(path) {
            paths.retain(|_, until| *until > now);
            if paths.len() >= CAPACITY
                && let Some(first) = paths
                    .iter()
                    .min_by_key(|(_, until)| **until)
                    .map(|(path, _)| path.clone())
            {
                paths.remove(&first);
            }
        }
        let until = now + wait;
        let entry = paths.entry(path.to_owned()).or_insert(until);
        *entry = until.max(*entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_path_waits_alone_and_only_as_long_as_asked() {
        let paths = CoolDowns::default();
        paths.start("/groups/a", Duration::from_mins(1));
        assert!(paths.until("/groups/a").is_some());
        assert!(paths.until("/groups/b").is_none());
        tokio::time::advance(Duration::from_secs(59)).await;
        assert!(paths.until("/groups/a").is_some());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(paths.until("/groups/a").is_none());
        assert!(paths.0.lock().unwrap().is_empty(), "forgotten once it has passed");
    }

    #[tokio::test(start_paused = true)]
    async fn a_shorter_wait_does_not_shorten_a_longer_one() {
        let paths = CoolDowns::default();
        paths.start("/groups", Duration::from_mins(1));
        paths.start("/groups", Duration::from_secs(1));
        tokio::time::advance(Duration::from_secs(30)).await;
        assert!(paths.until("/groups").is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn the_memory_is_bounded() {
        let paths = CoolDowns::default();
        for n in 0..CAPACITY + 100 {
            paths.start(&format!("/users/{n}"), Duration::from_secs(60 + n as u64));
        }
        assert_eq!(paths.0.lock().unwrap().len(), CAPACITY);
        assert!(
            paths.until(&format!("/users/{}", CAPACITY + 99)).is_some(),
            "the longest waits are kept"
        );
    }
}
