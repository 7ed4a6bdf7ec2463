//! A collection at one moment.

use std::collections::BTreeSet;
use std::sync::Arc;

use rpds::{HashTrieMapSync, RedBlackTreeMapSync};
use tokio::time::Instant;

use super::Collection;

/// A collection at one moment. It shares all that did not change with the ones before and after it, so that a patch
/// costs the same in a list of ten as in one of ten thousand, whoever still reads it.
#[derive(Clone, Debug)]
pub struct Snapshot<I> {
    items: RedBlackTreeMapSync<Arc<str>, Held<I>>,
    /// The keys of the items by each of their names, in lower case.
    names: HashTrieMapSync<Arc<str>, Arc<[Arc<str>]>>,
    began: Instant,
}

#[derive(Clone, Debug)]
struct Held<I> {
    item: Arc<I>,
    /// When it was written, or read alone: later than the list, or the list is newer.
    at: Instant,
}

impl<I> Snapshot<I> {
    /// An empty one, as old as that.
    pub(super) fn empty(began: Instant) -> Self {
        Self {
            items: RedBlackTreeMapSync::new_sync(),
            names: HashTrieMapSync::new_sync(),
            began,
        }
    }

    /// The item with that id.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&I> {
        self.items.get(key).map(|held| &*held.item)
    }

    pub(super) fn shared(&self, key: &str) -> Option<Arc<I>> {
        self.items.get(key).map(|held| Arc::clone(&held.item))
    }

    /// The items that are called that, whatever the case of the letters. Who minds the case looks again.
    pub fn named(&self, name: &str) -> impl Iterator<Item = &I> {
        let keys = self.names.get(&*name.to_lowercase());
        keys.into_iter()
            .flat_map(|keys| keys.iter())
            .filter_map(|key| self.get(key))
    }

    /// All items, in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &I> {
        self.items.values().map(|held| &*held.item)
    }

    /// How many items there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.size()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// When the list call that it comes from was sent.
    #[must_use]
    pub fn began(&self) -> Instant {
        self.began
    }

    /// Whether what is said about that item was so at that moment or later.
    pub(super) fn knows_since(&self, key: &str, moment: Instant) -> bool {
        self.began >= moment || self.items.get(key).is_some_and(|held| held.at >= moment)
    }
}

impl<I: Clone + PartialEq> Snapshot<I> {
    /// What a test says that it holds.
    #[cfg(test)]
    pub(crate) fn of<C: Collection<Item = I>>(items: impl IntoIterator<Item = I>) -> Self {
        let mut snapshot = Self::empty(Instant::now());
        for item in items {
            snapshot.set::<C>(Arc::from(C::key(&item)), Some(Arc::new(item)), snapshot.began);
        }
        snapshot
    }

    /// That item is so since that moment. Says whether that is news.
    pub(super) fn set<C: Collection<Item = I>>(&mut self, key: Arc<str>, item: Option<Arc<I>>, at: Instant) -> bool {
        let before = self.shared(&key);
        let news = before.as_deref() != item.as_deref();
        if news {
            if let Some(before) = before {
                for name in names::<C>(&before) {
                    self.unname(&name, &key);
                }
            }
            for name in item.iter().flat_map(|item| names::<C>(item)) {
                self.name(name, &key);
            }
        }
        match item {
            // What is equal is kept once.
            Some(_) if !news => {
                if let Some(held) = self.items.get_mut(&key) {
                    held.at = at;
                }
            }
            Some(item) => self.items.insert_mut(key, Held { item, at }),
            None => {
                self.items.remove_mut(&key);
            }
        }
        news
    }

    /// The next list, which was sent at `began`, and the keys of all that differs. `later` is what was learned since.
    pub(super) fn next<C: Collection<Item = I>>(
        &self,
        began: Instant,
        list: impl IntoIterator<Item = I>,
        later: impl Fn(&str) -> bool,
    ) -> (Self, Vec<Arc<str>>) {
        let mut next = self.clone();
        next.began = began;
        let mut listed = BTreeSet::new();
        let mut changed = Vec::new();
        for item in list {
            let key: Arc<str> = Arc::from(C::key(&item));
            listed.insert(Arc::clone(&key));
            if later(&key) || self.get(&key) == Some(&item) {
                continue;
            }
            next.set::<C>(Arc::clone(&key), Some(Arc::new(item)), began);
            changed.push(key);
        }
        for key in self.items.keys() {
            if !listed.contains(key) && !later(key) {
                next.set::<C>(Arc::clone(key), None, began);
                changed.push(Arc::clone(key));
            }
        }
        (next, changed)
    }

    fn name(&mut self, name: Arc<str>, key: &Arc<str>) {
        let others = self.names.get(&name).into_iter().flat_map(|keys| keys.iter());
        let keys: Arc<[_]> = others.chain([key]).map(Arc::clone).collect();
        self.names.insert_mut(name, keys);
    }

    fn unname(&mut self, name: &Arc<str>, key: &Arc<str>) {
        let keys = self.names.get(name).into_iter().flat_map(|keys| keys.iter());
        let others: Arc<[_]> = keys.filter(|one| *one != key).map(Arc::clone).collect();
        if others.is_empty() {
            self.names.remove_mut(name);
        } else {
            self.names.insert_mut(Arc::clone(name), others);
        }
    }
}

/// The names of an item as they are looked up, each once.
fn names<C: Collection>(item: &C::Item) -> BTreeSet<Arc<str>> {
    let names = C::names(item).into_iter();
    names.map(|name| Arc::from(name.to_lowercase())).collect()
}
