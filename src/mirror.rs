//! What one Coder deployment holds right now, as far as anybody asked: one snapshot a collection, shared by all.
//!
//! Coder has no watch. Listing is cheap in calls and dear in work (4–5 ms a group on a real server), so:
//!
//! * a [`Collection`] is fetched by one list call, by one caller at a time, and everybody who asked before the call
//!   began is served by it ([`Shelf`](shelf));
//! * an own write patches the snapshot with the server's answer instead of making it worthless;
//! * each fetch is compared with the one before, and exactly those who depend on an item that changed, appeared or
//!   vanished are woken: a watch made from lists.
//!
//! What makes the mirror look again is a [`feed`]. Nothing here knows what is in a collection or who subscribes.

mod authors;
pub mod collection;
mod contents;
pub mod feed;
mod fetch;
mod log;
mod shelf;
mod snapshot;
mod subscribers;
#[cfg(test)]
mod tests;

use std::any::Any;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use authors::Authors;
pub use authors::{Author, Fields};
pub use collection::Collection;
use feed::Touch;
use feed::writes::Writes;
pub use log::{Concern, Concerned, Log};
use shelf::{AnyShelf, Shelf};
pub use snapshot::Snapshot;
pub use subscribers::Interest;

use crate::api::Reference;
use crate::coder::{self, AuditEntry, Client, OrganizationId};

/// How many collections are looked at together: one that hangs does not hold up the others.
const AT_ONCE: usize = 4;

/// How many lists are read from one deployment at one time.
const LISTS: usize = 8;

/// Who is told when something changed: woken objects look again, no more is promised.
pub trait Waker: Send + Sync + 'static {
    /// The remote side of `who` may have changed, and the mirror knows of it.
    fn wake(&self, who: &Reference);
}

/// Told what the mirror does, for metrics.
pub trait Observer: Send + Sync + 'static {
    /// A collection was fetched, or could not be.
    fn fetched(&self, collection: &'static str, result: Result<Duration, coder::Class>);
}

/// A failed fetch, shared by all who waited for it.
pub type FetchError = Arc<coder::Error>;

/// How fresh what is known must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// As fresh as it is kept: what a feed vouches for, or what was listed within that time. A spec that changed does not
    /// make what is known of Coder older. Where it is, Coder's own refusal says so, and leads to a fresh look.
    Known(Duration),
    /// As it was at that moment or later: after a refusal that what is known does not explain, or when somebody asked.
    Since(Instant),
}

/// The mirror of one deployment.
pub struct Mirror {
    outside: Arc<Outside>,
    shelves: Mutex<Shelves>,
    /// Who changed what, as far as a feed said so lately.
    authors: Mutex<Authors>,
    /// Whether the audit log shows what was written.
    writes: Mutex<Writes>,
}

/// What every shelf works with.
struct Outside {
    client: Client,
    waker: Arc<dyn Waker>,
    observer: Arc<dyn Observer>,
    /// Whether a feed tells of changes, so that sweeps may be rare.
    fed: AtomicBool,
    /// How many lists are read at one time.
    lists: Semaphore,
}

impl Outside {
    fn is_fed(&self) -> bool {
        self.fed.load(Ordering::Relaxed)
    }
}

#[derive(Default)]
struct Shelves {
    by_id: HashMap<String, Slot>,
    /// The collections that somebody depends on.
    of: HashMap<Reference, HashSet<String>>,
}

/// One collection's shelf under its two faces: typed for who asks, erased for the sweep.
#[derive(Clone)]
struct Slot {
    typed: Arc<dyn Any + Send + Sync>,
    erased: Arc<dyn AnyShelf>,
}

impl Mirror {
    /// An empty mirror of the deployment behind `client`.
    #[must_use]
    pub fn new(client: Client, waker: Arc<dyn Waker>, observer: Arc<dyn Observer>) -> Self {
        let outside = Outside {
            client,
            waker,
            observer,
            fed: AtomicBool::new(false),
            lists: Semaphore::new(LISTS),
        };
        Self {
            outside: Arc::new(outside),
            shelves: Mutex::default(),
            authors: Mutex::default(),
            writes: Mutex::default(),
        }
    }

