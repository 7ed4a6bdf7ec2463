//! One collection: its snapshot, who fetches it, who wants to know.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::time::Instant;

use super::collection::Items;
use super::feed::Touch;
use super::{Collection, Concerned, FetchError, Fields, Gauge, Snapshot, Waker, passes_by};
use crate::api::Reference;
use crate::coder::{AuditEntry, Client, OrganizationId};

/// How rarely a collection is swept while a feed tells of its changes.
const FED_INTERVAL: Duration = Duration::from_hours(1);

/// How soon a list that failed for the moment is tried again.
const RETRY: Duration = Duration::from_secs(30);

/// What in a collection somebody depends on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Interest {
    /// One item, by its id.
    Item(String),
    /// Any change at all, for those who look for something that is not there yet.
    Any,
}

/// A shelf without its type, as the sweep sees it.
pub(super) trait Sweep: Send + Sync {
    /// When it wants to be looked at, given the jitter (0.9 … 1.0) on its interval, and whether a feed tells of changes;
    /// never while nobody subscribes.
    fn due(&self, jitter: f64, fed: bool) -> Option<Instant>;
    /// Looks, if it was not looked at since, and wakes who is concerned.
    fn sweep<'a>(
        &'a self,
        client: &'a Client,
        waker: &'a dyn Waker,
        gauge: &'a dyn Gauge,
        since: Instant,
    ) -> BoxFuture<'a, Result<(), FetchError>>;
    /// Looks at these items, or at all, because somebody changed them.
    fn touch<'a>(
        &'a self,
        client: &'a Client,
        waker: &'a dyn Waker,
        gauge: &'a dyn Gauge,
        items: Option<BTreeSet<&'a str>>,
    ) -> BoxFuture<'a, Result<(), FetchError>>;
    /// What of it an entry of the audit log concerns.
    fn concerned(&self, entry: &AuditEntry) -> Vec<Touch>;
    /// All of it.
    fn whole(&self, fields: Fields) -> Touch;
    /// The organization that it belongs to.
    fn within(&self) -> Option<OrganizationId>;
    /// Ends the subscriptions of `who` except to these; says whether that was the last of anybody's.
    fn retain(&self, who: &Reference, keep: &[&Interest]) -> bool;
}

/// What everybody depends on, and how long they may wait for a look at it.
type Subscribers = HashMap<Reference, (HashSet<Interest>, Duration)>;

pub(super) struct Shelf<C: Collection> {
    collection: C,
    /// Held while a fetch is under way.
    fetching: tokio::sync::Mutex<()>,
    state: Mutex<State<C::Item>>,
}

struct State<I> {
    snapshot: Option<Arc<Snapshot<I>>>,
    /// Own writes since the last fetch began: what the list may not show yet.
    patches: Vec<(Instant, Arc<str>, Option<Arc<I>>)>,
    /// The snapshot counts as older than this, whatever its time.
    invalid_before: Option<Instant>,
    /// The last failed fetch and when it was sent.
    failure: Option<(Instant, FetchError)>,
    /// The last time a fetch was tried.
    tried: Option<Instant>,
    subscribers: Subscribers,
}

impl<I> State<I> {
    /// Whether the last list came, and nothing happened since that only a list can tell.
    fn is_sound(&self) -> bool {
        let began = self.snapshot.as_ref().map(|snapshot| snapshot.began);
        self.failure.is_none() && began >= self.invalid_before
    }

    fn failed_for_the_moment(&self) -> bool {
        self.failure.as_ref().is_some_and(|(_, error)| passes_by(error))
    }
}

impl<C: Collection> Shelf<C> {
    pub(super) fn new(collection: C) -> Self {
        let state = State {
            snapshot: None,
            patches: Vec::new(),
            invalid_before: None,
            failure: None,
            tried: None,
            subscribers: HashMap::new(),
        };
        Self {
            collection,
            fetching: tokio::sync::Mutex::default(),
            state: Mutex::new(state),
        }
    }

