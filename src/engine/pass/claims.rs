//! Two custom resources that claim one object in Coder: one keeps it, the other is told by whom.
//!
//! Who holds the object (its id stands in the status) goes before who only names it; among equals the older goes first.
//! So nobody loses an object to somebody who renames theirs, and after a loss of all statuses the order is that of age.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::{ObjectKey, Reference};
use crate::engine::error::{Error, Reason};

/// One custom resource's claim.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Whose.
    pub key: ObjectKey,
    /// The deployment it is in: two instances may lead to the same.
    pub deployment: String,
    /// What is claimed by name: [`Remote::natural_key`](crate::engine::remote::Remote::natural_key).
    pub named: Option<String>,
    /// What is held by id.
    pub held: Option<String>,
    /// When the custom resource was made.
    pub since: Option<Time>,
}

impl Claim {
    /// Whether both want the same object. Two that hold different ones do not, even if both name the same: one of them is
    /// to be renamed, and Coder, where names are unique, knows which one has the name.
    pub fn collides(&self, other: &Self) -> bool {
        let same = |a: &Option<String>, b: &Option<String>| a.is_some() && a == b;
        let apart = self.held.is_some() && other.held.is_some() && self.held != other.held;
        self.deployment == other.deployment
            && !apart
            && (same(&self.named, &other.named) || same(&self.held, &other.held))
    }

    /// The stronger claim is the smaller one.
    fn strength(&self, other: &Self) -> Ordering {
        let holds = |claim: &Self| claim.held.is_none();
        holds(self)
            .cmp(&holds(other))
            .then_with(|| age(self).cmp(&age(other)))
            .then_with(|| self.key.cmp(&other.key))
    }
}

fn age(claim: &Claim) -> (bool, Option<jiff::Timestamp>) {
    (claim.since.is_none(), claim.since.as_ref().map(|time| time.0))
}

/// Who wants what by name: the claims that passes made and that no status shows yet.
#[derive(Default)]
pub struct Claims {
    wanted: Mutex<Wanted>,
}

/// The claims, and who could collide with whom.
#[derive(Default)]
struct Wanted {
    claims: HashMap<Reference, Claim>,
    /// By kind, deployment and name.
    named: HashMap<Slot, HashSet<Reference>>,
    /// By kind, deployment and id.
    held: HashMap<Slot, HashSet<Reference>>,
}

type Slot = (&'static str, String, String);

fn slot(kind: &'static str, claim: &Claim, what: Option<&String>) -> Option<Slot> {
    Some((kind, claim.deployment.clone(), what?.clone()))
}

impl Wanted {
    fn put(&mut self, who: &Reference, claim: Claim) {
        self.remove(who);
        if let Some(slot) = slot(who.kind, &claim, claim.named.as_ref()) {
            self.named.entry(slot).or_default().insert(who.clone());
        }
        if let Some(slot) = slot(who.kind, &claim, claim.held.as_ref()) {
            self.held.entry(slot).or_default().insert(who.clone());
        }
        self.claims.insert(who.clone(), claim);
    }

    fn remove(&mut self, who: &Reference) {
        let Some(claim) = self.claims.remove(who) else { return };
        take(&mut self.named, slot(who.kind, &claim, claim.named.as_ref()), who);
        take(&mut self.held, slot(who.kind, &claim, claim.held.as_ref()), who);
    }

    /// The claims of other objects of that kind that collide with `mine`.
    fn against<'a>(&'a self, kind: &'static str, mine: &'a Claim) -> impl Iterator<Item = &'a Claim> {
        let named = slot(kind, mine, mine.named.as_ref()).and_then(|slot| self.named.get(&slot));
        let held = slot(kind, mine, mine.held.as_ref()).and_then(|slot| self.held.get(&slot));
        let mut who: HashSet<&Reference> = named.into_iter().chain(held).flatten().collect();
        who.retain(|who| who.key != mine.key);
        let claims = who.into_iter().filter_map(|who| self.claims.get(who));
        claims.filter(|claim| mine.collides(claim))
    }
}

fn take(slots: &mut HashMap<Slot, HashSet<Reference>>, slot: Option<Slot>, who: &Reference) {
    let Some(slot) = slot else { return };
    if let Some(all) = slots.get_mut(&slot) {
        all.remove(who);
        if all.is_empty() {
            slots.remove(&slot);
        }
    }
}

impl Claims {
    /// The object wants this, until it says otherwise or goes.
    pub fn want(&self, who: &Reference, claim: Claim) {
        self.lock().put(who, claim);
    }

    /// The object is about to create this: from now on it counts as held, so that of several who come this far together
    /// exactly one goes on. Answers with the claim of the one who was first.
    pub fn begin(&self, who: &Reference, mine: Claim) -> Result<(), Box<Claim>> {
        let begun = mine.named.as_ref().map(|named| format!("begun {named}"));
        let mine = Claim {
            held: mine.held.or(begun),
            ..mine
        };
        let mut wanted = self.lock();
        let first = wanted.against(who.kind, &mine).find(|claim| claim.held.is_some());
        if let Some(first) = first {
            return Err(Box::new(first.clone()));
        }
        wanted.put(who, mine);
        Ok(())
    }

