//! The custom resources of one kind as the watch last showed them: held once, read by everybody.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::api::{Object, ObjectKey};

/// The objects by namespace and name. Clones share them.
#[derive(Debug)]
pub struct Store<K> {
    objects: Arc<RwLock<HashMap<ObjectKey, Arc<K>>>>,
}

impl<K> Clone for Store<K> {
    fn clone(&self) -> Self {
        Self {
            objects: Arc::clone(&self.objects),
        }
    }
}

impl<K> Default for Store<K> {
    fn default() -> Self {
        Self {
            objects: Arc::default(),
        }
    }
}

impl<K: Object> Store<K> {
    /// The object.
    #[must_use]
    pub fn get(&self, key: &ObjectKey) -> Option<Arc<K>> {
        self.read().get(key).cloned()
    }

    /// Where all objects are.
    #[must_use]
    pub fn keys(&self) -> Vec<ObjectKey> {
        self.read().keys().cloned().collect()
    }

    /// Looks at each object; must not block.
    pub fn for_each(&self, mut look: impl FnMut(&K)) {
        self.read().values().for_each(|object| look(object));
    }

    pub(in crate::engine) fn put(&self, object: Arc<K>) {
        self.write().insert(object.key(), object);
    }

    pub(in crate::engine) fn remove(&self, key: &ObjectKey) -> Option<Arc<K>> {
        self.write().remove(key)
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, HashMap<ObjectKey, Arc<K>>> {
        self.objects.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, HashMap<ObjectKey, Arc<K>>> {
        self.objects.write().unwrap_or_else(PoisonError::into_inner)
    }
}
