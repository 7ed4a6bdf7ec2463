//! Whether the log is believed, and when everything has to be swept because of what it may not have said.

use std::time::Duration;

use tokio::time::Instant;

use super::audit::FeedState;
use super::cursor::{OVERLAP, WINDOW};
use crate::coder::{Class, Error};

/// This long after there was more in the log than is read, it has calmed down.
const CALM: Duration = Duration::from_mins(10);

/// What a poll showed besides its entries.
#[derive(Debug, Default)]
pub(super) struct Polled {
    /// There was more than is read.
    pub(super) overrun: bool,
    /// Everything that was in the log before has vanished from it.
    pub(super) vanished: bool,
    /// Something in it was done by this operator's user.
    pub(super) own: bool,
}

/// What is known of the log's health.
#[derive(Debug)]
pub(super) struct Trust {
    interval: Duration,
    /// The last poll that was answered.
    answered: Option<Instant>,
    /// When everything is to be swept, because something may have been lost.
    sweep_at: Option<Instant>,
    /// The last time that there was more than is read.
    overrun: Option<Instant>,
    /// Until then it is too much to be read as a whole.
    busy_until: Option<Instant>,
    believed: bool,
}

impl Trust {
    /// Nothing was read yet: all may have been lost.
    pub(super) fn new(interval: Duration) -> Self {
        Self {
            interval,
            answered: None,
            sweep_at: None,
            overrun: None,
            busy_until: None,
            believed: false,
        }
    }

    /// A poll that was sent at `began` was answered. Since `missing` the log owes an entry of our own.
    pub(super) fn answered(&mut self, began: Instant, polled: &Polled, missing: Option<Instant>) -> FeedState {
        if polled.vanished || self.was_away(began) {
            self.sweep_at = Some(began);
        }
        self.answered = Some(began);
        if polled.overrun {
            self.overran(began);
        }
        let obstacle = if self.is_silent(missing, began) {
            Some("what this operator wrote is missing in the audit log: nothing in it is believed until it shows up")
        } else if self.busy_until.is_some_and(|until| began < until) {
            Some("the audit log grows faster than it is read: what was read of it still counts")
        } else {
            None
        };
        if let Some(obstacle) = obstacle {
            self.believed = false;
            return FeedState::Unavailable(obstacle.to_owned());
        }
        if !self.believed {
            self.believed = true;
            self.sweep_at.get_or_insert(began);
        }
        FeedState::Reading
    }

    /// A poll failed. Answers with what that says of the log; nothing while it is but a moment's failure.
    pub(super) fn failed(&mut self, now: Instant, error: &Error) -> Option<FeedState> {
        if refuses(error) || self.was_away(now) {
            self.believed = false;
            return Some(FeedState::Unavailable(error.to_string()));
        }
        None
    }

    /// Whether everything is to be swept now. Says so once.
    pub(super) fn take_sweep(&mut self, now: Instant) -> bool {
        let due = self.believed && self.sweep_at.is_some_and(|at| at <= now);
        if due {
            self.sweep_at = None;
        }
        due
    }

    /// Whether more time passed without an answer than rows may be late.
    fn was_away(&self, now: Instant) -> bool {
        let longest = window().max(self.interval * 3);
        self.answered.is_none_or(|last| now.duration_since(last) > longest)
    }

    /// What was not read is for the sweep, once: not before those have ended whose requests were under way. If it
    /// happens again soon, the usual sweeps do it.
    fn overran(&mut self, now: Instant) {
        match self.overrun.replace(now) {
            Some(last) if now.duration_since(last) < CALM => self.busy_until = Some(now + CALM),
            _ => self.sweep_at = Some(now + Duration::try_from(OVERLAP).unwrap_or_default()),
        }
    }

    /// Whether a write of our own should have been seen by now and was not: an empty log and one that is kept from us
    /// look alike.
    fn is_silent(&self, missing: Option<Instant>, now: Instant) -> bool {
        missing.is_some_and(|since| now.saturating_duration_since(since) > window() + self.interval * 2)
    }
}

