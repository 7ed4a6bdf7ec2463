//! One kind at work: which changes make its objects look, and when each looks again. What a look does is the
//! [`Reconciler`]'s.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use kube::Resource;
use tokio::time::Instant;
use tracing::Instrument;

use crate::api::{Object, ObjectKey, ObjectStatus, Reference};
use crate::engine::Engine;
use crate::engine::cluster::backoff::Backoff;
use crate::engine::cluster::coverage::{Coverage, Namespaces};
use crate::engine::cluster::guarded::Remains;
use crate::engine::cluster::objects::PointsAt;
use crate::engine::cluster::queue::Lane;
use crate::engine::cluster::status::Recent;
use crate::engine::cluster::store::Store;
use crate::engine::cluster::triggers::Triggers;
use crate::engine::cluster::wake::Topic;
use crate::engine::cluster::watch::{Change, Watch};
use crate::engine::error::{Disposition, Error, Reason};
use crate::metrics::Samples;

/// Somebody who waits looks again by itself after this long, should a wake-up have been lost.
const SAFETY_NET: Duration = Duration::from_mins(10);
/// A pass that was overtaken by a change starts over after this.
const OVERTAKEN: Duration = Duration::from_millis(250);

/// What is done with the objects of one kind.
pub trait Reconciler: Send + Sync + 'static {
    /// The custom resource.
    type Object: Object;
    /// What its objects may point at; nothing if they are what all others point at.
    const POINTS_AT: Option<PointsAt>;

    /// Where its passes queue up.
    fn lane(object: &Self::Object) -> Lane;

    /// What of it makes itself, or others, look again.
    fn triggers(object: &Self::Object) -> Triggers;

    /// The object is there, new or changed. Told before anybody is woken because of it.
    fn seen(&self, engine: &Engine, object: &Self::Object);

    /// The object is there and cannot be read. Told before anybody is woken because of it.
    fn unreadable(&self, engine: &Engine, me: &Reference, remains: &Remains);

    /// The object is gone. Told before anybody is woken because of it.
    fn gone(&self, engine: &Engine, me: &Reference);

    /// The object went while it was looked at: what the pass learned since then is forgotten. There may be another one of
    /// that name by now, which nobody has looked at.
    fn gone_meanwhile(&self, engine: &Engine, me: &Reference);

    /// Looks at the object once and does what is to be done.
    fn pass(
        &self,
        engine: &Arc<Engine>,
        recent: &Recent<Self::Object>,
        object: Arc<Self::Object>,
    ) -> impl Future<Output = Ended> + Send;

    /// Adds what is measured of one object.
    fn measure(&self, _object: &Self::Object, _samples: &mut Samples) {}

    /// Adds what is measured once, whatever the objects.
    fn measure_all(&self, _samples: &mut Samples) {}

    /// A term is over: nothing of it may be left when the next one begins.
    fn reset(&self) {}
}

/// How a pass ended, for who schedules the next one.
#[derive(Debug)]
pub struct Ended {
    /// What stopped it.
    pub error: Option<Error>,
    /// When to look again at the latest, although nothing happened.
    pub look_again: Option<Duration>,
}

impl Ended {
    /// There is nothing to do.
    pub const IDLE: Self = Self {
        error: None,
        look_again: None,
    };
}

/// The passes of one kind, for who schedules them.
pub trait Passes: Send + Sync {
    /// Where the object queues up, if there is one.
    fn lane(&self, key: &ObjectKey) -> Option<Lane>;

    /// All objects.
    fn keys(&self) -> Vec<ObjectKey>;

    /// Looks at the object; answers with how long after that it comes by itself.
    fn run(self: Arc<Self>, key: ObjectKey) -> BoxFuture<'static, Option<Duration>>;

    /// A term is over: nothing of it may be left when the next one begins.
    fn reset(&self);
}

/// One kind at work.
pub struct Worker<P: Reconciler> {
    engine: Arc<Engine>,
    reconciler: P,
    store: Store<P::Object>,
    recent: Recent<P::Object>,
    backoff: Backoff,
    triggers: Mutex<HashMap<ObjectKey, Triggers>>,
}

/// A kind that is ready to run.
pub struct Running {
    /// Its name.
    pub kind: &'static str,
    /// How much of it is known.
    pub coverage: Coverage,
    /// Its passes.
    pub passes: Arc<dyn Passes>,
    /// Its watch; ends when the process stops.
    pub watch: BoxFuture<'static, ()>,
}

impl<P: Reconciler> Worker<P> {
    /// Prepares the kind: after this its cache can be read (and is empty).
    #[must_use]
    pub fn start(engine: &Arc<Engine>, reconciler: P, namespaces: Namespaces) -> Running {
        let watch = Watch::<P::Object>::new(engine.kube.clone(), namespaces);
        let coverage = watch.coverage();
        engine.caches.add(watch.store(), coverage.clone(), P::POINTS_AT);
        let worker = Arc::new(Self {
            engine: Arc::clone(engine),
            reconciler,
            store: watch.store(),
            recent: Recent::default(),
            backoff: Backoff::default(),
            triggers: Mutex::default(),
        });
        worker.measure();
        let watching = Arc::clone(&worker);
        let stop = engine.tasks.stop();
        Running {
            kind: P::Object::KIND,
            coverage,
            passes: worker,
            watch: Box::pin(async move { watch.run(stop, |change| watching.changed(change)).await }),
        }
    }

