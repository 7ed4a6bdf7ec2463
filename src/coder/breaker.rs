//! One breaker a client: a dead server is met by one probe instead of by a call of every waiting object.
//!
//! Closed, everything passes. After a few failures in a row it opens: all calls fail at once, except one probe at a
//! time, at exponentially growing distances. Whoever calls next when a probe is due makes it. Any answer of a living
//! server closes it, a refusal too.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

/// Whether calls pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// They do.
    Closed,
    /// Only probes do.
    Open,
}

/// When it opens and how often it probes.
#[derive(Clone)]
pub struct BreakerConfig {
    /// Failures in a row until it opens. A call that was waited for in vain counts twice.
    pub threshold: u32,
    /// The first distance between probes; each further one is twice as long.
    pub first: Duration,
    /// The longest distance.
    pub longest: Duration,
    /// From 0 (half the distance) to 1 (all of it).
    pub jitter: Arc<dyn Fn() -> f64 + Send + Sync>,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self {
            threshold: 5,
            first: Duration::from_secs(1),
            longest: Duration::from_mins(1),
            jitter: Arc::new(rand::random::<f64>),
        }
    }
}

impl BreakerConfig {
    /// How long to wait after that many probes.
    pub(super) fn distance(&self, attempt: u32) -> Duration {
        let full = self
            .first
            .saturating_mul(2_u32.saturating_pow(attempt))
            .min(self.longest);
        full.mul_f64(0.5 + 0.5 * (self.jitter)().clamp(0.0, 1.0))
    }
}

impl fmt::Debug for BreakerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            threshold,
            first,
            longest,
            jitter: _,
        } = self;
        f.debug_struct("BreakerConfig")
            .field("threshold", threshold)
            .field("first", first)
            .field("longest", longest)
            .finish_non_exhaustive()
    }
}

/// How a call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// No connection at all: nothing else would fare better.
    Unreachable,
    /// Reached, but failed. May be the fault of this one path (a bug in its handler, an enormous list), so that the
    /// breaker opens only when another path fails as well.
    Answered,
    /// Reached, and nothing came. The same, but it took so long that fewer are waited for.
    Silent,
}

impl Failure {
    /// How much it counts.
    fn weight(self) -> u32 {
        match self {
            Self::Unreachable | Self::Answered => 1,
            Self::Silent => 2,
        }
    }
}

#[derive(Debug, Default)]
struct Count {
    failures: u32,
    /// The path of the first failure in the row.
    path: String,
    /// The whole server is failing, not one path.
    server: bool,
}

#[derive(Debug)]
enum State {
    Closed(Count),
    Open { attempt: u32, next: Instant, probing: bool },
}

#[derive(Debug)]
pub(super) struct Breaker {
    config: BreakerConfig,
    state: Mutex<State>,
    watch: watch::Sender<BreakerState>,
}

impl Breaker {
    pub(super) fn new(config: BreakerConfig) -> Self {
        let (watch, _) = watch::channel(BreakerState::Closed);
        Self {
            config,
            state: Mutex::new(State::Closed(Count::default())),
            watch,
        }
    }

