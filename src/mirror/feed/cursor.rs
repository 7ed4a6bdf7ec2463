//! How far the audit log has been read: a time, and the ids seen within a window before it. Rows appear late and out of
//! order, so what is new is read again with every poll, the whole window now and then, and each entry counts once.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use uuid::Uuid;

use crate::coder::AuditEntry;

/// How late a row may appear and still be found.
pub(super) const WINDOW: SignedDuration = SignedDuration::from_secs(60);
/// How much of it every poll reads again. Most rows that are late are late by less.
pub(super) const OVERLAP: SignedDuration = SignedDuration::from_secs(10);
/// How far the clocks of the two machines may differ before anything was read.
const CLOCKS: SignedDuration = SignedDuration::from_hours(24);

/// How far the log has been read.
#[derive(Clone, Debug, Default)]
pub(super) struct Cursor {
    newest: Option<Timestamp>,
    /// What is not newer is the sweep's, however late it appears.
    floor: Option<Timestamp>,
    seen: HashMap<Uuid, Timestamp>,
}

/// What came of a page.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// The entries that were never seen before, newest first.
    pub(super) new: Vec<AuditEntry>,
    /// Whether older pages can hold none of interest.
    pub(super) reached: bool,
}

impl Cursor {
    /// The day from which to read.
    pub(super) fn day(&self, now: Timestamp) -> Date {
        let from = self.newest.map_or(now - CLOCKS, |newest| newest.min(now) - WINDOW);
        from.to_zoned(TimeZone::UTC).date()
    }

    /// Before this nothing of interest is expected, reading back as far as `overlap`. `None` before anything was read:
    /// then the newest entries are where to begin, and all before them is the sweep's.
    pub(super) fn boundary(&self, overlap: SignedDuration) -> Option<Timestamp> {
        Some(self.newest? - overlap)
    }

    /// Takes a page, newest first. `boundary` is [`Cursor::boundary`] at the beginning of the poll: the pages of one
    /// poll move it.
    pub(super) fn take(&mut self, entries: Vec<AuditEntry>, boundary: Option<Timestamp>) -> Page {
        let mut page = Page {
            reached: boundary.is_none(),
            ..Page::default()
        };
        for entry in entries {
            let skipped = self.floor.is_some_and(|floor| entry.time <= floor);
            if skipped || boundary.is_some_and(|boundary| entry.time < boundary) {
                page.reached = true;
                continue;
            }
            self.newest = Some(self.newest.map_or(entry.time, |newest| newest.max(entry.time)));
            if self.seen.insert(entry.id, entry.time).is_none() {
                page.new.push(entry);
            }
        }
        page
    }

    /// Whether rows were seen that a poll must show again, unless somebody took them away.
    pub(super) fn expects_rows(&self) -> bool {
        !self.seen.is_empty()
    }

    /// A poll is over: an empty log has been read as well, and what lies before the window is forgotten. The very last
    /// entries are kept, however old: as long as they are shown, the log is the same.
    pub(super) fn finish_poll(&mut self, now: Timestamp) {
        if self.newest.is_none() {
            let midnight = self.day(now).to_zoned(TimeZone::UTC);
            self.newest = midnight.ok().map(|midnight| midnight.timestamp());
        }
        if let Some(boundary) = self.boundary(WINDOW) {
            self.seen.retain(|_, time| *time >= boundary);
        }
    }

    /// There was more than could be read: what is not newer than the newest entry is the sweep's.
    pub(super) fn skip(&mut self) {
        self.floor = self.newest;
    }

    /// Everything that was seen has vanished from the log.
    pub(super) fn forget_rows(&mut self) {
        self.seen.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).unwrap()
    }

    fn entry(id: u128, second: i64) -> AuditEntry {
        let body = serde_json::json!({
            "id": Uuid::from_u128(id), "time": at(second), "resource_type": "group", "resource_id": Uuid::nil(),
        });
        serde_json::from_value(body).unwrap()
    }

    fn poll_back(cursor: &mut Cursor, overlap: SignedDuration, page: &[(u128, i64)]) -> (Vec<u128>, bool) {
        let boundary = cursor.boundary(overlap);
        let page = page.iter().map(|(id, second)| entry(*id, *second)).collect();
        let Page { new, reached } = cursor.take(page, boundary);
        cursor.finish_poll(at(0));
        (new.iter().map(|entry| entry.id.as_u128()).collect(), reached)
    }

    fn poll(cursor: &mut Cursor, page: &[(u128, i64)]) -> (Vec<u128>, bool) {
        poll_back(cursor, OVERLAP, page)
    }

    #[test]
    fn each_entry_counts_once() {
        let mut cursor = Cursor::default();
        assert_eq!(poll(&mut cursor, &[(2, 2), (1, 1)]), (vec![2, 1], true));
        assert_eq!(poll(&mut cursor, &[(3, 3), (2, 2), (1, 1)]), (vec![3], false));
        assert_eq!(poll(&mut cursor, &[(3, 3), (2, 2), (1, 1)]), (vec![], false));
    }

    #[test]
    fn the_first_entry_of_an_empty_log_is_news_and_what_came_long_before_is_not() {
        let mut cursor = Cursor::default();
        let days_ago = -5 * 24 * 3600;
        assert_eq!(poll(&mut cursor, &[]), (vec![], true));
        assert_eq!(poll(&mut cursor, &[(1, 1), (0, days_ago)]), (vec![1], true));
    }

    #[test]
    fn a_late_row_is_found_by_every_poll_in_the_overlap_and_by_a_deep_one_in_the_window() {
        let mut cursor = Cursor::default();
        poll(&mut cursor, &[(9, 100)]);
        assert_eq!(poll(&mut cursor, &[(9, 100), (8, 95)]), (vec![8], false));
        let late = [(9, 100), (8, 95), (7, 70), (6, 20)];
        assert_eq!(poll(&mut cursor, &late), (vec![], true));
        assert_eq!(poll_back(&mut cursor, WINDOW, &late), (vec![7], true));
        assert_eq!(poll_back(&mut cursor, WINDOW, &late), (vec![], true));
    }

    #[test]
    fn a_page_of_new_entries_asks_for_the_next() {
        let mut cursor = Cursor::default();
        poll(&mut cursor, &[(1, 0)]);
        assert!(!poll(&mut cursor, &[(9, 500), (8, 400), (7, 300)]).1);
        assert!(poll(&mut cursor, &[(6, 200), (1, 0)]).1);
    }

    #[test]
    fn what_was_skipped_is_not_read_again() {
        let mut cursor = Cursor::default();
        poll(&mut cursor, &[(1, 0)]);
        assert!(!poll(&mut cursor, &[(9, 5), (8, 5), (7, 4)]).1, "there is more");
        cursor.skip();
        let below = [(9, 5), (8, 5), (7, 4), (6, 4), (5, 3)];
        assert_eq!(poll_back(&mut cursor, WINDOW, &below), (vec![], true));
        assert_eq!(poll(&mut cursor, &[(10, 6), (9, 5), (8, 5), (7, 4)]), (vec![10], true));
    }

    #[test]
    fn memory_is_bounded_by_the_window() {
        let mut cursor = Cursor::default();
        for second in 0_u32..1000 {
            poll(&mut cursor, &[(second.into(), second.into())]);
        }
        assert!(cursor.seen.len() <= 61, "{}", cursor.seen.len());
        assert!(cursor.expects_rows());
        cursor.forget_rows();
        assert!(!cursor.expects_rows());
    }
}
