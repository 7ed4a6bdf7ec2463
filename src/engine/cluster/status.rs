//! Writing what the operator knows back to the custom resource, and remembering what was written.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use kube::api::{Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use serde::Serialize;
use serde::ser::Error as _;
use serde_json::{Value, json};

use crate::api::{Object, ObjectKey, annotation};
use crate::engine::cluster::guarded::{Guarded, Remains};
use crate::engine::error::Error;

/// The field manager of everything the operator writes into custom resources.
pub const FIELD_MANAGER: &str = "coder-operator";
/// The finalizer on every object that stands, or may stand, for something in Coder.
pub const FINALIZER: &str = "coder-operator.dev/finalizer";

/// What a status write insists on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// That nobody changed the object since it was read: what a pass concludes from a stale copy must not stand.
    Unchanged,
    /// Only that it is still the same object: what Coder just answered is true whatever else happened.
    SameObject,
}

/// Writes the whole status by server-side apply. Answers with the object as it is then.
pub async fn write<K: Object>(client: &Client, object: &K, status: &impl Serialize, guard: Guard) -> Result<K, Error> {
    let mut metadata = json!({ "name": object.name_any(), "namespace": object.namespace(), "uid": object.uid() });
    if let (Guard::Unchanged, Some(metadata)) = (guard, metadata.as_object_mut()) {
        metadata.insert("resourceVersion".to_owned(), json!(object.resource_version()));
    }
    let body = json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        "metadata": metadata,
        "status": status,
    });
    let parameters = PatchParams::apply(FIELD_MANAGER).force();
    tracing::debug!("writing the status");
    let written = api(client, object)
        .patch_status(&object.name_any(), &parameters, &Patch::Apply(body))
        .await;
    read(written?)
}

/// Adds the finalizer, insisting that nobody changed the object since it was read; with the status of an object that has
/// none yet, if there is something that it must say.
pub async fn add_finalizer<K: Object>(client: &Client, object: &K, first: Option<&K::Status>) -> Result<K, Error> {
    let mut finalizers = foreign_finalizers(object);
    finalizers.push(FINALIZER);
    let first = first.map(serde_json::to_string).transpose();
    let annotations = first
        .map_err(kube::Error::SerdeError)?
        .map(|first| json!({ annotation::FIRST_STATUS: first }));
    change_metadata(client, object, finalizers, annotations).await
}

/// Removes the finalizer, insisting on the same, and what was noted together with it.
pub async fn remove_finalizer<K: Object>(client: &Client, object: &K) -> Result<K, Error> {
    let none = json!({ annotation::FIRST_STATUS: null });
    change_metadata(client, object, foreign_finalizers(object), Some(none)).await
}

fn foreign_finalizers<K: Object>(object: &K) -> Vec<&str> {
    let names = object.finalizers().iter().map(String::as_str);
    names.filter(|name| *name != FINALIZER).collect()
}

async fn change_metadata<K: Object>(
    client: &Client,
    object: &K,
    finalizers: Vec<&str>,
    annotations: Option<Value>,
) -> Result<K, Error> {
    let metadata = ChangedMetadata {
        resource_version: object.resource_version(),
        finalizers,
        annotations,
    };
    let parameters = PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let body = json!({ "metadata": metadata });
    let written = api(client, object)
        .patch(&object.name_any(), &parameters, &Patch::Merge(body))
        .await;
    read(written?)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ChangedMetadata<'a> {
    resource_version: Option<String>,
    finalizers: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<Value>,
}

/// Whether the finalizer is there.
pub fn has_finalizer<K: Object>(object: &K) -> bool {
    object.finalizers().iter().any(|finalizer| finalizer == FINALIZER)
}

/// Written objects are read as watched ones are.
fn api<K: Object>(client: &Client, object: &K) -> Api<Guarded<K>> {
    Api::namespaced(client.clone(), &object.namespace().unwrap_or_default())
}

fn read<K>(written: Guarded<K>) -> Result<K, Error> {
    let unreadable = |remains: Box<Remains>| kube::Error::SerdeError(serde_json::Error::custom(remains.error));
    Ok(written.0.map_err(unreadable)?)
}

/// The objects as the operator last wrote them, until the watch shows them at least as new. Without it the pass that
/// follows a write could begin from what was there before it.
pub struct Recent<K> {
    written: Mutex<HashMap<ObjectKey, Arc<K>>>,
}

impl<K> Default for Recent<K> {
    fn default() -> Self {
        Self {
            written: Mutex::default(),
        }
    }
}

impl<K: Object> Recent<K> {
    /// The newer of what the watch shows and what was written.
    pub fn newest(&self, cached: Arc<K>) -> Arc<K> {
        let mut written = self.lock();
        let key = cached.key();
        let Some(ours) = written.get(&key) else { return cached };
        if ours.uid() == cached.uid() && version(ours.as_ref()) > version(cached.as_ref()) {
            return Arc::clone(ours);
        }
        written.remove(&key);
        cached
    }

    /// The operator wrote this.
    pub fn wrote(&self, object: Arc<K>) {
        self.lock().insert(object.key(), object);
    }

    /// The object is gone, or what is remembered of it is wrong.
    pub fn forget(&self, key: &ObjectKey) {
        self.lock().remove(key);
    }

    /// The watch shows the object at least as new as it was written.
    pub fn seen(&self, object: &K) {
        let mut written = self.lock();
        let key = object.key();
        if written
            .get(&key)
            .is_some_and(|ours| version(ours.as_ref()) <= version(object))
        {
            written.remove(&key);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<ObjectKey, Arc<K>>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Resource versions of one object are ordered numbers (guaranteed since Kubernetes 1.35, so before it as well).
fn version<K: Object>(object: &K) -> u128 {
    object
        .resource_version()
        .and_then(|version| version.parse().ok())
        .unwrap_or_default()
}
