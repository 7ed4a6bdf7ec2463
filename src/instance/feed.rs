//! The audit log of an instance: whether it can be read, and what its reader tells.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::AbortHandle;

use crate::api::{CoderInstance, Reference};
use crate::coder::{AuditEntry, UserId};
use crate::engine::connection::{Connection, Link};
use crate::engine::{Engine, Error, Reason};
use crate::lists;
use crate::metrics::Metrics;
use crate::mirror::Mirror;
use crate::mirror::feed::Touch;
use crate::mirror::feed::audit::{AuditFeed, FeedState, Meaning};

/// The feature without which nothing is logged.
const FEATURE: &str = "audit_log";

/// How often the log is to be read, or why it cannot be.
pub(super) fn plan(object: &CoderInstance, connection: &Connection) -> Result<Result<Duration, String>, Error> {
    let interval = &object.spec.feed_interval;
    if interval.0 == "Off" {
        return Ok(Err("feedInterval is Off".to_owned()));
    }
    let interval = interval
        .parse()
        .map_err(|error| Error::terminal(Reason::InvalidSpec, format!("feedInterval: {error}")))?;
    if !connection.features.contains(FEATURE) {
        return Ok(Err("the licence does not include the audit log".to_owned()));
    }
    // Others see a part of it, or (before the servers of 2026) an empty log instead of a refusal.
    if !["owner", "auditor"].iter().any(|role| connection.user.has_role(role)) {
        return Ok(Err(format!(
            "user {} is neither Owner nor Auditor",
            connection.user.username
        )));
    }
    Ok(Ok(interval.max(Duration::from_secs(1))))
}

/// A reader at work. Dropping it ends the reading.
pub(super) struct Reader {
    link: Arc<Link>,
    interval: Duration,
    meaning: Arc<Entries>,
    task: AbortHandle,
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Reader {
    /// Begins to read.
    pub(super) fn start(engine: &Arc<Engine>, me: Reference, connection: &Connection, interval: Duration) -> Self {
        let meaning = Arc::new(Entries {
            me,
            engine: Arc::clone(engine),
            user: connection.user.id,
            user_agent: connection.client().user_agent().to_owned(),
            state: Mutex::default(),
        });
        let feed = AuditFeed {
            mirror: Arc::clone(connection.mirror()),
            meaning: meaning.clone(),
            interval,
        };
        let task = engine.tasks.spawn("reader of an audit log", feed.run(engine.jitter));
        Self {
            link: Arc::clone(&connection.link),
            interval,
            meaning,
            task,
        }
    }

    /// Whether it reads that deployment as often as that.
    pub(super) fn is(&self, connection: &Connection, interval: Duration) -> bool {
        Arc::ptr_eq(&self.link, &connection.link)
            && self.interval == interval
            && self.meaning.user == connection.user.id
    }

    /// Whether it reads; nothing as long as it has not tried.
    pub(super) fn state(&self) -> Option<FeedState> {
        self.meaning
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// What entries mean to the objects of an instance.
struct Entries {
    me: Reference,
    engine: Arc<Engine>,
    user: UserId,
    user_agent: String,
    state: Mutex<Option<FeedState>>,
}

impl Entries {
    /// What was written through this very client is known. Another operator under the same user has another user agent,
    /// and so has a process that led before and whose last write comes late.
    fn is_own(&self, entry: &AuditEntry) -> bool {
        entry.user_agent == self.user_agent && self.is_by_us(entry)
    }

    fn wake_instance(&self) {
        self.engine.wakes.wake(&self.me);
    }

    fn metrics(&self) -> &Metrics {
        &self.engine.metrics
    }
}

impl Meaning for Entries {
    fn touches(&self, mirror: &Mirror, entry: &AuditEntry) -> Vec<Touch> {
        if self.is_own(entry) {
            return Vec::new();
        }
        let own_roles = entry.resource_type == "user" && entry.resource_id == self.user.0;
        if entry.resource_type == "license" || own_roles {
            // What the licence and the token's user may do is the instance's to find out.
            self.wake_instance();
        }
        lists::touches(mirror, entry)
    }

    fn is_by_us(&self, entry: &AuditEntry) -> bool {
        entry.user.as_ref().is_some_and(|user| user.id == self.user)
    }

    fn vanished(&self) {
        // Older servers show an empty log to whom they show none.
        self.wake_instance();
    }

    fn state(&self, state: &FeedState) {
        let before = self
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .replace(state.clone());
        if before.as_ref() == Some(state) {
            return;
        }
        tracing::info!(instance = %self.me.key, ?state, "the audit log as a feed");
        if matches!(state, FeedState::Unavailable(_)) {
            self.metrics().feed_fallback();
        }
        // It says so in its status.
        self.wake_instance();
    }

    fn read(&self, entries: usize, touches: usize, lag: Option<Duration>) {
        self.metrics().feed_read(entries, touches, lag);
    }
}
