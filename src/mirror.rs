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
pub mod feed;
mod log;
mod shelf;
#[cfg(test)]
mod tests;

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use authors::Authors;
pub use authors::{Author, Fields};
pub use collection::{Collection, Snapshot};
use feed::Touch;
pub use log::{Concern, Concerned, Log};
pub use shelf::Interest;
use shelf::{Shelf, Sweep};

use crate::api::Reference;
use crate::coder::{self, AuditEntry, Client, OrganizationId};

/// Who is told when something changed: woken objects look again, no more is promised.
pub trait Waker: Send + Sync + 'static {
    /// The remote side of `who` may have changed; what it looks at must not be older than `since`.
    fn wake(&self, who: &Reference, since: Instant);
}

/// Numbers about the mirror, for metrics.
pub trait Gauge: Send + Sync + 'static {
    /// A collection was fetched, or could not be.
    fn fetched(&self, collection: &'static str, result: Result<Duration, coder::Class>);
}

/// A failed fetch, shared by all who waited for it.
pub type FetchError = Arc<coder::Error>;

/// The mirror of one deployment.
pub struct Mirror {
    client: Client,
    waker: Arc<dyn Waker>,
    gauge: Arc<dyn Gauge>,
    shelves: Mutex<HashMap<String, Slot>>,
    /// Whether a feed tells of changes, so that sweeps may be rare.
    fed: AtomicBool,
    /// Who changed what, as far as a feed said so lately.
    authors: Mutex<Authors>,
    /// The last own write that the audit log must show.
    wrote: Mutex<Option<Instant>>,
}

/// One collection's shelf under its two faces: typed for who asks, erased for the sweep.
#[derive(Clone)]
struct Slot {
    typed: Arc<dyn Any + Send + Sync>,
    erased: Arc<dyn Sweep>,
}

impl Mirror {
    /// An empty mirror of the deployment behind `client`.
    #[must_use]
    pub fn new(client: Client, waker: Arc<dyn Waker>, gauge: Arc<dyn Gauge>) -> Self {
        Self {
            client,
            waker,
            gauge,
            shelves: Mutex::default(),
            fed: AtomicBool::new(false),
            authors: Mutex::default(),
            wrote: Mutex::default(),
        }
    }

    /// The collection as it was at `not_before` or later. Whoever asks while a fetch that serves them is under way
    /// waits for it and shares its result, also when it fails.
    ///
    /// # Errors
    /// What the list call answered.
    pub async fn snapshot<C: Collection>(
        &self,
        collection: &C,
        not_before: Instant,
    ) -> Result<Arc<Snapshot<C::Item>>, FetchError> {
        self.shelf(collection)
            .snapshot(&self.client, &*self.waker, &*self.gauge, not_before)
            .await
    }

    /// A write of `by` was answered with this item: the snapshot has it from now on, and whom it concerns is woken.
    pub fn put<C: Collection>(&self, collection: &C, item: C::Item, by: &Reference) {
        self.note_write::<C>();
        self.shelf(collection)
            .patch(C::key(&item), Some(item), by, &*self.waker);
    }

    /// A write of `by` removed this item.
    pub fn remove<C: Collection>(&self, collection: &C, key: &str, by: &Reference) {
        self.note_write::<C>();
        self.shelf(collection).patch(key.to_owned(), None, by, &*self.waker);
    }

    /// Something happened whose outcome only a new list can tell.
    pub fn invalidate<C: Collection>(&self, collection: &C) {
        self.shelf(collection).invalidate();
    }

    /// From now on `who` is woken when what it is interested in changes, and the collection is looked at once every
    /// `interval` at least. Adds to what `who` is interested in already.
    pub fn subscribe<C: Collection>(&self, collection: &C, who: &Reference, interest: Interest, interval: Duration) {
        self.shelf(collection).subscribe(who, interest, interval);
    }

    /// What `who` looked for in this collection was found: it is interested in that item alone, not in any change.
    pub fn narrow<C: Collection>(&self, collection: &C, who: &Reference) {
        self.shelf(collection).narrow(who);
    }

