//! The sweep: a watch made from lists.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::time::Instant;

use crate::mirror::{AT_ONCE, Mirror, Slot};

/// The longest time between two looks at what is due: new subscriptions are seen within it.
const TICK: Duration = Duration::from_secs(1);
/// How long no other list begins after one that failed, at the most.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// Lists each collection once an interval, until dropped. `jitter` gives a number in 0 … 1, new at each call: it keeps
/// deployments and collections from falling together.
pub async fn run(mirror: Arc<Mirror>, jitter: impl Fn() -> f64 + Send) {
    // One factor a round keeps a due time from moving while it is waited for.
    let mut factor = 0.9 + 0.1 * jitter();
    let mut lists = FuturesUnordered::new();
    let mut listing = HashSet::new();
    let mut resume = Instant::now();
    loop {
        let mut next = Instant::now() + TICK;
        while listing.len() < AT_ONCE {
            let now = Instant::now();
            match mirror.due_first(factor, &listing) {
                Some((due, id, slot)) if due.max(resume) <= now => {
                    listing.insert(id.clone());
                    lists.push(async move { (id, slot.erased.sweep(now).await) });
                }
                Some((due, ..)) => {
                    next = next.min(due.max(resume));
                    break;
                }
                None => break,
            }
        }
        tokio::select! {
            Some((id, result)) = lists.next() => {
                listing.remove(&id);
                match result {
                    Ok(()) => factor = 0.9 + 0.1 * jitter(),
                    Err(error) => {
                        tracing::debug!(%error, collection = id, "a sweep failed");
                        resume = Instant::now() + error.retry_after().unwrap_or_default().clamp(TICK, AFTER_FAILURE);
                    }
                }
            }
            () = tokio::time::sleep_until(next) => {}
        }
    }
}

impl Mirror {
    /// The collection that is due first, of those that are not being listed.
    fn due_first(&self, jitter: f64, listing: &HashSet<String>) -> Option<(Instant, String, Slot)> {
        let shelves = crate::mirror::lock(&self.shelves);
        let due = shelves
            .by_id
            .iter()
            .filter(|(id, _)| !listing.contains(*id))
            .filter_map(|(id, slot)| Some((slot.erased.due(jitter)?, id, slot)));
        let (due, id, slot) = due.min_by_key(|(due, ..)| *due)?;
        Some((due, id.clone(), slot.clone()))
    }

    /// What a feed may have lost is found by listing every collection again, one after the other.
    pub(in crate::mirror) fn doubt_all(&self, since: Instant) {
        for slot in self.slots() {
            slot.erased.doubt(since);
        }
    }
}
