//! Who shall have which role in a template: the same for people and for groups. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::api::TemplateRole;
use crate::coder;

/// Who has which role, with the name that messages use.
pub(super) type Held<T> = BTreeMap<T, (String, coder::TemplateRole)>;

/// What a spec says of one of the two.
#[derive(Clone, Debug)]
pub(super) struct Wanted<T> {
    /// Whether others are taken away.
    pub(super) exact: bool,
    /// Those who are there.
    pub(super) roles: BTreeMap<T, TemplateRole>,
    /// What they are called.
    pub(super) names: BTreeMap<T, String>,
    /// Those who are not there yet, as the spec names them.
    pub(super) pending: Vec<String>,
    /// Nobody loses a role while somebody is not there yet.
    pub(super) holds: bool,
    /// Those to whom this object gave a role.
    pub(super) own: BTreeSet<T>,
    /// Those who have a role although Coder does not show it.
    pub(super) hidden: BTreeMap<T, TemplateRole>,
}

/// What is to be given and taken.
#[derive(Clone, Debug)]
pub(super) struct Difference<T> {
    /// Roles by whom; an empty one takes it.
    pub(super) send: BTreeMap<T, String>,
    /// What is given, in words.
    pub(super) more: Vec<String>,
    /// What is taken, in words.
    pub(super) fewer: Vec<String>,
}

impl<T: Ord + Clone> Wanted<T> {
    /// From what is to what shall be.
    pub(super) fn difference(&self, held: &Held<T>) -> Difference<T> {
        let mut difference = Difference {
            send: BTreeMap::new(),
            more: Vec::new(),
            fewer: Vec::new(),
        };
        for (who, role) in self.missing(held) {
            let name = self.names.get(who).cloned().unwrap_or_default();
            if let Some((_, before)) = held.get(who) {
                difference.fewer.push(format!("{name}:{}", shown(before)));
            }
            difference.more.push(format!("{name}:{role}"));
            difference.send.insert(who.clone(), in_coder(*role).as_str().to_owned());
        }
        let is_waiting = self.holds && !self.pending.is_empty();
        let removable =
            |who: &T| !is_waiting && !self.roles.contains_key(who) && (self.exact || self.own.contains(who));
        for (who, (name, role)) in held.iter().filter(|(who, _)| removable(who)) {
            difference.fewer.push(format!("{name}:{}", shown(role)));
            difference.send.insert(who.clone(), String::new());
        }
        difference
    }

    /// Whether nobody has set yet what is managed. `initial` is what a new template has.
    pub(super) fn is_untouched(&self, held: &Held<T>, initial: Option<&T>) -> bool {
        let is_initial =
            |who: &T, role: &coder::TemplateRole| Some(who) == initial && *role == coder::TemplateRole::Use;
        let mut set = held.iter().filter(|(who, (_, role))| !is_initial(who, role));
        !set.any(|(who, _)| self.exact || self.roles.contains_key(who))
    }

    /// Those to whom this object has given a role once `held` is as it shall be, and those from whom it is to take one again.
    pub(super) fn given(&self, held: &Held<T>) -> BTreeSet<T> {
        let missing = self.missing(held).map(|(who, _)| who.clone());
        self.own.iter().cloned().chain(missing).collect()
    }

    /// Those of `given` who still have a role of it, or shall have one.
    pub(super) fn still(&self, given: BTreeSet<T>, held: &Held<T>) -> BTreeSet<T> {
        let kept = given.into_iter();
        kept.filter(|who| self.roles.contains_key(who) || held.contains_key(who))
            .collect()
    }

    /// Of those who were given a role the ones whom Coder does not show.
    pub(super) fn not_shown(&self, held: &Held<T>) -> BTreeMap<T, TemplateRole> {
        let hidden = self.roles.iter().filter(|(who, _)| !held.contains_key(who));
        hidden.map(|(who, role)| (who.clone(), *role)).collect()
    }

