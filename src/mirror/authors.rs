//! Who changed what lately, as far as a feed says so.

use std::collections::{BTreeSet, HashMap};

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// How long it is remembered.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(1);
/// How many of one item: the last ones.
const OF_ONE_ITEM: usize = 16;

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
pub(super) struct Authors(HashMap<Key, Vec<(Instant, Author)>>);

type Key = (String, Option<String>);

impl Authors {
    /// It was learned now.
    pub(super) fn note(&mut self, collection: &str, item: Option<&str>, author: Author) {
        let key = (collection.to_owned(), item.map(str::to_owned));
        let authors = self.0.entry(key).or_default();
        if authors.len() == OF_ONE_ITEM {
            authors.remove(0);
        }
        authors.push((Instant::now(), author));
    }

    /// Those of any of these items.
    pub(super) fn of(&self, items: &[(String, String)]) -> Vec<Author> {
        let keys = items
            .iter()
            .flat_map(|(collection, item)| [Some(item.clone()), None].map(|item| (collection.clone(), item)));
        let found = keys.filter_map(|key| self.0.get(&key)).flatten();
        found.map(|(_, author)| author.clone()).collect()
    }

    /// What was learned of these items before that moment has been answered: what differs from now on is another's doing.
    pub(super) fn settle(&mut self, items: &[(String, String)], before: Instant) {
        for (collection, item) in items {
            if let Some(authors) = self.0.get_mut(&(collection.clone(), Some(item.clone()))) {
                authors.retain(|(learned, _)| *learned >= before);
            }
        }
    }

    /// Forgets what is too old.
    pub(super) fn expire(&mut self, now: Timestamp) {
        let oldest = now - REMEMBERED;
        self.0.retain(|_, authors| {
            authors.retain(|(_, author)| author.at >= oldest);
            !authors.is_empty()
        });
    }
}
