//! The rows of the audit log: which of them can be seen, and what goes wrong with them.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::audit::{Note, Record};
use crate::behind::user_id;
use crate::server::Shared;
use crate::sim::Sim;

/// Unrelated things that happen on a busy deployment.
const TRAFFIC: [(&str, &str); 4] = [
    ("workspace", "create"),
    ("workspace_build", "start"),
    ("workspace_build", "stop"),
    ("api_key", "create"),
];

/// One row in so many comes without delay where rows come out of order.
const ORDER: u32 = 4;

/// The rows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rows {
    /// Ordered by time, oldest first.
    visible: Vec<Record>,
    /// Rows that were written and are not seen yet, with the time from which they are; never for those held back.
    late: Vec<(Timestamp, Record)>,
    lateness: Lateness,
    held: bool,
}

/// How long after its request has ended a row appears.
#[derive(Clone, Debug)]
enum Lateness {
    /// All alike.
    By(SignedDuration),
    /// The first so much, the next one less, until one comes at once; then from the beginning.
    Falling { from: SignedDuration, rows: u32 },
}

impl Default for Lateness {
    fn default() -> Self {
        Self::By(SignedDuration::ZERO)
    }
}

impl Lateness {
    fn next(&mut self) -> SignedDuration {
        match self {
            Self::By(delay) => *delay,
            Self::Falling { from, rows } => {
                let step = ORDER - 1 - *rows % ORDER;
                *rows += 1;
                from.mul_f64(f64::from(step) / f64::from(ORDER - 1))
            }
        }
    }
}

impl Rows {
    /// A request ended.
    pub(crate) fn write(&mut self, record: Record) {
        let from = if self.held {
            Timestamp::MAX
        } else {
            record
                .time
                .saturating_add(self.lateness.next())
                .unwrap_or(Timestamp::MAX)
        };
        if from <= record.time {
            self.appear(record);
        } else {
            self.late.push((from, record));
        }
    }

    /// Time has passed: rows that were late enough appear.
    pub(crate) fn pass(&mut self, now: Timestamp) {
        let (due, late) = std::mem::take(&mut self.late)
            .into_iter()
            .partition::<Vec<_>, _>(|(from, _)| *from <= now);
        self.late = late;
        for (_, record) in due {
            self.appear(record);
        }
    }

    /// What can be seen, newest first.
    pub(crate) fn newest_first(&self) -> impl Iterator<Item = &Record> {
        self.visible.iter().rev()
    }

    fn appear(&mut self, record: Record) {
        let place = self.visible.partition_point(|one| one.time <= record.time);
        self.visible.insert(place, record);
    }
}

/// A row that a test makes up.
#[derive(Clone, Debug)]
pub struct AuditRow {
    note: Note,
    user: Option<String>,
    agent: String,
    status: u16,
    time: Option<Timestamp>,
    difference: Value,
}

impl AuditRow {
    /// Of a successful call on an object: kind and action in the log's words.
    #[must_use]
    pub fn new(kind: &'static str, action: &'static str, id: Uuid, target: &str) -> Self {
        Self {
            note: Note::new(kind, action, id, target),
            user: None,
            agent: "a test".to_owned(),
            status: 200,
            time: None,
            difference: json!({}),
        }
    }

    /// Made by this user, with this `User-Agent`. Without, by nobody that the log knows.
    #[must_use]
    pub fn by(mut self, user: &str, agent: &str) -> Self {
        self.user = Some(user.to_owned());
        agent.clone_into(&mut self.agent);
        self
    }

    /// In this organization.
    #[must_use]
    pub fn within(mut self, organization: Uuid) -> Self {
        self.note = self.note.within(organization);
        self
    }

    /// With this status.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// Of a request that ended then, instead of now.
    #[must_use]
    pub fn at(mut self, time: Timestamp) -> Self {
        self.time = Some(time);
        self
    }

    /// With this difference: an object of `{"old": …, "new": …, "secret": false}` by field.
    #[must_use]
    pub fn difference(mut self, difference: Value) -> Self {
        self.difference = difference;
        self
    }
}

/// What goes wrong with the audit log of a simulator.
#[derive(Debug)]
pub struct AuditLog<'a>(&'a Shared);

impl Sim {
    /// The audit log, to make faults in it.
    #[must_use]
    pub fn audit_log(&self) -> AuditLog<'_> {
        AuditLog(&self.shared)
    }
}