    /// The collection, as fresh as that. Whoever asks while a fetch that serves them is under way waits for it and shares
    /// its result, also when it fails.
    ///
    /// # Errors
    /// What the list call answered.
    pub async fn snapshot<C: Collection>(
        &self,
        collection: &C,
        freshness: Freshness,
    ) -> Result<Arc<Snapshot<C::Item>>, FetchError> {
        self.shelf(collection).snapshot(freshness).await
    }

    /// One item, as fresh as that: read alone, where there is a call for it and it is cheaper than the list.
    ///
    /// # Errors
    /// What the call answered.
    pub async fn item<C: Collection>(
        &self,
        collection: &C,
        key: &str,
        freshness: Freshness,
    ) -> Result<Option<Arc<C::Item>>, FetchError> {
        self.shelf(collection).item(key, freshness).await
    }

    /// A write of `by` was answered with this item: the snapshot has it from now on, and whom it concerns is woken.
    pub fn put<C: Collection>(&self, collection: &C, item: C::Item, by: &Reference) {
        if C::LOG.is_complete() {
            lock(&self.writes).wrote();
        }
        if let Some(shelf) = self.known_shelf(collection) {
            shelf.patch(&C::key(&item), Some(item), by);
        }
    }

    /// `by` found or made it true that this item is gone.
    pub fn remove<C: Collection>(&self, collection: &C, key: &str, by: &Reference) {
        if let Some(shelf) = self.known_shelf(collection) {
            shelf.patch(key, None, by);
        }
    }

    /// Something happened whose outcome only a new list can tell.
    pub fn invalidate<C: Collection>(&self, collection: &C) {
        if let Some(shelf) = self.known_shelf(collection) {
            shelf.invalidate();
        }
    }

    /// From now on `who` is woken when what it is interested in changes, and the collection is looked at once every
    /// `interval` at least. Adds to what `who` is interested in already.
    pub fn subscribe<C: Collection>(&self, collection: &C, who: &Reference, interest: Interest, interval: Duration) {
        let mut shelves = lock(&self.shelves);
        shelves
            .shelf(collection, &self.outside)
            .subscribe(who, interest, interval);
        if let Some(known) = shelves.of.get_mut(who) {
            known.insert(collection.id());
        } else {
            shelves.of.insert(who.clone(), HashSet::from([collection.id()]));
        }
    }

    /// What `who` looked for in this collection was found: it is interested in that item alone, not in any change.
    pub fn narrow<C: Collection>(&self, collection: &C, who: &Reference) {
        if let Some(shelf) = self.known_shelf(collection) {
            shelf.narrow(who);
        }
    }

    /// Ends all subscriptions of `who` except these, by [`Collection::id`].
    pub fn retain_subscriptions(&self, who: &Reference, keep: &[(String, Interest)]) {
        lock(&self.shelves).retain(who, keep);
    }

    /// What is known of a collection without asking anybody, however old it is.
    pub fn peek<C: Collection>(&self, collection: &C) -> Option<Arc<Snapshot<C::Item>>> {
        self.known_shelf(collection)?.peek()
    }

    /// What an entry of the audit log concerns, in all collections of which anything is known.
    pub fn concerned(&self, entry: &AuditEntry) -> Vec<Touch> {
        let slots = self.slots().into_iter();
        slots.flat_map(|slot| slot.erased.concerned(entry)).collect()
    }

    /// All collections of which anything is known and that belong to such an organization, or to none.
    pub fn whole(&self, fields: &Fields, belongs: impl Fn(Option<OrganizationId>) -> bool) -> Vec<Touch> {
        let slots = self.slots().into_iter().map(|slot| slot.erased);
        slots
            .filter(|collection| belongs(collection.within()))
            .map(|collection| collection.whole(fields.clone()))
            .collect()
    }

