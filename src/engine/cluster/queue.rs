//! What is to be looked at next: keys that wait for their turn, and how many passes of each instance may run.
//!
//! Nobody may stand in the way of others. The passes through one instance take turns by namespace, those of one namespace
//! go by age, and the instances take turns as well, each with a limit of its own: a Coder that answers slowly delays only
//! the objects that need it. An object has one pass at a time; whoever is woken meanwhile has another one after it.

use std::collections::{BTreeMap, HashMap, VecDeque};

use tokio::time::Instant;

use crate::api::{ObjectKey, Reference};

/// Who shares a limit.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    /// The pass of an instance itself: nobody stands in its way.
    Instance(ObjectKey),
    /// The passes of all objects that work through an instance.
    Through(ObjectKey),
}

/// Where a key queues up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Lane {
    /// Who shares a limit.
    pub group: Group,
    /// Who take turns within it.
    pub namespace: String,
}

/// How many passes may run at the same time.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Of one group.
    pub group: usize,
    /// Of all; past it a group still gets [`Limits::always`].
    pub total: usize,
    /// What each group gets, however many passes of others run.
    pub always: usize,
}

impl Default for Limits {
    /// Passes mostly wait for answers, so that many may run.
    fn default() -> Self {
        Self {
            group: 32,
            total: 256,
            always: 4,
        }
    }
}

/// The keys, none of them running or waiting twice.
#[derive(Debug, Default)]
pub struct Queue {
    limits: Limits,
    states: HashMap<Reference, State>,
    groups: HashMap<Group, Waiting>,
    /// The groups in which somebody waits, in the order of their turns.
    turns: VecDeque<Group>,
    /// Who comes by itself, by time.
    later: BTreeMap<(Instant, u64), (Reference, Lane)>,
    count: u64,
    running: usize,
}

#[derive(Debug)]
enum State {
    Ready,
    Running { lane: Lane, again: Option<Lane> },
    Later { due: (Instant, u64) },
}

#[derive(Debug, Default)]
struct Waiting {
    running: usize,
    lanes: HashMap<String, VecDeque<Reference>>,
    turns: VecDeque<String>,
}

impl Queue {
    /// An empty one.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// The key is to be looked at as soon as it is its turn.
    pub fn wake(&mut self, who: Reference, lane: Lane) {
        match self.states.get_mut(&who) {
            Some(State::Ready) => return,
            Some(State::Running { again, .. }) => {
                *again = Some(lane);
                return;
            }
            Some(State::Later { due }) => drop(self.later.remove(due)),
            None => {}
        }
        self.line_up(who, lane);
    }

    /// The next key whose pass may begin; it counts as running from now on.
    pub fn next(&mut self, now: Instant) -> Option<Reference> {
        self.take_due(now);
        for _ in 0..self.turns.len() {
            let group = self.turns.pop_front()?;
            if !self.may_begin(&group) {
                self.turns.push_back(group);
                continue;
            }
            let waiting = self.groups.get_mut(&group)?;
            let (namespace, who) = waiting.take()?;
            waiting.running += 1;
            self.running += 1;
            if !waiting.turns.is_empty() {
                self.turns.push_back(group.clone());
            }
            let lane = Lane { group, namespace };
            self.states.insert(who.clone(), State::Running { lane, again: None });
            return Some(who);
        }
        None
    }

    /// The pass of the key is over; it comes by itself at that time, if nobody wakes it before.
    pub fn ended(&mut self, who: &Reference, next: Option<Instant>) {
        let Some(State::Running { lane, again }) = self.states.remove(who) else {
            return;
        };
        self.running -= 1;
        if let Some(waiting) = self.groups.get_mut(&lane.group) {
            waiting.running -= 1;
            if waiting.running == 0 && waiting.turns.is_empty() {
                self.groups.remove(&lane.group);
            }
        }
        if let Some(lane) = again {
            self.line_up(who.clone(), lane);
        } else if let Some(at) = next {
            self.count += 1;
            let due = (at, self.count);
            self.later.insert(due, (who.clone(), lane));
            self.states.insert(who.clone(), State::Later { due });
        }
    }

    /// When the first key comes by itself.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        self.later.first_key_value().map(|((at, _), _)| *at)
    }

    /// How many keys wait for their turn.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.groups
            .values()
            .flat_map(|waiting| waiting.lanes.values())
            .map(VecDeque::len)
            .sum()
    }

    /// How many passes run.
    #[must_use]
    pub fn running(&self) -> usize {
        self.running
    }

    fn take_due(&mut self, now: Instant) {
        while let Some(first) = self.later.first_entry() {
            if first.key().0 > now {
                break;
            }
            let (who, lane) = first.remove();
            self.line_up(who, lane);
        }
    }

    fn line_up(&mut self, who: Reference, lane: Lane) {
        self.states.insert(who.clone(), State::Ready);
        let waiting = self.groups.entry(lane.group.clone()).or_default();
        if waiting.turns.is_empty() {
            self.turns.push_back(lane.group);
        }
        waiting.put(lane.namespace, who);
    }

    fn may_begin(&self, group: &Group) -> bool {
        let running = self.groups.get(group).map_or(0, |waiting| waiting.running);
        running < self.limits.group && (self.running < self.limits.total || running < self.limits.always)
    }
}

impl Waiting {
    fn put(&mut self, namespace: String, who: Reference) {
        let lane = self.lanes.entry(namespace.clone()).or_default();
        if lane.is_empty() {
            self.turns.push_back(namespace);
        }
        lane.push_back(who);
    }

