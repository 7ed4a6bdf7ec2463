//! Which custom resources point at what, and which hold what: fed where objects change, so that no pass has to look at
//! all objects of a kind.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::{InstanceRef, Kind, KindStatus, ObjectKey, ObjectStatus, Reference, Scope};
use crate::engine::cluster::guarded::Remains;
use crate::engine::cluster::status::{FINALIZER, has_finalizer};

/// What one custom resource says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The instance it works through.
    pub instance: ObjectKey,
    /// What else it points at.
    pub references: Vec<Reference>,
    /// Whether it cannot be read: then it may point at anything that works through the instance.
    pub unreadable: bool,
    /// Where objects of its kind live in Coder.
    pub scope: Scope,
    /// The id of what it manages in Coder.
    pub held: Option<String>,
    /// The deployment in which that is, if the status says so.
    pub deployment: Option<String>,
    /// Whether it stands for something in Coder, or may: a deletion would have to deal with it.
    pub has_remote: bool,
    /// When it was made.
    pub since: Option<Time>,
}

impl Entry {
    /// What the object says; `held` is the id in its status.
    pub fn of<K: Kind>(object: &K, held: Option<String>) -> Self {
        let status = object.own_status();
        let managed = status.is_some_and(|status| status.common().origin.is_some());
        Self {
            instance: object.instance_key(),
            references: object.references(),
            unreadable: false,
            scope: K::SCOPE,
            held: held.filter(|_| managed),
            deployment: status.and_then(|status| status.common().deployment.clone()),
            has_remote: has_finalizer(object) && status.is_some_and(KindStatus::has_remote),
            since: object.meta().creation_timestamp.clone(),
        }
    }

    /// What is left of one that cannot be read.
    pub fn of_remains<K: Kind>(
        me: &Reference,
        remains: &Remains,
        status: Option<K::Status>,
        held: Option<String>,
    ) -> Self {
        let InstanceRef { name, namespace } = remains.part("/spec/instanceRef").unwrap_or_default();
        let metadata = &remains.metadata;
        let status = status.filter(|status| {
            let uid = &status.common().uid;
            uid.is_none() || *uid == metadata.uid
        });
        let common = status.as_ref().map(ObjectStatus::common);
        let managed = common.is_some_and(|common| common.origin.is_some());
        let finalizer = metadata.finalizers.iter().flatten().any(|name| name == FINALIZER);
        Self {
            instance: ObjectKey::new(namespace.unwrap_or_else(|| me.key.namespace.clone()), name),
            references: Vec::new(),
            unreadable: true,
            scope: K::SCOPE,
            held: held.filter(|_| managed),
            deployment: common.and_then(|common| common.deployment.clone()),
            // A status that cannot be read may say so.
            has_remote: finalizer && status.is_none_or(|status| status.has_remote()),
            since: metadata.creation_timestamp.clone(),
        }
    }
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
    /// Whether it cannot be read.
    pub unreadable: bool,
}

/// A custom resource that manages an object in Coder.
#[derive(Clone, Debug, PartialEq)]
pub struct Holder {
    /// Which one.
    pub key: ObjectKey,
    /// The instance it works through.
    pub instance: ObjectKey,
    /// The deployment in which the object is, if the status says so.
    pub deployment: Option<String>,
    /// When it was made.
    pub since: Option<Time>,
}

