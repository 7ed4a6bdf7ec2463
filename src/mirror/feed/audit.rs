//! The audit log as a feed: one light call every few seconds names what somebody else changed.
//!
//! The reader keeps a place in the log and hands every new entry to a [`Meaning`], which knows what it says about which
//! collection. Only what is named is looked at again. Whenever rows may have been lost (at the start, after a gap, after
//! more entries than a poll reads) everything is swept once.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::Touch;
use super::cursor::{Cursor, OVERLAP, WINDOW};
use super::looks::Looks;
use super::trust::{Polled, Trust, refuses};
use crate::coder::{AuditEntry, Error};
use crate::mirror::{Author, Mirror};

/// The first page of a poll: what happens in a few seconds fits.
const FIRST_PAGE: usize = 25;
/// Further pages.
const PAGE: usize = 100;
/// Pages of a poll. More entries than that are left to the sweep: the reader stays fair to the server.
const PAGES: usize = 5;
/// Pages of a poll that reads the whole window again.
const DEEP_PAGES: usize = 2 * PAGES;
/// How soon what was refused is asked for again; each further time it is twice as long, up to the longest.
const REFUSED: Duration = Duration::from_mins(1);
/// How rarely what is refused again and again is asked for.
const REFUSED_LONGEST: Duration = Duration::from_mins(16);
/// Who did what nobody is named for.
const SOMEBODY: &str = "somebody";
/// A poll is followed by a pause this many times as long, so that a slow server is not kept busy by them.
const SHARE: u32 = 19;

/// Knows what an entry says about which collection.
pub trait Meaning: Send + Sync + 'static {
    /// What is to be looked at again. Nothing for what concerns nobody here.
    fn touches(&self, mirror: &Mirror, entry: &AuditEntry) -> Vec<Touch>;
    /// Whether the user that this operator works as did it, through whatever client.
    fn is_by_us(&self, entry: &AuditEntry) -> bool;
    /// The log shows nothing any more: purged, or kept from us.
    fn vanished(&self);
    /// The log is believed from now on, or not, and why.
    fn state(&self, state: &FeedState);
    /// So many entries were read, so many things were looked at again, and this is how far behind the newest entry is.
    fn read(&self, entries: usize, touches: usize, lag: Option<Duration>);
}

/// Whether the log is believed to name every change.
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
    /// Reads until dropped. `jitter` gives a number in 0 … 1, new at each call.
    pub async fn run(self, jitter: impl Fn() -> f64 + Send) {
        let looks = Arc::new(Looks::default());
        let mirror = Arc::clone(&self.mirror);
        mirror.writes().begin();
        let mut reader = Reader {
            cursor: Cursor::default(),
            trust: Trust::new(self.interval),
            deep: None,
            refusals: 0,
            looks: Arc::clone(&looks),
            _unfed: Unfed(Arc::clone(&self.mirror)),
            feed: self,
        };
        let reading = async {
            loop {
                let pause = reader.turn().await;
                tokio::time::sleep(pause.mul_f64(0.9 + 0.2 * jitter())).await;
            }
        };
        tokio::select! {
            () = reading => {}
            () = looks.run(&mirror) => {}
        }
    }
}

/// A reader at work.
struct Reader {
    feed: AuditFeed,
    cursor: Cursor,
    trust: Trust,
    /// The last time that the whole window was read again.
    deep: Option<Instant>,
    /// Refusals in a row.
    refusals: u32,
    /// What is to be looked at.
    looks: Arc<Looks>,
    _unfed: Unfed,
}

impl Reader {
    /// One poll and what follows from it. Answers how long to wait for the next.
    async fn turn(&mut self) -> Duration {
        let began = Instant::now();
        let mirror = Arc::clone(&self.feed.mirror);
        match self.poll(began).await {
            Ok(polled) => {
                self.refusals = 0;
                let missing = {
                    let mut writes = mirror.writes();
                    if polled.own {
                        writes.seen();
                    }
                    writes.missing()
                };
                let state = self.trust.answered(began, &polled, missing);
                self.enter(&state);
                if self.trust.take_sweep(began) {
                    mirror.doubt_all(began);
                }
                self.feed.interval.max(began.elapsed() * SHARE)
            }
            Err(error) => {
                tracing::debug!(%error, "the audit log could not be read");
                if let Some(state) = self.trust.failed(began, &error) {
                    self.enter(&state);
                }
                let mut pause = self.feed.interval.max(began.elapsed() * SHARE);
                if refuses(&error) {
                    pause = pause.max(REFUSED.saturating_mul(1 << self.refusals.min(4)).min(REFUSED_LONGEST));
                    self.refusals = self.refusals.saturating_add(1);
                } else {
                    self.refusals = 0;
                }
                pause.max(error.retry_after().unwrap_or_default())
            }
        }
    }