    /// The oldest key of the namespace whose turn it is.
    fn take(&mut self) -> Option<(String, Reference)> {
        let namespace = self.turns.pop_front()?;
        let lane = self.lanes.get_mut(&namespace)?;
        let who = lane.pop_front()?;
        if lane.is_empty() {
            self.lanes.remove(&namespace);
        } else {
            self.turns.push_back(namespace.clone());
        }
        Some((namespace, who))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const LIMITS: Limits = Limits {
        group: 2,
        total: 3,
        always: 1,
    };

    fn key(name: &str) -> Reference {
        Reference {
            kind: "K",
            key: ObjectKey::new("ns", name),
        }
    }

    fn through(instance: &str, namespace: &str) -> Lane {
        Lane {
            group: Group::Through(ObjectKey::new("ns", instance)),
            namespace: namespace.to_owned(),
        }
    }

    fn drain(queue: &mut Queue) -> Vec<String> {
        std::iter::from_fn(|| queue.next(Instant::now()))
            .map(|who| who.key.name)
            .collect()
    }

    /// One at a time, each ended before the next.
    fn one_by_one(queue: &mut Queue) -> Vec<String> {
        std::iter::from_fn(|| {
            let who = queue.next(Instant::now())?;
            queue.ended(&who, None);
            Some(who.key.name)
        })
        .collect()
    }

    #[test]
    fn namespaces_take_turns_and_each_goes_by_age() {
        let mut queue = Queue::new(LIMITS);
        for name in ["a1", "a2", "a3"] {
            queue.wake(key(name), through("i", "a"));
        }
        for name in ["b1", "b2"] {
            queue.wake(key(name), through("i", "b"));
        }
        assert_eq!(one_by_one(&mut queue), ["a1", "b1", "a2", "b2", "a3"]);
    }

    #[test]
    fn instances_take_turns() {
        let mut queue = Queue::new(LIMITS);
        for name in ["a1", "a2", "a3"] {
            queue.wake(key(name), through("a", "ns"));
        }
        queue.wake(key("b1"), through("b", "ns"));
        assert_eq!(one_by_one(&mut queue), ["a1", "b1", "a2", "a3"]);
    }

    #[test]
    fn an_instance_has_a_limit_and_all_have_one_that_shuts_nobody_out() {
        let mut queue = Queue::new(LIMITS);
        for instance in ["a", "b", "c"] {
            for n in 0..3 {
                queue.wake(key(&format!("{instance}{n}")), through(instance, "ns"));
            }
        }
        assert_eq!(drain(&mut queue), ["a0", "b0", "c0"], "three in all");
        queue.wake(key("late"), through("d", "ns"));
        assert_eq!(
            drain(&mut queue),
            ["late"],
            "whose instance runs nothing at all begins all the same"
        );
        queue.ended(&key("c0"), None);
        queue.ended(&key("late"), None);
        assert_eq!(drain(&mut queue), ["a1", "c1"], "three in all, and one of each");
        queue.ended(&key("a0"), None);
        queue.ended(&key("b0"), None);
        assert_eq!(drain(&mut queue), ["a2", "b1"]);
        assert_eq!((queue.running(), queue.waiting()), (4, 2));
    }

    #[test]
    fn the_pass_of_an_instance_does_not_wait_for_those_through_it() {
        let mut queue = Queue::new(LIMITS);
        for name in ["g1", "g2", "g3"] {
            queue.wake(key(name), through("i", "ns"));
        }
        assert_eq!(drain(&mut queue), ["g1", "g2"]);
        let lane = Lane {
            group: Group::Instance(ObjectKey::new("ns", "i")),
            namespace: "ns".to_owned(),
        };
        queue.wake(key("i"), lane);
        assert_eq!(drain(&mut queue), ["i"]);
    }

    #[test]
    fn who_is_woken_while_it_runs_runs_once_more_after_that() {
        let mut queue = Queue::new(LIMITS);
        let lane = through("i", "ns");
        queue.wake(key("a"), lane.clone());
        queue.wake(key("a"), lane.clone());
        assert_eq!(drain(&mut queue), ["a"]);
        queue.wake(key("a"), lane.clone());
        queue.wake(key("a"), lane);
        assert_eq!(drain(&mut queue), [""; 0], "one pass an object at a time");
        queue.ended(&key("a"), Some(Instant::now() + Duration::from_hours(1)));
        assert_eq!(one_by_one(&mut queue), ["a"], "at once, and once");
        assert_eq!(queue.due(), None);
    }

    #[test]
    fn who_comes_later_comes_by_itself_or_when_it_is_woken() {
        let mut queue = Queue::new(LIMITS);
        let (now, hour) = (Instant::now(), Duration::from_hours(1));
        for name in ["a", "b"] {
            queue.wake(key(name), through("i", "ns"));
        }
        assert_eq!(drain(&mut queue), ["a", "b"]);
        queue.ended(&key("a"), Some(now + hour));
        queue.ended(&key("b"), Some(now + hour * 2));
        assert_eq!(queue.due(), Some(now + hour));
        assert_eq!(queue.next(now), None);
        queue.wake(key("b"), through("i", "ns"));
        assert_eq!(queue.next(now), Some(key("b")));
        assert_eq!(queue.next(now + hour), Some(key("a")));
        queue.ended(&key("a"), None);
        queue.ended(&key("b"), None);
        assert_eq!((queue.due(), queue.running(), queue.waiting()), (None, 0, 0));
        assert!(queue.states.is_empty() && queue.groups.is_empty() && queue.turns.is_empty());
    }
}