/// All custom resources but the instances, by what they point at and hold.
#[derive(Debug, Default)]
pub struct Index {
    inner: RwLock<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    entries: HashMap<Arc<Reference>, Entry>,
    unreadable: HashSet<Arc<Reference>>,
    through: HashMap<ObjectKey, Many<Place>>,
    pointing: Many<Reference>,
    holding: Many<(&'static str, String)>,
}

/// A kind, where it lives in Coder, and a namespace: whoever may use an instance may for all of it.
pub type Place = (&'static str, Scope, String);

type Many<K> = HashMap<K, HashSet<Arc<Reference>>>;

impl Index {
    /// The custom resource says this now.
    pub fn put(&self, who: Reference, entry: Entry) {
        let mut inner = self.write();
        inner.remove(&who);
        let who = Arc::new(who);
        let through = inner.through.entry(entry.instance.clone()).or_default();
        add(through, place(&who, &entry), &who);
        for to in &entry.references {
            add(&mut inner.pointing, to.clone(), &who);
        }
        if let Some(id) = &entry.held {
            add(&mut inner.holding, (who.kind, id.clone()), &who);
        }
        if entry.unreadable {
            inner.unreadable.insert(Arc::clone(&who));
        }
        inner.entries.insert(who, entry);
    }

    /// The custom resource is gone. Answers with what it said last.
    pub fn remove(&self, who: &Reference) -> Option<Entry> {
        self.write().remove(who)
    }

    /// The custom resources that work through an instance.
    pub fn through(&self, instance: &ObjectKey) -> Vec<Referrer> {
        let inner = self.read();
        let places = inner.through.get(instance).into_iter().flat_map(HashMap::values);
        places.flat_map(|who| inner.referrers(Some(who))).collect()
    }

    /// The custom resources that point at another one that works through that instance. Those of `kinds` that cannot be
    /// read may.
    pub fn pointing_at(&self, to: &Reference, instance: &ObjectKey, kinds: &[&str]) -> Vec<Referrer> {
        let inner = self.read();
        let mut pointing = inner.referrers(inner.pointing.get(to));
        let unreadable = inner.referrers(Some(&inner.unreadable)).into_iter();
        pointing.extend(unreadable.filter(|referrer| {
            let who = &referrer.reference;
            kinds.contains(&who.kind) && inner.entries.get(who).is_some_and(|entry| entry.instance == *instance)
        }));
        pointing
    }

    /// How many custom resources of each kind in each namespace name an instance.
    pub fn count_through(&self, instance: &ObjectKey) -> Vec<(Place, usize)> {
        let inner = self.read();
        let places = inner.through.get(instance).into_iter().flatten();
        places.map(|(place, who)| (place.clone(), who.len())).collect()
    }

    /// Whether there is that custom resource.
    pub fn has(&self, who: &Reference) -> bool {
        self.read().entries.contains_key(who)
    }

    /// Whether there is that custom resource and it cannot be read.
    pub fn is_unreadable(&self, who: &Reference) -> bool {
        self.read().unreadable.contains(who)
    }

    /// The custom resources of a kind that manage the object with that id, in whatever deployment.
    pub fn holders(&self, kind: &'static str, id: &str) -> Vec<Holder> {
        let inner = self.read();
        let who = inner.holding.get(&(kind, id.to_owned())).into_iter().flatten();
        who.filter_map(|who| {
            let entry = inner.entries.get(who)?;
            Some(Holder {
                key: who.key.clone(),
                instance: entry.instance.clone(),
                deployment: entry.deployment.clone(),
                since: entry.since.clone(),
            })
        })
        .collect()
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn remove(&mut self, who: &Reference) -> Option<Entry> {
        let entry = self.entries.remove(who)?;
        self.unreadable.remove(who);
        if let Some(through) = self.through.get_mut(&entry.instance) {
            take(through, &place(who, &entry), who);
            if through.is_empty() {
                self.through.remove(&entry.instance);
            }
        }
        for to in &entry.references {
            take(&mut self.pointing, to, who);
        }
        if let Some(id) = &entry.held {
            take(&mut self.holding, &(who.kind, id.clone()), who);
        }
        Some(entry)
    }

    fn referrers(&self, who: Option<&HashSet<Arc<Reference>>>) -> Vec<Referrer> {
        let entries = who.into_iter().flatten();
        entries
            .filter_map(|who| {
                let entry = self.entries.get(who)?;
                Some(Referrer {
                    reference: who.as_ref().clone(),
                    scope: entry.scope,
                    has_remote: entry.has_remote,
                    unreadable: entry.unreadable,
                })
            })
            .collect()
    }
}

fn place(who: &Reference, entry: &Entry) -> Place {
    (who.kind, entry.scope, who.key.namespace.clone())
}

fn add<K: Eq + Hash>(many: &mut Many<K>, key: K, who: &Arc<Reference>) {
    many.entry(key).or_default().insert(Arc::clone(who));
}

fn take<K: Eq + Hash>(many: &mut Many<K>, key: &K, who: &Reference) {
    if let Some(all) = many.get_mut(key) {
        all.remove(who);
        if all.is_empty() {
            many.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(kind: &'static str, name: &str) -> Reference {
        Reference {
            kind,
            key: ObjectKey::new("ns", name),
        }
    }

    fn entry(instance: &str, organization: &str, held: Option<&str>) -> Entry {
        Entry {
            instance: ObjectKey::new("ns", instance),
            references: vec![reference("CoderOrganization", organization)],
            unreadable: false,
            scope: Scope::Organization,
            held: held.map(str::to_owned),
            deployment: None,
            has_remote: held.is_some(),
            since: None,
        }
    }

    #[test]
    fn who_points_and_holds_is_found_as_it_is_now() {
        let index = Index::default();
        let group = reference("CoderGroup", "g");
        index.put(group.clone(), entry("a", "one", None));
        assert_eq!(index.through(&ObjectKey::new("ns", "a")).len(), 1);
        assert!(index.holders("CoderGroup", "id").is_empty());
        index.put(group.clone(), entry("b", "two", Some("id")));
        assert!(index.through(&ObjectKey::new("ns", "a")).is_empty());
        let through = ObjectKey::new("ns", "b");
        let pointing = |name| index.pointing_at(&reference("CoderOrganization", name), &through, &["CoderGroup"]);
        assert!(pointing("one").is_empty());
        assert!(pointing("two")[0].has_remote);
        assert_eq!(index.holders("CoderGroup", "id")[0].instance.name, "b");
        assert!(index.holders("CoderOrganization", "id").is_empty());
        let counts = index.count_through(&ObjectKey::new("ns", "b"));
        assert_eq!(counts, [(("CoderGroup", Scope::Organization, "ns".to_owned()), 1)]);
        assert_eq!(index.through(&ObjectKey::new("ns", "b"))[0].reference, group);
        let unreadable = Entry {
            references: Vec::new(),
            unreadable: true,
            ..entry("b", "", Some("id"))
        };
        index.put(group.clone(), unreadable);
        assert!(pointing("two")[0].unreadable && pointing("any")[0].unreadable);
        assert!(index.is_unreadable(&group));
        assert_eq!(
            index.holders("CoderGroup", "id").len(),
            1,
            "what it holds is nobody else's"
        );
        index.remove(&group);
        let inner = index.read();
        assert!(inner.entries.is_empty() && inner.through.is_empty());
        assert!(inner.pointing.is_empty() && inner.holding.is_empty() && inner.unreadable.is_empty());
    }
}
