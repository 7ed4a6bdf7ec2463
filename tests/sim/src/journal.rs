//! The journal: every call the server got, and what it changed.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::Method;
use jiff::Timestamp;
use serde::{Serialize, Serializer};
use tokio::sync::watch;

/// What a call changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Nothing: a read or a refusal.
    #[default]
    None,
    /// An object came to be.
    Created(&'static str, String),
    /// An object was written, even if with the same values.
    Updated(&'static str, String),
    /// An object is gone.
    Deleted(&'static str, String),
}

impl Effect {
    /// Whether state changed.
    #[must_use]
    pub fn is_write(&self) -> bool {
        *self != Self::None
    }

    /// Kind of the object that changed: `organization`, `group`, `license` …
    #[must_use]
    pub fn kind(&self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Created(kind, _) | Self::Updated(kind, _) | Self::Deleted(kind, _) => Some(kind),
        }
    }
}

/// One call.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// Counts from 1 in the order in which calls were answered.
    pub sequence: u64,
    /// When it was answered, by the simulator's clock.
    #[serde(serialize_with = "as_text")]
    pub time: Timestamp,
    /// Whose token came along; `anonymous` without a valid one.
    pub actor: String,
    /// The method.
    #[serde(serialize_with = "as_text")]
    pub method: Method,
    /// Path and query as sent.
    pub path: String,
    /// The route's template, for example `/api/v2/groups/{group}`; empty for an unknown path.
    pub template: &'static str,
    /// The status the client saw; `None` when the connection was cut.
    pub status: Option<u16>,
    /// What changed.
    pub effect: Effect,
    /// The `User-Agent` header.
    pub user_agent: String,
    /// The request body, as far as it was text.
    pub body: String,
}

fn as_text<T: ToString, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&value.to_string())
}

/// A point in the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(u64);

/// All calls since the start. Clones share it.
#[derive(Clone, Debug)]
pub struct Journal {
    entries: Arc<Mutex<Vec<Entry>>>,
    written: Arc<watch::Sender<u64>>,
}

impl Journal {
    pub(crate) fn new() -> Self {
        Self {
            entries: Arc::default(),
            written: Arc::new(watch::Sender::new(0)),
        }
    }

    pub(crate) fn push(&self, mut entry: Entry) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entry.sequence = entries.len() as u64 + 1;
        let sequence = entry.sequence;
        entries.push(entry);
        drop(entries);
        self.written.send_replace(sequence);
    }

    /// Every call so far.
    #[must_use]
    pub fn calls(&self) -> Vec<Entry> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Every call so far that changed something.
    #[must_use]
    pub fn writes(&self) -> Vec<Entry> {
        self.matching(|entry| entry.effect.is_write())
    }

    /// Where the journal ends now.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark(self.entries.lock().unwrap_or_else(PoisonError::into_inner).len() as u64)
    }

    /// The calls after `mark`.
    #[must_use]
    pub fn since(&self, mark: Mark) -> Vec<Entry> {
        self.matching(|entry| entry.sequence > mark.0)
    }

    /// The calls after `mark` that changed something.
    #[must_use]
    pub fn writes_since(&self, mark: Mark) -> Vec<Entry> {
        self.matching(|entry| entry.sequence > mark.0 && entry.effect.is_write())
    }

    /// How often the route was called.
    #[must_use]
    pub fn count(&self, method: &Method, template: &str) -> usize {
        self.matching(|entry| entry.method == *method && entry.template == template)
            .len()
    }

    /// How often the route was called after `mark`.
    #[must_use]
    pub fn count_since(&self, mark: Mark, method: &Method, template: &str) -> usize {
        self.matching(|e| e.sequence > mark.0 && e.method == *method && e.template == template)
            .len()
    }

    /// The calls that `wanted` holds for.
    #[must_use]
    pub fn matching(&self, wanted: impl Fn(&Entry) -> bool) -> Vec<Entry> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.iter().filter(|entry| wanted(entry)).cloned().collect()
    }

    /// Waits until a call that `wanted` holds for is in the journal (it may be already) and returns it; `None` when
    /// `timeout` passes first.
    pub async fn wait_for(&self, wanted: impl Fn(&Entry) -> bool, timeout: Duration) -> Option<Entry> {
        self.wait_since(Mark(0), wanted, timeout).await
    }

    /// As [`Journal::wait_for`], but only calls after `mark` count.
    pub async fn wait_since(&self, mark: Mark, wanted: impl Fn(&Entry) -> bool, timeout: Duration) -> Option<Entry> {
        let mut written = self.written.subscribe();
        let search = async {
            let mut seen = mark.0;
            loop {
                let end = *written.borrow_and_update();
                let found = self
                    .matching(|entry| entry.sequence > seen && wanted(entry))
                    .into_iter()
                    .next();
                if found.is_some() {
                    return found;
                }
                seen = seen.max(end);
                if written.changed().await.is_err() {
                    return None;
                }
            }
        };
        tokio::time::timeout(timeout, search).await.ok().flatten()
    }
}
