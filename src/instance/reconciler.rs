//! The pass of an instance.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::credentials::Credentials;
use super::facts;
use super::feed::{self, Reader};
use super::probe::{self, Findings};
use crate::api::{CoderInstance, DurationString, Object, ObjectKey, Reference};
use crate::engine::cluster::guarded::Remains;
use crate::engine::cluster::objects::PointsAt;
use crate::engine::cluster::queue::{Group, Lane};
use crate::engine::cluster::status::Recent;
use crate::engine::cluster::triggers::{Triggers, fingerprint};
use crate::engine::cluster::wake::Topic;
use crate::engine::cluster::worker::{Ended, Reconciler};
use crate::engine::conditions::Verdict;
use crate::engine::connection::{Connection, Terms};
use crate::engine::record::Record;
use crate::engine::{Engine, Error, Reason};
use crate::metrics::Samples;
use crate::mirror::feed::audit::FeedState;

/// The instances and what is kept of each from one look to the next.
#[derive(Default)]
pub struct Instances {
    kept: Mutex<HashMap<ObjectKey, Kept>>,
}

/// What is kept of an instance.
#[derive(Default)]
struct Kept {
    /// What the last good look used.
    good: Option<Good>,
    /// Who reads its audit log.
    reader: Option<Reader>,
}

/// What a good look used, and what came of it.
pub(super) type Good = (Credentials, Arc<Connection>);

impl Reconciler for Instances {
    type Object = CoderInstance;
    const POINTS_AT: Option<PointsAt> = None;

    fn lane(object: &CoderInstance) -> Lane {
        let key = object.key();
        Lane {
            namespace: key.namespace.clone(),
            group: Group::Instance(key),
        }
    }

    fn triggers(object: &CoderInstance) -> Triggers {
        let terms = format!("{:?}", terms(object));
        Triggers {
            // Whether it can be used is told by its passes.
            dependents: fingerprint(&(&object.metadata.uid, terms)),
            ..Triggers::of(object, None)
        }
    }

    fn seen(&self, engine: &Engine, object: &CoderInstance) {
        engine.connections.exists(&object.key(), terms(object));
    }

    fn unreadable(&self, engine: &Engine, me: &Reference, remains: &Remains) {
        // It goes on with what was known of it. A grant that cannot be read is none.
        let known = engine.connections.terms(&me.key);
        let is_new = known.is_none();
        let known = known.unwrap_or_default();
        let terms = Terms {
            access: remains.part("/spec/access"),
            defaults: remains.part("/spec/defaults").unwrap_or(known.defaults),
            ..known
        };
        engine.connections.exists(&me.key, terms);
        if is_new {
            engine.connections.failed(&me.key, Reason::InvalidSpec);
        }
    }

    fn gone(&self, engine: &Engine, me: &Reference) {
        engine.connections.forget(&me.key);
    }

    fn gone_meanwhile(&self, _: &Engine, me: &Reference) {
        self.kept().remove(&me.key);
    }

    async fn pass(&self, engine: &Arc<Engine>, recent: &Recent<CoderInstance>, object: Arc<CoderInstance>) -> Ended {
        let record = Record::new(engine, recent, object);
        let mut pass = Pass {
            instances: self,
            engine,
            me: record.reference(),
            record,
            topics: Topics::default(),
        };
        let ended = pass.run().await;
        engine.wakes.replace_topics(&pass.me, pass.topics.take());
        match ended {
            Ok(look_again) => Ended {
                error: None,
                look_again: look_again.map(|interval| interval.mul_f64(0.9 + 0.1 * (engine.jitter)())),
            },
            Err(error) => Ended {
                // Its own probe is what ends an open breaker: nobody else makes one.
                look_again: error.coder().and_then(crate::coder::Error::retry_after),
                error: Some(error),
            },
        }
    }

    fn measure(&self, object: &CoderInstance, samples: &mut Samples) {
        let status = object.status.as_ref();
        if let Some(ends) = status.and_then(|status| status.token_expires_at.as_ref()) {
            let help = "When the token that ends first does, in seconds since 1970";
            samples.lowest(
                "token_expiry_timestamp_seconds",
                help,
                ends.0.as_duration().as_secs_f64(),
            );
        }
    }

    fn measure_all(&self, samples: &mut Samples) {
        for (_, connection) in self.kept().values().filter_map(|kept| kept.good.as_ref()) {
            samples.breaker(connection.client().breaker_state());
        }
    }

    fn reset(&self) {
        self.kept().clear();
    }
}

impl Instances {
    fn kept(&self) -> MutexGuard<'_, HashMap<ObjectKey, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the owner says of the use of the instance.
pub(super) fn terms(object: &CoderInstance) -> Terms {
    let spec = &object.spec;
    // The schema admits no other text; the pass of the instance says so should there be one.
    let interval = |text: &DurationString, default| text.parse().unwrap_or(default).max(Duration::from_secs(1));
    Terms {
        access: spec.access.clone(),
        defaults: spec.defaults,
        lets_go: spec
            .overrides
            .is_some_and(|overrides| overrides.deletion_policy.is_some()),
        resync: interval(&spec.resync_interval, Duration::from_mins(10)),
        min_resync: interval(&spec.min_resync_interval, Duration::from_secs(30)),
    }
}

/// What a pass depends on.
#[derive(Default)]
pub(super) struct Topics(Mutex<HashSet<Topic>>);

impl Topics {
    /// `me` depends on it. Said before it is read.
    pub(super) fn depend(&self, engine: &Engine, me: &Reference, topic: Topic) {
        engine.wakes.depend(me, topic.clone());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(topic);
    }

