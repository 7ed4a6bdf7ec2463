//! Ties a kind to its watch: which events make it look, how many passes run at once, when the next one is due.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::{FutureExt, StreamExt, stream};
use kube::runtime::controller::{self, Action, Controller};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Resource, ResourceExt};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::api::{GROUP, Kind, Object, ObjectKey, ObjectStatus, Reference};
use crate::engine::Engine;
use crate::engine::cluster::backoff::Backoff;
use crate::engine::cluster::status::{FINALIZER, Recent, has_finalizer};
use crate::engine::cluster::wake::Topic;
use crate::engine::cluster::watch::{Change, Namespaces, Synced, Watch, Watchable};
use crate::engine::conditions::READY;
use crate::engine::error::{Disposition, Error, Reason};
use crate::engine::pass::{self, Ended};
use crate::engine::remote::Remote;
use crate::mirror::Waker;

/// Passes of one kind at the same time. They mostly wait for answers.
const CONCURRENCY: u16 = 16;
/// Somebody who waits looks again by itself after this long, should a wake-up have been lost.
const SAFETY_NET: Duration = Duration::from_mins(10);
/// A pass that was overtaken by a change starts over after this.
const OVERTAKEN: Duration = Duration::from_millis(250);

/// One kind at work.
pub struct Worker<R: Remote> {
    engine: Arc<Engine>,
    store: Store<R::Kind>,
    recent: Recent<R::Kind>,
    backoff: Backoff,
    faces: Mutex<HashMap<ObjectKey, Face>>,
}

/// What of an object makes itself, or others, look.
#[derive(Clone, PartialEq)]
struct Face {
    asked: Asked,
    shown: Shown,
}

/// What the user says.
#[derive(Clone, PartialEq)]
struct Asked {
    generation: Option<i64>,
    deleting: bool,
    /// Ours, by name.
    annotations: Vec<(String, String)>,
    foreign_finalizers: Vec<String>,
}

/// What others depend on.
#[derive(Clone, PartialEq)]
struct Shown {
    uid: Option<String>,
    finalizer: bool,
    held: Option<String>,
    ready: Option<String>,
}

/// A kind that is ready to run.
pub struct Running {
    /// Name of the kind.
    pub kind: &'static str,
    /// Whether its cache is complete.
    pub synced: Synced,
    /// Makes every object look.
    pub wake_all: Arc<dyn Fn() + Send + Sync>,
    /// Watch and passes; ends after `stop`, when the passes under way have ended.
    pub run: futures::future::BoxFuture<'static, ()>,
}

