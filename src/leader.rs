//! Which of several processes works: the holder of a Lease. The others keep their caches warm.
//!
//! The protocol (no clocks compared, renewals bounded) is that of `k8s-controller`. What is added here is the answer to
//! "may I write *now*", which must be no as soon as it could be wrong: also in a process that was frozen, whose lease
//! may have been taken while it did not run.

pub mod gate;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_controller::LeaderElection;
use tokio::sync::{OwnedMutexGuard, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How often a leader proves to itself that it is running.
const BEAT: Duration = Duration::from_millis(200);
/// Without a beat for this long, writing is refused until the lease is sure again.
const FROZEN: Duration = Duration::from_secs(2);
/// The part of a lease that a leader which cannot renew it keeps on leading for.
pub const RENEW_DEADLINE: f64 = 2.0 / 3.0;
/// The part of a lease that may pass without a beat. Less than what is left of the lease after the renew deadline, in
/// which nobody else can have taken it.
const FROZEN_PART: f64 = 4.0 / 15.0;

/// Whether this process leads.
#[derive(Clone)]
pub struct Leadership {
    beat: Arc<Mutex<Option<Instant>>>,
    changed: watch::Sender<bool>,
    /// Held by who works for as long as the term lasts.
    working: Arc<tokio::sync::Mutex<()>>,
    /// How long a beat lasts; `None` for one who leads without being elected.
    lasts: Option<Duration>,
}

/// The time from one election to its end, for who works in it. The next one begins only after this is dropped.
pub struct Term {
    leads: watch::Receiver<bool>,
    _working: OwnedMutexGuard<()>,
}

impl Term {
    /// Waits until the term is over.
    pub async fn over(&mut self) {
        // A leadership that is gone has ended.
        let _ = self.leads.wait_for(|leads| !*leads).await;
    }
}

impl Leadership {
    /// Leads without asking anybody: for a single process.
    #[must_use]
    pub fn alone() -> Self {
        Self::new(None)
    }

    /// Does not lead until elected for a lease of that length.
    #[must_use]
    pub fn candidate(lease: Duration) -> Self {
        Self::new(Some(FROZEN.min(lease.mul_f64(FROZEN_PART))))
    }

    fn new(lasts: Option<Duration>) -> Self {
        Self {
            beat: Arc::default(),
            changed: watch::Sender::new(lasts.is_none()),
            working: Arc::default(),
            lasts,
        }
    }

    /// Whether this process may write now.
    #[must_use]
    pub fn leads(&self) -> bool {
        let Some(lasts) = self.lasts else { return true };
        self.last_beat().is_some_and(|at| at.elapsed() < lasts)
    }

    /// Waits until this process leads.
    pub async fn term(&self) -> Term {
        loop {
            let mut leads = self.changed.subscribe();
            // The sender is held here.
            let _ = leads.wait_for(|leads| *leads).await;
            let working = Arc::clone(&self.working).lock_owned().await;
            if *leads.borrow_and_update() {
                return Term {
                    leads,
                    _working: working,
                };
            }
        }
    }

    /// Takes part in the election until told to stop; then gives the lease back.
    pub async fn run(&self, election: LeaderElection, stop: CancellationToken) {
        loop {
            tokio::select! {
                _ = election.with_lease(self.lead()) => tracing::warn!("leadership lost; standing by"),
                () = stop.cancelled() => break,
            }
            self.step_down();
            // What works for the term that is over ends before the next one may begin.
            drop(self.working.lock().await);
        }
        self.step_down();
        election.release().await;
    }

    /// Beats while the lease is held; dropped when it is lost. Ends by itself when the process was frozen so long that
    /// somebody else may lead already.
    async fn lead(&self) {
        let _down = StepDown(self);
        tracing::info!("leading");
        self.set_beat(Some(Instant::now()));
        self.changed.send_replace(true);
        loop {
            tokio::time::sleep(BEAT).await;
            if !self.leads() {
                return;
            }
            self.set_beat(Some(Instant::now()));
        }
    }

    fn step_down(&self) {
        if self.lasts.is_some() {
            self.set_beat(None);
            self.changed.send_if_modified(|leads| std::mem::replace(leads, false));
        }
    }

    #[cfg(test)]
    fn beat_now(&self) {
        self.set_beat(Some(Instant::now()));
    }

    fn last_beat(&self) -> Option<Instant> {
        *self.beat.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_beat(&self, at: Option<Instant>) {
        *self.beat.lock().unwrap_or_else(PoisonError::into_inner) = at;
    }
}

/// Steps down however the leading ends.
struct StepDown<'a>(&'a Leadership);

impl Drop for StepDown<'_> {
    fn drop(&mut self) {
        self.0.step_down();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(15);

    #[tokio::test(start_paused = true)]
    async fn a_frozen_leader_may_not_write() {
        let leadership = Leadership::candidate(LEASE);
        assert!(!leadership.leads());
        leadership.beat_now();
        assert!(leadership.leads());
        tokio::time::advance(FROZEN).await;
        assert!(!leadership.leads());
    }

    #[test]
    fn nobody_takes_a_lease_while_its_holder_may_still_write() {
        for seconds in 3..=300 {
            let lease = Duration::from_secs(seconds);
            let lasts = Leadership::candidate(lease).lasts.unwrap();
            assert!(lease.mul_f64(RENEW_DEADLINE) + lasts < lease, "{seconds}");
            assert!(lasts > 2 * BEAT, "{seconds}: a beat may come late");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn leading_ends_by_itself_after_a_freeze() {
        let leadership = Leadership::candidate(LEASE);
        let mut leading = Box::pin(leadership.lead());
        assert!(futures::poll!(&mut leading).is_pending());
        assert!(leadership.leads());
        // The next beat comes far too late.
        tokio::time::advance(FROZEN * 2).await;
        leading.await;
        assert!(!leadership.leads());
    }

    #[tokio::test(start_paused = true)]
    async fn a_term_is_over_before_the_next_one_begins() {
        let leadership = Leadership::candidate(LEASE);
        let mut leading = Box::pin(leadership.lead());
        assert!(futures::poll!(&mut leading).is_pending());
        let mut term = leadership.term().await;
        {
            let over = std::pin::pin!(term.over());
            assert!(futures::poll!(over).is_pending());
        }
        drop(leading);
        term.over().await;
        assert!(leadership.working.try_lock().is_err(), "who worked in it has not ended");
        drop(term);
        assert!(leadership.working.try_lock().is_ok());
    }
}
