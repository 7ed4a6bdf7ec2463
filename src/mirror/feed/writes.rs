//! Whether the audit log shows what this operator writes. An empty log and one that is kept from it look alike.

use std::time::Duration;

use tokio::time::Instant;

/// When an own entry was seen, a write so short before or after it needs none of its own: its row may have been read
/// before its answer was.
const NEAR: Duration = Duration::from_mins(1);

/// What was written and what of it was seen.
#[derive(Debug, Default)]
pub(in crate::mirror) struct Writes {
    /// The first write that no entry was seen for.
    missing: Option<Instant>,
    /// When an own entry was seen last.
    seen: Option<Instant>,
}

impl Writes {
    /// A log begins to be read: what was written before may have been written before there was one.
    pub(super) fn begin(&mut self) {
        *self = Self::default();
    }

    /// A write was answered that must be in the log sooner or later.
    pub(in crate::mirror) fn wrote(&mut self) {
        let now = Instant::now();
        if self.seen.is_none_or(|seen| now.duration_since(seen) > NEAR) {
            self.missing.get_or_insert(now);
        }
    }

    /// The log showed an own entry.
    pub(super) fn seen(&mut self) {
        self.missing = None;
        self.seen = Some(Instant::now());
    }

    /// Since when the log owes an own entry.
    pub(super) fn missing(&self) -> Option<Instant> {
        self.missing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_first_write_without_an_entry_is_what_is_missing() {
        let mut writes = Writes::default();
        let first = Instant::now();
        for _ in 0..10 {
            writes.wrote();
            tokio::time::advance(Duration::from_secs(20)).await;
        }
        assert_eq!(writes.missing(), Some(first), "however often is written since");
        writes.seen();
        assert_eq!(writes.missing(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_row_may_be_read_before_the_answer_to_its_write() {
        let mut writes = Writes::default();
        writes.seen();
        tokio::time::advance(Duration::from_secs(2)).await;
        writes.wrote();
        assert_eq!(writes.missing(), None);
        tokio::time::advance(NEAR).await;
        writes.wrote();
        assert!(writes.missing().is_some(), "that row came too long ago");
    }
}
