//! The driver: one look at one object, the same for every kind.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use k8s_controller::events::EventType;
use tokio::time::Instant;

use crate::api::{
    AdoptionPolicy, Mode, ObjectKey, ObjectStatus, Origin, PendingCreation, Reference, annotation, instance,
};
use crate::engine::cluster::output::Owner;
use crate::engine::cluster::status::Recent;
use crate::engine::cluster::wake::{Due, Topic};
pub use crate::engine::cluster::worker::Ended;
use crate::engine::conditions::{self, Verdict};
use crate::engine::connection::Connection;
use crate::engine::cx::{Cx, Seen};
use crate::engine::error::{Error, Reason};
use crate::engine::pass::adoption::{Decision, Found};
use crate::engine::record::Record;
use crate::engine::remote::{Change, Remote, Report, Target};
use crate::engine::{Engine, Life};
use crate::mirror::Freshness;

pub mod adoption;
pub mod claims;
mod creation;
pub mod drift;
pub mod fights;
mod outcome;
mod ownership;
mod permission;
pub mod reconciler;
pub mod teardown;

pub(crate) use creation::may_come_from;
use outcome::Done;

/// How often a plan is made anew before the pass gives up: creation, its consequences, and one to see that it is empty.
const ROUNDS: usize = 6;

/// A pass under way.
pub struct Pass<'a, R: Remote> {
    pub(in crate::engine) engine: &'a Engine,
    pub(in crate::engine) record: Record<'a, R>,
    pub(in crate::engine) me: Reference,
    /// What was asked of this pass.
    pub(in crate::engine) due: Due,
    pub(in crate::engine) seen: Mutex<Seen>,
    connection: Option<Arc<Connection>>,
    /// Whether this pass claims something by name.
    claims: bool,
}

/// Looks at the object once and does what is to be done.
pub async fn run<R: Remote>(engine: &Engine, recent: &Recent<R>, object: Arc<R>) -> Ended {
    let record = Record::new(engine, recent, object);
    let me = record.reference();
    let due = engine.wakes.take(&me);
    let mut pass = Pass::<R> {
        engine,
        record,
        me,
        due,
        seen: Mutex::default(),
        connection: None,
        claims: false,
    };
    let ended = if pass.record.is_deleting() {
        teardown::run(&mut pass).await
    } else {
        pass.look().await
    };
    pass.settle(ended.error.as_ref());
    ended
}

