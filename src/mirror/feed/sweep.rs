//! The sweep: a watch made from lists.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::mirror::Mirror;

/// The longest time between two looks at what is due: new subscriptions are seen within it.
const TICK: Duration = Duration::from_secs(1);
/// How long a collection that could not be listed is left alone.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// Lists each collection once an interval, until dropped. `chance` gives a number in 0 … 1, new at each call: the jitter
/// that keeps deployments and collections from falling together.
pub async fn run(mirror: Arc<Mirror>, chance: impl Fn() -> f64 + Send) {
    // One factor a round keeps a due time from moving while it is waited for.
    let mut factor = 0.9 + 0.1 * chance();
    loop {
        match mirror.sweep_next(factor).await {
            Next::Swept => factor = 0.9 + 0.1 * chance(),
            Next::After(pause) => tokio::time::sleep(pause).await,
        }
    }
}

/// What came of looking for a collection that is due.
pub(in crate::mirror) enum Next {
    /// One was listed.
    Swept,
    /// None is due before that, or the one that was could not be listed.
    After(Duration),
}

impl Mirror {
    /// Lists the collection that is due first.
    pub(in crate::mirror) async fn sweep_next(&self, jitter: f64) -> Next {
        let fed = self.is_fed();
        let slots = self.slots();
        let due = slots
            .into_iter()
            .filter_map(|slot| Some((slot.erased.due(jitter, fed)?, slot)));
        let Some((due, slot)) = due.min_by_key(|(due, _)| *due) else {
            return Next::After(TICK);
        };
        let pause = due.saturating_duration_since(Instant::now());
        if !pause.is_zero() {
            return Next::After(pause.min(TICK));
        }
        match slot
            .erased
            .sweep(&self.client, &*self.waker, &*self.gauge, Instant::now())
            .await
        {
            Ok(()) => Next::Swept,
            Err(error) => {
                tracing::debug!(%error, "a sweep failed");
                Next::After(error.retry_after().unwrap_or_default().min(AFTER_FAILURE).max(TICK))
            }
        }
    }

    /// Lists every collection that was not listed since: what a feed may have lost is found here.
    pub(in crate::mirror) async fn sweep_all(&self, since: Instant) {
        let slots = self.slots();
        for slot in slots {
            if let Err(error) = slot.erased.sweep(&self.client, &*self.waker, &*self.gauge, since).await {
                // The collection's own sweep comes back to it.
                tracing::debug!(%error, "a sweep failed");
            }
        }
    }
}
