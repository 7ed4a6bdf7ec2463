//! One collection: its snapshot, and who fetches it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::time::Instant;

use super::contents::{Contents, Learned};
use super::feed::Touch;
use super::fetch::{Fetch, Read};
use super::subscribers::{Interest, Subscribers};
use super::{Collection, Concerned, FetchError, Fields, Freshness, Outside, Snapshot, passes_by};
use crate::api::Reference;
use crate::coder::{self, AuditEntry, OrganizationId};

/// How rarely a collection is swept while a feed tells of its changes.
const FED_INTERVAL: Duration = Duration::from_hours(1);

/// How soon a list that failed for the moment is tried again.
const RETRY: Duration = Duration::from_secs(30);

/// So many items are read alone between two lists, and one in so many of those that there are: more cost the server
/// more than a list.
const ALONE: (usize, usize) = (16, 8);

/// A shelf without its type, as feeds see it.
pub(super) trait AnyShelf: Send + Sync {
    /// When it wants to be looked at, given the jitter (0.9 … 1.0) on its interval; never while nobody subscribes, or
    /// while it is looked at.
    fn due(&self, jitter: f64) -> Option<Instant>;
    /// Lists it, if it was not listed since.
    fn sweep(&self, since: Instant) -> BoxFuture<'_, Result<(), FetchError>>;
    /// Looks at what somebody changed.
    fn touch<'a>(&'a self, touches: &'a [Touch]) -> BoxFuture<'a, Result<(), FetchError>>;
    /// What of it an entry of the audit log concerns.
    fn concerned(&self, entry: &AuditEntry) -> Vec<Touch>;
    /// All of it.
    fn whole(&self, fields: Fields) -> Touch;
    /// The organization that it belongs to.
    fn within(&self) -> Option<OrganizationId>;
    /// What no feed told may differ: it is listed as soon as its turn comes.
    fn doubt(&self, since: Instant);
    /// From now on `who` is woken by what they are interested in.
    fn subscribe(&self, who: &Reference, interest: Interest, interval: Duration);
    /// Ends the subscriptions of `who` except to these; says whether any is left.
    fn retain(&self, who: &Reference, keep: &dyn Fn(&Interest) -> bool) -> bool;
    /// Whether anybody subscribes.
    fn is_subscribed(&self) -> bool;
}

pub(super) struct Shelf<C: Collection> {
    pub(super) collection: C,
    pub(super) outside: Arc<Outside>,
    /// Itself, for the calls that go on when nobody waits for them any more.
    pub(super) me: Weak<Self>,
    state: Mutex<State<C>>,
}

pub(super) struct State<C: Collection> {
    pub(super) contents: Contents<C>,
    /// The list call that is under way.
    pub(super) fetch: Option<Fetch>,
    /// The snapshot counts as older than this, whatever its time.
    invalid_before: Option<Instant>,
    /// A feed may have lost what happened before this: a list is due.
    doubted: Option<Instant>,
    /// Before this something may have happened that a feed does not tell of: the next list is due as if there were none.
    unsure: Option<Instant>,
    /// The last failed fetch and when it was sent.
    pub(super) failure: Option<(Instant, FetchError)>,
    /// The last time a fetch was tried.
    pub(super) tried: Option<Instant>,
    pub(super) subscribers: Subscribers,
}

impl<C: Collection> State<C> {
    /// Whether a list came since that moment.
    fn is_listed_since(&self, moment: Option<Instant>) -> bool {
        self.contents.began() >= moment
    }

    /// Whether the last list came, and nothing happened since that neither own writes nor the feed tell of.
    fn is_vouched_for(&self, fed: bool) -> bool {
        fed && C::LOG.is_complete()
            && self.failure.is_none()
            && self.is_listed_since(self.invalid_before.max(self.doubted).max(self.unsure))
    }

    /// The snapshot, if it is as fresh as that.
    pub(super) fn fresh(&self, freshness: Freshness, fed: bool) -> Option<Arc<Snapshot<C::Item>>> {
        let snapshot = self.contents.snapshot()?;
        let is_fresh = self.is_listed_since(self.invalid_before)
            && match freshness {
                Freshness::Since(moment) => snapshot.began() >= moment,
                Freshness::Known(interval) => self.is_vouched_for(fed) || snapshot.began().elapsed() <= interval,
            };
        is_fresh.then_some(snapshot)
    }

