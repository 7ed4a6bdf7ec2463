//! Runs the passes while this process leads: each a task of its own, in the order of the [`Queue`].
//!
//! A term begins with a look at everything, since nobody was woken for what happened while nobody led. When it is over,
//! its passes are ended wherever they are, as a crash would, and everything that was known through them is forgotten: what
//! comes next starts from nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;

use crate::api::Reference;
use crate::engine::Engine;
use crate::engine::cluster::queue::{Limits, Queue};
use crate::engine::cluster::wake::Woken;
use crate::engine::cluster::worker::Passes;
use crate::leader::Term;

/// Runs the passes of all kinds.
pub struct Scheduler {
    engine: Arc<Engine>,
    kinds: HashMap<&'static str, Arc<dyn Passes>>,
    woken: Woken,
    queue: Queue,
    passes: JoinSet<Option<Duration>>,
    running: HashMap<Id, Reference>,
}

impl Scheduler {
    /// For these kinds.
    #[must_use]
    pub fn new(engine: &Arc<Engine>, kinds: HashMap<&'static str, Arc<dyn Passes>>, woken: Woken) -> Self {
        Self {
            engine: Arc::clone(engine),
            kinds,
            woken,
            queue: Queue::default(),
            passes: JoinSet::new(),
            running: HashMap::new(),
        }
    }

    /// Works whenever this process leads, until it stops; then waits for the passes under way.
    pub async fn run(mut self) {
        let (leadership, stop) = (self.engine.leadership.clone(), self.engine.tasks.stop());
        loop {
            let term = tokio::select! {
                term = leadership.term() => term,
                // Who does not lead has no passes: the next term looks at everything.
                Some(_) = self.woken.recv() => continue,
                () = stop.cancelled() => return,
            };
            self.work(term).await;
            if stop.is_cancelled() {
                return;
            }
        }
    }

    async fn work(&mut self, mut term: Term) {
        self.queue = Queue::new(Limits::default());
        for (kind, passes) in &self.kinds {
            for key in passes.keys() {
                self.engine.wakes.wake(&Reference { kind, key });
            }
        }
        let stop = self.engine.tasks.stop();
        loop {
            if !stop.is_cancelled() {
                self.begin();
            } else if self.passes.is_empty() {
                return;
            }
            let due = self.queue.due();
            let due = async {
                match due {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = term.over() => break,
                () = stop.cancelled(), if !stop.is_cancelled() => {}
                Some(who) = self.woken.recv() => self.wake(who),
                Some(ended) = self.passes.join_next_with_id() => self.ended(ended),
                () = due => {}
            }
        }
        self.passes.shutdown().await;
        self.running.clear();
        for passes in self.kinds.values() {
            passes.reset();
        }
        self.engine.reset();
    }

    /// Starts the passes whose turn it is.
    fn begin(&mut self) {
        while let Ok(who) = self.woken.try_recv() {
            self.wake(who);
        }
        while let Some(who) = self.queue.next(Instant::now()) {
            let Some(passes) = self.kinds.get(who.kind) else {
                continue;
            };
            let pass = Arc::clone(passes).run(who.key.clone());
            let id = self.passes.spawn(pass).id();
            self.running.insert(id, who);
        }
        self.engine.metrics.queue(self.queue.waiting(), self.queue.running());
    }

    fn wake(&mut self, who: Reference) {
        // What is gone, or cannot be read, has no passes.
        if let Some(lane) = self.kinds.get(who.kind).and_then(|passes| passes.lane(&who.key)) {
            self.queue.wake(who, lane);
        }
    }

    fn ended(&mut self, ended: Result<(Id, Option<Duration>), JoinError>) {
        let (id, again) = match ended {
            Ok((id, again)) => (id, again),
            // The panic of a pass is caught within it; this one was outside, and nobody knows what it left behind.
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(cancelled) => (cancelled.id(), None),
            },
        };
        if let Some(who) = self.running.remove(&id) {
            self.queue.ended(&who, again.map(|after| Instant::now() + after));
        }
    }
}
