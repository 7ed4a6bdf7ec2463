//! The driver: one look at one object, the same for every kind.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use k8s_controller::events::EventType;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::runtime::reflector::Store;
use kube::{Resource, ResourceExt};
use tokio::time::Instant;

use super::adoption::{self, Decision, Found};
use super::claims::{self, Claim};
use super::conditions::{self, SYNCED, Verdict};
use super::connection::Connection;
use super::cx::{Cx, Seen};
use super::error::{Disposition, Error, Reason};
use super::output::Owner;
use super::remote::{Remote, Report, Target};
use super::status::{self, Guard, Recent};
use super::wake::Topic;
use super::{Engine, access, teardown};
use crate::api::{
    AdoptionPolicy, Kind, KindStatus, Mode, ObjectKey, Origin, PendingCreation, Reference, annotation, instance,
};
use crate::mirror::Waker;

/// How often a plan is made anew before the pass gives up: creation, its consequences, and one to see that it is empty.
const ROUNDS: usize = 6;

/// A pass under way.
pub struct Pass<'a, R: Remote> {
    pub(super) engine: &'a Engine,
    pub(super) recent: &'a Recent<R::Kind>,
    /// All objects of the kind, as watched.
    pub(super) store: &'a Store<R::Kind>,
    /// The object as it is now, own writes included.
    pub(super) object: Arc<R::Kind>,
    /// The status as the pass found it.
    pub(super) before: StatusOf<R>,
    /// The status as the pass leaves it.
    pub(super) status: StatusOf<R>,
    pub(super) me: Reference,
    pub(super) since: Instant,
    pub(super) seen: Mutex<Seen>,
    connection: Option<Arc<Connection>>,
    /// Whether this pass claims something by name.
    claims: bool,
}

/// The status of a kind.
pub type StatusOf<R> = <<R as Remote>::Kind as Kind>::Status;

/// How a pass ended, for who schedules the next one.
#[derive(Debug)]
pub struct Ended {
    /// What stopped it.
    pub error: Option<Error>,
    /// When to look again although nothing happened.
    pub look_again: Option<Duration>,
}

/// Looks at the object once and does what is to be done.
pub async fn run<R: Remote>(
    engine: &Engine,
    store: &Store<R::Kind>,
    recent: &Recent<R::Kind>,
    object: Arc<R::Kind>,
) -> Ended {
    let object = recent.newest(object);
    let me = Reference {
        kind: R::Kind::KIND,
        key: object.key(),
    };
    let since = engine.wakes.take_since(&me);
    let before = object.status().cloned().unwrap_or_default();
    let status = before.clone();
    let mut pass = Pass::<R> {
        engine,
        recent,
        store,
        object,
        before,
        status,
        me,
        since,
        seen: Mutex::default(),
        connection: None,
        claims: false,
    };
    let ended = if pass.object.meta().deletion_timestamp.is_some() {
        teardown::run(&mut pass).await
    } else {
        pass.look().await
    };
    pass.settle(ended.error.as_ref());
    ended
}

