//! The custom resources and Secrets that a pass may look up, behind one interface with two sources: the watch caches
//! in the cluster ([`Caches`]) and, offline, a set of files ([`Files`](crate::engine::cluster::files::Files)). The rules of the kinds are
//! the same code over both.

use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Api, Client};
use secrecy::SecretString;

use crate::api::{Object, ObjectKey, Reference, Scope, instance};
use crate::engine::cluster::coverage::Coverage;
use crate::engine::cluster::index::Index;
use crate::engine::cluster::store::Store;
use crate::engine::error::{Error, Reason};

/// Where a pass looks things up.
pub trait Objects: Send + Sync + 'static {
    /// The object, as its own type behind `Any`.
    fn object(&self, reference: &Reference) -> Option<Arc<dyn Any + Send + Sync>>;

    /// Whether it can be believed that there is no such object when none was found.
    ///
    /// # Errors
    /// `Pending`, or waiting, while it is not known which objects there are; waiting, when there is one that cannot be read.
    fn is_absent(&self, _reference: &Reference) -> Result<(), Error> {
        Ok(())
    }

    /// The value of one key of a Secret; fetched on use and dropped after it.
    fn secret<'a>(&'a self, key: &'a ObjectKey, entry: &'a str) -> BoxFuture<'a, Result<SecretString, Error>>;

    /// Whether objects have the status that passes wrote. Those of files do not: what they stand for in Coder is found
    /// by its name there.
    fn have_status(&self) -> bool {
        true
    }
}

/// The object as its type.
pub fn typed<K: Object>(objects: &dyn Objects, key: &ObjectKey) -> Option<Arc<K>> {
    let reference = Reference {
        kind: K::KIND,
        key: key.clone(),
    };
    objects.object(&reference)?.downcast::<K>().ok()
}

/// The watch caches of all kinds, and Secrets from the API server.
pub struct Caches {
    client: Client,
    stores: RwLock<HashMap<&'static str, Cache>>,
    index: Index,
}

#[derive(Clone)]
struct Cache {
    store: Arc<dyn AnyStore>,
    coverage: Coverage,
    points_at: Option<PointsAt>,
}

/// What the objects of a kind may point at.
#[derive(Clone, Copy, Debug)]
pub struct PointsAt {
    /// Where they live in Coder.
    pub scope: Scope,
    /// The kinds they may point at. The instance is always meant.
    pub kinds: &'static [&'static str],
}

/// A store without its type.
trait AnyStore: Send + Sync {
    fn get(&self, key: &ObjectKey) -> Option<Arc<dyn Any + Send + Sync>>;
}

impl<K: Object> AnyStore for Store<K> {
    fn get(&self, key: &ObjectKey) -> Option<Arc<dyn Any + Send + Sync>> {
        let object: Arc<K> = self.get(key)?;
        Some(object)
    }
}

impl Caches {
    /// No kinds yet.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self {
            client,
            stores: RwLock::default(),
            index: Index::default(),
        }
    }

    /// The cache of a kind is there to be read.
    pub fn add<K: Object>(&self, store: Store<K>, coverage: Coverage, points_at: Option<PointsAt>) {
        let cache = Cache {
            store: Arc::new(store),
            coverage,
            points_at,
        };
        let mut stores = self.stores.write().unwrap_or_else(PoisonError::into_inner);
        stores.insert(K::KIND, cache);
    }

    /// Who points at what, and holds what.
    #[must_use]
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// The kinds whose objects may point at one of `kind`, where they live, and how much is known of them.
    pub fn pointing_at(&self, kind: &str) -> Vec<(&'static str, Scope, Coverage)> {
        let stores = self.stores.read().unwrap_or_else(PoisonError::into_inner);
        stores
            .iter()
            .filter_map(|(pointing, cache)| {
                let points_at = cache.points_at?;
                let points = kind == instance::KIND || points_at.kinds.contains(&kind);
                points.then(|| (*pointing, points_at.scope, cache.coverage.clone()))
            })
            .collect()
    }

    fn cache(&self, kind: &str) -> Option<Cache> {
        let stores = self.stores.read().unwrap_or_else(PoisonError::into_inner);
        stores.get(kind).cloned()
    }
}

