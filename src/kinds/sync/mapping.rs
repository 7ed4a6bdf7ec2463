//! From claim values of the identity provider to things in Coder: what a mapping shall be, given what it is. Pure, and the
//! same for whatever claims are mapped to.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::str::FromStr;

use crate::coder::SyncMapping as Mapping;

/// So many entries that were put beside others are remembered: a status has to be stored.
pub(super) const REMEMBERED: usize = 5000;

/// One entry of a mapping.
pub(super) type Pair<T> = (String, T);

/// What a spec says of a mapping.
#[derive(Clone, Debug)]
pub struct Wanted<T> {
    /// Whether others are taken away.
    pub(super) exact: bool,
    /// The claims whose targets are all there.
    pub(super) claims: Mapping<T>,
    /// The claims with a target that is not there yet: they are left as they are.
    pub(super) waiting: BTreeSet<String>,
    /// The missing targets, as `claim: target`.
    pub(super) pending: Vec<String>,
    /// Beside others: what this object put there.
    pub(super) own: Mapping<T>,
}

impl<T: Ord + Clone> Wanted<T> {
    /// Looks the targets of a spec up.
    pub(super) fn resolve(
        spec: &BTreeMap<String, Vec<String>>,
        exact: bool,
        own: Mapping<T>,
        find: impl Fn(&str) -> Option<T>,
    ) -> Self {
        let mut wanted = Self {
            exact,
            claims: Mapping::new(),
            waiting: BTreeSet::new(),
            pending: Vec::new(),
            own,
        };
        for (claim, names) in spec {
            let missing: Vec<&String> = names.iter().filter(|name| find(name).is_none()).collect();
            if missing.is_empty() {
                let targets = names.iter().filter_map(|name| find(name)).collect();
                wanted.claims.insert(claim.clone(), targets);
            } else {
                wanted.waiting.insert(claim.clone());
                let missing = missing.into_iter().map(|name| format!("{claim}: {name}"));
                wanted.pending.extend(missing);
            }
        }
        wanted
    }

    /// What the mapping shall be.
    pub(super) fn goal(&self, held: &Mapping<T>) -> Mapping<T> {
        let mut goal = if self.exact {
            let waiting = held.iter().filter(|(claim, _)| self.waiting.contains(*claim));
            waiting
                .map(|(claim, targets)| (claim.clone(), targets.clone()))
                .collect()
        } else {
            let mut goal = held.clone();
            for (claim, target) in pairs(&self.own) {
                if !self.names(&claim, &target) && !self.waiting.contains(&claim) {
                    goal.entry(claim).or_default().remove(&target);
                }
            }
            goal
        };
        for (claim, target) in pairs(&self.claims) {
            goal.entry(claim).or_default().insert(target);
        }
        goal.retain(|_, targets| !targets.is_empty());
        goal
    }

    /// Whether nobody has set yet what is managed.
    pub(super) fn is_untouched(&self, held: &Mapping<T>) -> bool {
        let is_held = |(claim, target): &Pair<T>| contains(held, claim, target);
        if self.exact {
            held.is_empty()
        } else {
            !pairs(&self.claims).iter().any(is_held)
        }
    }

    /// Beside others: what this object has put there once `held` is as it shall be, and what it is to take away again.
    pub(super) fn entries(&self, held: &Mapping<T>) -> Mapping<T> {
        let mut entries = self.own.clone();
        if self.exact {
            return Mapping::new();
        }
        let room = REMEMBERED.saturating_sub(count(&entries));
        let pairs = pairs(&self.claims).into_iter();
        let added =
            pairs.filter(|(claim, target)| !contains(held, claim, target) && !contains(&self.own, claim, target));
        for (claim, target) in added.take(room) {
            entries.entry(claim).or_default().insert(target);
        }
        entries
    }

    /// Of these entries those that are still wanted.
    pub(super) fn still(&self, entries: &Mapping<T>) -> Mapping<T> {
        let wanted = pairs(entries)
            .into_iter()
            .filter(|(claim, target)| self.waiting.contains(claim) || self.names(claim, target));
        of(wanted)
    }

    fn names(&self, claim: &str, target: &T) -> bool {
        contains(&self.claims, claim, target)
    }
}

/// The entries of one mapping that are not in another.
pub(super) fn without<T: Ord + Clone>(one: &Mapping<T>, other: &Mapping<T>) -> Vec<Pair<T>> {
    let mut pairs = pairs(one);
    pairs.retain(|(claim, target)| !contains(other, claim, target));
    pairs
}

