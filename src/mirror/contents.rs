//! What is known of one collection: the last list, corrected by what was written or read alone since.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tokio::time::Instant;

use super::{Collection, Snapshot};

/// What is known of one collection.
pub(super) struct Contents<C: Collection> {
    snapshot: Option<Arc<Snapshot<C::Item>>>,
    /// What was learned of single items while calls are under way that may not show it. One an item, and none when no
    /// call is under way.
    later: HashMap<Arc<str>, Learned<C::Item>>,
    /// How many calls are under way, by when they were sent.
    reads: BTreeMap<Instant, usize>,
    /// How many items were read alone since the last list.
    read_alone: usize,
}

/// What was learned of one item.
pub(super) struct Learned<I> {
    at: Instant,
    /// None when it is gone.
    item: Option<Arc<I>>,
}

impl<I> Learned<I> {
    /// It was so at that moment, if not later.
    pub(super) fn at(at: Instant, item: Option<I>) -> Self {
        Self {
            at,
            item: item.map(Arc::new),
        }
    }

    /// It is so now.
    pub(super) fn now(item: Option<I>) -> Self {
        Self::at(Instant::now(), item)
    }
}

impl<C: Collection> Contents<C> {
    pub(super) fn new() -> Self {
        Self {
            snapshot: None,
            later: HashMap::new(),
            reads: BTreeMap::new(),
            read_alone: 0,
        }
    }

    pub(super) fn snapshot(&self) -> Option<Arc<Snapshot<C::Item>>> {
        self.snapshot.clone()
    }

    /// When the last list was sent.
    pub(super) fn began(&self) -> Option<Instant> {
        self.snapshot.as_ref().map(|snapshot| snapshot.began())
    }

    /// How many items were read alone since the last list.
    pub(super) fn read_alone(&self) -> usize {
        self.read_alone
    }

    pub(super) fn is_being_read(&self) -> bool {
        !self.reads.is_empty()
    }

    /// A call was sent.
    pub(super) fn read_begins(&mut self, began: Instant) {
        *self.reads.entry(began).or_default() += 1;
    }

    /// It is over, whatever came of it.
    pub(super) fn read_ends(&mut self, began: Instant) {
        if let Some(count) = self.reads.get_mut(&began) {
            *count -= 1;
            if *count == 0 {
                self.reads.remove(&began);
            }
        }
        match self.reads.keys().next() {
            Some(oldest) => self.later.retain(|_, learned| learned.at >= *oldest),
            None => self.later = HashMap::new(),
        }
    }

    /// An own write was answered. Answers with the key, if that is news.
    pub(super) fn learn(&mut self, key: &str, learned: Learned<C::Item>) -> Vec<Arc<str>> {
        let key: Arc<str> = Arc::from(key);
        let Learned { at, item } = &learned;
        let news = match &mut self.snapshot {
            Some(snapshot) => Arc::make_mut(snapshot).set::<C>(Arc::clone(&key), item.clone(), *at),
            None => false,
        };
        if self.is_being_read() {
            self.later.insert(Arc::clone(&key), learned);
        }
        if news { vec![key] } else { Vec::new() }
    }

    /// One item was read alone. Answers with the key, if that is news.
    pub(super) fn learn_alone(&mut self, key: &str, learned: Learned<C::Item>) -> Vec<Arc<str>> {
        self.read_alone += 1;
        // A list that was sent later, or a write meanwhile, is newer.
        let overtaken = self.began().is_none_or(|began| began > learned.at)
            || self.later.get(key).is_some_and(|later| later.at >= learned.at);
        if overtaken {
            Vec::new()
        } else {
            self.learn(key, learned)
        }
    }

