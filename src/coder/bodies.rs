//! How much of answers is in memory at one time. Each answer has a bound of its own; beyond a part that any may have,
//! only a few are read at once and the others wait. So what all of them need together is bounded as well, and since
//! nobody holds one place while it waits for another, nobody waits for ever.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What of any answer is read at once.
pub(super) const SMALL: usize = 1 << 20;

/// How many larger answers are in memory at one time, over all deployments.
pub(super) const LARGE_AT_ONCE: usize = 2;

/// The places for large answers. Clones are the same places: all clients of a process share them.
#[derive(Clone, Debug)]
pub struct Bodies(Arc<Semaphore>);

impl Default for Bodies {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(LARGE_AT_ONCE)))
    }
}

impl Bodies {
    /// A place for an answer of that size so far; waits for it if it is a large one. It is taken once for an answer and
    /// held until nothing of it is in memory any more.
    pub(super) async fn make_room(&self, size: usize, place: &mut Place) {
        if size > SMALL && place.0.is_none() {
            // Never closed.
            place.0 = Arc::clone(&self.0).acquire_owned().await.ok();
        }
    }
}

/// A place for a large answer, or none for a small one.
#[derive(Debug, Default)]
pub(super) struct Place(Option<OwnedSemaphorePermit>);

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn large_answers_wait_for_each_other_and_small_ones_for_nobody() {
        let bodies = Bodies::default();
        let mut large: Vec<Place> = (0..LARGE_AT_ONCE).map(|_| Place::default()).collect();
        for place in &mut large {
            bodies.make_room(SMALL + 1, place).await;
            bodies.make_room(SMALL * 9, place).await;
        }
        let mut waits = Place::default();
        assert!(bodies.make_room(SMALL + 1, &mut waits).now_or_never().is_none());
        bodies.make_room(SMALL, &mut Place::default()).await;
        large.pop();
        bodies.make_room(SMALL + 1, &mut waits).await;
    }
}
