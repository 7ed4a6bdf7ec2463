//! Two custom resources that claim one object in Coder: one keeps it, the other is told by whom.
//!
//! Who holds the object (its id stands in the status) goes before who only names it; among equals the older goes first.
//! So nobody loses an object to somebody who renames theirs, and after a loss of all statuses the order is that of age.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

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
    /// What is claimed by name: [`Remote::key`](crate::engine::remote::Remote::key).
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
    wanted: Mutex<HashMap<Reference, Claim>>,
}

impl Claims {
    /// The object wants this, until it says otherwise or goes.
    pub fn want(&self, who: &Reference, claim: Claim) {
        self.wanted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(who.clone(), claim);
    }

    /// The object is about to create this: from now on it counts as held, so that of several who come this far together
    /// exactly one goes on. Answers with the claim of the one who was first.
    pub fn begin(&self, who: &Reference, mine: Claim) -> Result<(), Box<Claim>> {
        let begun = mine.named.as_ref().map(|named| format!("begun {named}"));
        let mine = Claim {
            held: mine.held.or(begun),
            ..mine
        };
        let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        let first = wanted.iter().find(|(other, claim)| {
            other.kind == who.kind && other.key != who.key && claim.held.is_some() && mine.collides(claim)
        });
        if let Some((_, first)) = first {
            return Err(Box::new(first.clone()));
        }
        wanted.insert(who.clone(), mine);
        Ok(())
    }

    /// Nobody wants anything.
    pub fn clear(&self) {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The object wants nothing.
    pub fn forget(&self, who: &Reference) {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner).remove(who);
    }

    /// The claims of all other objects of that kind that collide with `mine`.
    pub fn against(&self, kind: &str, mine: &Claim) -> Vec<Claim> {
        let wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        wanted
            .iter()
            .filter(|(who, claim)| who.kind == kind && who.key != mine.key && mine.collides(claim))
            .map(|(_, claim)| claim.clone())
            .collect()
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

/// Whoever has the stronger claim keeps it.
///
/// # Errors
/// `Conflict`, naming the owner.
pub fn check(mine: &Claim, others: &[Claim], kind: &str) -> Result<(), Error> {
    match stronger(mine, others) {
        None => Ok(()),
        Some(owner) => Err(conflict(owner, kind)),
    }
}

/// Another custom resource has it.
pub fn conflict(owner: &Claim, kind: &str) -> Error {
    Error::terminal(
        Reason::Conflict,
        format!(
            "{kind} {} manages the same object in Coder: choose another name, or delete one of the two (this one takes \
             over when that one goes, if its adoptionPolicy allows it)",
            owner.key
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
        check(mine, std::slice::from_ref(other), "CoderGroup").is_ok()
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