    /// From now on the log is believed, or not.
    fn enter(&self, state: &FeedState) {
        self.feed.mirror.set_fed(*state == FeedState::Reading);
        self.feed.meaning.state(state);
    }

    /// Reads what is new and has it looked at.
    async fn poll(&mut self, began: Instant) -> Result<Polled, Error> {
        let now = Timestamp::now();
        let half = Duration::try_from(WINDOW).unwrap_or_default() / 2;
        let deep = self.deep.is_none_or(|last| began.duration_since(last) >= half);
        let (overlap, pages) = if deep { (WINDOW, DEEP_PAGES) } else { (OVERLAP, PAGES) };
        // A poll that fails on a later page has read nothing: its first entries come again.
        let mut cursor = self.cursor.clone();
        let boundary = cursor.boundary(overlap);
        let day = cursor.day(now);
        let mut polled = Polled {
            overrun: true,
            ..Polled::default()
        };
        let (mut offset, mut new) = (0, Vec::new());
        for page in 0..pages {
            let limit = if page == 0 { FIRST_PAGE } else { PAGE };
            let entries = self.feed.mirror.client().audit(day, limit, offset).await?;
            polled.vanished |= page == 0 && entries.is_empty() && cursor.expects_rows();
            let is_last = entries.len() < limit;
            offset += entries.len();
            let page = cursor.take(entries, boundary);
            new.extend(page.new);
            if page.reached || is_last {
                polled.overrun = false;
                break;
            }
        }
        if deep {
            self.deep = Some(began);
        }
        if polled.overrun {
            tracing::info!(
                entries = offset,
                "more was written to the audit log than is read: everything will be swept"
            );
            cursor.skip();
        }
        if polled.vanished {
            tracing::info!("the audit log shows nothing any more: purged, or kept from this token");
            cursor.forget_rows();
            self.feed.meaning.vanished();
        }
        cursor.finish_poll(now);
        self.cursor = cursor;
        polled.own = new.iter().any(|entry| self.feed.meaning.is_by_us(entry));
        // The entries that were there at the start say nothing: what they changed is in the lists already.
        if boundary.is_none() {
            new.clear();
        }
        self.handle(&new);
        Ok(polled)
    }

    fn handle(&self, new: &[AuditEntry]) {
        let mirror = &self.feed.mirror;
        let mut touches = Vec::new();
        for entry in new.iter().filter(|entry| !entry.is_refused()) {
            for touch in self.feed.meaning.touches(mirror, entry) {
                let user = entry.user.as_ref().map(|user| user.username.clone());
                // What no list shows is known from here alone, whoever did it.
                if let Some(name) = user.or_else(|| touch.unseen.then(|| SOMEBODY.to_owned())) {
                    let author = Author {
                        name,
                        at: entry.time,
                        fields: touch.fields.clone(),
                    };
                    mirror.attribute(&touch, author);
                }
                touches.push(touch);
            }
        }
        if !new.is_empty() {
            tracing::debug!(entries = new.len(), ?touches, "the audit log has news");
        }
        let named = touches.len();
        self.looks.add(touches);
        let newest = new.iter().map(|entry| entry.time).max();
        let lag = newest.and_then(|newest| Timestamp::now().duration_since(newest).try_into().ok());
        self.feed.meaning.read(new.len(), named, lag);
    }
}

/// However the reader ends, the sweep takes over.
struct Unfed(Arc<Mirror>);

impl Drop for Unfed {
    fn drop(&mut self) {
        self.0.set_fed(false);
    }
}

#[cfg(test)]
mod tests;