impl<R: Remote> Worker<R>
where
    R::Kind: Watchable,
{
    /// Prepares the kind: after this its cache can be read (and is empty).
    #[must_use]
    pub fn start(engine: &Arc<Engine>, namespaces: Namespaces, stop: CancellationToken) -> Running {
        let (watch, store, synced) = Watch::<R::Kind>::new(engine.kube.clone(), namespaces);
        engine.caches.add(store.clone(), synced.clone());
        measure::<R>(engine, store.clone());
        let worker = Arc::new(Self {
            engine: Arc::clone(engine),
            store,
            recent: Recent::default(),
            backoff: Backoff::default(),
            faces: Mutex::default(),
        });
        let queue = engine.wakes.queue(R::Kind::KIND);
        let watching = {
            let (worker, stop) = (Arc::clone(&worker), stop.clone());
            async move { watch.run(stop, |change| worker.changed(change)).await }
        };
        let wake_all = {
            let (store, wakes) = (worker.store.clone(), Arc::clone(&engine.wakes));
            move || {
                for object in store.state() {
                    wakes.wake(&reference(object.as_ref()), Instant::now());
                }
            }
        };
        let passing = passes(worker.store.clone(), queue, stop, worker, Self::reconcile);
        let run = async move {
            futures::future::join(watching, passing).await;
        };
        Running {
            kind: R::Kind::KIND,
            synced,
            wake_all: Arc::new(wake_all),
            run: Box::pin(run),
        }
    }

    fn changed(&self, change: Change<R::Kind>) {
        match change {
            Change::Applied(object) => {
                let me = reference(object.as_ref());
                let face = face::<R>(object.as_ref());
                let before = self.faces().insert(me.key.clone(), face.clone());
                if before.as_ref().is_none_or(|before| before.asked != face.asked) {
                    self.engine.wakes.wake(&me, Instant::now());
                }
                if before.is_none_or(|before| before != face) {
                    self.engine.wakes.changed(&Topic::Object(me));
                }
            }
            Change::Deleted(object) => {
                let me = reference(object.as_ref());
                self.faces().remove(&me.key);
                self.recent.forget(object.as_ref());
                self.backoff.reset(&me.key);
                self.engine.claims.forget(&me);
                self.engine.fights.forget(&me);
                self.engine.wakes.settle(&me, std::collections::HashSet::new());
                if let Some(connection) = self.engine.connections.last(&object.instance_key()) {
                    connection.mirror().retain_subscriptions(&me, &[]);
                }
                self.engine.wakes.changed(&Topic::Object(me));
            }
            Change::Unreadable(key, error) => {
                self.faces().remove(&key);
                self.engine.metrics.unreadable(R::Kind::KIND);
                tracing::warn!(kind = R::Kind::KIND, %key, error, "an object cannot be read and is left alone: correct it");
            }
        }
    }

    async fn reconcile(object: Arc<R::Kind>, worker: Arc<Self>) -> Action {
        let engine = &worker.engine;
        if !engine.leadership.leads() {
            return Action::await_change();
        }
        let key = object.key();
        let span = tracing::info_span!("pass", kind = R::Kind::KIND, object = %key);
        let began = Instant::now();
        let pass = pass::run::<R>(engine, &worker.store, &worker.recent, Arc::clone(&object));
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
        engine.metrics.pass(R::Kind::KIND, outcome.as_str(), began.elapsed());
        worker.next(&key, &ended)
    }

    fn next(&self, key: &ObjectKey, ended: &Ended) -> Action {
        let chance = (self.engine.chance)();
        let me = Reference {
            kind: R::Kind::KIND,
            key: key.clone(),
        };
        let Some(error) = &ended.error else {
            tracing::debug!("in sync");
            self.backoff.reset(key);
            return ended.look_again.map_or_else(Action::await_change, Action::requeue);
        };
        let disposition = error.disposition();
        match disposition {
            Disposition::Superseded => tracing::debug!(%error, "overtaken"),
            Disposition::Transient(_) | Disposition::Waiting => tracing::info!(%error, "not yet"),
            Disposition::Terminal | Disposition::Lasting => tracing::warn!(%error, "needs a human"),
        }
        let wait = match disposition {
            Disposition::Transient(None) | Disposition::Lasting => self.backoff.failed(key, chance),
            // A server that says when gets no thundering herd at that very moment.
            Disposition::Transient(Some(after)) => after + Duration::from_secs(2).mul_f64(chance),
            Disposition::Waiting | Disposition::Terminal => {
                self.backoff.reset(key);
                SAFETY_NET.mul_f64(0.9 + 0.2 * chance)
            }
            Disposition::Superseded => OVERTAKEN.mul_f64(0.5 + chance),
        };
        // What failed now must not be judged by what was fetched before it failed.
        self.engine.wakes.touch(&me, Instant::now());
        Action::requeue(wait)
    }

    fn faces(&self) -> std::sync::MutexGuard<'_, HashMap<ObjectKey, Face>> {
        self.faces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs `reconcile` for every key that comes out of `queue`, one pass an object at a time, until `stop`; then waits for
/// the passes under way.
pub async fn passes<K, C, F, Fut>(
    store: Store<K>,
    queue: mpsc::UnboundedReceiver<ObjectKey>,
    stop: CancellationToken,
    context: Arc<C>,
    reconcile: F,
) where
    K: Watchable,
    C: Send + Sync + 'static,
    F: Fn(Arc<K>, Arc<C>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Action> + Send + 'static,
{
    let queue = stream::unfold(
        queue,
        |mut queue| async move { queue.recv().await.map(|key| (key, queue)) },
    )
    .map(|key: ObjectKey| ObjectRef::<K>::new(&key.name).within(&key.namespace));
    let config = controller::Config::default().concurrency(CONCURRENCY);
    // What makes a pass run is the queue alone: the watch puts into it what is worth a pass.
    Controller::for_stream(stream::pending::<Result<K, kube::runtime::watcher::Error>>(), store)
        .with_config(config)
        .reconcile_on(queue)
        .graceful_shutdown_on(async move { stop.cancelled().await })
        .run(
            move |object, context| {
                let action = reconcile(object, context);
                async move { Ok::<_, std::convert::Infallible>(action.await) }
            },
            |_, never: &std::convert::Infallible, _| match *never {},
            context,
        )
        .for_each(|ended| async move {
            if let Err(error) = ended {
                tracing::debug!(%error, "a pass could not be started");
            }
        })
        .await;
}

/// Counts the objects of the kind whenever somebody asks for the metrics, and what the kind itself measures.
fn measure<R: Remote<Kind: Watchable>>(engine: &Engine, store: Store<R::Kind>) {
    engine.metrics.at_scrape(move |samples| {
        for object in store.state() {
            let conditions = object.status().map(|status| status.common().conditions.as_slice());
            samples.object(R::Kind::KIND, conditions.unwrap_or_default());
            R::measure(&object, samples);
        }
    });
}

fn reference<K: Kind>(object: &K) -> Reference {
    Reference {
        kind: K::KIND,
        key: object.key(),
    }
}

/// The annotations by which users ask for something, by name.
pub fn our_annotations(object: &impl ResourceExt) -> Vec<(String, String)> {
    let prefix = format!("{GROUP}/");
    object
        .annotations()
        .iter()
        .filter(|(name, _)| name.starts_with(&prefix))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

fn face<R: Remote>(object: &R::Kind) -> Face {
    let meta = object.meta();
    let foreign_finalizers = object
        .finalizers()
        .iter()
        .filter(|finalizer| *finalizer != FINALIZER)
        .cloned()
        .collect();
    let status = object.status();
    let ready = status
        .and_then(|status| status.common().condition(READY))
        .map(|ready| ready.status.clone());
    let held = status
        .and_then(|status| R::identity(status))
        .map(|identity| R::held(&identity));
    Face {
        asked: Asked {
            generation: meta.generation,
            deleting: meta.deletion_timestamp.is_some(),
            annotations: our_annotations(object),
            foreign_finalizers,
        },
        shown: Shown {
            uid: meta.uid.clone(),
            finalizer: has_finalizer(object),
            held,
            ready,
        },
    }
}