impl<R: Remote> Pass<'_, R> {
    async fn look(&mut self) -> Ended {
        let result = match self.object.common().mode {
            Mode::Suspend => Ok((Verdict::Suspended, None)),
            Mode::Observe => self.observe().await,
            Mode::Manage => self.manage().await.map(|report| (Verdict::InSync, Some(report))),
        };
        let (verdict, report) = match &result {
            Ok((verdict, report)) => (verdict, report.as_ref()),
            Err(error) if error.disposition() == Disposition::Superseded => {
                return Ended {
                    error: result.err(),
                    look_again: None,
                };
            }
            Err(error) => (&Verdict::Failed(error), None),
        };
        let written = self.conclude(verdict, report).await;
        let look_again = report.and_then(|report| report.look_again).map(|at| self.until(at));
        let error = result.err().or(written.err());
        Ended { error, look_again }
    }

    /// Manage: makes Coder agree.
    async fn manage(&mut self) -> Result<Report, Error> {
        let connection = self.connect()?;
        let (desired, key) = self.desire(&connection).await?;
        self.claim_name(&connection, &key)?;
        let cx = self.cx(&connection, self.since)?;
        let policy = self.adoption_policy(&connection);
        let what = name_of::<R>(&key);
        let found = self.find(&cx, &desired, &key).await?;
        self.claim_found(&connection, &found)?;
        let decision = adoption::decide(found, policy, &what)?;
        let mut observed = self.take(decision).await?;
        let mut done = Vec::new();
        for _ in 0..ROUNDS {
            if let Some(observed) = &observed {
                R::check(&desired, observed)?;
            }
            let changes = R::plan(&desired, observed.as_ref());
            let Some(now) = observed.clone().filter(|_| changes.is_empty()) else {
                self.require_finalizer().await?;
                observed = self
                    .apply(&connection, &desired, &key, observed, &changes, &mut done)
                    .await?;
                continue;
            };
            self.tell_changes(done).await;
            self.status.common_mut().pending_creation = None;
            return Ok(R::report(&desired, &now, &mut self.status, (self.engine.now)()));
        }
        let changes = R::plan(&desired, observed.as_ref());
        let left: Vec<String> = changes.iter().map(ToString::to_string).collect();
        Err(Error::NotConverging(left.join("; ")))
    }

    /// Observe: compares and says so.
    async fn observe(&mut self) -> Result<(Verdict<'static>, Option<Report>), Error> {
        let connection = self.connect()?;
        let (desired, key) = self.desire(&connection).await?;
        let cx = self.cx(&connection, self.since)?;
        let Found { owned, pending, named } = self.find(&cx, &desired, &key).await?;
        let Some(observed) = owned.or(pending).or(named) else {
            let message = format!(
                "{} does not exist in Coder and mode is Observe: nothing is created",
                name_of::<R>(&key)
            );
            return Err(Error::waiting(Reason::NotFound, message));
        };
        R::check(&desired, &observed)?;
        let changes = R::plan(&desired, Some(&observed));
        let report = R::report(&desired, &observed, &mut self.status, (self.engine.now)());
        let lines: Vec<String> = changes.iter().map(ToString::to_string).collect();
        let drift = (!lines.is_empty()).then(|| lines.join("; "));
        if let Some(drift) = &drift
            && self
                .before
                .common()
                .condition(conditions::DRIFT_DETECTED)
                .is_none_or(|before| before.message != *drift)
        {
            self.engine.metrics.drift(R::Kind::KIND, "reported");
            self.tell(EventType::Warning, Reason::DriftDetected, drift.clone())
                .await;
        }
        Ok((Verdict::Observed { drift }, Some(report)))
    }

    /// The connection, granted to this object.
    fn connect(&mut self) -> Result<Arc<Connection>, Error> {
        let instance = self.object.instance_key();
        self.depend(Topic::Object(Reference {
            kind: instance::KIND,
            key: instance.clone(),
        }));
        let connection = self.engine.connections.get(&instance)?;
        self.connection = Some(Arc::clone(&connection));
        self.authorize(&connection)?;
        Ok(connection)
    }

    /// Whether the instance grants its use to this object.
    pub(super) fn authorize(&self, connection: &Connection) -> Result<(), Error> {
        let namespace = &self.me.key.namespace;
        self.depend(Topic::Namespace(namespace.clone()));
        let labels = self.engine.labels(namespace);
        let request = access::Request {
            instance: &connection.key,
            namespace,
            labels: labels.as_ref(),
            kind: R::Kind::KIND,
            scope: R::Kind::SCOPE,
        };
        access::check(connection.access.as_ref(), request)
    }

    /// What shall be, and by what it is found.
    async fn desire(&mut self, connection: &Arc<Connection>) -> Result<(R::Desired, String), Error> {
        let cx = self.cx(connection, self.since)?;
        let desired = R::resolve(&cx, &self.object).await?;
        if let Some(organization) = R::organization(&desired) {
            let namespace = &self.me.key.namespace;
            access::check_organization(connection.access.as_ref(), &connection.key, namespace, organization)?;
        }
        self.show_deletion_policy();
        let key = R::key(&desired);
        Ok((desired, key))
    }

    /// Looks in the three ways; stops at the first that finds something.
    async fn find(&self, cx: &Cx<'_>, desired: &R::Desired, key: &str) -> Result<Found<R::Observed>, Error> {
        let mut found = Found {
            owned: None,
            pending: None,
            named: None,
        };
        let common = self.status.common();
        if let Some(PendingCreation { key, since }) = &common.pending_creation {
            found.pending = R::observe(cx, Some(desired), Target::Key(key))
                .await?
                .filter(|one| R::created_since(one, since.0));
            if found.pending.is_some() {
                return Ok(found);
            }
        }
        if let (Some(identity), Some(_)) = (R::identity(&self.status), common.origin) {
            found.owned = R::observe(cx, Some(desired), Target::Identity(&identity)).await?;
            if found.owned.is_some() {
                return Ok(found);
            }
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
                self.require_finalizer().await?;
                self.status.common_mut().origin = Some(origin);
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
            let creates = R::creates(change);
            let begun_before = self.status.common().pending_creation.is_some();
            if creates {
                self.begin_creation(key).await?;
            }
            let cx = self.cx(connection, self.since)?;
            tracing::info!(%change, "changing Coder");
            match R::apply(&cx, desired, observed.as_ref(), change).await {
                Ok(after) => observed = Some(after),
                Err(error) if creates => {
                    observed = self
                        .creation_failed(connection, desired, key, begun_before, error)
                        .await?;
                }
                Err(error) => return Err(error),
            }
            let drift = !creates && self.was_in_sync() && R::corrects_drift(change, &self.before);
            done.push(Done {
                text: change.to_string(),
                creates,
                drift,
            });
            if creates {
                self.record_creation(desired, observed.as_ref()).await?;
                break;
            }
        }
        Ok(observed)
    }

    /// Writes down what is about to be created, insisting that this pass saw the newest state of the object.
    async fn begin_creation(&mut self, key: &str) -> Result<(), Error> {
        let pending = self.status.common().pending_creation.as_ref();
        if pending.is_some_and(|pending| pending.key == key) {
            return Ok(());
        }
        let since = Time(seconds((self.engine.now)()));
        self.status.common_mut().pending_creation = Some(PendingCreation {
            key: key.to_owned(),
            since,
        });
        self.show_deletion_policy();
        self.write(Guard::Unchanged).await
    }

    /// A creation that was refused: either it is there because it is ours after all, or it may be taken over, or not.
    async fn creation_failed(
        &mut self,
        connection: &Arc<Connection>,
        desired: &R::Desired,
        key: &str,
        begun_before: bool,
        error: Error,
    ) -> Result<Option<R::Observed>, Error> {
        let Some(refusal) = error.coder() else {
            return Err(error);
        };
        let exists = refusal.is_already_exists();
        let may_be_ours = refusal.outcome_unknown() || (exists && begun_before);
        if !may_be_ours {
            self.status.common_mut().pending_creation = None;
        }
        if !exists {
            return Err(error);
        }
        let cx = self.cx(connection, Instant::now())?;
        let found = R::observe(&cx, Some(desired), Target::Key(key)).await?;
        let what = name_of::<R>(key);
        let found = match (found, begun_before) {
            // The list does not show it, but Coder says that it is there: it differs in case, or may not be read.
            (None, _) => return Err(adoption::already_exists(&what)),
            (Some(ours), true) => Found {
                owned: None,
                pending: Some(ours),
                named: None,
            },
            (Some(theirs), false) => Found {
                owned: None,
                pending: None,
                named: Some(theirs),
            },
        };
        self.take(adoption::decide(found, self.adoption_policy(connection), &what)?)
            .await
    }

    /// The id goes into the status right after the creation, whatever else happened to the object meanwhile.
    async fn record_creation(&mut self, desired: &R::Desired, observed: Option<&R::Observed>) -> Result<(), Error> {
        let Some(observed) = observed else { return Ok(()) };
        let _ = R::report(desired, observed, &mut self.status, (self.engine.now)());
        let common = self.status.common_mut();
        common.pending_creation = None;
        common.origin.get_or_insert(Origin::Created);
        self.show_deletion_policy();
        self.write(Guard::SameObject).await
    }

    /// Whether this process may write to that deployment right now.
    pub(super) async fn permit(&self, connection: &Connection) -> Result<(), Error> {
        if !self.engine.leadership.leads() {
            return Err(Error::Superseded);
        }
        connection.prove_deployment().await
    }

    async fn require_finalizer(&mut self) -> Result<(), Error> {
        if status::has_finalizer(self.object.as_ref()) {
            return Ok(());
        }
        if !self.engine.leadership.leads() {
            return Err(Error::Superseded);
        }
        let object = status::set_finalizer(&self.engine.kube, self.object.as_ref(), true).await?;
        self.wrote(object);
        Ok(())
    }

    /// Refuses when another custom resource wants the same name with more right.
    fn claim_name(&mut self, connection: &Connection, key: &str) -> Result<(), Error> {
        let mine = self.my_claim(connection, Some(key.to_owned()), self.held());
        self.claims = true;
        self.engine.claims.want(&self.me, mine.clone());
        let others = self.engine.claims.against(R::Kind::KIND, &mine);
        self.check_claim(&mine, &others)
    }

    /// Refuses when another custom resource holds the very object that was found.
    fn claim_found(&self, connection: &Connection, found: &Found<R::Observed>) -> Result<(), Error> {
        let Some(observed) = found.owned.as_ref().or(found.pending.as_ref()).or(found.named.as_ref()) else {
            return Ok(());
        };
        let id = R::held(&R::identify(observed));
        let others = self.holders(connection, &id);
        // Who only names the object yields to who holds it, whatever the age.
        let mut mine = self.my_claim(connection, None, Some(id));
        if found.owned.is_none() && !others.is_empty() {
            mine.since = None;
        }
        self.check_claim(&mine, &others)
    }

    fn check_claim(&self, mine: &Claim, others: &[Claim]) -> Result<(), Error> {
        if let Some(owner) = claims::stronger(mine, others) {
            self.depend(Topic::Object(Reference {
                kind: R::Kind::KIND,
                key: owner.key.clone(),
            }));
        }
        claims::check(mine, others, R::Kind::KIND)
    }

    /// The other custom resources whose status says that they have the object with that id.
    pub(super) fn holders(&self, connection: &Connection, id: &str) -> Vec<Claim> {
        let holds = |other: &Arc<R::Kind>| {
            let status = other.status()?;
            status.common().origin?;
            let held = R::held(&R::identity(status)?);
            let there = self.engine.connections.last(&other.instance_key())?;
            let claim = Claim {
                key: other.key(),
                deployment: there.link.deployment.to_string(),
                named: None,
                held: Some(held),
                since: other.creation_timestamp(),
            };
            (claim.held.as_deref() == Some(id) && claim.deployment == connection.link.deployment.to_string())
                .then_some(claim)
        };
        self.store
            .state()
            .iter()
            .filter(|other| other.key() != self.me.key)
            .filter_map(holds)
            .collect()
    }

    pub(super) fn my_claim(&self, connection: &Connection, named: Option<String>, held: Option<String>) -> Claim {
        Claim {
            key: self.me.key.clone(),
            deployment: connection.link.deployment.to_string(),
            named,
            held,
            since: self.object.creation_timestamp(),
        }
    }

    /// What this object holds.
    fn held(&self) -> Option<String> {
        let common = self.status.common();
        common
            .origin
            .and_then(|_| R::identity(&self.status))
            .map(|identity| R::held(&identity))
    }

    /// What would become of the object in Coder goes into the status, as soon as there is one or may be one: a deletion
    /// goes by it while the connection that said so is gone.
    fn show_deletion_policy(&mut self) {
        let common = self.status.common();
        let managed = common.origin.is_some() || common.pending_creation.is_some();
        let policy = managed.then(|| self.deletion_policy(self.connection.as_deref()));
        self.status.common_mut().effective_deletion_policy = policy;
    }

    /// The object depends on what this connection shows.
    pub(super) fn keep_connection(&mut self, connection: &Arc<Connection>) {
        self.connection = Some(Arc::clone(connection));
    }

    /// What the pass found is told once, in one event.
    async fn tell_changes(&self, done: Vec<Done>) {
        let join = |wanted: &dyn Fn(&Done) -> bool| {
            let lines: Vec<&str> = done
                .iter()
                .filter(|done| wanted(done))
                .map(|done| &*done.text)
                .collect();
            (!lines.is_empty()).then(|| lines.join("; "))
        };
        if let Some(text) = join(&|done| done.creates) {
            self.tell(EventType::Normal, Reason::Created, text).await;
        }
        if let Some(text) = join(&|done| done.drift) {
            self.engine.metrics.drift(R::Kind::KIND, "corrected");
            self.tell(EventType::Warning, Reason::DriftCorrected, text).await;
        }
        if let Some(text) = join(&|done| !done.drift && !done.creates) {
            self.tell(EventType::Normal, Reason::Updated, text).await;
        }
    }

    /// Whether nothing that the user did can be the cause of a difference.
    fn was_in_sync(&self) -> bool {
        let before = self.before.common();
        before.is_true(SYNCED)
            && before.origin.is_some()
            && Some(before.observed_generation) == self.object.meta().generation
    }

    /// Writes the verdict, if it differs from what is written already.
    pub(super) async fn conclude(&mut self, verdict: &Verdict<'_>, report: Option<&Report>) -> Result<(), Error> {
        let generation = self.object.meta().generation;
        let handled = self.object.annotations().get(annotation::RECONCILE_AT).cloned();
        let common = self.status.common_mut();
        common.observed_generation = generation.unwrap_or_default();
        if handled.is_some() {
            common.last_handled_reconcile_at = handled;
        }
        conditions::conclude(&mut common.conditions, generation, verdict);
        let news = match report {
            Some(report) => conditions::note(&mut common.conditions, generation, &report.notes),
            None => Vec::new(),
        };
        if let Verdict::Failed(error) | Verdict::DeletionBlocked(error) = verdict {
            let message = error.to_string();
            let ready = self.before.common().condition(conditions::READY);
            if ready.is_none_or(|ready| ready.message != message) {
                self.tell(EventType::Warning, error.reason(), message).await;
            }
        }
        for note in news {
            self.engine
                .tell(self.object.as_ref(), EventType::Warning, note.reason, note.message)
                .await;
        }
        self.write(Guard::Unchanged).await
    }

    /// Writes the status if it differs from what the object has.
    pub(super) async fn write(&mut self, guard: Guard) -> Result<(), Error> {
        if self.object.status() == Some(&self.status) {
            return Ok(());
        }
        if !self.engine.leadership.leads() {
            return Err(Error::Superseded);
        }
        let written = status::write(&self.engine.kube, self.object.as_ref(), &self.status, guard).await;
        match written {
            Ok(object) => {
                self.wrote(object);
                Ok(())
            }
            Err(error) => {
                self.recent.forget(self.object.as_ref());
                Err(error)
            }
        }
    }

    pub(super) fn wrote(&mut self, object: R::Kind) {
        self.object = Arc::new(object);
        self.recent.wrote(Arc::clone(&self.object));
    }

    pub(super) fn cx<'c>(&'c self, connection: &Arc<Connection>, since: Instant) -> Result<Cx<'c>, Error> {
        let owner = Owner::of(self.object.as_ref()).ok_or(Error::Superseded)?;
        let own = self
            .object
            .common()
            .resync_interval
            .as_ref()
            .and_then(|interval| interval.parse().ok());
        Ok(Cx {
            me: self.me.clone(),
            owner,
            connection: Arc::clone(connection),
            since,
            interval: own.unwrap_or(connection.resync),
            objects: self.engine.caches.as_ref(),
            outputs: &self.engine.outputs,
            wakes: &self.engine.wakes,
            seen: &self.seen,
        })
    }

    pub(super) async fn tell(&self, type_: EventType, reason: Reason, note: String) {
        self.engine
            .tell(self.object.as_ref(), type_, reason.as_str(), note)
            .await;
    }

    pub(super) fn depend(&self, topic: Topic) {
        self.engine.wakes.depend(&self.me, topic.clone());
        self.seen
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .topics
            .insert(topic);
    }

    /// What the object depends on from now on is what this pass saw.
    fn settle(&self, error: Option<&Error>) {
        if !self.claims {
            self.engine.claims.forget(&self.me);
        }
        let instance = self.object.instance_key();
        if let Some(error) = error {
            self.report_to_instance(&instance, error);
        }
        let mut seen = self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let Seen { topics, collections } = std::mem::take(&mut *seen);
        self.engine.wakes.settle(&self.me, topics);
        if let Some(connection) = self
            .connection
            .clone()
            .or_else(|| self.engine.connections.last(&instance))
        {
            connection.mirror().retain_subscriptions(&self.me, &collections);
        }
    }

    /// What concerns the connection as a whole is the instance's to find out and to say. Its next success wakes only who
    /// could not get through at all: for the others it must change (features, roles), or they would go round in circles.
    fn report_to_instance(&self, instance: &ObjectKey, error: &Error) {
        let reason = error.reason();
        let dead = matches!(error.coder(), Some(crate::coder::Error::BreakerOpen { .. }));
        if dead || matches!(reason, Reason::InstanceNotReady | Reason::InstanceNotFound) {
            self.depend(Topic::Recovery(instance.clone()));
        }
        let concerns_all = [
            Reason::Unauthorized,
            Reason::NotEntitled,
            Reason::DeploymentChanged,
            Reason::Forbidden,
        ];
        // What the instance said itself is no news to it.
        let news =
            dead || (error.coder().is_some() && concerns_all.contains(&reason)) || self.found_other_deployment(error);
        if news {
            let instance = Reference {
                kind: instance::KIND,
                key: instance.clone(),
            };
            self.engine.wakes.wake(&instance, Instant::now());
        }
    }

    /// Whether this very pass found that the deployment is another one.
    fn found_other_deployment(&self, error: &Error) -> bool {
        error.reason() == Reason::DeploymentChanged && self.connection.is_some()
    }

    fn adoption_policy(&self, connection: &Connection) -> AdoptionPolicy {
        self.object
            .common()
            .adoption_policy
            .or(connection.defaults.adoption_policy)
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

/// A change that was made.
struct Done {
    text: String,
    creates: bool,
    drift: bool,
}

fn seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}
