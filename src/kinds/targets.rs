//! What the names in a map of the spec mean. A name goes on to mean what it led to for as long as that exists: rights must
//! not go elsewhere because a name moved.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;

use super::field::few;

/// So many names are remembered; of more, each is looked up anew.
const REMEMBERED: usize = 1000;
/// They have at most this many bytes together with their ids: a status has to be stored.
const REMEMBERED_BYTES: usize = 128 << 10;

/// What names lead to.
#[derive(Clone, Debug)]
pub(super) struct Targets<T> {
    found: HashMap<String, T>,
    /// What is to be remembered of them.
    pub(super) ids: BTreeMap<String, String>,
    /// How many bytes that takes.
    remembered: usize,
    /// What there is to say of names that lead to something else by now.
    moved: Vec<String>,
}

impl<T> Default for Targets<T> {
    fn default() -> Self {
        Self {
            found: HashMap::new(),
            ids: BTreeMap::new(),
            remembered: 0,
            moved: Vec::new(),
        }
    }
}

/// Everything that can be named, with each of its names.
pub(super) struct There<'a, T> {
    by_id: HashMap<String, (&'a T, &'a str)>,
    by_name: HashMap<String, Vec<(&'a T, &'a str)>>,
    is_called: fn(&str, &str) -> bool,
    inherits: bool,
}

impl<'a, T: Display> There<'a, T> {
    /// The first name of each is what messages call it; `is_called` says whether a name is the one that was asked for.
    pub(super) fn new(there: &'a [(T, String)], is_called: fn(&str, &str) -> bool) -> Self {
        let (mut by_id, mut by_name) = (HashMap::new(), HashMap::<String, Vec<_>>::new());
        for (target, name) in there {
            let one = (target, name.as_str());
            by_id.entry(target.to_string()).or_insert(one);
            by_name.entry(name.to_lowercase()).or_default().push(one);
        }
        Self {
            by_id,
            by_name,
            is_called,
            inherits: true,
        }
    }

    /// They are people: nobody comes into the place of who is gone by being called the same.
    pub(super) fn of_people(self) -> Self {
        Self {
            inherits: false,
            ..self
        }
    }

    fn named(&self, asked: &str) -> Option<&'a T> {
        let alike = self.by_name.get(&asked.to_lowercase())?;
        let found = alike.iter().find(|(_, name)| (self.is_called)(name, asked));
        found.map(|(target, _)| *target)
    }

    /// By an id as Coder writes it. 32 digits without hyphens are a name.
    fn identified(&self, asked: &str) -> Option<&'a T> {
        let is_id = asked.len() == uuid::fmt::Hyphenated::LENGTH;
        let found = self.by_id.get(&asked.to_lowercase()).filter(|_| is_id);
        found.map(|(target, _)| *target)
    }
}