    pub(super) async fn snapshot(
        &self,
        client: &Client,
        waker: &dyn Waker,
        gauge: &dyn Gauge,
        not_before: Instant,
    ) -> Result<Arc<Snapshot<C::Item>>, FetchError> {
        let asked = Instant::now();
        if let Some(snapshot) = self.fresh(not_before) {
            return Ok(snapshot);
        }
        let _fetching = self.fetching.lock().await;
        if let Some(snapshot) = self.fresh(not_before) {
            return Ok(snapshot);
        }
        if let Some(error) = self.failed_since(asked) {
            return Err(error);
        }
        self.fetch(client, waker, gauge).await
    }

    /// `by` knows what it wrote; all others who are interested are woken, because the next list will not differ any more.
    pub(super) fn patch(&self, key: String, item: Option<C::Item>, by: &Reference, waker: &dyn Waker) {
        let (key, item): (Arc<str>, _) = (Arc::from(key), item.map(Arc::new));
        let mut woken = Vec::new();
        let mut state = self.lock();
        let State {
            snapshot, subscribers, ..
        } = &mut *state;
        if let Some(snapshot) = snapshot.as_mut().filter(|it| it.items.get(&key) != item.as_ref()) {
            let this = Interest::Item(key.to_string());
            let others = subscribers.iter().filter(|(who, (interests, _))| {
                *who != by && (interests.contains(&Interest::Any) || interests.contains(&this))
            });
            woken.extend(others.map(|(who, _)| (who.clone(), snapshot.began)));
            apply(&mut Arc::make_mut(snapshot).items, &key, item.as_ref());
        }
        state.patches.push((Instant::now(), key, item));
        drop(state);
        for (who, since) in woken {
            waker.wake(&who, since);
        }
    }

    /// The snapshot as it is, however old.
    pub(super) fn peek(&self) -> Option<Arc<Snapshot<C::Item>>> {
        self.lock().snapshot.clone()
    }

    /// One item was read alone: takes it into the snapshot, and wakes whom the difference concerns.
    fn replace(&self, waker: &dyn Waker, began: Instant, key: &str, item: Option<C::Item>) {
        let mut state = self.lock();
        // What was written since is newer than what was read.
        let overtaken = state
            .patches
            .iter()
            .any(|(at, patched, _)| *at >= began && &**patched == key);
        let Some(before) = state.snapshot.clone().filter(|_| !overtaken) else {
            return;
        };
        let (key, item): (Arc<str>, _) = (Arc::from(key), item.map(Arc::new));
        let mut after = before.as_ref().clone();
        apply(&mut after.items, &key, item.as_ref());
        let woken = concerned(&state.subscribers, &before, &after);
        // Those who are woken accept the snapshot as it is now.
        let since = after.began;
        state.snapshot = Some(Arc::new(after));
        state.patches.push((Instant::now(), key, item));
        drop(state);
        for who in woken {
            waker.wake(&who, since);
        }
    }

    /// Reads these items one by one where that is possible, else all.
    async fn look(
        &self,
        client: &Client,
        waker: &dyn Waker,
        gauge: &dyn Gauge,
        items: Option<BTreeSet<&str>>,
    ) -> Result<(), FetchError> {
        let asked = Instant::now();
        let Some(items) = items else {
            return self.snapshot(client, waker, gauge, asked).await.map(drop);
        };
        for key in items {
            let began = Instant::now();
            let Some(one) = self.collection.one(client, key) else {
                return self.snapshot(client, waker, gauge, asked).await.map(drop);
            };
            self.replace(waker, began, key, one.await?);
        }
        Ok(())
    }

    pub(super) fn invalidate(&self) {
        self.lock().invalid_before = Some(Instant::now());
    }

    pub(super) fn subscribe(&self, who: &Reference, interest: Interest, interval: Duration) {
        let mut state = self.lock();
        let (interests, shortest) = state.subscribers.entry(who.clone()).or_default();
        interests.insert(interest);
        *shortest = interval;
    }