    fn take(&self) -> HashSet<Topic> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A pass under way.
struct Pass<'a> {
    instances: &'a Instances,
    engine: &'a Arc<Engine>,
    me: Reference,
    record: Record<'a, CoderInstance>,
    topics: Topics,
}

impl Pass<'_> {
    /// Looks; answers with when to look again.
    async fn run(&mut self) -> Result<Option<Duration>, Error> {
        if self.record.is_deleting() {
            return self.leave().await;
        }
        self.record.require_finalizer().await?;
        match self.look().await {
            Ok(findings) => {
                let again = findings.connection.terms.resync;
                self.record.conclude(&Verdict::InSync, Some(&findings.notes)).await?;
                // The pin is written before anybody works through the connection.
                self.open(findings);
                Ok(Some(again))
            }
            Err(error) if error.is_silent() => Err(error),
            Err(error) => {
                self.failed(&error);
                self.record.conclude(&Verdict::Failed(&error), None).await?;
                Err(error)
            }
        }
    }

    /// Goes when nobody has anything in Coder through it any more; until then it works on, with the token and the grants
    /// of today.
    async fn leave(&mut self) -> Result<Option<Duration>, Error> {
        if !self.record.has_finalizer() {
            return Ok(None);
        }
        let depend = |topic| self.topics.depend(self.engine, &self.me, topic);
        let dependents = match self.engine.dependents(&self.me, &self.me.key, &depend) {
            Ok(dependents) => dependents,
            Err(error) if error.is_silent() => return Err(error),
            Err(error) => return self.blocked(error).await,
        };
        if dependents.is_empty() {
            self.instances.kept().remove(&self.me.key);
            self.engine.connections.forget(&self.me.key);
            self.record.remove_finalizer().await?;
            return Ok(None);
        }
        let advice = match self.look().await {
            Ok(findings) => {
                self.open(findings);
                "delete them first; the connection stays usable until then".to_owned()
            }
            Err(error) if error.is_silent() => return Err(error),
            Err(error) => {
                self.failed(&error);
                format!("delete them first; the connection they need for that does not work: {error}")
            }
        };
        self.blocked(dependents.still_used(&advice)).await
    }

    async fn blocked(&mut self, error: Error) -> Result<Option<Duration>, Error> {
        self.record.conclude(&Verdict::DeletionBlocked(&error), None).await?;
        Err(error)
    }

    /// Looks at the deployment; what is found goes into the status.
    async fn look(&mut self) -> Result<Findings, Error> {
        let before = self
            .instances
            .kept()
            .get(&self.me.key)
            .and_then(|kept| kept.good.clone());
        let found = probe::look(self.engine, self.record.object(), &self.topics, before.as_ref()).await;
        self.record.status.objects = facts::objects(self.engine, self.record.object());
        let findings = found?;
        let feed = self.feed(&findings.connection)?;
        facts::fill(&mut self.record.status, &findings, feed);
        Ok(findings)
    }

    /// Reads the audit log, where that is wanted and possible. Nothing is known of a reader that has just begun.
    fn feed(&self, connection: &Connection) -> Result<Option<FeedState>, Error> {
        let object = self.record.object();
        let interval = feed::plan(object, connection)?;
        let mut kept = self.instances.kept();
        let reader = &mut kept.entry(self.me.key.clone()).or_default().reader;
        let interval = match interval {
            Ok(interval) => interval,
            Err(obstacle) => {
                *reader = None;
                return Ok(Some(FeedState::Unavailable(obstacle)));
            }
        };
        if let Some(reader) = reader.as_ref().filter(|reader| reader.is(connection, interval)) {
            return Ok(reader.state());
        }
        *reader = Some(Reader::start(self.engine, self.me.clone(), connection, interval));
        Ok(None)
    }

    /// Lets everybody work through the connection, and wakes who waited for it or whom a change of it concerns.
    fn open(&self, findings: Findings) {
        let Findings {
            credentials,
            connection,
            ..
        } = findings;
        let good = (credentials, Arc::new(connection.clone()));
        let before = {
            let mut kept = self.instances.kept();
            kept.entry(self.me.key.clone()).or_default().good.replace(good)
        };
        let same = before.is_some_and(|(_, before)| probe::same(&before, &connection));
        if self.engine.connections.ready(connection) || !same {
            self.engine.wakes.changed(&Topic::Object(self.me.clone()));
        }
        self.engine.wakes.changed(&Topic::Recovery(self.me.key.clone()));
    }

    fn failed(&self, error: &Error) {
        let news = self.engine.connections.failed(&self.me.key, error.reason());
        // With another deployment nobody shall believe that they are in sync with what is there now.
        if news || error.reason() == Reason::DeploymentChanged {
            self.engine.wakes.changed(&Topic::Object(self.me.clone()));
        }
    }
}