    /// A list arrived that was sent at `began`. Answers with the keys of all that differs from what was known before.
    pub(super) fn arrive(&mut self, began: Instant, list: Vec<C::Item>) -> Vec<Arc<str>> {
        let later = |key: &str| self.later.get(key).filter(|learned| learned.at >= began);
        let (snapshot, changed) = if let Some(before) = &self.snapshot {
            before.next::<C>(began, list, |key| later(key).is_some())
        } else {
            let (mut first, _) = Snapshot::empty(began).next::<C>(began, list, |_| false);
            for key in self.later.keys() {
                if let Some(Learned { at, item }) = later(key) {
                    first.set::<C>(Arc::clone(key), item.clone(), *at);
                }
            }
            (first, Vec::new())
        };
        self.snapshot = Some(Arc::new(snapshot));
        self.read_alone = 0;
        changed
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::coder::{Client, Error};

    #[derive(Clone, Debug)]
    struct Words;

    impl Collection for Words {
        type Item = String;
        const NAME: &'static str = "words";

        fn key(item: &String) -> String {
            item.chars().take(1).collect()
        }

        fn names(item: &String) -> Vec<&str> {
            vec![item]
        }

        async fn list(&self, _: &Client) -> Result<Vec<String>, Error> {
            Ok(Vec::new())
        }
    }

    const SECOND: Duration = Duration::from_secs(1);

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    fn shown(contents: &Contents<Words>) -> Vec<String> {
        contents.snapshot().unwrap().iter().cloned().collect()
    }

    #[test]
    fn a_list_differs_by_what_changed_appeared_and_vanished() {
        let (mut contents, now) = (Contents::<Words>::new(), Instant::now());
        assert!(
            contents.arrive(now, words(&["apple", "bee", "cat"])).is_empty(),
            "the first is no news"
        );
        let changed = contents.arrive(now + SECOND, words(&["apple", "boat", "duck"]));
        let after = contents.snapshot().unwrap();
        let changed: Vec<&str> = changed.iter().map(|key| &**key).collect();
        assert_eq!(changed, ["b", "d", "c"]);
        assert_eq!(shown(&contents), ["apple", "boat", "duck"]);
        assert_eq!(after.named("BOAT").collect::<Vec<_>>(), ["boat"]);
        assert_eq!((after.named("bee").count(), after.named("cat").count()), (0, 0));
    }

    #[test]
    fn several_of_one_name_are_all_found() {
        let mut contents = Contents::<Words>::new();
        contents.arrive(Instant::now(), words(&["Same", "same", "other"]));
        let snapshot = contents.snapshot().unwrap();
        assert_eq!(snapshot.named("same").collect::<Vec<_>>(), ["Same", "same"]);
        contents.learn("S", Learned::now(None));
        assert_eq!(contents.snapshot().unwrap().named("same").collect::<Vec<_>>(), ["same"]);
        assert_eq!(snapshot.named("same").count(), 2, "who holds a snapshot keeps it");
    }

    #[test]
    fn only_what_was_learned_during_a_call_is_remembered_and_only_as_long_as_it_lasts() {
        let (mut contents, start) = (Contents::<Words>::new(), Instant::now());
        contents.arrive(start, words(&["apple"]));
        for round in 0..1000_u32 {
            contents.learn("a", Learned::at(start + SECOND * round, Some(format!("a{round}"))));
        }
        assert!(contents.later.is_empty(), "no call is under way");
        let began = start + SECOND * 1000;
        contents.read_begins(began);
        for round in 1000..5000_u32 {
            contents.learn("a", Learned::at(start + SECOND * round, Some(format!("a{round}"))));
        }
        assert_eq!(contents.later.len(), 1, "one an item");
        contents.arrive(began, words(&["apple"]));
        assert_eq!(
            shown(&contents),
            ["a4999"],
            "what was written since is newer than the list"
        );
        contents.read_ends(began);
        assert!(contents.later.is_empty());
    }

    #[test]
    fn an_item_read_alone_gives_way_to_what_was_written_meanwhile_and_to_a_later_list() {
        let (mut contents, start) = (Contents::<Words>::new(), Instant::now());
        contents.arrive(start, words(&["apple", "bee"]));
        contents.read_begins(start + SECOND);
        contents.learn("a", Learned::at(start + SECOND * 2, Some("ant".into())));
        assert!(
            contents
                .learn_alone("a", Learned::at(start + SECOND, Some("air".into())))
                .is_empty()
        );
        contents.read_ends(start + SECOND);
        contents.arrive(start + SECOND * 3, words(&["ape", "bee"]));
        assert!(contents.learn_alone("a", Learned::at(start + SECOND, None)).is_empty());
        assert_eq!(shown(&contents), ["ape", "bee"]);
        assert_eq!(
            contents.learn_alone("b", Learned::at(start + SECOND * 4, None)),
            [Arc::from("b")]
        );
        assert_eq!(shown(&contents), ["ape"]);
    }
}
