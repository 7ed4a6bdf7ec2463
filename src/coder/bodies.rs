//! How much of answers is in memory at one time. Each answer has a bound of its own; beyond a part that any may have,
//! only a few are read at once and the others wait. So what all of them need together is bounded as well.
//!
//! A deployment that answers slowly must not keep the others waiting: each has one place at most, and whoever has one for long
//! while somebody waits for it gives it up.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// What of any answer is read at once.
pub(super) const SMALL: usize = 1 << 20;

/// How many larger answers are in memory at one time, over all deployments.
pub(super) const LARGE_AT_ONCE: usize = 2;

/// The places for large answers. Clones are the same places: all clients of a process share them.
#[derive(Clone, Debug)]
pub struct Bodies {
    places: Arc<Semaphore>,
    /// How many wait for one.
    waiting: Arc<AtomicUsize>,
    /// The one place that a client may have.
    own: Arc<Semaphore>,
}

impl Default for Bodies {
    fn default() -> Self {
        Self {
            places: Arc::new(Semaphore::new(LARGE_AT_ONCE)),
            waiting: Arc::default(),
            own: Arc::new(Semaphore::new(1)),
        }
    }
}

impl Bodies {
    /// The same places, for another client.
    pub(super) fn for_client(&self) -> Self {
        Self {
            own: Arc::new(Semaphore::new(1)),
            ..self.clone()
        }
    }

    /// A place for an answer of that size so far; waits for it if it is a large one. It is taken once for an answer and
    /// held until nothing of it is in memory any more.
    pub(super) async fn make_room(&self, size: usize, place: &mut Place) {
        if size <= SMALL || place.0.is_some() {
            return;
        }
        // Never closed. Who has a place of all waits for none of its own, so that nobody waits for ever.
        let Ok(own) = Arc::clone(&self.own).acquire_owned().await else {
            return;
        };
        let _waiting = Waiting::new(&self.waiting);
        if let Ok(shared) = Arc::clone(&self.places).acquire_owned().await {
            place.0 = Some(Held {
                since: Instant::now(),
                _permits: (own, shared),
            });
        }
    }

    /// How many places nobody has.
    #[cfg(test)]
    pub(super) fn free(&self) -> usize {
        self.places.available_permits()
    }

    /// Since when a place is held that somebody else waits for.
    pub(super) fn is_wanted_since(&self, place: &Place) -> Option<Instant> {
        let held = place.0.as_ref()?;
        (self.waiting.load(Ordering::Relaxed) > 0).then_some(held.since)
    }
}

/// A place for a large answer, or none for a small one.
#[derive(Debug, Default)]
pub(super) struct Place(Option<Held>);

#[derive(Debug)]
struct Held {
    since: Instant,
    _permits: (OwnedSemaphorePermit, OwnedSemaphorePermit),
}

/// Counts one who waits.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn large_answers_wait_for_each_other_and_small_ones_for_nobody() {
        let bodies = Bodies::default();
        let clients: Vec<Bodies> = (0..=LARGE_AT_ONCE).map(|_| bodies.for_client()).collect();
        let (last, others) = clients.split_last().unwrap();
        let mut large = Vec::new();
        for client in others {
            let mut place = Place::default();
            client.make_room(SMALL + 1, &mut place).await;
            client.make_room(SMALL * 9, &mut place).await;
            large.push(place);
        }
        let mut waits = Place::default();
        assert_eq!(last.is_wanted_since(&large[0]), None);
        {
            let mut waiting = std::pin::pin!(last.make_room(SMALL + 1, &mut waits));
            assert!(waiting.as_mut().now_or_never().is_none());
            assert!(bodies.is_wanted_since(&large[0]).is_some());
        }
        assert_eq!(bodies.is_wanted_since(&large[0]), None, "nobody waits any more");
        last.make_room(SMALL, &mut Place::default()).await;
        large.pop();
        last.make_room(SMALL + 1, &mut waits).await;
    }

    #[tokio::test]
    async fn a_client_has_one_place() {
        let one = Bodies::default();
        let other = one.for_client();
        let (mut first, mut second, mut third) = (Place::default(), Place::default(), Place::default());
        one.make_room(SMALL + 1, &mut first).await;
        assert!(one.make_room(SMALL + 1, &mut second).now_or_never().is_none());
        assert!(other.make_room(SMALL + 1, &mut third).now_or_never().is_some());
    }
}
