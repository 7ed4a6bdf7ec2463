//! Who must look again, and how fresh what they look at must be.
//!
//! A pass that depends on something else (a Secret, another object, the connection) says so *before* it reads it, as a
//! [`Topic`]. When that thing changes, everybody who named it is woken. So nobody polls for a dependency, and nothing
//! that changes between the reading and the waiting is missed.
//!
//! Nothing of that makes what is known of Coder older: whoever is woken goes by it, also who is woken because Coder changed,
//! for the mirror knows of that change. Only what went wrong in Coder asks for more.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::api::{ObjectKey, Reference};
use crate::mirror::Waker;

/// Something in Kubernetes that a pass depends on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Topic {
    /// A custom resource of this operator, present or not.
    Object(Reference),
    /// A Secret, present or not.
    Secret(ObjectKey),
    /// A `ConfigMap`, present or not.
    ConfigMap(ObjectKey),
    /// The labels of a namespace.
    Namespace(String),
    /// The next success of a connection, for those who saw it fail.
    Recovery(ObjectKey),
    /// How much is known of a kind.
    Coverage(&'static str),
}

/// The wake-ups of all kinds.
pub struct Wakes {
    queue: mpsc::UnboundedSender<Reference>,
    inner: Mutex<Inner>,
}

/// What was woken, for who schedules the passes.
pub type Woken = mpsc::UnboundedReceiver<Reference>;

#[derive(Default)]
struct Inner {
    /// The passes that are due.
    due: HashMap<Reference, Due>,
    dependents: HashMap<Topic, HashSet<Reference>>,
    topics: HashMap<Reference, HashSet<Topic>>,
}

/// A pass that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// When it was last asked for.
    pub asked: Instant,
    /// What it looks at must not be older than this. Without it, what is known will do.
    pub fresh: Option<Instant>,
}

impl Wakes {
    /// Nobody depends on anything yet.
    #[must_use]
    pub fn new() -> (Self, Woken) {
        let (queue, woken) = mpsc::unbounded_channel();
        let wakes = Self {
            queue,
            inner: Mutex::default(),
        };
        (wakes, woken)
    }

    /// Everybody who depends on `topic` looks again.
    pub fn changed(&self, topic: &Topic) {
        let dependents: Vec<Reference> = self
            .lock()
            .dependents
            .get(topic)
            .map(|who| who.iter().cloned().collect())
            .unwrap_or_default();
        for who in dependents {
            self.wake(&who);
        }
    }

    /// `who` looks again.
    pub fn wake(&self, who: &Reference) {
        self.ask(who, None);
        // A closed queue means that the process is stopping.
        let _ = self.queue.send(who.clone());
    }

    /// `who` depends on `topic` from now on, until its next pass says otherwise.
    pub fn depend(&self, who: &Reference, topic: Topic) {
        let mut inner = self.lock();
        inner.dependents.entry(topic.clone()).or_default().insert(who.clone());
        inner.topics.entry(who.clone()).or_default().insert(topic);
    }

    /// `who` depends on exactly `topics`, now that its pass is over.
    pub fn replace_topics(&self, who: &Reference, topics: HashSet<Topic>) {
        let mut inner = self.lock();
        let gone: Vec<Topic> = match inner.topics.get(who) {
            Some(before) => before.difference(&topics).cloned().collect(),
            None => Vec::new(),
        };
        for topic in gone {
            if let Some(dependents) = inner.dependents.get_mut(&topic) {
                dependents.remove(who);
                if dependents.is_empty() {
                    inner.dependents.remove(&topic);
                }
            }
        }
        if topics.is_empty() {
            inner.topics.remove(who);
        } else {
            inner.topics.insert(who.clone(), topics);
        }
    }

    /// `who` is gone.
    pub fn forget(&self, who: &Reference) {
        self.replace_topics(who, HashSet::new());
        self.lock().due.remove(who);
    }

    /// The next pass of `who`, whenever it comes, must not look at anything older than that.
    pub fn freshen(&self, who: &Reference, since: Instant) {
        self.ask(who, Some(since));
    }

    /// What is asked of the pass that begins now; clears it.
    pub fn take(&self, who: &Reference) -> Due {
        let now = Due {
            asked: Instant::now(),
            fresh: None,
        };
        self.lock().due.remove(who).unwrap_or(now)
    }

    fn ask(&self, who: &Reference, fresh: Option<Instant>) {
        let asked = Instant::now();
        let mut inner = self.lock();
        let due = inner.due.entry(who.clone()).or_insert(Due { asked, fresh });
        due.asked = asked;
        due.fresh = due.fresh.max(fresh);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where nobody schedules passes.
impl Default for Wakes {
    fn default() -> Self {
        Self::new().0
    }
}

impl Waker for Wakes {
    fn wake(&self, who: &Reference) {
        Self::wake(self, who);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(name: &str) -> Reference {
        Reference {
            kind: "K",
            key: ObjectKey::new("ns", name),
        }
    }

    #[test]
    fn a_change_wakes_who_depends_on_it_until_a_pass_says_otherwise() {
        let (wakes, mut woken) = Wakes::new();
        let secret = Topic::Secret(ObjectKey::new("ns", "s"));
        wakes.depend(&reference("a"), secret.clone());
        wakes.changed(&secret);
        assert_eq!(woken.try_recv().unwrap(), reference("a"));
        wakes.replace_topics(&reference("a"), HashSet::new());
        wakes.changed(&secret);
        assert!(woken.try_recv().is_err());
    }

    #[test]
    fn only_what_went_wrong_makes_what_is_known_too_old_and_the_latest_counts() {
        let (wakes, mut woken) = Wakes::new();
        let who = reference("a");
        wakes.wake(&who);
        assert_eq!(woken.try_recv().unwrap(), who);
        assert_eq!(wakes.take(&who).fresh, None);
        let early = Instant::now();
        let late = early + std::time::Duration::from_secs(1);
        wakes.freshen(&who, late);
        wakes.freshen(&who, early);
        assert!(woken.try_recv().is_err(), "it comes by itself");
        wakes.wake(&who);
        assert_eq!(wakes.take(&who).fresh, Some(late));
        assert_eq!(wakes.take(&who).fresh, None, "it was taken");
    }

    #[test]
    fn nothing_is_left_of_who_is_gone() {
        let (wakes, _woken) = Wakes::new();
        let who = reference("a");
        wakes.depend(&who, Topic::Secret(ObjectKey::new("ns", "s")));
        wakes.wake(&who);
        wakes.forget(&who);
        let inner = wakes.lock();
        assert!(inner.due.is_empty() && inner.dependents.is_empty() && inner.topics.is_empty());
    }
}