    fn changed(&self, change: Change<P::Object>) {
        let engine = &self.engine;
        match change {
            Change::Applied(object) => {
                let me = object.reference();
                self.recent.seen(object.as_ref());
                self.reconciler.seen(engine, object.as_ref());
                let triggers = P::triggers(object.as_ref());
                let before = self.triggers().insert(me.key.clone(), triggers);
                if before.is_none_or(|before| before.own != triggers.own) {
                    engine.wakes.wake(&me);
                }
                if before.is_none_or(|before| before.dependents != triggers.dependents) {
                    engine.wakes.changed(&Topic::Object(me));
                }
            }
            Change::Deleted(key) => {
                let me = reference::<P>(key);
                self.triggers().remove(&me.key);
                self.reconciler.gone(engine, &me);
                self.forget_passes(&me);
                engine.wakes.changed(&Topic::Object(me));
            }
            Change::Unreadable(key, remains) => {
                // As soon as it can be read it is looked at, whatever it says then.
                self.triggers().remove(&key);
                engine.metrics.unreadable(P::Object::KIND);
                let error = &remains.error;
                tracing::warn!(kind = P::Object::KIND, %key, error, "an object cannot be read and is left alone: correct it");
                let me = reference::<P>(key);
                self.reconciler.unreadable(engine, &me, &remains);
                engine.wakes.changed(&Topic::Object(me));
            }
            Change::Coverage => engine.wakes.changed(&Topic::Coverage(P::Object::KIND)),
        }
    }

    /// What passes over the object left is of no use any more.
    fn forget_passes(&self, me: &Reference) {
        self.recent.forget(&me.key);
        self.backoff.reset(&me.key);
        self.reconciler.gone_meanwhile(&self.engine, me);
        self.engine.wakes.forget(me);
    }

    async fn reconcile(&self, object: Arc<P::Object>) -> Option<Duration> {
        let kind = P::Object::KIND;
        let key = object.key();
        let generation = object.meta().generation;
        let span = tracing::info_span!("pass", kind, object = %key, generation);
        let began = Instant::now();
        let pass = self.reconciler.pass(&self.engine, &self.recent, object);
        let ended = AssertUnwindSafe(pass).catch_unwind().instrument(span.clone()).await;
        let _entered = span.enter();
        let ended = ended.unwrap_or_else(|_| {
            tracing::error!("a pass panicked; the object is tried again later");
            Ended {
                error: Some(Error::NotConverging(
                    "the operator has a defect, see its log".to_owned(),
                )),
                look_again: None,
            }
        });
        let outcome = ended.error.as_ref().map_or(Reason::InSync, Error::reason);
        self.engine.metrics.pass(kind, outcome.as_str(), began.elapsed());
        let again = self.next(key.clone(), ended);
        // What a pass goes on to learn of an object that went meanwhile, nobody else takes back.
        if !self.store.has(&key) {
            self.forget_passes(&reference::<P>(key));
            return None;
        }
        again
    }

    /// When the object comes by itself.
    fn next(&self, key: ObjectKey, ended: Ended) -> Option<Duration> {
        let jitter = (self.engine.jitter)();
        let Some(error) = ended.error else {
            tracing::debug!("in sync");
            self.backoff.reset(&key);
            return ended.look_again;
        };
        let disposition = error.disposition();
        match disposition {
            Disposition::Superseded | Disposition::Pending => tracing::debug!(%error, "not now"),
            Disposition::Transient(_) | Disposition::Waiting => tracing::info!(%error, "not yet"),
            Disposition::Terminal | Disposition::Lasting => tracing::warn!(%error, "needs a human"),
        }
        let wait = match disposition {
            Disposition::Transient(None) | Disposition::Lasting => self.backoff.failed(&key, jitter),
            // A server that says when gets no thundering herd at that very moment.
            Disposition::Transient(Some(after)) => after + Duration::from_secs(2).mul_f64(jitter),
            Disposition::Waiting | Disposition::Terminal | Disposition::Pending => {
                self.backoff.reset(&key);
                SAFETY_NET.mul_f64(0.9 + 0.2 * jitter)
            }
            Disposition::Superseded => OVERTAKEN.mul_f64(0.5 + jitter),
        };
        if error.concerns_coder() {
            // What failed now must not be judged by what was fetched before it failed.
            self.engine.wakes.freshen(&reference::<P>(key), Instant::now());
        }
        Some(ended.look_again.map_or(wait, |again| again.min(wait)))
    }

    /// Counts the objects of the kind whenever somebody asks for the metrics, and what the kind itself measures.
    fn measure(self: &Arc<Self>) {
        let worker = Arc::downgrade(self);
        self.engine.metrics.at_scrape(move |samples| {
            let Some(worker) = worker.upgrade() else { return };
            worker.store.for_each(|object| {
                let conditions = object.status().map(|status| status.common().conditions.as_slice());
                samples.object(P::Object::KIND, conditions.unwrap_or_default());
                worker.reconciler.measure(object, samples);
            });
            worker.reconciler.measure_all(samples);
        });
    }

    fn triggers(&self) -> std::sync::MutexGuard<'_, HashMap<ObjectKey, Triggers>> {
        self.triggers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<P: Reconciler> Passes for Worker<P> {
    fn lane(&self, key: &ObjectKey) -> Option<Lane> {
        self.store.get(key).map(|object| P::lane(object.as_ref()))
    }

    fn keys(&self) -> Vec<ObjectKey> {
        self.store.keys()
    }

    fn run(self: Arc<Self>, key: ObjectKey) -> BoxFuture<'static, Option<Duration>> {
        Box::pin(async move {
            let object = self.store.get(&key)?;
            self.reconcile(object).await
        })
    }

    fn reset(&self) {
        self.backoff.reset_all();
        self.reconciler.reset();
    }
}

fn reference<P: Reconciler>(key: ObjectKey) -> Reference {
    Reference {
        kind: P::Object::KIND,
        key,
    }
}
