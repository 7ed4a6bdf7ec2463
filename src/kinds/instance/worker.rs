//! The pass of an instance, and its watch.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use k8s_controller::events::EventType;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use kube::runtime::controller::Action;
use kube::runtime::reflector::Store;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::feed::{self, Reader};
use super::probe::{self, Credentials, Findings};
use crate::api::instance::{Feed, KIND};
use crate::api::{CoderInstance, InstanceStatus, ObjectKey, Reference, annotation};
use crate::engine::cluster::backoff::Backoff;
use crate::engine::cluster::status::{self, Guard, Recent, has_finalizer};
use crate::engine::cluster::wake::Topic;
use crate::engine::cluster::watch::{Change, Namespaces, Watch};
use crate::engine::cluster::worker::{Running, our_annotations, passes};
use crate::engine::conditions::{self, Verdict};
use crate::engine::connection::Connection;
use crate::engine::pass::teardown::dependents;
use crate::engine::{Disposition, Engine, Error, Reason};
use crate::mirror::Waker;
use crate::mirror::feed::audit::FeedState;

/// Looks again after this long when something is missing that nobody may tell about.
const SAFETY_NET: Duration = Duration::from_mins(10);
/// A pass that was overtaken by a change starts over after this.
const OVERTAKEN: Duration = Duration::from_millis(250);

/// The instances at work.
pub struct InstanceWorker {
    engine: Arc<Engine>,
    store: Store<CoderInstance>,
    recent: Recent<CoderInstance>,
    backoff: Backoff,
    /// What the last good look at each instance used.
    good: Mutex<HashMap<ObjectKey, (Credentials, Arc<Connection>)>>,
    asked: Mutex<HashMap<ObjectKey, Asked>>,
    /// The readers of audit logs.
    readers: Mutex<HashMap<ObjectKey, Reader>>,
}

/// What the user says.
type Asked = (Option<i64>, bool, Vec<(String, String)>);

/// Namespace and name.
pub(super) fn key(object: &CoderInstance) -> ObjectKey {
    ObjectKey::new(object.namespace().unwrap_or_default(), object.name_any())
}

fn reference(object: &CoderInstance) -> Reference {
    Reference {
        kind: KIND,
        key: key(object),
    }
}

/// Prepares the instances: after this the cache can be read (and is empty).
#[must_use]
pub fn start(engine: &Arc<Engine>, namespaces: Namespaces, stop: CancellationToken) -> Running {
    let (watch, store, synced) = Watch::<CoderInstance>::new(engine.kube.clone(), namespaces);
    engine.connections.known_by(synced.clone());
    let worker = Arc::new(InstanceWorker {
        engine: Arc::clone(engine),
        store,
        recent: Recent::default(),
        backoff: Backoff::default(),
        good: Mutex::default(),
        asked: Mutex::default(),
        readers: Mutex::default(),
    });
    worker.measure();
    let queue = engine.wakes.queue(KIND);
    let watching = {
        let (worker, stop) = (Arc::clone(&worker), stop.clone());
        async move { watch.run(stop, |change| worker.changed(change)).await }
    };
    let wake_all = {
        let (store, wakes) = (worker.store.clone(), Arc::clone(&engine.wakes));
        move || {
            for object in store.state() {
                wakes.wake(&reference(&object), Instant::now());
            }
        }
    };
    let passing = passes(worker.store.clone(), queue, stop, worker, InstanceWorker::reconcile);
    let run = async move {
        futures::future::join(watching, passing).await;
    };
    Running {
        kind: KIND,
        synced,
        wake_all: Arc::new(wake_all),
        run: Box::pin(run),
    }
}

