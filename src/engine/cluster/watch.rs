//! The watch of one kind: keeps its store, and tells what changed.
//!
//! What is told is in the store already, so that whoever is woken by it finds it there. A watch that starts over lists
//! everything again; what vanished meanwhile is told as deleted all the same. An object that cannot be read (stored before
//! the schema was tightened) is left out and reported: it never stops the others. Nor does a namespace that cannot be
//! listed: [`Coverage`] says what is not known.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use futures::stream::{SelectAll, StreamExt};
use kube::runtime::WatchStreamExt;
use kube::runtime::utils::Backoff;
use kube::runtime::watcher::{self, DefaultBackoff, Event, watcher};
use kube::{Api, Client, Resource};
use tokio_util::sync::CancellationToken;

use crate::api::{Object, ObjectKey};
use crate::engine::cluster::coverage::{Coverage, Namespaces};
use crate::engine::cluster::guarded::{Guarded, Remains};
use crate::engine::cluster::store::Store;

/// What happened.
#[derive(Clone, Debug)]
pub enum Change<K> {
    /// The object is there, new or changed.
    Applied(Arc<K>),
    /// The object is gone.
    Deleted(ObjectKey),
    /// The object is there and cannot be read.
    Unreadable(ObjectKey, Arc<Remains>),
    /// It is known of more objects, or of fewer, whether they exist.
    Coverage,
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
pub struct Watch<K> {
    client: Client,
    namespaces: Namespaces,
    store: Store<K>,
    coverage: Coverage,
    /// The keys of the lists that are under way, by source.
    listed: HashMap<usize, HashSet<ObjectKey>>,
}

impl<K: Object> Watch<K> {
    /// A watch of these namespaces.
    #[must_use]
    pub fn new(client: Client, namespaces: Namespaces) -> Self {
        Self {
            client,
            coverage: Coverage::new(K::KIND, &namespaces),
            namespaces,
            store: Store::default(),
            listed: HashMap::new(),
        }
    }

    /// What it has seen.
    #[must_use]
    pub fn store(&self) -> Store<K> {
        self.store.clone()
    }

    /// How much that is.
    #[must_use]
    pub fn coverage(&self) -> Coverage {
        self.coverage.clone()
    }

    /// Watches until told to stop; `tell` must not block.
    pub async fn run(mut self, stop: CancellationToken, tell: impl Fn(Change<K>) + Send) {
        let mut events = self.events();
        loop {
            let next = tokio::select! {
                next = events.next() => next,
                () = stop.cancelled() => return,
            };
            let Some((source, event)) = next else { return };
            match event {
                Ok(event) => self.take(source, event, &tell),
                // The stream comes back by itself, with backoff.
                Err(error) => {
                    if self.coverage.failed(source, &error) {
                        tell(Change::Coverage);
                    }
                }
            }
        }
    }

    fn take(&mut self, source: usize, event: Event<Guarded<K>>, tell: &impl Fn(Change<K>)) {
        match event {
            Event::Init => {
                self.listed.insert(source, HashSet::new());
            }
            Event::InitApply(object) => {
                if let Some(listed) = self.listed.get_mut(&source) {
                    listed.insert(key_of(&object));
                }
                self.apply(object, tell);
            }
            Event::Apply(object) => self.apply(object, tell),
            Event::Delete(object) => self.delete(&key_of(&object), tell),
            Event::InitDone => {
                let listed = self.listed.remove(&source).unwrap_or_default();
                let mut vanished = self.store.keys();
                vanished.retain(|key| self.shows(source, key) && !listed.contains(key));
                for key in vanished {
                    self.delete(&key, tell);
                }
                if self.coverage.listed(source) {
                    tell(Change::Coverage);
                }
            }
        }
    }

    /// Whether that source shows what is there.
    fn shows(&self, source: usize, key: &ObjectKey) -> bool {
        match &self.namespaces {
            Namespaces::All => true,
            Namespaces::Only(names) => names.get(source) == Some(&key.namespace),
        }
    }

    fn apply(&mut self, object: Guarded<K>, tell: &impl Fn(Change<K>)) {
        let key = key_of(&object);
        match object.0 {
            Ok(object) => {
                let object = Arc::new(object);
                self.store.put(Arc::clone(&object));
                tell(Change::Applied(object));
            }
            Err(remains) => {
                // Nothing is done to it or to what it stands for until it can be read again.
                self.store.put_unreadable(key.clone());
                tell(Change::Unreadable(key, Arc::from(remains)));
            }
        }
    }

    fn delete(&mut self, key: &ObjectKey, tell: &impl Fn(Change<K>)) {
        if self.store.remove(key) {
            tell(Change::Deleted(key.clone()));
        }
    }