    /// Ends all subscriptions of `who` except these, by [`Collection::id`].
    pub fn retain_subscriptions(&self, who: &Reference, keep: &[(String, Interest)]) {
        // A collection that nobody depends on any more is forgotten; who still reads it keeps it alive.
        self.lock().retain(|id, slot| {
            let kept = keep.iter().filter(|(collection, _)| collection == id);
            let kept: Vec<&Interest> = kept.map(|(_, interest)| interest).collect();
            !slot.erased.retain(who, &kept)
        });
    }

    /// What is known of a collection without asking anybody, however old it is.
    pub fn peek<C: Collection>(&self, collection: &C) -> Option<Arc<Snapshot<C::Item>>> {
        let slot = self.lock().get(&collection.id()).cloned()?;
        slot.typed.downcast::<Shelf<C>>().ok()?.peek()
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

    /// Somebody changed these: looks at them again, and wakes whom it concerns. Answers with those that could not be
    /// looked at for the moment.
    pub async fn touch(&self, touches: Vec<Touch>) -> Vec<Touch> {
        let mut by_collection: BTreeMap<String, Vec<Touch>> = BTreeMap::new();
        for touch in touches {
            by_collection.entry(touch.collection.clone()).or_default().push(touch);
        }
        let mut unfinished = Vec::new();
        for (collection, touches) in by_collection {
            let Some(slot) = self.lock().get(&collection).cloned() else {
                continue;
            };
            // One that may be any item says it all.
            let items: Option<BTreeSet<&str>> = touches.iter().map(|touch| touch.item.as_deref()).collect();
            let looked = slot.erased.touch(&self.client, &*self.waker, &*self.gauge, items).await;
            if let Err(error) = looked {
                tracing::debug!(%error, collection, "what changed could not be looked at");
                if passes_by(&error) {
                    unfinished.extend(touches);
                }
            }
        }
        unfinished
    }

    /// Somebody changed that.
    pub fn attribute(&self, touch: &Touch, author: Author) {
        let mut authors = self.authors();
        authors.expire(author.at);
        authors.note(&touch.collection, touch.item.as_deref(), author);
    }

    /// Who changed any of these items, by collection and item, as far as a feed said so lately.
    pub fn authors_of(&self, items: &[(String, String)]) -> Vec<Author> {
        self.authors().of(items)
    }

    /// What was learned about these items before that moment has been answered.
    pub fn settle_authors(&self, items: &[(String, String)], before: Instant) {
        self.authors().settle(items, before);
    }

    /// The last own write that an audit log must show sooner or later.
    pub(in crate::mirror) fn wrote(&self) -> Option<Instant> {
        *self.wrote.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_write<C: Collection>(&self) {
        if C::LOG.is_complete() {
            *self.wrote.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
    }

    fn authors(&self) -> std::sync::MutexGuard<'_, Authors> {
        self.authors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a feed tells of changes.
    pub fn set_fed(&self, fed: bool) {
        self.fed.store(fed, Ordering::Relaxed);
    }

    fn is_fed(&self) -> bool {
        self.fed.load(Ordering::Relaxed)
    }

    fn client(&self) -> &Client {
        &self.client
    }

    fn shelf<C: Collection>(&self, collection: &C) -> Arc<Shelf<C>> {
        let mut shelves = self.lock();
        let id = collection.id();
        if let Some(shelf) = shelves
            .get(&id)
            .and_then(|slot| Arc::clone(&slot.typed).downcast::<Shelf<C>>().ok())
        {
            return shelf;
        }
        let new = Arc::new(Shelf::new(collection.clone()));
        shelves.insert(
            id,
            Slot {
                typed: new.clone(),
                erased: new.clone(),
            },
        );
        new
    }

    fn slots(&self) -> Vec<Slot> {
        self.lock().values().cloned().collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Slot>> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What may be tried again soon.
fn passes_by(error: &coder::Error) -> bool {
    matches!(error.class(), coder::Class::Transient | coder::Class::RateLimited)
}
