//! What to do with what was found: the one place that decides between creating, managing and taking over.

use crate::api::{AdoptionPolicy, Origin};
use crate::engine::error::{Error, Reason};
use crate::engine::remote::{Life, Remote};

/// What was found, by the three ways of looking.
#[derive(Debug)]
pub struct Found<O> {
    /// By the identity in the status.
    pub owned: Option<O>,
    /// By the key of a creation whose outcome was never recorded.
    pub pending: Option<O>,
    /// By the key of what shall be.
    pub named: Option<O>,
}

impl<O> Found<O> {
    /// Whatever was found.
    pub fn any(&self) -> Option<&O> {
        self.owned.as_ref().or(self.pending.as_ref()).or(self.named.as_ref())
    }
}

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Decision<O> {
    /// It is ours already.
    Manage(O),
    /// It becomes ours.
    Take(O, Origin),
    /// There is none: create it.
    Create,
}

/// Decides, by the life of the kind.
///
/// # Errors
/// Those of [`decide`] and [`decide_standing`].
pub fn decide_of<R: Remote>(
    found: Found<R::Observed>,
    desired: &R::Desired,
    policy: AdoptionPolicy,
    what: &str,
) -> Result<Decision<R::Observed>, Error> {
    match R::LIFE {
        Life::Object => decide(found, policy, what),
        Life::Standing => decide_standing(found, policy, what, |held| R::untouched(desired, held)),
    }
}

/// Decides. `what` names the object for messages, as in `group backend`.
///
/// # Errors
/// `AlreadyExists` when somebody else's object has the name, `NotFound` when it must exist and does not.
pub fn decide<O>(found: Found<O>, policy: AdoptionPolicy, what: &str) -> Result<Decision<O>, Error> {
    let Found { owned, pending, named } = found;
    // A creation that was begun and not recorded comes first: a licence that replaces another one has both.
    if let Some(ours) = pending {
        return Ok(Decision::Take(ours, Origin::Created));
    }
    if let Some(ours) = owned {
        return Ok(Decision::Manage(ours));
    }
    match (named, policy) {
        (Some(theirs), AdoptionPolicy::IfExists | AdoptionPolicy::MustExist) => {
            Ok(Decision::Take(theirs, Origin::Adopted))
        }
        (Some(_), AdoptionPolicy::Never) => Err(already_exists(what)),
        (None, AdoptionPolicy::Never | AdoptionPolicy::IfExists) => Ok(Decision::Create),
        (None, AdoptionPolicy::MustExist) => Err(Error::terminal(
            Reason::NotFound,
            format!("{what} does not exist in Coder and adoptionPolicy is MustExist: create it there, or set IfExists"),
        )),
    }
}

/// Decides about what always stands. Nobody created it, so whoever sets what nobody has set yet is its creator.
///
/// # Errors
/// Waiting when what it belongs to is gone; `AlreadyExists` when somebody else has set it.
pub fn decide_standing<O>(
    found: Found<O>,
    policy: AdoptionPolicy,
    what: &str,
    untouched: impl FnOnce(&O) -> bool,
) -> Result<Decision<O>, Error> {
    let Found { owned, pending, named } = found;
    if let Some(ours) = owned {
        return Ok(Decision::Manage(ours));
    }
    let Some(standing) = pending.or(named) else {
        let message = format!("{what} is not there: what it belongs to is gone, or not to be seen with this token");
        return Err(Error::waiting(Reason::DependencyNotReady, message));
    };
    if policy != AdoptionPolicy::MustExist && untouched(&standing) {
        return Ok(Decision::Take(standing, Origin::Created));
    }
    match policy {
        AdoptionPolicy::IfExists | AdoptionPolicy::MustExist => Ok(Decision::Take(standing, Origin::Adopted)),
        AdoptionPolicy::Never => Err(Error::terminal(
            Reason::AlreadyExists,
            format!("{what} was set by somebody else already: set adoptionPolicy: IfExists to take it over"),
        )),
    }
}

/// Somebody else's object has the name.
pub fn already_exists(what: &str) -> Error {
    Error::terminal(
        Reason::AlreadyExists,
        format!(
            "{what} exists in Coder and was not created by this object: set adoptionPolicy: IfExists to take it over \
             (after a restore from a backup, spec.defaults.adoptionPolicy of the CoderInstance does so for all), or \
             choose another name"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(owned: Option<u8>, pending: Option<u8>, named: Option<u8>) -> Found<u8> {
        Found { owned, pending, named }
    }

    #[test]
    fn what_is_ours_is_managed_whatever_the_policy() {
        for policy in [
            AdoptionPolicy::Never,
            AdoptionPolicy::IfExists,
            AdoptionPolicy::MustExist,
        ] {
            assert_eq!(
                decide(found(Some(1), None, Some(2)), policy, "x").unwrap(),
                Decision::Manage(1)
            );
        }
    }

    #[test]
    fn an_unrecorded_creation_is_ours() {
        let decision = decide(found(None, Some(1), Some(1)), AdoptionPolicy::Never, "x").unwrap();
        assert_eq!(decision, Decision::Take(1, Origin::Created));
    }

    #[test]
    fn adoption_is_explicit() {
        let refusal = decide(found(None, None, Some(1)), AdoptionPolicy::Never, "group backend").unwrap_err();
        assert_eq!(refusal.reason(), Reason::AlreadyExists);
        assert!(refusal.to_string().starts_with("group backend exists in Coder"));
        let adopted = decide(found(None, None, Some(1)), AdoptionPolicy::IfExists, "x").unwrap();
        assert_eq!(adopted, Decision::Take(1, Origin::Adopted));
    }

    #[test]
    fn a_setting_belongs_to_who_sets_it_first_and_is_taken_over_only_when_told() {
        let decide =
            |named, policy, untouched: bool| decide_standing(found(None, None, named), policy, "x", |_| untouched);
        let created = Decision::Take(1, Origin::Created);
        assert_eq!(decide(Some(1), AdoptionPolicy::Never, true).unwrap(), created);
        assert_eq!(decide(Some(1), AdoptionPolicy::IfExists, true).unwrap(), created);
        let adopted = Decision::Take(1, Origin::Adopted);
        assert_eq!(decide(Some(1), AdoptionPolicy::MustExist, true).unwrap(), adopted);
        assert_eq!(decide(Some(1), AdoptionPolicy::IfExists, false).unwrap(), adopted);
        let refusal = decide(Some(1), AdoptionPolicy::Never, false).unwrap_err();
        assert_eq!(refusal.reason(), Reason::AlreadyExists);
        let gone = decide(None, AdoptionPolicy::Never, true).unwrap_err();
        assert_eq!(gone.reason(), Reason::DependencyNotReady);
        let owned = decide_standing(found(Some(2), None, None), AdoptionPolicy::Never, "x", |_| false);
        assert_eq!(owned.unwrap(), Decision::Manage(2));
    }

    #[test]
    fn what_must_exist_is_never_created() {
        assert_eq!(
            decide(found(None, None, None), AdoptionPolicy::IfExists, "x").unwrap(),
            Decision::Create
        );
        let refusal = decide(found(None, None, None), AdoptionPolicy::MustExist, "x").unwrap_err();
        assert_eq!(refusal.reason(), Reason::NotFound);
    }
}
