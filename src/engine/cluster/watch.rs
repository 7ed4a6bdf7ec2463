//! The watch of one kind: keeps its cache, and tells what changed.
//!
//! A watch that starts over lists everything again; what vanished meanwhile is told as deleted all the same. An object
//! that cannot be read (stored before the schema was tightened) is left out and reported: it never stops the others.

use std::collections::{HashMap, HashSet};
use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::stream::{SelectAll, StreamExt};
use futures::{Stream, TryStreamExt};
use kube::core::{DeserializeGuard, NamespaceResourceScope};
use kube::runtime::WatchStreamExt;
use kube::runtime::reflector::Store;
use kube::runtime::reflector::store::Writer;
use kube::runtime::utils::Backoff;
use kube::runtime::watcher::{self, DefaultBackoff, Event, watcher};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::api::ObjectKey;

/// What happened to an object.
#[derive(Clone, Debug)]
pub enum Change<K> {
    /// It is there, new or changed.
    Applied(Arc<K>),
    /// It is gone.
    Deleted(Arc<K>),
    /// It is there and cannot be read.
    Unreadable(ObjectKey, String),
}

/// Which namespaces are watched.
#[derive(Clone, Debug, Default)]
pub enum Namespaces {
    /// All.
    #[default]
    All,
    /// These.
    Only(Vec<String>),
}

/// Whether the first list of a kind is in the cache.
#[derive(Clone, Debug, Default)]
pub struct Synced(Arc<AtomicBool>);

impl Synced {
    /// It is.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    pub(in crate::engine) fn set(&self) {
        self.0.store(true, Ordering::Release);
    }
}

/// How long a watch that failed waits: as kube does it, but never so long that a definition that was just installed, or
/// a permission that was just given, goes unnoticed.
#[derive(Default)]
pub struct WatchBackoff(DefaultBackoff);

impl WatchBackoff {
    const LONGEST: Duration = Duration::from_secs(5);
}

impl Iterator for WatchBackoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(self.0.next().map_or(Self::LONGEST, |wait| wait.min(Self::LONGEST)))
    }
}

impl Backoff for WatchBackoff {
    fn reset(&mut self) {
        self.0.reset();
    }
}

/// A watch that is ready to run.
pub struct Watch<K: Resource<DynamicType = ()> + Clone + 'static> {
    client: Client,
    namespaces: Namespaces,
    writer: Writer<K>,
    synced: Synced,
}

/// A custom resource that can be watched.
pub trait Watchable:
    Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned + Send + Sync + 'static
{
}

impl<K> Watchable for K where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + Sync
        + 'static
{
}

impl<K: Watchable> Watch<K> {
    /// The watch, its cache, and whether that is complete.
    #[must_use]
    pub fn new(client: Client, namespaces: Namespaces) -> (Self, Store<K>, Synced) {
        let writer = Writer::<K>::default();
        let (store, synced) = (writer.as_reader(), Synced::default());
        (
            Self {
                client,
                namespaces,
                writer,
                synced: synced.clone(),
            },
            store,
            synced,
        )
    }

    /// Watches until told to stop; `tell` must not block.
    pub async fn run(mut self, stop: CancellationToken, tell: impl Fn(Change<K>) + Send) {
        let mut round = Round {
            expected: self.streams(),
            ..Round::default()
        };
        self.writer.apply_watcher_event(&Event::Init);
        let mut events = self.events();
        loop {
            let next = tokio::select! {
                next = events.next() => next,
                () = stop.cancelled() => return,
            };
            let Some((source, event)) = next else { return };
            match event {
                Ok(event) => self.take(&mut round, source, event, &tell),
                // The stream comes back by itself, with backoff.
                Err(error) => tracing::warn!(kind = %K::kind(&()), %error, "a watch failed"),
            }
        }
    }

