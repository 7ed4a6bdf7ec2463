//! The two keys that take turns, and which of them is what. Coder cannot rotate a key, and two that work at the same time
//! need two names; no other custom resource can want the second, because no name has a dot.

use crate::coder::ProvisionerKeyId;
use crate::engine::issued::{Issued, Previous};
use crate::lists::ProvisionerKeyItem;

/// What is behind the second of the two names.
const SECOND: &str = ".2";

/// The two names.
pub(super) fn names(name: &str) -> [String; 2] {
    [name.to_owned(), format!("{name}{SECOND}")]
}

/// Of which two it is one.
pub(super) fn name_of(called: &str) -> &str {
    called.strip_suffix(SECOND).unwrap_or(called)
}

/// What a status remembers of the keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// The id of the one that is to be used.
    pub(super) current: Option<ProvisionerKeyId>,
    /// Its name.
    pub(super) name: Option<String>,
    /// The one before.
    pub(super) previous: Option<Previous>,
    /// The name under which one was being issued.
    pub(super) issuing: Option<String>,
}

/// The keys of the two names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pair {
    /// The one that is to be used.
    pub(super) current: Option<ProvisionerKeyItem>,
    /// The one before, and until when it works.
    pub(super) previous: Option<(ProvisionerKeyItem, Previous)>,
    /// One whose value never reached a Secret.
    pub(super) stray: Option<ProvisionerKeyItem>,
    /// One that this object did not make.
    pub(super) foreign: Option<ProvisionerKeyItem>,
}

impl Pair {
    /// Which is what. Without a memory the younger one is current.
    pub(super) fn of(keys: Vec<ProvisionerKeyItem>, memory: Option<&Memory>, held: Option<&Issued>) -> Self {
        let noted = |key: &ProvisionerKeyItem| held.and_then(|held| held.id.as_ref()).is_some_and(|id| is(key, id));
        let remembered = |key: &ProvisionerKeyItem| match memory {
            Some(Memory { current: Some(id), .. }) => key.id == *id,
            Some(memory) => memory.name.as_deref() == Some(&*key.name),
            None => true,
        };
        let younger = |wanted: &dyn Fn(&ProvisionerKeyItem) -> bool| {
            let wanted = keys.iter().filter(|key| wanted(key));
            wanted.max_by_key(|key| key.created_at).map(|key| key.id)
        };
        let current = younger(&noted).or_else(|| younger(&remembered));
        let mut pair = Self::default();
        for key in keys {
            let remembered = || memory.and_then(|memory| memory.previous.as_ref());
            let previous = held.and_then(|held| held.previous.as_ref()).or_else(remembered);
            if current == Some(key.id) {
                pair.current = Some(key);
            } else if let Some(previous) = previous.filter(|previous| is(&key, &previous.id)) {
                let id = key.id.to_string();
                let previous = Previous { id, ..previous.clone() };
                pair.previous = Some((key, previous));
            } else if memory.and_then(|memory| memory.issuing.as_ref()) == Some(&key.name) {
                pair.stray = Some(key);
            } else {
                pair.foreign = Some(key);
            }
        }
        pair
    }

    /// Those that this object made or took over.
    pub(super) fn ours(&self) -> impl Iterator<Item = &ProvisionerKeyItem> {
        let previous = self.previous.as_ref().map(|(key, _)| key);
        self.current.iter().chain(previous).chain(&self.stray)
    }

    /// The name for the next one.
    pub(super) fn next(&self, name: &str) -> String {
        let [first, second] = names(name);
        let kept = self.current.as_ref().or(self.previous.as_ref().map(|(key, _)| key));
        match kept {
            Some(kept) if kept.name == first => second,
            Some(_) | None => first,
        }
    }

    /// Without that key.
    pub(super) fn without(mut self, id: ProvisionerKeyId) -> Self {
        self.current = self.current.filter(|key| key.id != id);
        self.previous = self.previous.filter(|(key, _)| key.id != id);
        self.stray = self.stray.filter(|key| key.id != id);
        self
    }
}

/// Whether that is its id, or its name.
fn is(key: &ProvisionerKeyItem, noted: &str) -> bool {
    key.id.to_string() == noted || key.name == noted
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;

    fn key(id: u128, name: &str) -> ProvisionerKeyItem {
        ProvisionerKeyItem {
            id: Uuid::from_u128(id).into(),
            name: name.to_owned(),
            tags: BTreeMap::new(),
            created_at: Timestamp::from_second(i64::try_from(id).unwrap()).ok(),
            daemons: 0,
        }
    }

    fn two() -> Vec<ProvisionerKeyItem> {
        vec![key(1, "blue"), key(2, "blue.2")]
    }

    fn previous(id: &str) -> Previous {
        Previous {
            id: id.to_owned(),
            retire_at: Timestamp::UNIX_EPOCH,
        }
    }

    fn in_secret(id: &str, before: Option<&str>) -> Issued {
        Issued {
            id: Some(id.to_owned()),
            previous: before.map(previous),
            ..Issued::default()
        }
    }

    #[test]
    fn the_secret_says_which_is_current_before_the_status_and_the_younger() {
        let memory = Memory {
            current: Some(Uuid::from_u128(2).into()),
            ..Memory::default()
        };
        let held = in_secret("blue", None);
        let pair = Pair::of(two(), Some(&memory), Some(&held));
        assert_eq!(pair.current, Some(key(1, "blue")));
        assert_eq!(pair.next("blue"), "blue.2");
        let pair = Pair::of(two(), Some(&memory), None);
        assert_eq!(pair.current, Some(key(2, "blue.2")));
        assert_eq!(pair.next("blue"), "blue");
        assert_eq!(Pair::of(two(), None, None).current, Some(key(2, "blue.2")));
    }

    #[test]
    fn only_what_is_noted_is_ours() {
        let first = Uuid::from_u128(1).to_string();
        let held = in_secret("blue.2", Some(&first));
        let pair = Pair::of(two(), Some(&Memory::default()), Some(&held));
        assert_eq!(pair.previous.map(|(key, _)| key), Some(key(1, "blue")));
        let memory = |issuing: Option<&str>, before: Option<&str>| Memory {
            current: Some(Uuid::from_u128(1).into()),
            issuing: issuing.map(str::to_owned),
            previous: before.map(previous),
            ..Memory::default()
        };
        let second = Uuid::from_u128(2).to_string();
        let of = |memory: Memory| Pair::of(two(), Some(&memory), None);
        assert_eq!(
            of(memory(None, Some(&second))).previous.map(|(key, _)| key),
            Some(key(2, "blue.2"))
        );
        assert_eq!(of(memory(Some("blue.2"), None)).stray, Some(key(2, "blue.2")));
        assert_eq!(of(memory(None, None)).foreign, Some(key(2, "blue.2")));
        let another = Memory {
            current: Some(Uuid::from_u128(9).into()),
            ..Memory::default()
        };
        assert_eq!(
            Pair::of(two(), Some(&another), None).ours().count(),
            0,
            "other keys of those names"
        );
    }

    #[test]
    fn the_two_names_belong_together() {
        assert_eq!(names("blue"), ["blue", "blue.2"]);
        assert_eq!([name_of("blue"), name_of("blue.2")], ["blue", "blue"]);
        assert_eq!(Pair::default().next("blue"), "blue");
    }
}
