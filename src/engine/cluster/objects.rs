//! The custom resources and Secrets that a pass may look up, behind one interface with two sources: the watch caches
//! in the cluster ([`Caches`]) and, offline, a set of files ([`Files`](crate::engine::cluster::files::Files)). The rules of the kinds are
//! the same code over both.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Api, Client};
use secrecy::SecretString;

use crate::api::{Kind, KindStatus, ObjectKey, Reference, Scope};
use crate::engine::cluster::watch::Synced;
use crate::engine::error::{Error, Reason};

/// Where a pass looks things up.
pub trait Objects: Send + Sync + 'static {
    /// The object, as its own type behind `Any`.
    fn object(&self, reference: &Reference) -> Option<Arc<dyn Any + Send + Sync>>;

    /// The value of one key of a Secret; fetched on use and dropped after it.
    fn secret<'a>(&'a self, key: &'a ObjectKey, entry: &'a str) -> BoxFuture<'a, Result<SecretString, Error>>;

    /// Whether objects have the status that passes wrote. Those of files do not: what they stand for in Coder is found
    /// by its name there.
    fn have_status(&self) -> bool {
        true
    }
}

/// The object as its type.
pub fn typed<K: Kind>(objects: &dyn Objects, key: &ObjectKey) -> Option<Arc<K>> {
    let reference = Reference {
        kind: K::KIND,
        key: key.clone(),
    };
    objects.object(&reference)?.downcast::<K>().ok()
}

/// The watch caches of all kinds, and Secrets from the API server.
pub struct Caches {
    client: Client,
    stores: RwLock<HashMap<&'static str, Arc<dyn KindStore>>>,
    synced: RwLock<Vec<Synced>>,
}

/// A cache without its type.
trait KindStore: Send + Sync {
    fn get(&self, key: &ObjectKey) -> Option<Arc<dyn Any + Send + Sync>>;
    fn referring(&self, to: &Reference) -> Vec<Referrer>;
}

/// A custom resource that points at another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Referrer {
    /// Which one.
    pub reference: Reference,
    /// Where objects of its kind live in Coder.
    pub scope: Scope,
    /// Whether it stands for an object in Coder, or may.
    pub has_remote: bool,
}

impl Caches {
    /// No kinds yet.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self {
            client,
            stores: RwLock::default(),
            synced: RwLock::default(),
        }
    }

    /// The cache of a kind is there to be read.
    pub fn add<K: Kind>(&self, store: Store<K>, synced: Synced) {
        self.synced.write().unwrap_or_else(PoisonError::into_inner).push(synced);
        let mut stores = self.stores.write().unwrap_or_else(PoisonError::into_inner);
        stores.insert(K::KIND, Arc::new(Cache(store)));
    }

    /// Whether every object that exists is in the caches. What depends on the absence of one must wait for it.
    pub fn are_complete(&self) -> bool {
        let synced = self.synced.read().unwrap_or_else(PoisonError::into_inner);
        synced.iter().all(Synced::is_synced)
    }

    /// All custom resources that point at `to`, by `instanceRef` or any other reference.
    pub fn referring(&self, to: &Reference) -> Vec<Referrer> {
        let stores: Vec<_> = self
            .stores
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect();
        stores.iter().flat_map(|store| store.referring(to)).collect()
    }
}

impl Objects for Caches {
    fn object(&self, reference: &Reference) -> Option<Arc<dyn Any + Send + Sync>> {
        let store = self
            .stores
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(reference.kind)
            .cloned()?;
        store.get(&reference.key)
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

struct Cache<K: Kind>(Store<K>);

impl<K: Kind> KindStore for Cache<K> {
    fn get(&self, key: &ObjectKey) -> Option<Arc<dyn Any + Send + Sync>> {
        let object: Arc<K> = self.0.get(&ObjectRef::new(&key.name).within(&key.namespace))?;
        Some(object)
    }

    fn referring(&self, to: &Reference) -> Vec<Referrer> {
        let instance = crate::api::instance::KIND;
        self.0
            .state()
            .iter()
            .filter(|object| {
                if to.kind == instance {
                    object.instance_key() == to.key
                } else {
                    object.references().contains(to)
                }
            })
            .map(|object| Referrer {
                reference: Reference {
                    kind: K::KIND,
                    key: object.key(),
                },
                scope: K::SCOPE,
                has_remote: object.own_status().is_some_and(KindStatus::has_remote),
            })
            .collect()
    }
}
