//! Secrets, `ConfigMap`s and namespaces, of which only the metadata is ever kept: enough to know that one changed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Debug;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures::StreamExt;
use futures::stream::SelectAll;
use kube::core::PartialObjectMeta;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::api::ObjectKey;
use crate::engine::cluster::coverage::{Coverage, Namespaces};
use crate::engine::cluster::watch::WatchBackoff;

/// What is known of each object of a kind: its resource version, and its labels where somebody asks for them.
pub struct MetadataCache {
    known: Mutex<HashMap<ObjectKey, Known>>,
    coverage: Coverage,
    labels: bool,
}

struct Known {
    source: usize,
    version: Option<String>,
    labels: BTreeMap<String, String>,
}

/// What a watch of metadata tells.
pub enum Told<'a> {
    /// The object appeared, changed or vanished.
    Changed(&'a ObjectKey),
    /// It is known of more objects, or of fewer, whether they exist.
    Coverage,
}

impl MetadataCache {
    /// Nothing is known yet. Labels are kept only where `labels` asks for it.
    #[must_use]
    pub fn new(kind: &str, namespaces: &Namespaces, labels: bool) -> Self {
        Self {
            known: Mutex::default(),
            coverage: Coverage::new(kind, namespaces),
            labels,
        }
    }

    /// The labels of an object, if it is known.
    pub fn labels(&self, key: &ObjectKey) -> Option<BTreeMap<String, String>> {
        self.lock().get(key).map(|known| known.labels.clone())
    }

    /// Whether there is such an object.
    pub fn has(&self, key: &ObjectKey) -> bool {
        self.lock().contains_key(key)
    }

    /// How much is known.
    pub fn coverage(&self) -> Coverage {
        self.coverage.clone()
    }

    /// Watches until told to stop, one API a source of the coverage; `tell` must not block.
    pub async fn run<K>(
        &self,
        apis: Vec<Api<PartialObjectMeta<K>>>,
        stop: CancellationToken,
        tell: impl Fn(Told<'_>) + Send,
    ) where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
    {
        let mut listed: HashMap<usize, HashSet<ObjectKey>> = HashMap::new();
        let mut events: SelectAll<_> = apis
            .into_iter()
            .enumerate()
            .map(|(source, api)| {
                let stream = watcher(api, watcher::Config::default()).backoff(WatchBackoff::default());
                Box::pin(stream.map(move |event| (source, event)))
            })
            .collect();
        loop {
            let next = tokio::select! {
                next = events.next() => next,
                () = stop.cancelled() => return,
            };
            let Some((source, event)) = next else { return };
            match event {
                Ok(Event::Init) => {
                    listed.insert(source, HashSet::new());
                }
                Ok(Event::InitApply(object)) => {
                    if let Some(listed) = listed.get_mut(&source) {
                        listed.insert(key_of(&object));
                    }
                    self.apply(source, object, &tell);
                }
                Ok(Event::Apply(object)) => self.apply(source, object, &tell),
                Ok(Event::Delete(object)) => self.delete(&key_of(&object), &tell),
                Ok(Event::InitDone) => {
                    let listed = listed.remove(&source).unwrap_or_default();
                    let vanished: Vec<ObjectKey> = self
                        .lock()
                        .iter()
                        .filter(|(key, known)| known.source == source && !listed.contains(*key))
                        .map(|(key, _)| key.clone())
                        .collect();
                    for key in vanished {
                        self.delete(&key, &tell);
                    }
                    if self.coverage.listed(source) {
                        tell(Told::Coverage);
                    }
                }
                Err(error) => {
                    if self.coverage.failed(source, &error) {
                        tell(Told::Coverage);
                    }
                }
            }
        }
    }

    fn apply<K: Resource<DynamicType = ()>>(
        &self,
        source: usize,
        object: PartialObjectMeta<K>,
        tell: &impl Fn(Told<'_>),
    ) {
        let key = key_of(&object);
        let version = object.metadata.resource_version;
        let labels = object.metadata.labels.filter(|_| self.labels).unwrap_or_default();
        let known = Known {
            source,
            version: version.clone(),
            labels,
        };
        let before = self.lock().insert(key.clone(), known);
        if before.is_none_or(|before| before.version != version) {
            tell(Told::Changed(&key));
        }
    }

    fn delete(&self, key: &ObjectKey, tell: &impl Fn(Told<'_>)) {
        if self.lock().remove(key).is_some() {
            tell(Told::Changed(key));
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ObjectKey, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key_of<K: Resource<DynamicType = ()>>(object: &PartialObjectMeta<K>) -> ObjectKey {
    let metadata = &object.metadata;
    ObjectKey::new(
        metadata.namespace.clone().unwrap_or_default(),
        metadata.name.clone().unwrap_or_default(),
    )
}