/// What will be refused again, until somebody changes the token, a role, the licence or the server.
pub(super) fn refuses(error: &Error) -> bool {
    matches!(
        error.class(),
        Class::Unauthorized
            | Class::Forbidden
            | Class::NotEntitled
            | Class::Unsupported
            | Class::Invalid
            | Class::Absent
            | Class::Protocol
    )
}

fn window() -> Duration {
    Duration::try_from(WINDOW).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Polls once a second, from one moment to another; answers with the seconds of the sweeps, and whether it is
    /// believed at the end.
    fn poll(
        trust: &mut Trust,
        start: Instant,
        seconds: std::ops::Range<u32>,
        of: impl Fn(u32) -> (Polled, Option<Instant>),
    ) -> (Vec<u32>, bool) {
        let (mut sweeps, mut believed) = (Vec::new(), false);
        for second in seconds {
            let now = start + SECOND * second;
            let (polled, wrote) = of(second);
            believed = trust.answered(now, &polled, wrote) == FeedState::Reading;
            if trust.take_sweep(now) {
                sweeps.push(second);
            }
        }
        (sweeps, believed)
    }

    fn quiet(_: u32) -> (Polled, Option<Instant>) {
        (Polled::default(), None)
    }

    #[test]
    fn everything_is_swept_at_the_start_and_after_a_gap_longer_than_rows_are_late() {
        let (mut trust, start) = (Trust::new(SECOND), Instant::now());
        assert_eq!(poll(&mut trust, start, 0..100, quiet), (vec![0], true));
        assert_eq!(poll(&mut trust, start, 150..160, quiet), (vec![], true));
        assert_eq!(poll(&mut trust, start, 300..310, quiet), (vec![300], true));
    }

    #[test]
    fn a_burst_costs_one_sweep_and_a_flood_none_beyond_the_usual_ones() {
        let (mut trust, start) = (Trust::new(SECOND), Instant::now());
        let overruns = |at: Vec<u32>| {
            move |second| {
                let overrun = at.contains(&second);
                (
                    Polled {
                        overrun,
                        ..Polled::default()
                    },
                    None,
                )
            }
        };
        assert_eq!(poll(&mut trust, start, 0..300, overruns(vec![50])), (vec![0, 60], true));
        assert_eq!(poll(&mut trust, start, 300..400, overruns(vec![350])), (vec![], false));
        let flood: Vec<u32> = (400..1000).collect();
        assert_eq!(poll(&mut trust, start, 400..1000, overruns(flood)), (vec![], false));
        assert_eq!(poll(&mut trust, start, 1000..1599, quiet), (vec![], false));
        assert_eq!(poll(&mut trust, start, 1599..1700, quiet), (vec![1599], true));
    }

    #[test]
    fn a_log_without_our_own_writes_is_not_believed_until_they_show_up() {
        let (mut trust, start) = (Trust::new(SECOND), Instant::now());
        let wrote = Some(start + SECOND * 10);
        let (sweeps, believed) = poll(&mut trust, start, 0..72, |_| (Polled::default(), wrote));
        assert_eq!((sweeps, believed), (vec![0], true), "it may still come");
        assert!(!poll(&mut trust, start, 72..100, |_| (Polled::default(), wrote)).1);
        let shows = |second| (Polled::default(), wrote.filter(|_| second < 105));
        assert_eq!(poll(&mut trust, start, 100..200, shows), (vec![105], true));
    }

    #[test]
    fn a_log_from_which_everything_vanished_is_swept_for() {
        let (mut trust, start) = (Trust::new(SECOND), Instant::now());
        let vanishes = |second| {
            let vanished = second == 5;
            (
                Polled {
                    vanished,
                    ..Polled::default()
                },
                None,
            )
        };
        assert_eq!(poll(&mut trust, start, 0..10, vanishes), (vec![0, 5], true));
    }
}