    /// What the last list ended with, if it was a refusal and that is as fresh as asked for: who may not read it, or has
    /// no licence for it, asks once an interval.
    pub(super) fn known_refusal(&self, freshness: Freshness) -> Option<FetchError> {
        let Freshness::Known(interval) = freshness else {
            return None;
        };
        let (began, error) = self.failure.as_ref()?;
        let is_refusal = matches!(
            error.class(),
            coder::Class::Forbidden | coder::Class::NotEntitled | coder::Class::Unsupported | coder::Class::Absent
        );
        let is_fresh = Some(*began) >= self.invalid_before && began.elapsed() <= interval;
        (is_refusal && is_fresh).then(|| Arc::clone(error))
    }

    fn failed_for_the_moment(&self) -> bool {
        self.failure.as_ref().is_some_and(|(_, error)| passes_by(error))
    }
}

impl<C: Collection> Shelf<C> {
    pub(super) fn new(collection: C, outside: Arc<Outside>) -> Arc<Self> {
        let state = State {
            contents: Contents::new(),
            fetch: None,
            invalid_before: None,
            doubted: None,
            unsure: None,
            failure: None,
            tried: None,
            subscribers: Subscribers::default(),
        };
        Arc::new_cyclic(|me| Self {
            collection,
            outside,
            me: Weak::clone(me),
            state: Mutex::new(state),
        })
    }

    /// One item, read alone where that is cheaper than the list.
    pub(super) async fn item(&self, key: &str, freshness: Freshness) -> Result<Option<Arc<C::Item>>, FetchError> {
        let fresh = self.lock().fresh(freshness, self.outside.is_fed());
        let known = fresh.or_else(|| match freshness {
            Freshness::Known(_) => None,
            Freshness::Since(moment) => self.known_since(key, moment),
        });
        if let Some(snapshot) = known {
            return Ok(snapshot.shared(key));
        }
        if self.may_read_alone(1)
            && let Some(one) = self.collection.one(&self.outside.client, key)
        {
            self.read_alone(key, one).await?;
            return Ok(self.peek().and_then(|snapshot| snapshot.shared(key)));
        }
        Ok(self.snapshot(freshness).await?.shared(key))
    }

    /// `by` knows what it wrote; all others who are interested are woken, because the next list will not differ any more.
    pub(super) fn patch(&self, key: &str, item: Option<C::Item>, by: &Reference) {
        let learned = Learned::now(item);
        let mut state = self.lock();
        let changed = state.contents.learn(key, learned);
        let concerned = state.subscribers.of(&changed);
        self.wake(state, &concerned, Some(by));
    }

    /// The snapshot as it is, however old.
    pub(super) fn peek(&self) -> Option<Arc<Snapshot<C::Item>>> {
        self.lock().contents.snapshot()
    }

    pub(super) fn invalidate(&self) {
        self.lock().invalid_before = Some(Instant::now());
    }

    /// What was looked for by its properties was found: from now on it is known by its id.
    pub(super) fn narrow(&self, who: &Reference) {
        self.lock()
            .subscribers
            .retain(who, |interest| *interest != Interest::Any);
    }

    /// The snapshot, if what it says about that item was so at that moment or later.
    fn known_since(&self, key: &str, moment: Instant) -> Option<Arc<Snapshot<C::Item>>> {
        let state = self.lock();
        let moment = state.invalid_before.map_or(moment, |invalid| invalid.max(moment));
        state
            .contents
            .snapshot()
            .filter(|snapshot| snapshot.knows_since(key, moment))
    }

    fn may_read_alone(&self, items: usize) -> bool {
        let state = self.lock();
        let (some, share) = ALONE;
        state
            .contents
            .snapshot()
            .is_some_and(|snapshot| state.contents.read_alone() + items <= some + snapshot.len() / share)
    }

    /// Reads one item, takes it into the snapshot, and wakes whom the difference concerns.
    async fn read_alone(
        &self,
        key: &str,
        one: impl Future<Output = Result<Option<C::Item>, coder::Error>> + Send,
    ) -> Result<(), FetchError> {
        let read = Read::begin(&self.me, Instant::now());
        let item = one.await.map_err(Arc::new)?;
        let mut state = self.lock();
        let changed = state.contents.learn_alone(key, Learned::at(read.began(), item));
        let concerned = state.subscribers.of(&changed);
        self.wake(state, &concerned, None);
        Ok(())
    }

