//! Who depends on what in a collection, found by what changed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use crate::api::Reference;

/// What in a collection somebody depends on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Interest {
    /// One item, by its id.
    Item(String),
    /// Any change at all, for those who look for something that is not there yet.
    Any,
}

/// Who depends on what in a collection.
#[derive(Debug, Default)]
pub(super) struct Subscribers {
    all: HashMap<Arc<Reference>, Subscription>,
    /// By the interest: whom a change concerns is found without asking everybody.
    by_interest: HashMap<Interest, HashSet<Arc<Reference>>>,
    /// How many ask for each interval.
    intervals: BTreeMap<Duration, usize>,
}

#[derive(Debug, Default)]
struct Subscription {
    interests: HashSet<Interest>,
    interval: Duration,
}

impl Subscribers {
    /// From now on `who` is told of that as well, and wants a look once an interval at least.
    pub(super) fn add(&mut self, who: &Reference, interest: Interest, interval: Duration) {
        let who = match self.all.get_key_value(who) {
            Some((known, _)) => Arc::clone(known),
            None => Arc::new(who.clone()),
        };
        let subscription = self.all.entry(Arc::clone(&who)).or_default();
        if subscription.interests.is_empty() {
            *self.intervals.entry(interval).or_default() += 1;
        } else if subscription.interval != interval {
            count_down(&mut self.intervals, subscription.interval);
            *self.intervals.entry(interval).or_default() += 1;
        }
        subscription.interval = interval;
        if subscription.interests.insert(interest.clone()) {
            self.by_interest.entry(interest).or_default().insert(who);
        }
    }

    /// From now on `who` is told of nothing but these, as far as they were told of them before.
    pub(super) fn retain(&mut self, who: &Reference, keep: impl Fn(&Interest) -> bool) {
        let Some(subscription) = self.all.get_mut(who) else {
            return;
        };
        let (kept, ended) = std::mem::take(&mut subscription.interests)
            .into_iter()
            .partition::<HashSet<_>, _>(keep);
        subscription.interests = kept;
        for interest in ended {
            if let Some(with_this) = self.by_interest.get_mut(&interest) {
                with_this.remove(who);
                if with_this.is_empty() {
                    self.by_interest.remove(&interest);
                }
            }
        }
        if subscription.interests.is_empty() {
            count_down(&mut self.intervals, subscription.interval);
            self.all.remove(who);
        }
    }

    /// Whether `who` is told of anything.
    pub(super) fn has(&self, who: &Reference) -> bool {
        self.all.contains_key(who)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The shortest interval that anybody asks for.
    pub(super) fn shortest_interval(&self) -> Option<Duration> {
        self.intervals.keys().next().copied()
    }

    /// Everybody.
    pub(super) fn all(&self) -> Vec<Arc<Reference>> {
        self.all.keys().cloned().collect()
    }

    /// Those whom a change of these items concerns.
    pub(super) fn of(&self, changed: &[Arc<str>]) -> Vec<Arc<Reference>> {
        if changed.is_empty() {
            return Vec::new();
        }
        let items = changed.iter().map(|key| Interest::Item(key.to_string()));
        let concerned: HashSet<&Arc<Reference>> = items
            .chain([Interest::Any])
            .filter_map(|interest| self.by_interest.get(&interest))
            .flatten()
            .collect();
        concerned.into_iter().cloned().collect()
    }
}

fn count_down(intervals: &mut BTreeMap<Duration, usize>, interval: Duration) {
    if let Some(count) = intervals.get_mut(&interval) {
        *count -= 1;
        if *count == 0 {
            intervals.remove(&interval);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::ObjectKey;

    const MINUTE: Duration = Duration::from_mins(1);

    fn who(name: &str) -> Reference {
        Reference {
            kind: "K",
            key: ObjectKey::new("ns", name),
        }
    }

    fn item(key: &str) -> Interest {
        Interest::Item(key.to_owned())
    }

    fn of(subscribers: &Subscribers, changed: &[&str]) -> Vec<String> {
        let changed: Vec<_> = changed.iter().map(|key| Arc::from(*key)).collect();
        let mut names: Vec<_> = subscribers
            .of(&changed)
            .iter()
            .map(|who| who.key.name.clone())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn only_those_whose_item_changed_are_concerned() {
        let mut subscribers = Subscribers::default();
        for (name, interest) in [
            ("one", item("1")),
            ("two", item("2")),
            ("both", item("1")),
            ("both", item("2")),
            ("waiting", Interest::Any),
        ] {
            subscribers.add(&who(name), interest, MINUTE);
        }
        assert_eq!(of(&subscribers, &["1"]), ["both", "one", "waiting"]);
        assert_eq!(of(&subscribers, &["3"]), ["waiting"]);
        assert!(of(&subscribers, &[]).is_empty());
        subscribers.retain(&who("both"), |interest| *interest == item("2"));
        subscribers.retain(&who("waiting"), |_| false);
        assert_eq!(of(&subscribers, &["1", "2"]), ["both", "one", "two"]);
        for name in ["one", "two", "both"] {
            assert!(subscribers.has(&who(name)));
            subscribers.retain(&who(name), |_| false);
        }
        assert!(subscribers.is_empty() && subscribers.by_interest.is_empty());
    }

    #[test]
    fn the_shortest_interval_is_that_of_those_who_are_left() {
        let mut subscribers = Subscribers::default();
        subscribers.add(&who("quick"), Interest::Any, MINUTE);
        subscribers.add(&who("slow"), Interest::Any, 10 * MINUTE);
        assert_eq!(subscribers.shortest_interval(), Some(MINUTE));
        subscribers.add(&who("quick"), item("1"), 5 * MINUTE);
        assert_eq!(subscribers.shortest_interval(), Some(5 * MINUTE));
        subscribers.retain(&who("quick"), |_| false);
        assert_eq!(subscribers.shortest_interval(), Some(10 * MINUTE));
        subscribers.retain(&who("slow"), |_| false);
        assert_eq!(subscribers.shortest_interval(), None);
    }
}