    fn missing<'a>(&'a self, held: &'a Held<T>) -> impl Iterator<Item = (&'a T, &'a TemplateRole)> {
        self.roles.iter().filter(|(who, role)| match held.get(who) {
            Some((_, has)) => *has != in_coder(**role),
            None => self.hidden.get(who) != Some(role),
        })
    }
}

fn in_coder(role: TemplateRole) -> coder::TemplateRole {
    match role {
        TemplateRole::Use => coder::TemplateRole::Use,
        TemplateRole::Admin => coder::TemplateRole::Admin,
    }
}

/// As the spec calls it.
fn shown(role: &coder::TemplateRole) -> String {
    match role {
        coder::TemplateRole::Use => TemplateRole::Use.to_string(),
        coder::TemplateRole::Admin => TemplateRole::Admin.to_string(),
        coder::TemplateRole::Other(other) => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(entries: &[(u8, &str)]) -> Held<u8> {
        let named = |(who, role): &(u8, &str)| (*who, (who.to_string(), coder::TemplateRole::from(*role)));
        entries.iter().map(named).collect()
    }

    fn wanted(exact: bool, roles: &[(u8, TemplateRole)], own: &[u8]) -> Wanted<u8> {
        Wanted {
            exact,
            roles: roles.iter().copied().collect(),
            names: roles.iter().map(|(who, _)| (*who, who.to_string())).collect(),
            pending: Vec::new(),
            holds: true,
            own: own.iter().copied().collect(),
            hidden: BTreeMap::new(),
        }
    }

    #[test]
    fn exact_takes_others_away_and_at_least_only_what_it_gave() {
        let there = held(&[(1, "use"), (2, "admin"), (3, "use")]);
        let exact = wanted(true, &[(1, TemplateRole::Admin)], &[]).difference(&there);
        assert_eq!(
            (exact.more, exact.fewer),
            (
                vec!["1:Admin".to_owned()],
                vec!["1:Use".into(), "2:Admin".into(), "3:Use".into()]
            )
        );
        let additive = wanted(false, &[(1, TemplateRole::Use)], &[3]).difference(&there);
        assert_eq!(additive.send, BTreeMap::from([(3, String::new())]));
    }

    #[test]
    fn nobody_loses_a_role_while_somebody_is_not_there_yet() {
        let mut wanted = wanted(true, &[(1, TemplateRole::Use)], &[]);
        wanted.pending = vec!["later".to_owned()];
        assert_eq!(
            wanted.difference(&held(&[(2, "use")])).send,
            BTreeMap::from([(1, "use".to_owned())])
        );
        wanted.holds = false;
        assert_eq!(wanted.difference(&held(&[(2, "use")])).send.len(), 2);
    }

    #[test]
    fn who_is_not_shown_is_given_a_role_once() {
        let mut wanted = wanted(true, &[(1, TemplateRole::Use)], &[]);
        wanted.hidden = wanted.not_shown(&held(&[]));
        assert!(wanted.difference(&held(&[])).send.is_empty());
        wanted.roles.insert(1, TemplateRole::Admin);
        assert_eq!(wanted.difference(&held(&[])).more, ["1:Admin"]);
    }

    #[test]
    fn a_template_as_it_was_made_is_untouched() {
        let wanted = |exact| wanted(exact, &[(1, TemplateRole::Use), (9, TemplateRole::Use)], &[]);
        assert!(wanted(true).is_untouched(&held(&[(9, "use")]), Some(&9)));
        assert!(wanted(true).is_untouched(&held(&[]), Some(&9)));
        assert!(!wanted(true).is_untouched(&held(&[(9, "admin")]), Some(&9)));
        assert!(!wanted(true).is_untouched(&held(&[(3, "use")]), Some(&9)));
        assert!(wanted(false).is_untouched(&held(&[(3, "use")]), Some(&9)));
        assert!(!wanted(false).is_untouched(&held(&[(1, "admin")]), Some(&9)));
    }
}
