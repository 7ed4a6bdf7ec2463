//! Who changed what lately, as far as a feed says so.

use std::collections::{BTreeSet, HashMap, VecDeque};

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// How long it is remembered.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(1);
/// How many of one item: the last ones.
const OF_ONE_ITEM: usize = 16;
/// Of how many items. When more change in an hour, drift of the others is told without its author.
const ITEMS: usize = 10_000;
/// How rarely what is too old is looked for.
const TIDY: Duration = Duration::from_mins(1);

/// Who changed something, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author {
    /// The user's name. Nothing else of the entry: events have other readers than the audit log.
    pub name: String,
    /// When the request ended.
    pub at: Timestamp,
    /// Which fields.
    pub fields: Fields,
}

impl Author {
    /// Whether they changed that field.
    #[must_use]
    pub fn changed(&self, field: &str) -> bool {
        match &self.fields {
            Fields::All => true,
            Fields::Named(fields) => fields.contains(field),
        }
    }
}

/// What of an item a change concerns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fields {
    /// All of it, or nobody knows what.
    All,
    /// These fields, as the specs of custom resources call them.
    Named(BTreeSet<String>),
}

impl Fields {
    /// These.
    pub fn named(fields: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::Named(fields.into_iter().map(Into::into).collect())
    }

    /// None of those that anybody manages.
    #[must_use]
    pub fn none() -> Self {
        Self::Named(BTreeSet::new())
    }
}

/// The authors of the last hour, by collection and item; those without an item concern all of them.
#[derive(Debug, Default)]
pub(super) struct Authors {
    by_item: HashMap<Key, VecDeque<(Instant, Author)>>,
    /// When what is too old was forgotten last.
    tidied: Option<Instant>,
}

type Key = (String, Option<String>);

impl Authors {
    /// It was learned now.
    pub(super) fn note(&mut self, collection: &str, item: Option<&str>, author: Author) {
        self.tidy(author.at);
        let key = (collection.to_owned(), item.map(str::to_owned));
        if self.by_item.len() < ITEMS || self.by_item.contains_key(&key) {
            self.push(key, author);
        }
    }

    /// The same of what no list shows: it is known from here alone, and kept however much else there is.
    pub(super) fn note_unseen(&mut self, collection: &str, item: Option<&str>, author: Author) {
        self.tidy(author.at);
        self.push((collection.to_owned(), item.map(str::to_owned)), author);
    }

    fn push(&mut self, key: Key, author: Author) {
        let authors = self.by_item.entry(key).or_default();
        if authors.len() == OF_ONE_ITEM {
            authors.pop_front();
        }
        authors.push_back((Instant::now(), author));
    }

    /// Forgets what is too old by the time of the newest.
    fn tidy(&mut self, newest: Timestamp) {
        let now = Instant::now();
        if self.tidied.is_none_or(|last| now.duration_since(last) >= TIDY) {
            self.forget_before(newest - REMEMBERED);
            self.tidied = Some(now);
        }
    }

    /// Those of any of these items.
    pub(super) fn of(&self, items: &[(String, String)]) -> Vec<Author> {
        let keys = items
            .iter()
            .flat_map(|(collection, item)| [Some(item.clone()), None].map(|item| (collection.clone(), item)));
        let found = keys.filter_map(|key| self.by_item.get(&key)).flatten();
        found.map(|(_, author)| author.clone()).collect()
    }

    /// What was learned of these items before that moment has been answered: what differs from now on is another's doing.
    pub(super) fn mark_answered(&mut self, items: &[(String, String)], before: Instant) {
        for (collection, item) in items {
            if let Some(authors) = self.by_item.get_mut(&(collection.clone(), Some(item.clone()))) {
                authors.retain(|(learned, _)| *learned >= before);
            }
        }
    }

    fn forget_before(&mut self, oldest: Timestamp) {
        self.by_item.retain(|_, authors| {
            authors.retain(|(_, author)| author.at >= oldest);
            !authors.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn author(name: &str, hour: i64) -> Author {
        Author {
            name: name.to_owned(),
            at: Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hour),
            fields: Fields::All,
        }
    }

    fn of(authors: &Authors, item: &str) -> Vec<String> {
        let found = authors.of(&[("groups".to_owned(), item.to_owned())]);
        let mut names: Vec<_> = found.into_iter().map(|author| author.name).collect();
        names.sort();
        names
    }

    #[tokio::test(start_paused = true)]
    async fn who_changed_an_item_is_remembered_until_it_is_answered_or_an_hour_old() {
        let mut authors = Authors::default();
        authors.note("groups", Some("1"), author("ann", 5));
        authors.note("groups", Some("1"), author("bob", 5));
        authors.note("groups", None, author("carl", 5));
        assert_eq!(of(&authors, "1"), ["ann", "bob", "carl"]);
        assert_eq!(of(&authors, "2"), ["carl"]);
        tokio::time::advance(TIDY).await;
        let answered = Instant::now();
        authors.note("groups", Some("1"), author("dora", 5));
        authors.mark_answered(&[("groups".to_owned(), "1".to_owned())], answered);
        assert_eq!(
            of(&authors, "1"),
            ["carl", "dora"],
            "who came later is not answered yet"
        );
        tokio::time::advance(TIDY).await;
        authors.note("groups", Some("2"), author("emil", 7));
        assert_eq!(
            (of(&authors, "1"), of(&authors, "2")),
            (vec![], vec!["emil".to_owned()])
        );
    }

    #[test]
    fn memory_is_bounded_for_each_item_and_over_all() {
        let mut authors = Authors::default();
        for change in 0..100 {
            authors.note("groups", Some("1"), author(&format!("user-{change}"), 5));
        }
        assert_eq!(of(&authors, "1").len(), OF_ONE_ITEM);
        for item in 0..2 * ITEMS {
            authors.note("groups", Some(&item.to_string()), author("ann", 5));
        }
        assert_eq!(authors.by_item.len(), ITEMS);
        authors.note_unseen("workspace_proxies", Some("paris"), author("bob", 5));
        let of_paris = authors.of(&[("workspace_proxies".to_owned(), "paris".to_owned())]);
        assert_eq!(of_paris.len(), 1, "no list shows it");
    }
}