impl InstanceWorker {
    fn changed(&self, change: Change<CoderInstance>) {
        match change {
            Change::Applied(object) => {
                let me = reference(&object);
                if self.engine.connections.exists(&me.key) {
                    self.engine.wakes.changed(&Topic::Object(me));
                }
                let asked = asked(&object);
                let before = lock(&self.asked).insert(key(&object), asked.clone());
                if before != Some(asked) {
                    self.engine.wakes.wake(&reference(&object), Instant::now());
                }
            }
            Change::Deleted(object) => {
                let me = reference(&object);
                lock(&self.asked).remove(&me.key);
                lock(&self.good).remove(&me.key);
                lock(&self.readers).remove(&me.key);
                self.recent.forget(&object);
                self.backoff.reset(&me.key);
                self.engine.connections.forget(&me.key);
                self.engine.wakes.changed(&Topic::Object(me));
            }
            Change::Unreadable(key, error) => {
                self.engine.metrics.unreadable(KIND);
                tracing::warn!(kind = KIND, %key, error, "an object cannot be read and is left alone: correct it");
            }
        }
    }

    async fn reconcile(object: Arc<CoderInstance>, worker: Arc<Self>) -> Action {
        if !worker.engine.leadership.leads() {
            return Action::await_change();
        }
        let me = key(&object);
        let span = tracing::info_span!("pass", kind = KIND, object = %me);
        let began = Instant::now();
        let pass = AssertUnwindSafe(worker.pass(object))
            .catch_unwind()
            .instrument(span.clone())
            .await;
        let _entered = span.enter();
        let result = pass.unwrap_or_else(|_| {
            tracing::error!("a pass panicked; the object is tried again later");
            Err(Error::NotConverging(
                "the operator has a defect, see its log".to_owned(),
            ))
        });
        let outcome = result.as_ref().err().map_or(Reason::InSync, Error::reason);
        worker.engine.metrics.pass(KIND, outcome.as_str(), began.elapsed());
        worker.next(&me, result)
    }

    fn next(&self, me: &ObjectKey, result: Result<Option<Duration>, Error>) -> Action {
        let chance = (self.engine.chance)();
        match result {
            Ok(again) => {
                self.backoff.reset(me);
                again.map_or_else(Action::await_change, |again| {
                    Action::requeue(again.mul_f64(0.9 + 0.1 * chance))
                })
            }
            Err(error) => {
                tracing::info!(%error, "not ready");
                Action::requeue(match error.disposition() {
                    Disposition::Transient(after) => after.unwrap_or_else(|| self.backoff.failed(me, chance)),
                    Disposition::Lasting => self.backoff.failed(me, chance),
                    // Its own probe is what ends an open breaker: nobody else makes one.
                    Disposition::Waiting if error.coder().is_some() => self.backoff.failed(me, chance),
                    Disposition::Waiting | Disposition::Terminal => SAFETY_NET.mul_f64(0.9 + 0.2 * chance),
                    Disposition::Superseded => OVERTAKEN.mul_f64(0.5 + chance),
                })
            }
        }
    }

    async fn pass(&self, object: Arc<CoderInstance>) -> Result<Option<Duration>, Error> {
        let mut object = self.recent.newest(object);
        if object.metadata.deletion_timestamp.is_some() {
            return self.farewell(object).await;
        }
        if !has_finalizer(object.as_ref()) {
            object = self.wrote(status::set_finalizer(&self.engine.kube, object.as_ref(), true).await?);
        }
        let me = key(&object);
        let before = lock(&self.good).get(&me).cloned();
        let mut status = object.status.clone().unwrap_or_default();
        match probe::look(&self.engine, &object, before.as_ref()).await {
            Ok(findings) => {
                let again = findings.connection.resync;
                let feed = self.feed(&object, &findings.connection)?;
                self.fill(&object, &mut status, &findings, feed);
                let generation = object.metadata.generation;
                conditions::conclude(&mut status.common.conditions, generation, &Verdict::InSync);
                let news = conditions::note(&mut status.common.conditions, generation, &findings.notes);
                for note in news {
                    self.engine
                        .tell(object.as_ref(), EventType::Warning, note.reason, note.message)
                        .await;
                }
                // The pin is written before anybody works through the connection.
                self.write(&object, &status).await?;
                self.open(&me, findings, before.map(|(_, connection)| connection));
                Ok(Some(again))
            }
            Err(error) if error.disposition() == Disposition::Superseded => Err(error),
            Err(error) => {
                self.failed(&object, status, &error).await?;
                Err(error)
            }
        }
    }

