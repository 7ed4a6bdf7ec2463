//! The list call of a collection: one at a time, shared by all who asked before it was sent. It goes on when nobody waits
//! for it any more, because a large list may take minutes, and nobody waits for that long.

use std::sync::{Arc, MutexGuard, Weak};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::shelf::{Shelf, State};
use super::{Collection, FetchError, Freshness, Snapshot};
use crate::coder::Error;

/// This long is a list waited for; who needs it is woken when it comes later.
pub(super) const WAIT: Duration = Duration::from_secs(30);

/// A list call under way. Dropping it ends the call.
pub(super) struct Fetch {
    /// Closed when it is over.
    over: watch::Receiver<()>,
    /// Somebody who needed it does not wait any more.
    given_up: bool,
    task: AbortHandle,
}

impl Fetch {
    /// Whether it ended without a word.
    fn is_dead(&self) -> bool {
        self.over.has_changed().is_err()
    }
}

impl Drop for Fetch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<C: Collection> Shelf<C> {
    /// The collection, as fresh as that.
    pub(super) async fn snapshot(&self, freshness: Freshness) -> Result<Arc<Snapshot<C::Item>>, FetchError> {
        let asked = Instant::now();
        loop {
            let mut over = {
                let mut state = self.lock();
                if let Some(snapshot) = state.fresh(freshness, self.outside.is_fed()) {
                    return Ok(snapshot);
                }
                if let Some(error) = state.known_refusal(freshness) {
                    return Err(error);
                }
                // Whoever waited for a fetch that failed shares its failure instead of trying again.
                if let Some((_, error)) = state.failure.as_ref().filter(|(began, _)| *began >= asked) {
                    return Err(Arc::clone(error));
                }
                match &state.fetch {
                    Some(fetch) if !fetch.is_dead() => fetch.over.clone(),
                    _ => self.send(&mut state),
                }
            };
            // It is never changed, only closed.
            if tokio::time::timeout_at(asked + WAIT, over.changed()).await.is_err() {
                if let Some(fetch) = &mut self.lock().fetch {
                    fetch.given_up = true;
                }
                return Err(Arc::new(Error::StillReading { list: C::NAME }));
            }
        }
    }

    /// Sends the list call.
    fn send(&self, state: &mut MutexGuard<'_, State<C>>) -> watch::Receiver<()> {
        let (running, over) = watch::channel(());
        let (me, collection, outside) = (
            Weak::clone(&self.me),
            self.collection.clone(),
            Arc::clone(&self.outside),
        );
        let call = async move {
            // Closed at the end, however it ends.
            let _running = running;
            // Never closed.
            let _place = outside.lists.acquire().await;
            let read = Read::begin(&me, Instant::now());
            let answer = collection.list(&outside.client).await;
            if let Some(shelf) = me.upgrade() {
                shelf.arrived(read.began, answer);
            }
        };
        state.fetch = Some(Fetch {
            over: over.clone(),
            given_up: false,
            task: tokio::spawn(call).abort_handle(),
        });
        over
    }

    /// A list call that was sent at `began` is over.
    fn arrived(&self, began: Instant, answer: Result<Vec<C::Item>, Error>) {
        let mut state = self.lock();
        let given_up = state.fetch.take().is_some_and(|fetch| fetch.given_up);
        state.tried = Some(began);
        match answer {
            Err(error) => {
                self.outside.observer.fetched(C::NAME, Err(error.class()));
                state.failure = Some((began, Arc::new(error)));
            }
            Ok(items) => {
                self.outside.observer.fetched(C::NAME, Ok(began.elapsed()));
                let changed = state.contents.arrive(began, items);
                state.failure = None;
                let concerned = if given_up {
                    state.subscribers.all()
                } else {
                    state.subscribers.of(&changed)
                };
                self.wake(state, &concerned, None);
            }
        }
    }
}

/// A call under way. However it ends, what was remembered for its sake is forgotten.
pub(super) struct Read<C: Collection> {
    shelf: Weak<Shelf<C>>,
    began: Instant,
}

impl<C: Collection> Read<C> {
    pub(super) fn begin(shelf: &Weak<Shelf<C>>, began: Instant) -> Self {
        if let Some(shelf) = shelf.upgrade() {
            shelf.lock().contents.read_begins(began);
        }
        Self {
            shelf: Weak::clone(shelf),
            began,
        }
    }

    /// When it was sent.
    pub(super) fn began(&self) -> Instant {
        self.began
    }
}

impl<C: Collection> Drop for Read<C> {
    fn drop(&mut self) {
        if let Some(shelf) = self.shelf.upgrade() {
            shelf.lock().contents.read_ends(self.began);
        }
    }
}
