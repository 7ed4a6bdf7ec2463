//! The rows of the audit log: which of them can be seen, and what goes wrong with them.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::audit::{Note, Record};
use crate::sim::Sim;

/// Unrelated things that happen on a busy deployment.
const TRAFFIC: [(&str, &str); 4] = [
    ("workspace", "create"),
    ("workspace_build", "start"),
    ("workspace_build", "stop"),
    ("api_key", "create"),
];

/// The rows.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    /// Ordered by time, oldest first.
    visible: Vec<Record>,
    /// Rows that were written and are not seen yet, with the time from which they are; never for those held back.
    late: Vec<(Timestamp, Record)>,
    delay: SignedDuration,
    held: bool,
}

impl Rows {
    /// A request ended.
    pub(crate) fn write(&mut self, record: Record) {
        let from = if self.held {
            Timestamp::MAX
        } else {
            record.time.saturating_add(self.delay).unwrap_or(Timestamp::MAX)
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

/// What goes wrong with the audit log of a simulator.
#[derive(Debug)]
pub struct AuditLog<'a>(&'a Sim);

impl Sim {
    /// The audit log, to make faults in it.
    #[must_use]
    pub fn audit_log(&self) -> AuditLog<'_> {
        AuditLog(self)
    }
}

impl AuditLog<'_> {
    /// From now on rows that are written cannot be seen.
    pub fn hold(&self) {
        self.0.shared.state().audit_log.held = true;
    }

    /// Rows that were held back appear, each with the time of its request: between those that were never held.
    pub fn release(&self) {
        let rows = &mut self.0.shared.state().audit_log;
        rows.held = false;
        for (_, record) in std::mem::take(&mut rows.late) {
            rows.appear(record);
        }
    }

    /// From now on rows appear that long after their requests have ended.
    pub fn delay(&self, by: Duration) {
        self.0.shared.state().audit_log.delay = by.try_into().unwrap_or(SignedDuration::MAX);
    }

    /// All rows are deleted.
    pub fn purge(&self) {
        let rows = &mut self.0.shared.state().audit_log;
        rows.visible.clear();
        rows.late.clear();
    }

    /// Switches the feature off, whatever the licences say, or lets them decide again. While it is off nothing is logged.
    pub fn switch(&self, on: bool) {
        let mut state = self.0.shared.state();
        if on {
            state.switched_off.remove("audit_log");
        } else {
            state.switched_off.insert("audit_log");
        }
        state.refresh_entitlements();
    }

    /// That many rows about workspaces and keys, of the first user.
    pub fn burst(&self, rows: usize) {
        let mut state = self.0.shared.state();
        let (now, organization) = (state.now(), state.default_organization());
        let user = state.users.keys().next().copied().unwrap_or_default();
        for (kind, action) in TRAFFIC.into_iter().cycle().take(rows) {
            let note = Note::new(kind, action, Uuid::new_v4(), "traffic").within(organization);
            let record = Record::of(note, user, 200, now, "127.0.0.1".to_owned(), "traffic".to_owned());
            state.audit_log.write(record);
        }
    }

    /// How many rows can be seen.
    #[must_use]
    pub fn rows(&self) -> usize {
        let mut state = self.0.shared.state();
        let now = state.now();
        state.audit_log.pass(now);
        state.audit_log.newest_first().count()
    }
}