    /// What was looked for by its properties was found: from now on it is known by its id.
    pub(super) fn narrow(&self, who: &Reference) {
        if let Some((interests, _)) = self.lock().subscribers.get_mut(who) {
            interests.remove(&Interest::Any);
        }
    }

    fn fresh(&self, not_before: Instant) -> Option<Arc<Snapshot<C::Item>>> {
        let state = self.lock();
        let not_before = state
            .invalid_before
            .map_or(not_before, |invalid| invalid.max(not_before));
        state
            .snapshot
            .as_ref()
            .filter(|snapshot| snapshot.began >= not_before)
            .cloned()
    }

    /// The failure of a fetch that was sent after `asked`: whoever waited for it shares it instead of trying again.
    fn failed_since(&self, asked: Instant) -> Option<FetchError> {
        self.lock()
            .failure
            .as_ref()
            .filter(|(began, _)| *began >= asked)
            .map(|(_, error)| Arc::clone(error))
    }

    /// The list call. `fetching` must be held.
    async fn fetch(
        &self,
        client: &Client,
        waker: &dyn Waker,
        gauge: &dyn Gauge,
    ) -> Result<Arc<Snapshot<C::Item>>, FetchError> {
        let began = Instant::now();
        let answer = self.collection.list(client).await;
        let mut state = self.lock();
        state.tried = Some(began);
        let items = match answer {
            Ok(items) => items,
            Err(error) => {
                gauge.fetched(C::NAME, Err(error.class()));
                let error = Arc::new(error);
                state.failure = Some((began, Arc::clone(&error)));
                return Err(error);
            }
        };
        gauge.fetched(C::NAME, Ok(began.elapsed()));
        let mut items: Items<C::Item> = items
            .into_iter()
            .map(|item| (Arc::from(C::key(&item)), Arc::new(item)))
            .collect();
        // What was written while the list was on its way may be missing in it.
        state.patches.retain(|(at, ..)| *at >= began);
        for (_, key, item) in &state.patches {
            apply(&mut items, key, item.as_ref());
        }
        let snapshot = Arc::new(Snapshot { items, began });
        let before = state.snapshot.replace(Arc::clone(&snapshot));
        state.failure = None;
        let woken: Vec<Reference> = match before {
            None => Vec::new(),
            Some(before) => concerned(&state.subscribers, &before, &snapshot),
        };
        drop(state);
        for who in woken {
            waker.wake(&who, began);
        }
        Ok(snapshot)
    }

    fn lock(&self) -> MutexGuard<'_, State<C::Item>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C: Collection> Sweep for Shelf<C> {
    fn due(&self, jitter: f64, fed: bool) -> Option<Instant> {
        let state = self.lock();
        let asked = state.subscribers.values().map(|(_, interval)| *interval).min()?;
        let interval = if state.failed_for_the_moment() {
            asked.min(RETRY)
        } else if fed && C::LOG.is_complete() && state.is_sound() {
            asked.max(FED_INTERVAL)
        } else {
            asked
        };
        Some(
            state
                .tried
                .map_or_else(Instant::now, |tried| tried + interval.mul_f64(jitter)),
        )
    }