    fn take(
        &mut self,
        round: &mut Round<K>,
        source: usize,
        event: Event<DeserializeGuard<K>>,
        tell: &impl Fn(Change<K>),
    ) {
        match event {
            Event::Init => {
                round.listed.insert(source, HashSet::new());
            }
            Event::InitApply(object) => {
                if let Some(listed) = round.listed.get_mut(&source) {
                    listed.insert(key_of(&object));
                }
                self.apply(round, source, object, tell);
            }
            Event::Apply(object) => self.apply(round, source, object, tell),
            Event::Delete(object) => self.delete(round, &key_of(&object), tell),
            Event::InitDone => {
                let listed = round.listed.remove(&source).unwrap_or_default();
                let vanished: Vec<ObjectKey> = round
                    .known
                    .iter()
                    .filter(|(key, (from, _))| *from == source && !listed.contains(*key))
                    .map(|(key, _)| key.clone())
                    .collect();
                for key in vanished {
                    self.delete(round, &key, tell);
                }
                round.done.insert(source);
                if round.done.len() == round.expected && !self.synced.is_synced() {
                    for (_, object) in round.known.values() {
                        self.writer
                            .apply_watcher_event(&Event::InitApply(object.as_ref().clone()));
                    }
                    self.writer.apply_watcher_event(&Event::InitDone);
                    self.synced.set();
                }
            }
        }
    }

    fn apply(&mut self, round: &mut Round<K>, source: usize, object: DeserializeGuard<K>, tell: &impl Fn(Change<K>)) {
        let key = key_of(&object);
        match object.0 {
            Ok(object) => {
                if self.synced.is_synced() {
                    self.writer.apply_watcher_event(&Event::Apply(object.clone()));
                }
                let object = Arc::new(object);
                round.known.insert(key, (source, Arc::clone(&object)));
                tell(Change::Applied(object));
            }
            Err(invalid) => {
                // Nothing is done to it or to what it stands for until it can be read again.
                if let Some((_, last)) = round.known.remove(&key) {
                    self.writer.apply_watcher_event(&Event::Delete(last.as_ref().clone()));
                }
                tell(Change::Unreadable(key, invalid.error));
            }
        }
    }

    fn delete(&mut self, round: &mut Round<K>, key: &ObjectKey, tell: &impl Fn(Change<K>)) {
        if let Some((_, last)) = round.known.remove(key) {
            self.writer.apply_watcher_event(&Event::Delete(last.as_ref().clone()));
            tell(Change::Deleted(last));
        }
    }

    fn streams(&self) -> usize {
        match &self.namespaces {
            Namespaces::All => 1,
            Namespaces::Only(names) => names.len(),
        }
    }

    fn events(&self) -> SelectAll<SourceStream<K>> {
        let apis: Vec<Api<DeserializeGuard<K>>> = match &self.namespaces {
            Namespaces::All => vec![Api::all(self.client.clone())],
            Namespaces::Only(names) => names
                .iter()
                .map(|name| Api::namespaced(self.client.clone(), name))
                .collect(),
        };
        let watch = |(source, api): (usize, Api<DeserializeGuard<K>>)| -> SourceStream<K> {
            let stream = watcher(api, watcher::Config::default())
                .backoff(WatchBackoff::default())
                .map_ok(|event| {
                    event.modify(|object| {
                        if let Ok(object) = &mut object.0 {
                            // Large, and of no use here.
                            object.meta_mut().managed_fields = None;
                        }
                    })
                })
                .map(move |event| (source, event));
            Box::pin(stream)
        };
        apis.into_iter().enumerate().map(watch).collect()
    }
}

type SourceStream<K> =
    std::pin::Pin<Box<dyn Stream<Item = (usize, Result<Event<DeserializeGuard<K>>, watcher::Error>)> + Send>>;

/// What the watch has seen, by the stream that showed it.
struct Round<K> {
    expected: usize,
    done: HashSet<usize>,
    known: HashMap<ObjectKey, (usize, Arc<K>)>,
    /// The keys of a list that is under way.
    listed: HashMap<usize, HashSet<ObjectKey>>,
}

impl<K> Default for Round<K> {
    fn default() -> Self {
        Self {
            expected: 0,
            done: HashSet::new(),
            known: HashMap::new(),
            listed: HashMap::new(),
        }
    }
}

fn key_of<K: Resource>(object: &DeserializeGuard<K>) -> ObjectKey
where
    DeserializeGuard<K>: Resource,
{
    let meta = object.meta();
    ObjectKey::new(
        meta.namespace.clone().unwrap_or_default(),
        meta.name.clone().unwrap_or_default(),
    )
}
