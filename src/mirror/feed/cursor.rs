//! How far the audit log has been read: a time, and the ids seen within a window before it. Rows appear late and out of
//! order, so the window is read again at every poll, and each entry counts once.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use uuid::Uuid;

use crate::coder::AuditEntry;

/// How late a row may appear and still be found.
pub(super) const WINDOW: SignedDuration = SignedDuration::from_secs(60);

/// How far the log has been read.
#[derive(Debug, Default)]
pub(super) struct Cursor {
    newest: Option<Timestamp>,
    seen: HashMap<Uuid, Timestamp>,
}

impl Cursor {
    /// The day from which to read; `now` before anything was read.
    pub(super) fn day(&self, now: Timestamp) -> Date {
        let from = self.newest.map_or(now, |newest| newest.min(now)) - WINDOW;
        from.to_zoned(TimeZone::UTC).date()
    }

    /// Takes a page, newest first. Answers with the entries that are new, and whether older pages can hold none.
    ///
    /// `boundary` is [`Cursor::boundary`] at the beginning of the poll: the pages of one poll move it.
    pub(super) fn take(&mut self, page: Vec<AuditEntry>, boundary: Option<Timestamp>) -> (Vec<AuditEntry>, bool) {
        let mut reached = boundary.is_none();
        let mut new = Vec::new();
        for entry in page {
            if boundary.is_some_and(|boundary| entry.time < boundary) {
                reached = true;
                continue;
            }
            self.newest = Some(self.newest.map_or(entry.time, |newest| newest.max(entry.time)));
            if self.seen.insert(entry.id, entry.time).is_none() {
                new.push(entry);
            }
        }
        (new, reached)
    }

    /// Before this nothing new is expected. `None` before anything was read: then the newest entries are where to
    /// begin, and all before them is the sweep's.
    pub(super) fn boundary(&self) -> Option<Timestamp> {
        self.newest.map(|newest| newest - WINDOW)
    }

    /// A poll is over: an empty log has been read as well, and what lies before the window is forgotten.
    pub(super) fn settle(&mut self) {
        self.newest.get_or_insert(Timestamp::UNIX_EPOCH);
        if let Some(boundary) = self.boundary() {
            self.seen.retain(|_, time| *time >= boundary);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: u128, second: i64) -> AuditEntry {
        let time = Timestamp::from_second(1_000_000 + second).unwrap();
        let body = serde_json::json!({ "id": Uuid::from_u128(id), "time": time, "resource_type": "group", "resource_id": Uuid::nil() });
        serde_json::from_value(body).unwrap()
    }

    fn poll(cursor: &mut Cursor, page: &[(u128, i64)]) -> (Vec<u128>, bool) {
        let boundary = cursor.boundary();
        let page = page.iter().map(|(id, second)| entry(*id, *second)).collect();
        let (new, reached) = cursor.take(page, boundary);
        cursor.settle();
        (new.iter().map(|entry| entry.id.as_u128()).collect(), reached)
    }

    #[test]
    fn each_entry_counts_once() {
        let mut cursor = Cursor::default();
        assert_eq!(poll(&mut cursor, &[(2, 2), (1, 1)]), (vec![2, 1], true));
        assert_eq!(poll(&mut cursor, &[(3, 3), (2, 2), (1, 1)]), (vec![3], false));
        assert_eq!(poll(&mut cursor, &[(3, 3), (2, 2), (1, 1)]), (vec![], false));
    }

    #[test]
    fn the_first_entry_of_an_empty_log_is_news() {
        let mut cursor = Cursor::default();
        assert_eq!(poll(&mut cursor, &[]), (vec![], true));
        assert!(cursor.boundary().is_some());
        assert_eq!(poll(&mut cursor, &[(1, 1)]), (vec![1], false));
    }

    #[test]
    fn a_late_row_within_the_window_is_found() {
        let mut cursor = Cursor::default();
        poll(&mut cursor, &[(5, 100)]);
        assert_eq!(poll(&mut cursor, &[(5, 100), (4, 70)]), (vec![4], false));
        assert_eq!(
            poll(&mut cursor, &[(5, 100), (4, 70), (3, 20)]),
            (vec![], true),
            "older than the window"
        );
    }

    #[test]
    fn a_page_of_new_entries_asks_for_the_next() {
        let mut cursor = Cursor::default();
        poll(&mut cursor, &[(1, 0)]);
        assert!(!poll(&mut cursor, &[(9, 500), (8, 400), (7, 300)]).1);
        assert!(poll(&mut cursor, &[(6, 200), (1, 0)]).1);
    }

    #[test]
    fn memory_is_bounded_by_the_window() {
        let mut cursor = Cursor::default();
        for second in 0_u32..1000 {
            poll(&mut cursor, &[(second.into(), second.into())]);
        }
        assert!(cursor.seen.len() <= 61, "{}", cursor.seen.len());
    }
}