/// A mapping as the status keeps it.
pub(super) fn texts<T: Display>(mapping: &Mapping<T>) -> BTreeMap<String, Vec<String>> {
    let texts = mapping.iter().map(|(claim, targets)| {
        let targets = targets.iter().map(ToString::to_string).collect();
        (claim.clone(), targets)
    });
    texts.collect()
}

/// The same, read again.
pub(super) fn from_texts<T: Ord + FromStr>(texts: &BTreeMap<String, Vec<String>>) -> Mapping<T> {
    let targets = texts
        .iter()
        .flat_map(|(claim, targets)| targets.iter().map(move |target| (claim, target)));
    of(targets.filter_map(|(claim, target)| Some((claim.clone(), target.parse().ok()?))))
}

/// A mapping of these entries.
pub(super) fn of<T: Ord>(pairs: impl IntoIterator<Item = Pair<T>>) -> Mapping<T> {
    let mut mapping = Mapping::new();
    for (claim, target) in pairs {
        mapping.entry(claim).or_default().insert(target);
    }
    mapping
}

/// How many entries there are.
pub(super) fn count<T>(mapping: &Mapping<T>) -> usize {
    mapping.values().map(BTreeSet::len).sum()
}

fn pairs<T: Ord + Clone>(mapping: &Mapping<T>) -> Vec<Pair<T>> {
    let of_claim = |(claim, targets): (&String, &BTreeSet<T>)| {
        let claim = claim.clone();
        targets
            .iter()
            .map(move |target| (claim.clone(), target.clone()))
            .collect::<Vec<_>>()
    };
    mapping.iter().flat_map(of_claim).collect()
}

fn contains<T: Ord>(mapping: &Mapping<T>, claim: &str, target: &T) -> bool {
    mapping.get(claim).is_some_and(|targets| targets.contains(target))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(entries: &[(&str, u8)]) -> Mapping<u8> {
        of(entries.iter().map(|(claim, target)| ((*claim).to_owned(), *target)))
    }

    fn wanted(exact: bool, spec: &[(&str, &[&str])], own: &[(&str, u8)]) -> Wanted<u8> {
        let spec = spec.iter().map(|(claim, names)| {
            let names = names.iter().map(|name| (*name).to_owned()).collect();
            ((*claim).to_owned(), names)
        });
        Wanted::resolve(&spec.collect(), exact, mapping(own), |name| name.parse().ok())
    }

    #[test]
    fn an_exact_mapping_takes_others_away_and_leaves_what_waits() {
        let wanted = wanted(true, &[("a", &["1"]), ("b", &["2", "later"])], &[]);
        assert_eq!(wanted.pending, ["b: later"]);
        let held = mapping(&[("a", 9), ("b", 3), ("c", 4)]);
        assert_eq!(wanted.goal(&held), mapping(&[("a", 1), ("b", 3)]));
    }

    #[test]
    fn an_additive_mapping_takes_away_only_what_it_put_there_and_names_no_more() {
        let wanted = wanted(false, &[("a", &["1"])], &[("a", 2), ("b", 5)]);
        let held = mapping(&[("a", 2), ("a", 3), ("b", 5), ("b", 6)]);
        assert_eq!(wanted.goal(&held), mapping(&[("a", 1), ("a", 3), ("b", 6)]));
        assert_eq!(wanted.entries(&held), mapping(&[("a", 1), ("a", 2), ("b", 5)]));
        assert_eq!(wanted.still(&wanted.entries(&held)), mapping(&[("a", 1)]));
    }

    #[test]
    fn only_so_many_entries_are_remembered() {
        let spec: BTreeMap<String, Vec<String>> = (0..200)
            .map(|claim| (format!("c{claim}"), (0..50).map(|target| target.to_string()).collect()))
            .collect();
        let resolve = |own| Wanted::resolve(&spec, false, own, |name| name.parse::<u32>().ok());
        let wanted = resolve(Mapping::new());
        let goal = wanted.goal(&Mapping::new());
        assert_eq!(count(&goal), 10_000, "all of it is applied");
        let entries = wanted.entries(&Mapping::new());
        assert_eq!(count(&entries), REMEMBERED);
        let again = resolve(entries.clone()).entries(&goal);
        assert_eq!(again, entries, "and the same ones at each look");
    }

    #[test]
    fn what_was_there_before_is_nobodys_entry() {
        let wanted = wanted(false, &[("a", &["1"])], &[]);
        assert_eq!(wanted.entries(&mapping(&[("a", 1)])), mapping(&[]));
        assert!(!wanted.is_untouched(&mapping(&[("a", 1)])) && wanted.is_untouched(&mapping(&[("a", 2)])));
    }
}