    fn sweep<'a>(
        &'a self,
        client: &'a Client,
        waker: &'a dyn Waker,
        gauge: &'a dyn Gauge,
        since: Instant,
    ) -> BoxFuture<'a, Result<(), FetchError>> {
        Box::pin(async move { self.snapshot(client, waker, gauge, since).await.map(|_| ()) })
    }

    fn touch<'a>(
        &'a self,
        client: &'a Client,
        waker: &'a dyn Waker,
        gauge: &'a dyn Gauge,
        items: Option<BTreeSet<&'a str>>,
    ) -> BoxFuture<'a, Result<(), FetchError>> {
        Box::pin(async move {
            // What nobody read yet, nobody depends on.
            if self.peek().is_none() {
                return Ok(());
            }
            let looked = self.look(client, waker, gauge, items).await;
            if looked.is_err() {
                self.invalidate();
            }
            looked
        })
    }

    fn concerned(&self, entry: &AuditEntry) -> Vec<Touch> {
        // What nobody read yet, nobody depends on.
        let Some(known) = self.peek() else {
            return Vec::new();
        };
        match C::LOG.concerned(&self.collection, entry, &known) {
            Concerned::Whole(fields) => vec![self.whole(fields)],
            Concerned::Items(items) => {
                let collection = self.collection.id();
                let touch = |(item, fields)| Touch {
                    collection: collection.clone(),
                    item: Some(item),
                    fields,
                };
                items.into_iter().map(touch).collect()
            }
        }
    }

    fn whole(&self, fields: Fields) -> Touch {
        Touch {
            collection: self.collection.id(),
            item: None,
            fields,
        }
    }

    fn within(&self) -> Option<OrganizationId> {
        self.collection.within()
    }

    fn retain(&self, who: &Reference, keep: &[&Interest]) -> bool {
        let mut state = self.lock();
        let Some((interests, _)) = state.subscribers.get_mut(who) else {
            return false;
        };
        interests.retain(|interest| keep.contains(&interest));
        if interests.is_empty() {
            state.subscribers.remove(who);
        }
        state.subscribers.is_empty()
    }
}

fn apply<I>(items: &mut Items<I>, key: &Arc<str>, item: Option<&Arc<I>>) {
    match item {
        Some(item) => items.insert(Arc::clone(key), Arc::clone(item)),
        None => items.remove(key),
    };
}

/// Those whose item differs between two snapshots.
fn concerned<I: PartialEq>(subscribers: &Subscribers, before: &Snapshot<I>, after: &Snapshot<I>) -> Vec<Reference> {
    let any = before.items != after.items;
    if !any {
        return Vec::new();
    }
    let differs = |interest: &Interest| match interest {
        Interest::Any => true,
        Interest::Item(key) => before.get(key) != after.get(key),
    };
    subscribers
        .iter()
        .filter(|(_, (interests, _))| interests.iter().any(differs))
        .map(|(who, _)| who.clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::ObjectKey;

    fn snapshot(items: &[(&str, i32)]) -> Snapshot<i32> {
        let items = items
            .iter()
            .map(|(key, value)| (Arc::from(*key), Arc::new(*value)))
            .collect();
        Snapshot {
            items,
            began: Instant::now(),
        }
    }

    fn reference(name: &str) -> Reference {
        Reference {
            kind: "K",
            key: ObjectKey::new("ns", name),
        }
    }

    #[test]
    fn only_those_whose_item_changed_are_woken() {
        let subscribers: HashMap<_, _> = [
            ("changed", vec![Interest::Item("1".into())]),
            ("same", vec![Interest::Item("2".into())]),
            ("vanished", vec![Interest::Item("3".into())]),
            ("appeared", vec![Interest::Item("4".into())]),
            ("waiting", vec![Interest::Any]),
            (
                "one of two",
                vec![Interest::Item("2".into()), Interest::Item("1".into())],
            ),
        ]
        .into_iter()
        .map(|(name, interests)| (reference(name), (interests.into_iter().collect(), Duration::ZERO)))
        .collect();
        let before = snapshot(&[("1", 1), ("2", 2), ("3", 3)]);
        let after = snapshot(&[("1", 9), ("2", 2), ("4", 4)]);
        let mut woken: Vec<_> = concerned(&subscribers, &before, &after)
            .into_iter()
            .map(|who| who.key.name)
            .collect();
        woken.sort();
        assert_eq!(woken, ["appeared", "changed", "one of two", "vanished", "waiting"]);
        assert!(concerned(&subscribers, &after, &after).is_empty());
    }
}