    /// Somebody changed these items of one collection: looks at them again, and wakes whom it concerns. Says whether that
    /// is to be tried again, because it failed for the moment.
    pub(in crate::mirror) async fn touch(&self, collection: &str, touches: &[Touch]) -> bool {
        let Some(slot) = lock(&self.shelves).by_id.get(collection).cloned() else {
            return false;
        };
        match slot.erased.touch(touches).await {
            Err(error) => {
                tracing::debug!(%error, collection, "what changed could not be looked at");
                passes_by(&error)
            }
            Ok(()) => false,
        }
    }

    /// Somebody changed that.
    pub fn attribute(&self, touch: &Touch, author: Author) {
        let (collection, item) = (&touch.collection, touch.item.as_deref());
        let mut authors = lock(&self.authors);
        if touch.unseen {
            authors.note_unseen(collection, item, author);
        } else {
            authors.note(collection, item, author);
        }
    }

    /// Who changed any of these items, by collection and item, as far as a feed said so lately.
    pub fn authors_of(&self, items: &[(String, String)]) -> Vec<Author> {
        lock(&self.authors).of(items)
    }

    /// What was learned about these items before that moment has been answered.
    pub fn mark_answered(&self, items: &[(String, String)], before: Instant) {
        lock(&self.authors).mark_answered(items, before);
    }

    /// Whether the audit log shows what was written.
    pub(in crate::mirror) fn writes(&self) -> MutexGuard<'_, Writes> {
        lock(&self.writes)
    }

    /// Whether a feed tells of changes.
    pub fn set_fed(&self, fed: bool) {
        self.outside.fed.store(fed, Ordering::Relaxed);
    }

    fn client(&self) -> &Client {
        &self.outside.client
    }

    fn shelf<C: Collection>(&self, collection: &C) -> Arc<Shelf<C>> {
        lock(&self.shelves).shelf(collection, &self.outside)
    }

    /// The shelf of a collection that somebody asked for.
    fn known_shelf<C: Collection>(&self, collection: &C) -> Option<Arc<Shelf<C>>> {
        lock(&self.shelves).known(&collection.id())
    }

    fn slots(&self) -> Vec<Slot> {
        lock(&self.shelves).by_id.values().cloned().collect()
    }
}

impl Shelves {
    fn known<C: Collection>(&self, id: &str) -> Option<Arc<Shelf<C>>> {
        let slot = self.by_id.get(id)?;
        Arc::clone(&slot.typed).downcast::<Shelf<C>>().ok()
    }

    fn shelf<C: Collection>(&mut self, collection: &C, outside: &Arc<Outside>) -> Arc<Shelf<C>> {
        let id = collection.id();
        if let Some(shelf) = self.known(&id) {
            return shelf;
        }
        let new = Shelf::new(collection.clone(), Arc::clone(outside));
        let slot = Slot {
            typed: new.clone(),
            erased: new.clone(),
        };
        self.by_id.insert(id, slot);
        new
    }

    fn retain(&mut self, who: &Reference, keep: &[(String, Interest)]) {
        let Some(mut collections) = self.of.remove(who) else {
            return;
        };
        collections.retain(|id| {
            let Some(slot) = self.by_id.get(id) else { return false };
            let kept = |interest: &Interest| {
                keep.iter()
                    .any(|(collection, kept)| collection == id && kept == interest)
            };
            let is_left = slot.erased.retain(who, &kept);
            // A collection that nobody depends on any more is forgotten; who still reads it keeps it alive.
            if !slot.erased.is_subscribed() {
                self.by_id.remove(id);
            }
            is_left
        });
        if !collections.is_empty() {
            self.of.insert(who.clone(), collections);
        }
    }
}

/// What may be tried again soon.
fn passes_by(error: &coder::Error) -> bool {
    matches!(error.class(), coder::Class::Transient | coder::Class::RateLimited)
}

/// Nothing panics while it holds one of these for longer than a line, so what is inside is whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