    fn touches(&self, items: Vec<(String, Fields)>, unseen: bool) -> Vec<Touch> {
        let collection = self.collection.id();
        let touch = |(item, fields)| Touch {
            collection: collection.clone(),
            item: Some(item),
            fields,
            unseen,
        };
        items.into_iter().map(touch).collect()
    }

    /// Looks at these items, or at all.
    async fn look(&self, items: Option<BTreeSet<&str>>, asked: Instant) -> Result<(), FetchError> {
        let Some(items) = items.filter(|items| self.may_read_alone(items.len())) else {
            return self.snapshot(Freshness::Since(asked)).await.map(drop);
        };
        for key in items {
            self.item(key, Freshness::Since(asked)).await?;
        }
        Ok(())
    }

    /// Wakes these, but not who made the change.
    pub(super) fn wake(&self, state: MutexGuard<'_, State<C>>, concerned: &[Arc<Reference>], by: Option<&Reference>) {
        drop(state);
        for who in concerned.iter().filter(|who| by != Some(who)) {
            self.outside.waker.wake(who);
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State<C>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C: Collection> AnyShelf for Shelf<C> {
    fn due(&self, jitter: f64) -> Option<Instant> {
        let state = self.lock();
        let asked = state.subscribers.shortest_interval()?;
        if state.fetch.is_some() {
            return None;
        }
        let Some(tried) = state.tried else {
            return Some(Instant::now());
        };
        if let Some(doubted) = state.doubted.filter(|doubted| *doubted > tried) {
            return Some(doubted);
        }
        let interval = if state.failed_for_the_moment() {
            asked.min(RETRY)
        } else if state.is_vouched_for(self.outside.is_fed()) {
            asked.max(FED_INTERVAL)
        } else {
            asked
        };
        Some(tried + interval.mul_f64(jitter))
    }

    fn sweep(&self, since: Instant) -> BoxFuture<'_, Result<(), FetchError>> {
        Box::pin(async move { self.snapshot(Freshness::Since(since)).await.map(drop) })
    }

    fn touch<'a>(&'a self, touches: &'a [Touch]) -> BoxFuture<'a, Result<(), FetchError>> {
        Box::pin(async move {
            // One that may be any item says it all.
            let items: Option<BTreeSet<&str>> = touches.iter().map(|touch| touch.item.as_deref()).collect();
            let asked = Instant::now();
            if self.peek().is_none() {
                // What nobody read yet, nobody depends on. A first list that is under way may be too old already.
                self.lock().doubted = Some(asked);
                return Ok(());
            }
            let looked = self.look(items, asked).await;
            if looked.is_err() {
                self.invalidate();
            }
            let unseen = touches.iter().filter(|touch| touch.unseen);
            let unseen: Vec<Arc<str>> = unseen
                .filter_map(|touch| touch.item.as_deref().map(Arc::from))
                .collect();
            let state = self.lock();
            let concerned = state.subscribers.of(&unseen);
            self.wake(state, &concerned, None);
            looked
        })
    }

    fn concerned(&self, entry: &AuditEntry) -> Vec<Touch> {
        let known = self.peek();
        let concerned = match &known {
            Some(known) => C::LOG.concerned(&self.collection, entry, known),
            // What nobody read yet, nobody depends on. A first list that is under way may show it, or not.
            None if self.lock().contents.is_being_read() => Concerned::Whole(Fields::none()),
            None => Concerned::NOTHING,
        };
        match concerned {
            Concerned::Whole(fields) => vec![self.whole(fields)],
            Concerned::Items(items) => self.touches(items, false),
            Concerned::Unseen(items) => self.touches(items, true),
            Concerned::Perhaps => {
                self.lock().unsure = Some(Instant::now());
                Vec::new()
            }
        }
    }

    fn whole(&self, fields: Fields) -> Touch {
        Touch {
            collection: self.collection.id(),
            item: None,
            fields,
            unseen: false,
        }
    }

    fn within(&self) -> Option<OrganizationId> {
        self.collection.within()
    }

    fn doubt(&self, since: Instant) {
        self.lock().doubted = Some(since);
    }

    fn subscribe(&self, who: &Reference, interest: Interest, interval: Duration) {
        self.lock().subscribers.add(who, interest, interval);
    }

    fn retain(&self, who: &Reference, keep: &dyn Fn(&Interest) -> bool) -> bool {
        let mut state = self.lock();
        state.subscribers.retain(who, keep);
        state.subscribers.has(who)
    }

    fn is_subscribed(&self) -> bool {
        !self.lock().subscribers.is_empty()
    }
}
