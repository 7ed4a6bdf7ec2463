//! The journal: every call the server got, and what it changed.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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

/// All calls since the start, unless told to keep fewer. Clones share it.
#[derive(Clone, Debug)]
pub struct Journal {
    kept: Arc<Mutex<Kept>>,
    written: Arc<watch::Sender<u64>>,
}

#[derive(Debug)]
struct Kept {
    entries: VecDeque<Entry>,
    /// The number of the last entry.
    last: u64,
    most: usize,
}

impl Kept {
    /// The entries after `mark`, oldest first.
    fn since(&self, mark: Mark) -> impl Iterator<Item = &Entry> {
        let dropped = self.last - self.entries.len() as u64;
        let skip = usize::try_from(mark.0.saturating_sub(dropped)).unwrap_or(usize::MAX);
        self.entries.iter().skip(skip)
    }
}

impl Journal {
    pub(crate) fn new() -> Self {
        let kept = Kept {
            entries: VecDeque::new(),
            last: 0,
            most: usize::MAX,
        };
        Self {
            kept: Arc::new(Mutex::new(kept)),
            written: Arc::new(watch::Sender::new(0)),
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn push(&self, mut entry: Entry) {
        let mut kept = self.kept();
        kept.last += 1;
        entry.sequence = kept.last;
        kept.entries.push_back(entry);
        if kept.entries.len() > kept.most {
            kept.entries.pop_front();
        }
        let last = kept.last;
        drop(kept);
        self.written.send_replace(last);
    }

    /// Keeps no more than the last so many calls from now on: none at all, or enough for a long run.
    pub fn keep(&self, most: usize) {
        let mut kept = self.kept();
        kept.most = most;
        let surplus = kept.entries.len().saturating_sub(most);
        kept.entries.drain(..surplus);
    }

    /// How many calls there were, kept or not.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.kept().last
    }

    /// Every call so far.
    #[must_use]
    pub fn calls(&self) -> Vec<Entry> {
        self.matching(|_| true)
    }

    /// Every call so far that changed something.
    #[must_use]
    pub fn writes(&self) -> Vec<Entry> {
        self.matching(|entry| entry.effect.is_write())
    }

    /// Where the journal ends now.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark(self.total())
    }

    /// The calls after `mark`.
    #[must_use]
    pub fn since(&self, mark: Mark) -> Vec<Entry> {
        self.kept().since(mark).cloned().collect()
    }

    /// The calls after `mark` that changed something.
    #[must_use]
    pub fn writes_since(&self, mark: Mark) -> Vec<Entry> {
        let kept = self.kept();
        kept.since(mark)
            .filter(|entry| entry.effect.is_write())
            .cloned()
            .collect()
    }

    /// How often the route was called.
    #[must_use]
    pub fn count(&self, method: &Method, template: &str) -> usize {
        self.count_since(Mark(0), method, template)
    }

    /// How often the route was called after `mark`.
    #[must_use]
    pub fn count_since(&self, mark: Mark, method: &Method, template: &str) -> usize {
        let kept = self.kept();
        kept.since(mark)
            .filter(|entry| entry.method == *method && entry.template == template)
            .count()
    }

    /// The calls that `wanted` holds for.
    #[must_use]
    pub fn matching(&self, wanted: impl Fn(&Entry) -> bool) -> Vec<Entry> {
        let kept = self.kept();
        kept.since(Mark(0)).filter(|entry| wanted(entry)).cloned().collect()
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
            let mut seen = mark;
            loop {
                written.mark_unchanged();
                let (found, end) = {
                    let kept = self.kept();
                    (kept.since(seen).find(|entry| wanted(entry)).cloned(), kept.last)
                };
                if found.is_some() {
                    return found;
                }
                seen = Mark(end);
                if written.changed().await.is_err() {
                    return None;
                }
            }
        };
        tokio::time::timeout(timeout, search).await.ok().flatten()
    }
}
