//! The audit log as a feed: one light call every few seconds names what somebody else changed.
//!
//! The reader keeps a place in the log and hands every new entry to a [`Meaning`], which knows what it says about which
//! collection. Only what is named is looked at again. Whenever rows may have been lost (at the start, after a gap, after
//! more entries than a poll reads) everything is swept once.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::cursor::{Cursor, WINDOW};
use crate::coder::{AuditEntry, Class, Client, Error};
use crate::mirror::Mirror;

/// The first page of a poll: what happens in a few seconds fits.
const FIRST_PAGE: usize = 25;
/// Further pages.
const PAGE: usize = 100;
/// Pages of one poll. More entries than that are left to the sweep: the reader stays fair to the server.
const PAGES: usize = 5;

/// Knows what an entry says about which collection.
pub trait Meaning: Send + Sync + 'static {
    /// What is to be looked at again. Nothing for what concerns nobody here.
    fn touches(&self, mirror: &Mirror, entry: &AuditEntry) -> Vec<Touch>;
    /// The feed began to work, or ceased to, and why.
    fn state(&self, state: &FeedState);
    /// So many entries were read, so many things were looked at again, and this is how far behind the newest entry is.
    fn read(&self, entries: usize, touches: usize, lag: Option<Duration>);
}

/// What to look at again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Touch {
    /// The collection, by its id.
    pub collection: String,
    /// The item, or all of them.
    pub item: Option<String>,
}

/// Who changed something, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author {
    /// The user's name. Nothing else of the entry: events have other readers than the audit log.
    pub name: String,
    /// When the request ended.
    pub at: Timestamp,
}

/// Whether the log is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FeedState {
    /// It is.
    Reading,
    /// It is not, for this reason.
    Unavailable(String),
}

/// A reader of one deployment's log.
pub struct AuditFeed {
    /// What is looked at again.
    pub mirror: Arc<Mirror>,
    /// What entries mean.
    pub meaning: Arc<dyn Meaning>,
    /// Between two polls.
    pub interval: Duration,
}

impl AuditFeed {
    /// Reads until dropped. `chance` gives a number in 0 … 1, new at each call: the jitter.
    pub async fn run(self, chance: impl Fn() -> f64 + Send) {
        let _unfed = Unfed(Arc::clone(&self.mirror));
        let mut cursor = Cursor::default();
        let mut last_success: Option<Instant> = None;
        loop {
            let began = Instant::now();
            let pause = match self.poll(&mut cursor).await {
                Ok(complete) => {
                    let window = Duration::try_from(WINDOW).unwrap_or_default();
                    let gap = last_success.is_none_or(|last| began.duration_since(last) > window / 2);
                    last_success = Some(began);
                    self.mirror.set_fed(true);
                    self.meaning.state(&FeedState::Reading);
                    if gap || !complete {
                        self.mirror.sweep_all(began).await;
                    }
                    self.interval
                }
                Err(error) => {
                    tracing::debug!(%error, "the audit log could not be read");
                    self.pause_after(&error, last_success.is_some())
                }
            };
            tokio::time::sleep(pause.mul_f64(0.9 + 0.2 * chance())).await;
        }
    }

    /// Reads what is new. Answers whether it was all of it.
    async fn poll(&self, cursor: &mut Cursor) -> Result<bool, Error> {
        let boundary = cursor.boundary();
        let day = cursor.day(Timestamp::now());
        let (mut offset, mut new) = (0, Vec::new());
        let mut complete = false;
        for page in 0..PAGES {
            let limit = if page == 0 { FIRST_PAGE } else { PAGE };
            let entries = self.client().audit(day, limit, offset).await?;
            let last = entries.len() < limit;
            offset += entries.len();
            let (found, reached) = cursor.take(entries, boundary);
            new.extend(found);
            if reached || last {
                complete = true;
                break;
            }
        }
        cursor.settle();
        // The entries that were there at the start say nothing: what they changed is in the lists already.
        if boundary.is_none() {
            new.clear();
        }
        self.handle(&new).await;
        Ok(complete)
    }

    async fn handle(&self, new: &[AuditEntry]) {
        let mut touches: Vec<Touch> = Vec::new();
        for entry in new.iter().filter(|entry| !entry.is_refused()) {
            for touch in self.meaning.touches(&self.mirror, entry) {
                if let Some(user) = &entry.user {
                    let object = touch.item.clone().unwrap_or_else(|| entry.resource_id.to_string());
                    let author = Author {
                        name: user.username.clone(),
                        at: entry.time,
                    };
                    self.mirror.attribute(&touch.collection, object, author);
                }
                if !touches.contains(&touch) {
                    touches.push(touch);
                }
            }
        }
        if !new.is_empty() {
            tracing::debug!(entries = new.len(), ?touches, "the audit log has news");
        }
        for touch in &touches {
            self.mirror.touch(touch).await;
        }
        let newest = new.iter().map(|entry| entry.time).max();
        let lag = newest.map(|newest| Timestamp::now().duration_since(newest));
        self.meaning.read(
            new.len(),
            touches.len(),
            lag.and_then(|lag| Duration::try_from(lag).ok()),
        );
    }

    /// What cannot be had is asked for rarely; what failed for the moment soon.
    fn pause_after(&self, error: &Error, was_reading: bool) -> Duration {
        let unavailable = matches!(
            error.class(),
            Class::Forbidden | Class::NotEntitled | Class::Unsupported | Class::Invalid | Class::Absent
        );
        if unavailable || !was_reading {
            self.mirror.set_fed(false);
            self.meaning.state(&FeedState::Unavailable(error.to_string()));
        }
        if unavailable {
            self.interval.max(Duration::from_mins(1))
        } else {
            self.interval
        }
    }

    fn client(&self) -> &Client {
        self.mirror.client()
    }
}

/// However the reader ends, the sweep takes over.
struct Unfed(Arc<Mirror>);

impl Drop for Unfed {
    fn drop(&mut self) {
        self.0.set_fed(false);
    }
}