    /// A permit to call, or when to ask again.
    pub(super) fn admit(&self) -> Result<Permit<'_>, Instant> {
        let now = Instant::now();
        let probe = match &mut *self.lock() {
            State::Closed(_) => false,
            State::Open { next, probing, .. } => {
                if *probing || *next > now {
                    return Err((*next).max(now + self.config.first));
                }
                *probing = true;
                true
            }
        };
        Ok(Permit { breaker: self, probe })
    }

    pub(super) fn state(&self) -> BreakerState {
        *self.watch.borrow()
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<BreakerState> {
        self.watch.subscribe()
    }

    fn alive(&self) {
        let mut state = self.lock();
        *state = State::Closed(Count::default());
        self.show(BreakerState::Closed);
    }

    fn failed(&self, failure: Failure, path: &str, probe: bool) {
        let mut state = self.lock();
        match &mut *state {
            State::Closed(count) => {
                if count.failures == 0 {
                    path.clone_into(&mut count.path);
                }
                count.failures = count.failures.saturating_add(failure.weight());
                count.server |= failure == Failure::Unreachable || count.path != path;
                if count.failures >= self.config.threshold && count.server {
                    *state = State::Open {
                        attempt: 0,
                        next: Instant::now() + self.config.distance(0),
                        probing: false,
                    };
                    self.show(BreakerState::Open);
                }
            }
            // A call that started before it opened changes nothing; the probe decides.
            State::Open { attempt, next, probing } if probe => {
                *attempt = attempt.saturating_add(1);
                *next = Instant::now() + self.config.distance(*attempt);
                *probing = false;
            }
            State::Open { .. } => {}
        }
    }

    fn give_up_probe(&self) {
        if let State::Open { probing, .. } = &mut *self.lock() {
            *probing = false;
        }
    }

    fn show(&self, state: BreakerState) {
        self.watch
            .send_if_modified(|shown| std::mem::replace(shown, state) != state);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to make one call. Dropped without a verdict (the caller gave up), it says nothing about the server, and
/// if it was the probe, the next call is.
#[must_use]
#[derive(Debug)]
pub(super) struct Permit<'a> {
    breaker: &'a Breaker,
    probe: bool,
}

impl Permit<'_> {
    /// The server answered.
    pub(super) fn alive(mut self) {
        self.probe = false;
        self.breaker.alive();
    }

    /// It did not, or as a broken server does.
    pub(super) fn failed(mut self, failure: Failure, path: &str) {
        let probe = std::mem::take(&mut self.probe);
        self.breaker.failed(failure, path, probe);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if self.probe {
            self.breaker.give_up_probe();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaker() -> Breaker {
        Breaker::new(BreakerConfig {
            jitter: Arc::new(|| 1.0),
            ..BreakerConfig::default()
        })
    }

    fn open() -> Breaker {
        let breaker = breaker();
        for _ in 0..5 {
            breaker.admit().unwrap().failed(Failure::Unreachable, "/groups");
        }
        assert_eq!(breaker.state(), BreakerState::Open);
        breaker
    }

    #[tokio::test(start_paused = true)]
    async fn it_opens_after_five_failures_in_a_row_and_not_before() {
        let breaker = breaker();
        for _ in 0..4 {
            breaker.admit().unwrap().failed(Failure::Unreachable, "/groups");
        }
        breaker.admit().unwrap().alive();
        for _ in 0..4 {
            breaker.admit().unwrap().failed(Failure::Unreachable, "/groups");
        }
        assert_eq!(breaker.state(), BreakerState::Closed);
        breaker.admit().unwrap().failed(Failure::Unreachable, "/groups");
        assert_eq!(breaker.state(), BreakerState::Open);
        assert!(breaker.admit().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn one_bad_path_does_not_take_the_others_down() {
        let breaker = breaker();
        for _ in 0..50 {
            breaker
                .admit()
                .unwrap()
                .failed(Failure::Answered, "/users/ann/quiet-hours");
        }
        assert_eq!(breaker.state(), BreakerState::Closed);
        breaker.admit().unwrap().failed(Failure::Answered, "/groups");
        assert_eq!(breaker.state(), BreakerState::Open);
    }

    #[tokio::test(start_paused = true)]
    async fn probes_go_one_at_a_time_at_doubling_distances() {
        let breaker = open();
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            let until = breaker.admit().unwrap_err();
            assert_eq!(until - Instant::now(), Duration::from_secs(seconds));
            tokio::time::advance(Duration::from_secs(seconds)).await;
            let probe = breaker.admit().unwrap();
            assert!(breaker.admit().is_err(), "one at a time");
            probe.failed(Failure::Unreachable, "/groups");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_closes_it_and_wakes_who_waits() {
        let breaker = open();
        let mut watch = breaker.subscribe();
        tokio::time::advance(Duration::from_secs(1)).await;
        breaker.admit().unwrap().alive();
        watch.wait_for(|state| *state == BreakerState::Closed).await.unwrap();
        assert!(breaker.admit().is_ok() && breaker.admit().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_was_given_up_leaves_its_place() {
        let breaker = open();
        tokio::time::advance(Duration::from_secs(1)).await;
        drop(breaker.admit().unwrap());
        assert!(breaker.admit().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_failure_of_an_old_call_does_not_delay_the_probe() {
        let breaker = breaker();
        let old = breaker.admit().unwrap();
        for _ in 0..5 {
            breaker.admit().unwrap().failed(Failure::Unreachable, "/groups");
        }
        let until = breaker.admit().unwrap_err();
        old.failed(Failure::Unreachable, "/groups");
        assert_eq!(breaker.admit().unwrap_err(), until);
    }

    #[test]
    fn jitter_keeps_at_least_half_the_distance() {
        let breaker = Breaker::new(BreakerConfig {
            jitter: Arc::new(|| 0.0),
            ..BreakerConfig::default()
        });
        assert_eq!(breaker.config.distance(0), Duration::from_millis(500));
        assert_eq!(breaker.config.distance(40), Duration::from_secs(30));
    }
}