    /// Reads the audit log, where that is wanted and possible. Nothing is known of a reader that has just begun.
    fn feed(&self, object: &CoderInstance, connection: &Arc<Connection>) -> Result<Option<FeedState>, Error> {
        let me = reference(object);
        let mut readers = lock(&self.readers);
        let interval = match feed::plan(object, connection)? {
            Ok(interval) => interval,
            Err(obstacle) => {
                readers.remove(&me.key);
                return Ok(Some(FeedState::Unavailable(obstacle)));
            }
        };
        if let Some(reader) = readers.get(&me.key).filter(|reader| reader.is(connection, interval)) {
            return Ok(reader.state());
        }
        let reader = Reader::start(&self.engine, me.clone(), connection, interval);
        readers.insert(me.key, reader);
        Ok(None)
    }

    /// What the look found goes into the status.
    fn fill(&self, object: &CoderInstance, status: &mut InstanceStatus, findings: &Findings, feed: Option<FeedState>) {
        let Findings {
            connection,
            license_expires,
            ..
        } = findings;
        handled(object, status);
        status.deployment_id = Some(connection.link.deployment.to_string());
        status.version = Some(connection.version.clone());
        status.user = Some(connection.user.username.clone());
        status.roles = connection.user.roles.iter().map(|role| role.name.clone()).collect();
        status.features = connection.features.iter().cloned().collect();
        status.license_expires_at = license_expires.map(Time);
        match feed {
            Some(FeedState::Reading) => (status.feed, status.feed_reason) = (Some(Feed::AuditLog), None),
            Some(FeedState::Unavailable(why)) => (status.feed, status.feed_reason) = (Some(Feed::Sweep), Some(why)),
            // After a restart the status says what was so before, and most likely is.
            None => drop(status.feed.get_or_insert(Feed::Sweep)),
        }
        status.rate_limit_bypass = Some(connection.client().bypass());
        status.objects = probe::objects(&self.engine, object);
    }

    /// Lets everybody work through the connection, and wakes who waited for it or whom a change of it concerns.
    fn open(&self, me: &ObjectKey, findings: Findings, before: Option<Arc<Connection>>) {
        let Findings {
            credentials,
            connection,
            ..
        } = findings;
        let reachable = self.engine.connections.get(me).is_ok();
        lock(&self.good).insert(me.clone(), (credentials, Arc::clone(&connection)));
        self.engine.connections.ready(Arc::clone(&connection));
        if !reachable || before.is_none_or(|before| !probe::same(&before, &connection)) {
            self.engine.wakes.changed(&Topic::Object(Reference {
                kind: KIND,
                key: me.clone(),
            }));
        }
        self.engine.wakes.changed(&Topic::Recovery(me.clone()));
    }

    async fn failed(
        &self,
        object: &Arc<CoderInstance>,
        mut status: InstanceStatus,
        error: &Error,
    ) -> Result<(), Error> {
        let me = key(object);
        self.engine.connections.failed(&me, error.reason());
        if error.reason() == Reason::DeploymentChanged {
            // Nobody shall believe that they are in sync with what is there now.
            self.engine
                .wakes
                .changed(&Topic::Object(Reference { kind: KIND, key: me }));
        }
        handled(object, &mut status);
        status.objects = probe::objects(&self.engine, object);
        let message = error.to_string();
        let ready = status.common.condition(conditions::READY);
        if ready.is_none_or(|ready| ready.message != message) {
            self.engine
                .tell(object.as_ref(), EventType::Warning, error.reason().as_str(), message)
                .await;
        }
        conditions::conclude(
            &mut status.common.conditions,
            object.metadata.generation,
            &Verdict::Failed(error),
        );
        self.write(object, &status).await
    }

