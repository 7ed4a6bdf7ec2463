//! The custom resources of one kind as the watch last showed them: held once, read by everybody. One that cannot be read
//! is known to be there, no more.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::api::{Object, ObjectKey};

/// None where the object cannot be read.
type Objects<K> = HashMap<ObjectKey, Option<Arc<K>>>;

/// The objects by namespace and name. Clones share them.
#[derive(Debug)]
pub struct Store<K> {
    objects: Arc<RwLock<Objects<K>>>,
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
    /// The object, if it can be read.
    #[must_use]
    pub fn get(&self, key: &ObjectKey) -> Option<Arc<K>> {
        self.read().get(key)?.clone()
    }

    /// Whether there is such an object, readable or not.
    #[must_use]
    pub fn has(&self, key: &ObjectKey) -> bool {
        self.read().contains_key(key)
    }

    /// Where all objects are, readable or not.
    #[must_use]
    pub fn keys(&self) -> Vec<ObjectKey> {
        self.read().keys().cloned().collect()
    }

    /// Looks at each object that can be read; must not block.
    pub fn for_each(&self, mut look: impl FnMut(&K)) {
        self.read().values().flatten().for_each(|object| look(object));
    }

    pub(in crate::engine) fn put(&self, object: Arc<K>) {
        self.write().insert(object.key(), Some(object));
    }

    pub(in crate::engine) fn put_unreadable(&self, key: ObjectKey) {
        self.write().insert(key, None);
    }

    /// Whether there was such an object.
    pub(in crate::engine) fn remove(&self, key: &ObjectKey) -> bool {
        self.write().remove(key).is_some()
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Objects<K>> {
        self.objects.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Objects<K>> {
        self.objects.write().unwrap_or_else(PoisonError::into_inner)
    }
}
