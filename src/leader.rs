//! Which of several processes works: the holder of a Lease. The others keep their caches warm.
//!
//! The protocol (no clocks compared, renewals bounded) is that of `k8s-controller`. What is added here is the answer to
//! "may I write *now*", which must be no as soon as it could be wrong: also in a process that was frozen, whose lease
//! may have been taken while it did not run.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_controller::LeaderElection;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How often a leader proves to itself that it is running.
const BEAT: Duration = Duration::from_millis(200);
/// Without a beat for this long, writing is refused until the lease is sure again. Shorter than the time between the
/// renew deadline and the end of the lease, in which nobody else can have taken it.
const FROZEN: Duration = Duration::from_secs(2);

/// Whether this process leads.
#[derive(Clone)]
pub struct Leadership {
    beat: Arc<Mutex<Option<Instant>>>,
    changed: watch::Sender<bool>,
    always: bool,
}

impl Leadership {
    /// Leads without asking anybody: for a single process.
    #[must_use]
    pub fn alone() -> Self {
        Self {
            beat: Arc::default(),
            changed: watch::Sender::new(true),
            always: true,
        }
    }

    /// Does not lead until elected.
    #[must_use]
    pub fn candidate() -> Self {
        Self {
            beat: Arc::default(),
            changed: watch::Sender::new(false),
            always: false,
        }
    }

    /// Whether this process may write now.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.always || self.last_beat().is_some_and(|at| at.elapsed() < FROZEN)
    }

    /// Tells when leadership begins and ends.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<bool> {
        self.changed.subscribe()
    }

    /// Takes part in the election until told to stop; then gives the lease back.
    pub async fn run(&self, election: LeaderElection, stop: CancellationToken) {
        loop {
            tokio::select! {
                _ = election.with_lease(self.lead()) => tracing::warn!("leadership lost; standing by"),
                () = stop.cancelled() => break,
            }
            self.step_down();
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
        if !self.always {
            self.set_beat(None);
            self.changed.send_if_modified(|leads| std::mem::replace(leads, false));
        }
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

    #[tokio::test(start_paused = true)]
    async fn a_frozen_leader_may_not_write() {
        let leadership = Leadership::candidate();
        assert!(!leadership.leads());
        leadership.set_beat(Some(Instant::now()));
        assert!(leadership.leads());
        tokio::time::advance(FROZEN).await;
        assert!(!leadership.leads());
    }

    #[tokio::test(start_paused = true)]
    async fn leading_ends_by_itself_after_a_freeze() {
        let leadership = Leadership::candidate();
        let mut leading = Box::pin(leadership.lead());
        assert!(futures::poll!(&mut leading).is_pending());
        assert!(leadership.leads());
        // The next beat comes far too late.
        tokio::time::advance(FROZEN * 2).await;
        leading.await;
        assert!(!leadership.leads());
    }
}