impl Objects for Caches {
    fn object(&self, reference: &Reference) -> Option<Arc<dyn Any + Send + Sync>> {
        self.cache(reference.kind)?.store.get(&reference.key)
    }

    fn is_absent(&self, reference: &Reference) -> Result<(), Error> {
        let Reference { kind, key } = reference;
        if self.index.is_unreadable(reference) {
            let message = format!("{reference} cannot be read: correct it");
            return Err(Error::waiting(Reason::DependencyNotReady, message));
        }
        self.cache(kind)
            .map_or(Ok(()), |cache| cache.coverage.of(&key.namespace))
    }

    fn secret<'a>(&'a self, key: &'a ObjectKey, entry: &'a str) -> BoxFuture<'a, Result<SecretString, Error>> {
        Box::pin(async move {
            let secret = Api::<Secret>::namespaced(self.client.clone(), &key.namespace)
                .get_opt(&key.name)
                .await?;
            secret_value(secret, key, entry)
        })
    }
}

/// The text under one key of a Secret.
pub(in crate::engine) fn secret_value(
    secret: Option<Secret>,
    key: &ObjectKey,
    entry: &str,
) -> Result<SecretString, Error> {
    let Some(secret) = secret else {
        return Err(Error::waiting(
            Reason::SecretNotFound,
            format!("Secret {key} does not exist"),
        ));
    };
    let Some(value) = secret.data.and_then(|mut data| data.remove(entry)) else {
        return Err(missing_key("Secret", key, entry));
    };
    let text = String::from_utf8(value.0).map_err(|_| {
        let message = format!("key {entry} of Secret {key} is not text");
        Error::terminal(Reason::InvalidSecret, message)
    })?;
    let text = text.trim();
    if text.is_empty() {
        return Err(missing_key("Secret", key, entry));
    }
    Ok(SecretString::from(text.to_owned()))
}

impl Caches {
    /// All texts of a Secret, by key; fetched on use and dropped after it.
    ///
    /// # Errors
    /// Waiting, when the Secret is not there.
    pub async fn whole_secret(&self, key: &ObjectKey) -> Result<BTreeMap<String, SecretString>, Error> {
        let secret = Api::<Secret>::namespaced(self.client.clone(), &key.namespace)
            .get_opt(&key.name)
            .await?;
        let entries: Vec<String> = match secret.as_ref().and_then(|secret| secret.data.as_ref()) {
            Some(data) => data.keys().cloned().collect(),
            None => Vec::new(),
        };
        if secret.is_none() || entries.is_empty() {
            let message = format!("Secret {key} does not exist, or is empty");
            return Err(Error::waiting(Reason::SecretNotFound, message));
        }
        entries
            .into_iter()
            .map(|entry| Ok((entry.clone(), secret_value(secret.clone(), key, &entry)?)))
            .collect()
    }

    /// The text under one key of a `ConfigMap`.
    ///
    /// # Errors
    /// Waiting, when the `ConfigMap` or the key is not there.
    pub async fn config_map(&self, key: &ObjectKey, entry: &str) -> Result<String, Error> {
        let map = Api::<ConfigMap>::namespaced(self.client.clone(), &key.namespace)
            .get_opt(&key.name)
            .await?;
        let Some(map) = map else {
            return Err(Error::waiting(
                Reason::SecretNotFound,
                format!("ConfigMap {key} does not exist"),
            ));
        };
        map.data
            .and_then(|mut data| data.remove(entry))
            .ok_or_else(|| missing_key("ConfigMap", key, entry))
    }
}

fn missing_key(kind: &str, key: &ObjectKey, entry: &str) -> Error {
    Error::waiting(
        Reason::SecretNotFound,
        format!("{kind} {key} has no value under the key {entry}"),
    )
}
