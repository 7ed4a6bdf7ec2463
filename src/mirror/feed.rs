//! What makes the mirror look again.
//!
//! A feed learns, by whatever means, that remote objects may have changed, and makes the shelves concerned look. The
//! sweep is the feed that is always there: it lists each collection once an interval, jittered so that many
//! deployments and collections do not fall together.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Mirror;

/// The longest time between two looks at what is due: new subscriptions are seen within it.
const TICK: Duration = Duration::from_secs(1);
/// How long a collection that could not be listed is left alone.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// Something that learns that remote objects changed.
pub trait Feed: Send + Sync + 'static {
    /// Runs until told to stop.
    fn run(self: Arc<Self>, mirror: Arc<Mirror>, stop: CancellationToken) -> futures::future::BoxFuture<'static, ()>;
}

/// Lists each collection once an interval.
pub struct SweepFeed<J> {
    /// A number in 0 … 1, new at each call: the jitter, injected so that tests can fix it.
    pub jitter: J,
}

impl<J: Fn() -> f64 + Send + Sync + 'static> Feed for SweepFeed<J> {
    fn run(self: Arc<Self>, mirror: Arc<Mirror>, stop: CancellationToken) -> futures::future::BoxFuture<'static, ()> {
        Box::pin(async move {
            let sweep = async {
                // One factor a round keeps a due time from moving while it is waited for.
                let mut factor = 0.9 + 0.1 * (self.jitter)();
                loop {
                    let pause = match mirror.sweep_next(factor).await {
                        Some(Ok(())) => {
                            factor = 0.9 + 0.1 * (self.jitter)();
                            continue;
                        }
                        Some(Err(pause)) => pause,
                        None => TICK,
                    };
                    tokio::time::sleep(pause).await;
                }
            };
            tokio::select! {
                () = sweep => {}
                () = stop.cancelled() => {}
            }
        })
    }
}

impl Mirror {
    /// Sweeps the collection that is due first. `Some(Err(pause))`: it failed, or the first one is due only after that
    /// pause; `None`: nobody subscribes to anything.
    async fn sweep_next(&self, jitter: f64) -> Option<Result<(), Duration>> {
        let slots: Vec<_> = self.lock().values().cloned().collect();
        let (due, slot) = slots
            .into_iter()
            .filter_map(|slot| Some((slot.erased.due(jitter)?, slot)))
            .min_by_key(|(due, _)| *due)?;
        let pause = due.saturating_duration_since(Instant::now());
        if !pause.is_zero() {
            return Some(Err(pause.min(TICK)));
        }
        match slot.erased.sweep(&self.client, &*self.waker, &*self.gauge).await {
            Ok(()) => Some(Ok(())),
            Err(error) => {
                tracing::debug!(%error, "a sweep failed");
                Some(Err(error
                    .retry_after()
                    .unwrap_or_default()
                    .min(AFTER_FAILURE)
                    .max(TICK)))
            }
        }
    }
}