impl<T: Clone + Display> Targets<T> {
    /// Looks the names up, given what they led to before.
    pub(super) fn of<'n>(
        names: impl Iterator<Item = &'n String>,
        memory: &BTreeMap<String, String>,
        there: &There<'_, T>,
    ) -> Self {
        let mut targets = Self::default();
        let mut names: Vec<&String> = names.collect();
        names.sort_unstable();
        names.dedup();
        // Those that are remembered already are not displaced by new ones.
        let kept = names.iter().filter_map(|name| memory.get_key_value(*name));
        targets.ids = kept.map(|(name, id)| (name.clone(), id.clone())).collect();
        targets.remembered = targets.ids.iter().map(|(name, id)| name.len() + id.len()).sum();
        for name in names {
            targets.look_for(name, there);
        }
        targets
    }

    fn look_for(&mut self, name: &String, there: &There<'_, T>) {
        if let Some(target) = there.identified(name) {
            self.found.insert(name.clone(), target.clone());
            return;
        }
        let bearer = there.named(name);
        let known = self.ids.get(name);
        let remembered = known.and_then(|id| there.by_id.get(id));
        let target = match (remembered, bearer) {
            (None, Some(_)) if known.is_some() && !there.inherits => {
                let gone =
                    format!("{name} is not there any more, and who has the name now is somebody else and gets nothing");
                self.moved.push(gone);
                return;
            }
            // One that is gone is nobody's any more: whoever made another one of its name meant it to take the place.
            (None, None) => return,
            (None, Some(bearer)) => bearer,
            (Some((target, now)), bearer) => {
                let same = bearer.is_some_and(|bearer| bearer.to_string() == target.to_string());
                if !same {
                    let also = bearer.map_or_else(String::new, |_| format!(", and another one is called {name}"));
                    self.moved.push(format!("{name} is called {now} now{also}"));
                }
                *target
            }
        };
        self.found.insert(name.clone(), target.clone());
        let id = target.to_string();
        let is_known = self.ids.contains_key(name);
        let takes = name.len() + id.len();
        let has_room = self.ids.len() < REMEMBERED && self.remembered + takes <= REMEMBERED_BYTES;
        if id != *name && (is_known || has_room) {
            if !is_known {
                self.remembered += takes;
            }
            self.ids.insert(name.clone(), id);
        }
    }

    /// What the name means.
    pub(super) fn get(&self, name: &str) -> Option<T> {
        self.found.get(name).cloned()
    }

    /// What to say of names that lead to something else by now; `field` is where they are, `what` is what they name.
    pub(super) fn moved_message(&self, field: &str, what: &str) -> Option<String> {
        let moved = (!self.moved.is_empty()).then(|| few(&self.moved))?;
        Some(format!(
            "{field} keeps to the {what} that it named at first: {moved}; name them as they are called now, or by id (a name \
             that is taken out of {field} and put in again means what has it then)"
        ))
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn id(number: u128) -> String {
        Uuid::from_u128(number).to_string()
    }

    fn look(name: &str, memory: &BTreeMap<String, String>, there: &[(u128, &str)]) -> Targets<String> {
        let there: Vec<(String, String)> = there.iter().map(|(n, name)| (id(*n), (*name).to_owned())).collect();
        let there = There::new(&there, |name, asked| name == asked);
        Targets::of([name.to_owned()].iter(), memory, &there)
    }

    #[test]
    fn a_name_means_what_it_led_to_for_as_long_as_that_exists() {
        let memory = look("ops", &BTreeMap::new(), &[(1, "ops")]).ids;
        let said = |targets: &Targets<String>| targets.moved_message("mapping", "groups").unwrap_or_default();
        let renamed = look("ops", &memory, &[(1, "operations")]);
        assert_eq!(renamed.get("ops"), Some(id(1)));
        assert!(
            said(&renamed).contains("ops is called operations now;"),
            "{}",
            said(&renamed)
        );
        let namesake = look("ops", &memory, &[(1, "operations"), (2, "ops")]);
        assert_eq!(namesake.get("ops"), Some(id(1)));
        assert!(said(&namesake).contains("and another one is called ops"));
        let made_anew = look("ops", &memory, &[(2, "ops")]);
        assert_eq!((made_anew.get("ops"), said(&made_anew)), (Some(id(2)), String::new()));
        assert_eq!(made_anew.ids["ops"], id(2));
        assert_eq!(look("ops", &memory, &[]).get("ops"), None);
        // Out of the mapping and in again.
        let without = look("web", &memory, &[(1, "operations"), (2, "ops")]).ids;
        let anew = look("ops", &without, &[(1, "operations"), (2, "ops")]);
        assert_eq!(anew.get("ops"), Some(id(2)));
    }

    #[test]
    fn nobody_inherits_from_a_person_by_name() {
        let of = |memory: &BTreeMap<String, String>, there: &[(String, String)]| {
            let there = There::new(there, |name, asked| name == asked).of_people();
            Targets::of(["ann".to_owned()].iter(), memory, &there)
        };
        let memory = of(&BTreeMap::new(), &[(id(1), "ann".to_owned())]).ids;
        let gone = of(&memory, &[(id(2), "ann".to_owned())]);
        assert_eq!(gone.get("ann"), None);
        assert!(gone.moved_message("users", "people").unwrap().contains("somebody else"));
        assert_eq!(of(&memory, &[]).ids, memory, "and comes back as the same");
    }

    #[test]
    fn a_second_name_is_no_move() {
        let there = [(1, "platform"), (1, "default")];
        let first = look("default", &BTreeMap::new(), &there);
        let again = look("default", &first.ids, &there);
        assert_eq!(
            (again.get("default"), again.moved_message("mapping", "x")),
            (Some(id(1)), None)
        );
    }

    #[test]
    fn ids_name_themselves_names_have_a_case_and_only_so_many_are_remembered() {
        let there = [(1, "ops"), (2, "Ops")];
        let by_id = look(&id(2), &BTreeMap::new(), &there);
        assert!(by_id.get(&id(2)).is_some() && by_id.ids.is_empty());
        assert_eq!(look("Ops", &BTreeMap::new(), &there).get("Ops"), Some(id(2)));
        let many: Vec<(String, String)> = (0..1500).map(|n| (id(n), format!("g{n}"))).collect();
        let names = many.iter().map(|(_, name)| name);
        let all = Targets::of(names, &BTreeMap::new(), &There::new(&many, |a, b| a == b));
        assert_eq!((all.found.len(), all.ids.len()), (1500, REMEMBERED));
        let long: Vec<(String, String)> = (0..1000).map(|n| (id(n), format!("{n:0250}"))).collect();
        let names = long.iter().map(|(_, name)| name);
        let all = Targets::of(names, &BTreeMap::new(), &There::new(&long, |a, b| a == b));
        assert_eq!((all.found.len(), all.ids.len()), (1000, REMEMBERED_BYTES / 286));
    }
}