    /// Nobody wants anything.
    pub fn clear(&self) {
        *self.lock() = Wanted::default();
    }

    /// The object wants nothing.
    pub fn forget(&self, who: &Reference) {
        self.lock().remove(who);
    }

    /// The claims of all other objects of that kind that collide with `mine`.
    pub fn against(&self, kind: &'static str, mine: &Claim) -> Vec<Claim> {
        self.lock().against(kind, mine).cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Wanted> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The strongest claim that is stronger than `mine`.
pub fn stronger<'a>(mine: &Claim, others: &'a [Claim]) -> Option<&'a Claim> {
    others
        .iter()
        .filter(|other| other.key != mine.key && mine.collides(other))
        .filter(|other| other.strength(mine) == Ordering::Less)
        .min_by(|a, b| a.strength(b))
}

/// Another custom resource has it.
pub fn conflict(owner: &ObjectKey, kind: &str) -> Error {
    Error::terminal(
        Reason::Conflict,
        format!(
            "{kind} {owner} manages the same object in Coder: choose another name, or delete one of the two (this one takes \
             over when that one goes, if its adoptionPolicy allows it)"
        ),
    )
}

/// Another custom resource holds the object in Coder that has the name which this one is to get.
pub fn name_held(owner: &ObjectKey, kind: &str) -> Error {
    Error::terminal(
        Reason::Conflict,
        format!(
            "what {kind} {owner} manages has that name in Coder: this one gets it as soon as {owner} is renamed or gone; two \
             that are to swap their names wait for each other, so give one of them a third name first"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(name: &str, held: Option<&str>, second: i64) -> Claim {
        Claim {
            key: ObjectKey::new("ns", name),
            deployment: "d".into(),
            named: Some("platform".into()),
            held: held.map(str::to_owned),
            since: jiff::Timestamp::from_second(second).ok().map(Time),
        }
    }

    fn wins(mine: &Claim, other: &Claim) -> bool {
        stronger(mine, std::slice::from_ref(other)).is_none()
    }

    #[test]
    fn the_older_keeps_it() {
        let (old, new) = (claim("b", None, 1), claim("a", None, 2));
        assert!(wins(&old, &new) && !wins(&new, &old));
    }

    #[test]
    fn of_two_who_begin_together_exactly_one_goes_on() {
        let claims = Claims::default();
        let who = |name: &str| Reference {
            kind: "CoderGroup",
            key: ObjectKey::new("ns", name),
        };
        let (old, new) = (claim("old", None, 1), claim("new", None, 2));
        claims.want(&who("old"), old.clone());
        claims.want(&who("new"), new.clone());
        assert!(claims.begin(&who("new"), new.clone()).is_ok());
        assert_eq!(claims.begin(&who("old"), old.clone()).unwrap_err().key.name, "new");
        let others = claims.against("CoderGroup", &old);
        assert!(stronger(&old, &others).is_some(), "who has begun goes before the older");
        claims.want(&who("new"), new);
        assert!(
            claims.begin(&who("old"), old).is_ok(),
            "it did not come to it after all"
        );
    }

    #[test]
    fn what_is_not_wanted_any_more_stands_in_nobodys_way() {
        let claims = Claims::default();
        let who = |name: &str| Reference {
            kind: "CoderGroup",
            key: ObjectKey::new("ns", name),
        };
        let (a, b) = (claim("a", Some("id"), 1), claim("b", Some("id"), 2));
        claims.want(&who("a"), a.clone());
        assert_eq!(claims.against("CoderGroup", &b).len(), 1);
        assert!(claims.against("CoderLicense", &b).is_empty());
        let other = Claim {
            named: Some("other".into()),
            held: None,
            ..a
        };
        claims.want(&who("a"), other);
        assert!(claims.against("CoderGroup", &b).is_empty(), "it wants something else");
        claims.forget(&who("a"));
        let wanted = claims.lock();
        assert!(wanted.claims.is_empty() && wanted.named.is_empty() && wanted.held.is_empty());
    }

    #[test]
    fn the_holder_goes_before_the_older() {
        let (old, holder) = (claim("a", None, 1), claim("b", Some("id"), 2));
        assert!(!wins(&old, &holder) && wins(&holder, &old));
    }

    #[test]
    fn exactly_one_of_two_of_the_same_second_wins() {
        let (a, b) = (claim("a", None, 1), claim("b", None, 1));
        assert!(wins(&a, &b) && !wins(&b, &a));
    }

    #[test]
    fn other_deployments_and_other_names_do_not_collide() {
        let mine = claim("a", None, 2);
        let elsewhere = Claim {
            deployment: "e".into(),
            ..claim("b", Some("id"), 1)
        };
        let other = Claim {
            named: Some("other".into()),
            ..claim("b", Some("id"), 1)
        };
        assert!(wins(&mine, &elsewhere) && wins(&mine, &other));
    }

    #[test]
    fn who_is_to_be_renamed_has_no_right_to_the_name_of_another_holder() {
        let (old, holder) = (claim("a", Some("left"), 1), claim("b", Some("right"), 2));
        assert!(wins(&holder, &old), "age alone gives no right to what somebody holds");
    }
}