impl<R: Remote> Pass<'_, R> {
    async fn look(&mut self) -> Ended {
        // Shown whatever comes of this look, also of an object that is suspended.
        self.depend_on_instance(&self.record.object().instance_key());
        self.show_deletion_policy();
        // Whose a setting is, is told by what it is now.
        let is_new = self.record.status.common().origin.is_none();
        if (R::LIFE == Life::Standing && is_new) || self.is_unanswered() || self.is_asked_for() {
            self.due.fresh = Some(self.due.asked);
        }
        let mut result = self.attempt().await;
        // What is known is good enough to work with, not to complain of.
        if self.due.fresh.is_none()
            && let Err(error) = &result
            && error.may_be_outdated()
        {
            let since = error.coder().map_or(self.due.asked, |_| Instant::now());
            self.due.fresh = Some(since);
            *self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Seen::default();
            self.depend_on_instance(&self.record.object().instance_key());
            result = match self.record.write_what_must_be().await {
                Ok(()) => self.attempt().await,
                Err(error) => Err(error),
            };
        }
        let unmet = match &mut result {
            Ok((Verdict::InSync, Some(report))) => report.unmet.take(),
            _ => None,
        };
        let partly = unmet.as_ref().map(Verdict::Unmet);
        let (verdict, report) = match &result {
            Ok((verdict, report)) => (partly.as_ref().unwrap_or(verdict), report.as_ref()),
            Err(error) if error.is_silent() => {
                if let Err(unwritten) = self.record.write_what_must_be().await {
                    tracing::debug!(error = %unwritten, "what was created is found again by its intent");
                }
                return Ended {
                    error: result.err(),
                    look_again: None,
                };
            }
            Err(error) => (&Verdict::Failed(error), None),
        };
        let written = self.conclude(verdict, report).await;
        let look_again = report.and_then(|report| report.look_again).map(|at| self.until(at));
        let error = result.err().or(unmet).or(written.err());
        Ended { error, look_again }
    }

    async fn attempt(&mut self) -> Result<(Verdict<'static>, Option<Report>), Error> {
        match self.record.object().common().mode {
            Mode::Suspend => Ok((Verdict::Suspended, None)),
            Mode::Observe => self.observe().await,
            Mode::Manage => self.manage().await.map(|report| (Verdict::InSync, Some(report))),
        }
    }

    /// Whether somebody asks for a look by annotation.
    fn is_asked_for(&self) -> bool {
        let asked = self.record.object().meta().annotations.as_ref();
        let value = asked.and_then(|annotations| annotations.get(annotation::RECONCILE_AT));
        value.is_some() && value != self.record.before().common().last_handled_reconcile_at.as_ref()
    }

    /// Manage: makes Coder agree.
    async fn manage(&mut self) -> Result<Report, Error> {
        let connection = self.connect()?;
        let (desired, key) = self.desire(&connection).await?;
        self.claim_name(&connection, &key)?;
        let cx = self.cx(&connection)?;
        let policy = self.adoption_policy(&connection);
        let what = name_of::<R>(&key);
        let found = self.find(&cx, &desired, &key).await?;
        self.claim_found(&connection, &found)?;
        self.authorize_organizations(&connection, Some(&desired), found.any())?;
        let decision = adoption::decide_of::<R>(found, &desired, policy, &what)?;
        if matches!(decision, Decision::Create) {
            self.let_settle(&what)?;
        }
        let mut observed = self.take(decision).await?;
        let mut done = Vec::new();
        let mut left = Vec::new();
        let mut is_current = self.due.fresh.is_some();
        for _ in 0..ROUNDS {
            if let Some(observed) = &observed {
                R::check(&desired, observed)?;
            }
            let changes = R::plan(&desired, observed.as_ref());
            if !is_current && changes.iter().any(Change::looks_first) {
                observed = Some(self.look_closely(&connection, &desired, observed).await?);
                is_current = true;
                continue;
            }
            let before = std::mem::replace(&mut left, changes.iter().map(ToString::to_string).collect::<Vec<_>>());
            // The very same again: Coder takes it and does not do it.
            if !left.is_empty() && left == before {
                break;
            }
            let Some(now) = observed.clone().filter(|_| changes.is_empty()) else {
                if let Some(observed) = &observed {
                    self.record.require_finalizer().await?;
                    self.prepare(&desired, observed).await?;
                }
                observed = self
                    .apply(&connection, &desired, &key, observed, &changes, &mut done)
                    .await?;
                is_current = true;
                continue;
            };
            self.tell_changes(done).await;
            self.record.status.common_mut().pending_creation = None;
            let report = R::report(&desired, &now, &mut self.record.status, (self.engine.now)());
            return Ok(self.with_fights(report));
        }
        Err(Error::NotConverging(left.join("; ")))
    }

    /// The object as it is now, for a change that must not be planned from what was there a while ago.
    async fn look_closely(
        &self,
        connection: &Arc<Connection>,
        desired: &R::Desired,
        observed: Option<R::Observed>,
    ) -> Result<R::Observed, Error> {
        let cx = self.cx_now(connection)?;
        let identity = observed.as_ref().map(R::identify).ok_or(Error::Superseded)?;
        let now = R::observe(&cx, Some(desired), Target::Identity(&identity)).await?;
        now.ok_or_else(|| {
            Error::waiting(
                Reason::NotFound,
                format!("the {} has just been deleted in Coder", R::NOUN),
            )
        })
    }

    /// Observe: compares and says so.
    async fn observe(&mut self) -> Result<(Verdict<'static>, Option<Report>), Error> {
        let connection = self.connect()?;
        let (desired, key) = self.desire(&connection).await?;
        let cx = self.cx(&connection)?;
        let found = self.find(&cx, &desired, &key).await?;
        self.authorize_organizations(&connection, Some(&desired), found.any())?;
        // Whoever holds something and finds another under its name must be told, as when it manages.
        let holds = self.record.status.common().origin.is_some();
        let is_another = holds && found.owned.is_none() && found.named.is_some();
        if is_another && self.adoption_policy(&connection) == AdoptionPolicy::Never {
            return Err(adoption::already_exists(&name_of::<R>(&key)));
        }
        let Found { owned, pending, named } = found;
        let Some(observed) = owned.or(pending).or(named) else {
            let message = format!(
                "{} does not exist in Coder and mode is Observe: nothing is created",
                name_of::<R>(&key)
            );
            return Err(Error::waiting(Reason::NotFound, message));
        };
        R::check(&desired, &observed)?;
        let changes = R::plan(&desired, Some(&observed));
        let mut status = self.record.status.clone();
        let report = R::report(&desired, &observed, &mut status, (self.engine.now)());
        // To look is not to take: what is held stays what it was.
        if !is_another {
            self.record.status = status;
        }
        let drift = (!changes.is_empty()).then(|| self.drift_of(&changes));
        if let Some(drift) = &drift
            && self
                .record
                .before()
                .common()
                .condition(conditions::DRIFT_DETECTED)
                .is_none_or(|before| before.message != *drift)
        {
            self.engine.metrics.drift(R::KIND, "reported");
            self.tell(EventType::Warning, Reason::DriftDetected, drift.clone())
                .await;
        }
        Ok((Verdict::Observed { drift }, Some(report)))
    }

    /// The connection, granted to this object.
    fn connect(&mut self) -> Result<Arc<Connection>, Error> {
        let instance = self.record.object().instance_key();
        self.authorize(&instance)?;
        let connection = self.engine.connections.get(&instance)?;
        self.connection = Some(Arc::clone(&connection));
        if self.is_held_elsewhere(&connection) {
            self.record.forget_status();
        }
        Ok(connection)
    }

    /// Whether the status speaks of an object in another deployment: an id says nothing here.
    pub(in crate::engine) fn is_held_elsewhere(&self, connection: &Connection) -> bool {
        let there = self.record.status.common().deployment.as_ref();
        there.is_some_and(|there| *there != connection.link.deployment.to_string())
    }

    /// What shall be, and by what it is found.
    async fn desire(&mut self, connection: &Arc<Connection>) -> Result<(R::Desired, String), Error> {
        let cx = self.cx(connection)?;
        let desired = R::resolve(&cx, self.record.object()).await?;
        self.authorize_organizations(connection, Some(&desired), None)?;
        self.show_deletion_policy();
        let key = R::natural_key(&desired);
        Ok((desired, key))
    }

    /// Looks in the three ways; stops at the first that finds something.
    async fn find(&self, cx: &Cx<'_>, desired: &R::Desired, key: &str) -> Result<Found<R::Observed>, Error> {
        let mut found = Found {
            owned: None,
            pending: None,
            named: None,
        };
        let common = self.record.status.common();
        if let Some(PendingCreation { key, since }) = &common.pending_creation {
            found.pending = R::observe(cx, Some(desired), Target::Key(key))
                .await?
                .filter(|one| may_come_from::<R>(one, since.0));
            if found.pending.is_some() {
                return Ok(found);
            }
        }
        if let (Some(identity), Some(_)) = (R::identity(&self.record.status), common.origin) {
            found.owned = R::observe(cx, Some(desired), Target::Identity(&identity)).await?;
            if found.owned.is_some() {
                return Ok(found);
            }
            R::believe_gone(cx, &identity).await?;
        }
        found.named = R::observe(cx, Some(desired), Target::Key(key)).await?;
        Ok(found)
    }

    /// Makes ours what becomes ours.
    async fn take(&mut self, decision: Decision<R::Observed>) -> Result<Option<R::Observed>, Error> {
        match decision {
            Decision::Manage(observed) => Ok(Some(observed)),
            Decision::Create => Ok(None),
            Decision::Take(observed, origin) => {
                self.record.require_finalizer().await?;
                self.record.status.common_mut().origin = Some(origin);
                self.show_deletion_policy();
                if origin == Origin::Adopted {
                    self.tell(
                        EventType::Normal,
                        Reason::Adopted,
                        "took over what Coder already held".to_owned(),
                    )
                    .await;
                }
                Ok(Some(observed))
            }
        }
    }

    /// Stores what must be known before the next calls.
    async fn prepare(&mut self, desired: &R::Desired, observed: &R::Observed) -> Result<(), Error> {
        let before = self.record.status.clone();
        R::prepare(desired, observed, &mut self.record.status);
        if self.record.status == before {
            return Ok(());
        }
        self.write().await
    }

    /// Carries the plan out, up to the first creation.
    async fn apply(
        &mut self,
        connection: &Arc<Connection>,
        desired: &R::Desired,
        key: &str,
        mut observed: Option<R::Observed>,
        changes: &[R::Change],
        done: &mut Vec<Done>,
    ) -> Result<Option<R::Observed>, Error> {
        for change in changes {
            self.permit(connection).await?;
            R::rehearse(&self.cx(connection)?, desired, change).await?;
            let creates = change.creates();
            let begun_before = self.record.status.common().pending_creation.is_some();
            if creates {
                self.claim_creation(connection, key)?;
                self.begin_creation(key).await?;
            }
            let cx = self.cx(connection)?;
            tracing::info!(%change, "changing Coder");
            match R::apply(&cx, desired, observed.as_ref(), change).await {
                Ok(after) => observed = Some(after),
                Err(error) if creates => {
                    observed = self
                        .creation_failed(connection, desired, key, begun_before, error)
                        .await?;
                }
                Err(error) if error.coder().is_some_and(crate::coder::Error::is_already_exists) => {
                    return Err(self.name_taken(connection, desired, key, error).await?);
                }
                Err(error) => return Err(error),
            }
            // What is made again is filled again: its end says it all.
            let made_again = done.iter().any(|done| done.creates);
            let deviations = if self.was_in_sync() && !made_again {
                change.deviations(self.record.before())
            } else {
                Vec::new()
            };
            let text = change.to_string();
            // What several calls do together is said once.
            if done.last().is_none_or(|last| last.text != text) {
                done.push(Done {
                    text,
                    creates,
                    deviations,
                });
            }
            if creates {
                if let Some(made) = observed {
                    self.record_creation(desired, &made);
                    let cx = self.cx(connection)?;
                    observed = Some(R::complete(&cx, desired, made).await?);
                }
                break;
            }
        }
        Ok(observed)
    }

    /// What its instance says, and whether it works, makes the object look.
    pub(in crate::engine) fn depend_on_instance(&self, instance: &ObjectKey) {
        self.depend(Topic::Object(Reference {
            kind: instance::KIND,
            key: instance.clone(),
        }));
        self.depend(Topic::Coverage(instance::KIND));
    }

    /// What would become of the object in Coder goes into the status, as soon as there is one or may be one: a deletion
    /// goes by it while the connection that said so is gone.
    fn show_deletion_policy(&mut self) {
        let holds = self.record.status.common().holds();
        let policy = holds.then(|| self.deletion_policy());
        self.record.status.common_mut().effective_deletion_policy = policy;
    }

    /// The object depends on what this connection shows.
    pub(in crate::engine) fn keep_connection(&mut self, connection: &Arc<Connection>) {
        self.connection = Some(Arc::clone(connection));
    }

    /// What the kind works with, as fresh as was asked for.
    pub(in crate::engine) fn cx<'c>(&'c self, connection: &Arc<Connection>) -> Result<Cx<'c>, Error> {
        self.cx_as_of(connection, self.due.fresh)
    }

    /// The same, to see what has become of something just now.
    pub(in crate::engine) fn cx_now<'c>(&'c self, connection: &Arc<Connection>) -> Result<Cx<'c>, Error> {
        self.cx_as_of(connection, Some(Instant::now()))
    }

    fn cx_as_of<'c>(&'c self, connection: &Arc<Connection>, since: Option<Instant>) -> Result<Cx<'c>, Error> {
        let owner = Owner::of(self.record.object().as_ref()).ok_or(Error::Superseded)?;
        let own = self
            .record
            .object()
            .common()
            .resync_interval
            .as_ref()
            .and_then(|interval| interval.parse().ok());
        let interval = connection.terms.interval(own);
        Ok(Cx {
            me: self.me.clone(),
            owner,
            connection: Arc::clone(connection),
            freshness: since.map_or(Freshness::Known(interval), Freshness::Since),
            interval,
            now: (self.engine.now)(),
            objects: self.engine.caches.as_ref(),
            outputs: &self.engine.outputs,
            wakes: &self.engine.wakes,
            seen: &self.seen,
        })
    }

    pub(in crate::engine) fn depend(&self, topic: Topic) {
        self.engine.wakes.depend(&self.me, topic.clone());
        self.seen
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .topics
            .insert(topic);
    }

    fn adoption_policy(&self, connection: &Connection) -> AdoptionPolicy {
        self.record
            .object()
            .common()
            .adoption_policy
            .or(connection.terms.defaults.adoption_policy)
            .unwrap_or_default()
    }

    fn until(&self, at: Timestamp) -> Duration {
        Duration::try_from(at.duration_since((self.engine.now)())).unwrap_or_default()
    }
}

/// What messages call the object with that key.
fn name_of<R: Remote>(key: &str) -> String {
    format!("{} {key}", R::NOUN)
}