    /// Goes when nobody refers to it any more; until then its connection stays usable, whatever becomes of its Secret.
    async fn farewell(&self, object: Arc<CoderInstance>) -> Result<Option<Duration>, Error> {
        let me = reference(&object);
        if !has_finalizer(object.as_ref()) {
            return Ok(None);
        }
        // What is not in the caches yet may refer to it.
        if !self.engine.caches.are_complete() {
            return Err(Error::Superseded);
        }
        let referrers = self.engine.caches.referring(&me);
        if referrers.is_empty() {
            self.engine.connections.forget(&me.key);
            lock(&self.readers).remove(&me.key);
            match status::set_finalizer(&self.engine.kube, object.as_ref(), false).await {
                Err(Error::Kubernetes(kube::Error::Api(status))) if status.code == 404 => {}
                result => drop(result?),
            }
            return Ok(None);
        }
        for referrer in &referrers {
            self.engine.wakes.depend(&me, Topic::Object(referrer.reference.clone()));
        }
        if self.engine.connections.last(&me.key).is_none() {
            self.reopen(&object).await;
        }
        let error = dependents(&referrers, "delete them first; the connection stays usable until then");
        let mut status = object.status.clone().unwrap_or_default();
        handled(&object, &mut status);
        status.objects = probe::objects(&self.engine, &object);
        conditions::conclude(
            &mut status.common.conditions,
            object.metadata.generation,
            &Verdict::DeletionBlocked(&error),
        );
        self.write(&object, &status).await?;
        Err(error)
    }

    /// After a restart in the middle of a deletion: what refers to the instance still needs its connection.
    async fn reopen(&self, object: &Arc<CoderInstance>) {
        let me = key(object);
        match probe::look(&self.engine, object, None).await {
            Ok(findings) => self.open(&me, findings, None),
            Err(error) => {
                tracing::warn!(%error, "the connection of an instance that is being deleted does not work");
                self.engine.connections.failed(&me, error.reason());
            }
        }
    }

    async fn write(&self, object: &Arc<CoderInstance>, status: &InstanceStatus) -> Result<(), Error> {
        if object.status.as_ref() == Some(status) {
            return Ok(());
        }
        if !self.engine.leadership.leads() {
            return Err(Error::Superseded);
        }
        match status::write(&self.engine.kube, object.as_ref(), status, Guard::Unchanged).await {
            Ok(object) => {
                self.wrote(object);
                Ok(())
            }
            Err(error) => {
                self.recent.forget(object.as_ref());
                Err(error)
            }
        }
    }

    fn wrote(&self, object: CoderInstance) -> Arc<CoderInstance> {
        let object = Arc::new(object);
        self.recent.wrote(Arc::clone(&object));
        object
    }

    /// What is counted when somebody asks for the metrics.
    fn measure(self: &Arc<Self>) {
        let worker = Arc::downgrade(self);
        self.engine.metrics.at_scrape(move |samples| {
            let Some(worker) = worker.upgrade() else { return };
            for object in worker.store.state() {
                let conditions = object.status.as_ref().map(|status| status.common.conditions.as_slice());
                samples.object(KIND, conditions.unwrap_or_default());
            }
            for (_, connection) in lock(&worker.good).values() {
                samples.breaker(connection.client().breaker_state());
            }
        });
    }
}

fn handled(object: &CoderInstance, status: &mut InstanceStatus) {
    status.common.observed_generation = object.metadata.generation.unwrap_or_default();
    if let Some(value) = object.annotations().get(annotation::RECONCILE_AT) {
        status.common.last_handled_reconcile_at = Some(value.clone());
    }
}

fn asked(object: &CoderInstance) -> Asked {
    (
        object.metadata.generation,
        object.metadata.deletion_timestamp.is_some(),
        our_annotations(object),
    )
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
