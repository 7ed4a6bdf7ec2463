//! What a kind may ask and do during a pass. Everything it reads is remembered, so that a change of it wakes the object.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;

use crate::api::{Object, ObjectKey, Reference, instance};
use crate::coder::Client;
use crate::engine::cluster::objects::{self, Objects};
use crate::engine::cluster::output::{Output, Outputs, Owner};
use crate::engine::cluster::wake::{Topic, Wakes};
use crate::engine::connection::Connection;
use crate::engine::error::Error;
use crate::mirror::{Collection, Fields, Freshness, Interest, Snapshot};

/// One pass over one object.
pub struct Cx<'a> {
    /// The object.
    pub me: Reference,
    /// The object as the owner of the Secrets it writes.
    pub owner: Owner,
    /// The connection to Coder.
    pub connection: Arc<Connection>,
    /// How fresh what is looked at must be.
    pub freshness: Freshness,
    /// How long drift may stay unseen.
    pub interval: Duration,
    /// What time it is.
    pub now: Timestamp,
    /// Custom resources and Secrets.
    pub objects: &'a dyn Objects,
    /// Secrets that the operator writes.
    pub outputs: &'a Outputs,
    /// Who is woken by what.
    pub wakes: &'a Wakes,
    /// What this pass read so far.
    pub seen: &'a Mutex<Seen>,
}

/// What a pass read.
#[derive(Debug, Default)]
pub struct Seen {
    /// In Kubernetes.
    pub topics: HashSet<Topic>,
    /// In Coder, by [`Collection::id`].
    pub interests: Vec<(String, Interest)>,
    /// The collections in which something was looked for and not found.
    pub searched: Vec<String>,
    /// The items of them that were looked for, by collection and item.
    pub items: Vec<(String, String)>,
}

impl Cx<'_> {
    /// Coder.
    #[must_use]
    pub fn coder(&self) -> &Client {
        self.connection.client()
    }

    /// The custom resource with that key, if there is one.
    ///
    /// # Errors
    /// `Pending`, or waiting, while it is not known whether there is, or there is one that cannot be read.
    pub fn object<K: Object>(&self, key: &ObjectKey) -> Result<Option<Arc<K>>, Error> {
        let reference = Reference {
            kind: K::KIND,
            key: key.clone(),
        };
        self.depend(Topic::Object(reference.clone()));
        if let Some(object) = objects::typed(self.objects, key) {
            return Ok(Some(object));
        }
        self.depend(Topic::Coverage(K::KIND));
        self.objects.is_absent(&reference)?;
        // It may have come between the two questions.
        Ok(objects::typed(self.objects, key))
    }

    /// The value of one key of a Secret in the namespace of the object.
    ///
    /// # Errors
    /// Waiting, when the Secret or the key is not there.
    pub async fn secret(&self, name: &str, entry: &str) -> Result<SecretString, Error> {
        let key = ObjectKey::new(&self.me.key.namespace, name);
        self.depend(Topic::Secret(key.clone()));
        self.objects.secret(&key, entry).await
    }

    /// The Secret that the object writes.
    ///
    /// # Errors
    /// When Kubernetes cannot be asked.
    pub async fn output(&self, name: &str) -> Result<Output, Error> {
        self.depend(Topic::Secret(ObjectKey::new(&self.me.key.namespace, name)));
        self.outputs.read(&self.owner, name).await
    }

    /// The item with that id; any change of it wakes the object.
    ///
    /// # Errors
    /// What the list call answered.
    pub async fn get<C: Collection>(&self, collection: &C, id: &str) -> Result<Option<C::Item>, Error> {
        let snapshot = self.list(collection, Interest::Item(id.to_owned())).await?;
        self.seen().items.push((collection.id(), id.to_owned()));
        Ok(snapshot.get(id).cloned())
    }

    /// The first item that `wanted` accepts. Any change of it wakes the object; while there is none, any change of the
    /// collection does.
    ///
    /// # Errors
    /// What the list call answered.
    pub async fn find<C: Collection>(
        &self,
        collection: &C,
        wanted: impl Fn(&C::Item) -> bool + Send,
    ) -> Result<Option<C::Item>, Error> {
        let watched_whole = self.seen().interests.contains(&(collection.id(), Interest::Any));
        let snapshot = self.list(collection, Interest::Any).await?;
        let found = snapshot.iter().find(|item| wanted(item)).cloned();
        if !watched_whole {
            self.seen().searched.push(collection.id());
        }
        if let Some(item) = &found {
            self.found(collection, C::key(item));
            self.seen().items.push((collection.id(), C::key(item)));
        }
        Ok(found)
    }

    /// The whole collection.
    ///
    /// # Errors
    /// What the list call answered.
    pub async fn list<C: Collection>(
        &self,
        collection: &C,
        interest: Interest,
    ) -> Result<Arc<Snapshot<C::Item>>, Error> {
        self.subscribe(collection, interest);
        Ok(self.connection.mirror().snapshot(collection, self.freshness).await?)
    }

    /// When somebody else last changed that field of an item, as far as the audit log named it lately. For what no list
    /// shows.
    #[must_use]
    pub fn changed_by_others<C: Collection>(&self, collection: &C, id: &str, field: &str) -> Option<Timestamp> {
        let authors = self.connection.mirror().authors_of(&[(collection.id(), id.to_owned())]);
        let names = |fields: &Fields| matches!(fields, Fields::Named(fields) if fields.contains(field));
        let them = authors.into_iter().filter(|author| names(&author.fields));
        them.map(|author| author.at).max()
    }

    /// Coder answered an own write with this item.
    pub fn put<C: Collection>(&self, collection: &C, item: C::Item) {
        self.found(collection, C::key(&item));
        self.connection.mirror().put(collection, item, &self.me);
    }

    /// An own write removed this item.
    pub fn remove<C: Collection>(&self, collection: &C, id: &str) {
        self.connection.mirror().remove(collection, id, &self.me);
    }

    /// Only a new list can tell what this collection holds.
    pub fn invalidate<C: Collection>(&self, collection: &C) {
        self.connection.mirror().invalidate(collection);
    }

    /// A write changed what the connection as a whole can do (its licence): the instance looks again.
    pub fn recheck_instance(&self) {
        let instance = Reference {
            kind: instance::KIND,
            key: self.connection.key.clone(),
        };
        self.wakes.wake(&instance);
    }

    /// The object depends on `topic`.
    pub fn depend(&self, topic: Topic) {
        self.wakes.depend(&self.me, topic.clone());
        self.seen().topics.insert(topic);
    }

    /// What this pass read so far.
    pub fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn subscribe<C: Collection>(&self, collection: &C, interest: Interest) {
        let mirror = self.connection.mirror();
        mirror.subscribe(collection, &self.me, interest.clone(), self.interval);
        let interest = (collection.id(), interest);
        let mut seen = self.seen();
        if !seen.interests.contains(&interest) {
            seen.interests.push(interest);
        }
    }

    /// From now on this item is what the object depends on; if it was looked for, no more on any change.
    fn found<C: Collection>(&self, collection: &C, key: String) {
        self.subscribe(collection, Interest::Item(key));
        let any = (collection.id(), Interest::Any);
        let mut seen = self.seen();
        if seen.searched.contains(&any.0) {
            seen.searched.retain(|id| *id != any.0);
            seen.interests.retain(|interest| *interest != any);
            self.connection.mirror().narrow(collection, &self.me);
        }
    }
}