impl AuditLog<'_> {
    /// From now on rows that are written cannot be seen.
    pub fn hold(&self) {
        self.0.state().audit_log.held = true;
    }

    /// Rows that were held back appear, each with the time of its request: between those that were never held.
    pub fn release(&self) {
        let rows = &mut self.0.state().audit_log;
        rows.held = false;
        for (_, record) in std::mem::take(&mut rows.late) {
            rows.appear(record);
        }
    }

    /// From now on rows appear that long after their requests have ended.
    pub fn delay(&self, by: Duration) {
        self.0.state().audit_log.lateness = Lateness::By(signed(by));
    }

    /// From now on rows appear out of order: four that are written one after another appear the last one first, within
    /// that time. [`AuditLog::delay`] ends it.
    pub fn disorder(&self, within: Duration) {
        self.0.state().audit_log.lateness = Lateness::Falling {
            from: signed(within),
            rows: 0,
        };
    }

    /// All rows are deleted.
    pub fn purge(&self) {
        self.purge_before(Timestamp::MAX);
    }

    /// Rows of requests that ended before that are deleted.
    pub fn purge_before(&self, time: Timestamp) {
        let rows = &mut self.0.state().audit_log;
        rows.visible.retain(|record| record.time >= time);
        rows.late.retain(|(_, record)| record.time >= time);
    }

    /// Switches the feature off, whatever the licences say, or lets them decide again. While it is off nothing is logged.
    pub fn switch(&self, on: bool) {
        let mut state = self.0.state();
        if on {
            state.process.switched_off.remove("audit_log");
        } else {
            state.process.switched_off.insert("audit_log");
        }
        state.refresh_entitlements();
    }

    /// Writes a row that no call has made, as a request that ends does.
    pub fn write(&self, row: AuditRow) {
        let mut state = self.0.state();
        let user = row.user.as_deref().map(|named| user_id(&state, named));
        let time = row.time.unwrap_or_else(|| state.now());
        let ip = "127.0.0.1".to_owned();
        let record = Record {
            difference: row.difference,
            ..Record::of(row.note, user.unwrap_or_default(), row.status, time, ip, row.agent)
        };
        state.audit_log.write(record);
    }

    /// That many rows of a user about workspaces and keys, spread evenly over the time until now.
    pub fn burst(&self, user: &str, rows: u32, over: Duration) {
        let mut state = self.0.state();
        let (now, organization) = (state.now(), state.default_organization());
        let user = user_id(&state, user);
        for (row, (kind, action)) in (1..=rows).zip(TRAFFIC.into_iter().cycle()) {
            let before = over.mul_f64(1.0 - f64::from(row) / f64::from(rows));
            let time = now.saturating_sub(signed(before)).unwrap_or(Timestamp::MIN);
            let note = Note::new(kind, action, Uuid::new_v4(), "traffic").within(organization);
            let record = Record::of(note, user, 200, time, "127.0.0.1".to_owned(), "traffic".to_owned());
            state.audit_log.write(record);
        }
    }

    /// How many rows can be seen.
    #[must_use]
    pub fn rows(&self) -> usize {
        let mut state = self.0.state();
        let now = state.now();
        state.audit_log.pass(now);
        state.audit_log.newest_first().count()
    }
}

/// What [`AuditLog`] can do, from another process.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Command {
    Hold,
    Release,
    Delay { ms: u64 },
    Disorder { ms: u64 },
    Purge { before: Option<Timestamp> },
    Switch { on: bool },
    Burst { user: String, rows: u32, ms: u64 },
}

impl Command {
    pub(crate) fn run(self, shared: &Shared) -> Result<(), String> {
        let log = AuditLog(shared);
        match self {
            Self::Hold => log.hold(),
            Self::Release => log.release(),
            Self::Delay { ms } => log.delay(Duration::from_millis(ms)),
            Self::Disorder { ms } => log.disorder(Duration::from_millis(ms)),
            Self::Purge { before } => log.purge_before(before.unwrap_or(Timestamp::MAX)),
            Self::Switch { on } => log.switch(on),
            Self::Burst { user, .. } if shared.state().find_user(&user, Uuid::nil()).is_none() => {
                return Err(format!("there is no user {user:?}"));
            }
            Self::Burst { user, rows, ms } => log.burst(&user, rows, Duration::from_millis(ms)),
        }
        Ok(())
    }
}

fn signed(duration: Duration) -> SignedDuration {
    duration.try_into().unwrap_or(SignedDuration::MAX)
}