    fn events(&self) -> SelectAll<SourceStream<K>> {
        let apis: Vec<Api<Guarded<K>>> = match &self.namespaces {
            Namespaces::All => vec![Api::all(self.client.clone())],
            Namespaces::Only(names) => names
                .iter()
                .map(|name| Api::namespaced(self.client.clone(), name))
                .collect(),
        };
        let watch = |(source, api): (usize, Api<Guarded<K>>)| -> SourceStream<K> {
            let stream = watcher(api, watcher::Config::default())
                .backoff(WatchBackoff::default())
                .map(move |event| (source, event));
            Box::pin(stream)
        };
        apis.into_iter().enumerate().map(watch).collect()
    }
}

type SourceStream<K> = std::pin::Pin<Box<dyn Stream<Item = (usize, Result<Event<Guarded<K>>, watcher::Error>)> + Send>>;

fn key_of<K: Resource>(object: &Guarded<K>) -> ObjectKey
where
    Guarded<K>: Resource,
{
    let meta = object.meta();
    ObjectKey::new(
        meta.namespace.clone().unwrap_or_default(),
        meta.name.clone().unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use kube::client::Body;
    use serde_json::json;

    use super::*;
    use crate::api::CoderGroup;

    /// A watch that asks nobody: the tests tell it what happened.
    fn watch(namespaces: &[&str]) -> Watch<CoderGroup> {
        let nobody = tower::service_fn(|_: axum::http::Request<Body>| async {
            Ok::<_, std::convert::Infallible>(axum::http::Response::new(Body::empty()))
        });
        let names = namespaces.iter().map(|name| (*name).to_owned()).collect();
        Watch::new(Client::new(nobody, "default"), Namespaces::Only(names))
    }

    fn group(namespace: &str, name: &str, spec: &serde_json::Value) -> Guarded<CoderGroup> {
        let object = json!({
            "apiVersion": "coder-operator.dev/v1alpha1", "kind": "CoderGroup",
            "metadata": { "namespace": namespace, "name": name }, "spec": spec,
        });
        serde_json::from_value(object).unwrap()
    }

    fn good(namespace: &str, name: &str) -> Guarded<CoderGroup> {
        group(namespace, name, &json!({ "organization": "default" }))
    }

    #[tokio::test]
    async fn whoever_is_woken_finds_what_was_told() {
        let mut watch = watch(&["ns"]);
        let (store, coverage) = (watch.store(), watch.coverage());
        let told = Mutex::new(Vec::new());
        let tell = |change: Change<CoderGroup>| {
            let (word, key, expected) = match change {
                Change::Applied(object) => ("applied", object.key(), true),
                Change::Deleted(key) => ("deleted", key, false),
                Change::Unreadable(key, _) => ("unreadable", key, false),
                Change::Coverage => {
                    assert!(coverage.is_complete());
                    return told.lock().unwrap().push("listed".to_owned());
                }
            };
            assert_eq!(store.get(&key).is_some(), expected, "{word} {key}");
            told.lock().unwrap().push(format!("{word} {}", key.name));
        };
        watch.take(0, Event::Init, &tell);
        // The second page of a list may be long in coming.
        watch.take(0, Event::InitApply(good("ns", "a")), &tell);
        assert!(!watch.coverage().is_complete());
        watch.take(0, Event::InitApply(good("ns", "b")), &tell);
        watch.take(0, Event::InitDone, &tell);
        watch.take(0, Event::Apply(group("ns", "b", &json!({ "organization": 7 }))), &tell);
        watch.take(0, Event::Delete(good("ns", "b")), &tell);
        watch.take(0, Event::Delete(good("ns", "a")), &tell);
        assert_eq!(
            *told.lock().unwrap(),
            [
                "applied a",
                "applied b",
                "listed",
                "unreadable b",
                "deleted b",
                "deleted a"
            ]
        );
    }

    #[tokio::test]
    async fn what_a_new_list_does_not_show_is_gone_unless_it_is_elsewhere() {
        let mut watch = watch(&["ns", "other"]);
        let gone = Mutex::new(Vec::new());
        let tell = |change: Change<CoderGroup>| {
            if let Change::Deleted(key) = change {
                gone.lock().unwrap().push(key.to_string());
            }
        };
        for (source, namespace) in ["ns", "other"].into_iter().enumerate() {
            watch.take(source, Event::Init, &tell);
            watch.take(source, Event::InitApply(good(namespace, "a")), &tell);
            watch.take(source, Event::InitApply(good(namespace, "b")), &tell);
            watch.take(source, Event::InitDone, &tell);
        }
        watch.take(0, Event::Init, &tell);
        watch.take(0, Event::InitApply(good("ns", "b")), &tell);
        watch.take(0, Event::InitDone, &tell);
        assert_eq!(*gone.lock().unwrap(), ["ns/a"]);
    }
}
