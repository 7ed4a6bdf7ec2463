//! The connections to Coder deployments, one a `CoderInstance`, and who may use them.
//!
//! The pass of the instance puts connections in; the passes of all other objects take them out. A connection that no
//! longer works stays known as such, with its last good form kept for deletions: an instance whose token Secret is
//! deleted together with everything else must still be able to clean up.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::Instant;
use url::Url;

use crate::api::{Access, Defaults, ObjectKey};
use crate::coder::{Client, DeploymentId, User, is_at_least};
use crate::engine::cluster::watch::Synced;
use crate::engine::error::{Error, Reason};
use crate::mirror::Mirror;

/// How old the last proof may be that the deployment is still the pinned one when something is written to it.
const PROOF_AGE: Duration = Duration::from_secs(5);

/// A working connection and what is known of the deployment behind it.
pub struct Connection {
    /// The `CoderInstance`.
    pub key: ObjectKey,
    /// Client and mirror; kept while only facts change.
    pub link: Arc<Link>,
    /// Who else may use it.
    pub access: Option<Access>,
    /// Policies for objects that do not say their own.
    pub defaults: Defaults,
    /// How long drift may stay unseen.
    pub resync: Duration,
    /// Licensed features that are enabled.
    pub features: BTreeSet<String>,
    /// The user whose token is used.
    pub user: User,
    /// Version of the server, as it says it.
    pub version: String,
    /// The deployment's own access URL, by which users reach it; empty when the server does not say.
    pub access_url: String,
}

/// The part of a connection that is lost when URL, token or certificates change.
pub struct Link {
    /// Where.
    pub url: Url,
    /// Whose id the deployment must have.
    pub deployment: DeploymentId,
    client: Client,
    mirror: Arc<Mirror>,
    proven: Mutex<Option<Instant>>,
    sweeping: AbortHandle,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.sweeping.abort();
    }
}

impl Link {
    /// A link to the deployment; `sweeping` is what works for its mirror and ends with it.
    #[must_use]
    pub fn new(url: Url, deployment: DeploymentId, client: Client, mirror: Arc<Mirror>, sweeping: AbortHandle) -> Self {
        Self {
            url,
            deployment,
            client,
            mirror,
            proven: Mutex::default(),
            sweeping,
        }
    }

    /// The deployment was just seen to be the pinned one.
    pub fn proved(&self, at: Instant) {
        *self.proven.lock().unwrap_or_else(PoisonError::into_inner) = Some(at);
    }
}

impl Connection {
    /// The client.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.link.client
    }

    /// The mirror.
    #[must_use]
    pub fn mirror(&self) -> &Arc<Mirror> {
        &self.link.mirror
    }

    /// Whether the token's user has a site-wide role of which every holder reads all organizations and groups, so that
    /// absence from a list means absence. On v2.16.1 only owners do; of the others it is known since v2.35 (recording 10).
    #[must_use]
    pub fn reads_everything(&self) -> bool {
        let roles: &[&str] = if is_at_least(&self.version, (2, 35)) {
            &["owner", "user-admin", "template-admin", "auditor"]
        } else {
            &["owner"]
        };
        self.user.roles.iter().any(|role| roles.contains(&role.name.as_str()))
    }

    /// Makes sure, before a write, that the URL still leads to the pinned deployment. Asks at most once in a few
    /// seconds.
    ///
    /// # Errors
    /// `DeploymentChanged`, or what the call answered.
    pub async fn prove_deployment(&self) -> Result<(), Error> {
        let now = Instant::now();
        let proven = *self.link.proven.lock().unwrap_or_else(PoisonError::into_inner);
        if proven.is_some_and(|at| now.duration_since(at) < PROOF_AGE) {
            return Ok(());
        }
        let build = self.client().build_info().await?;
        if build.deployment_id.as_ref() != Some(&self.link.deployment) {
            return Err(deployment_changed(&self.key, build.deployment_id));
        }
        self.link.proved(now);
        Ok(())
    }
}

/// Behind the URL is another deployment than the pinned one: `now`, where that is known.
#[must_use]
pub fn deployment_changed(instance: &ObjectKey, now: Option<DeploymentId>) -> Error {
    let id = now.map_or_else(|| "<id of the new deployment>".to_owned(), |id| id.to_string());
    Error::terminal(
        Reason::DeploymentChanged,
        format!(
            "the URL of CoderInstance {instance} leads to another deployment than before; nothing is written to it until \
             the instance is annotated with {}: {id}",
            crate::api::annotation::ACCEPT_DEPLOYMENT
        ),
    )
}

/// All connections, by instance.
#[derive(Default)]
pub struct Connections {
    states: RwLock<HashMap<ObjectKey, State>>,
    /// Whether all instances that exist are known.
    known: OnceLock<Synced>,
}

#[derive(Clone)]
enum State {
    /// The instance exists; nobody has looked at it yet.
    Unseen,
    Ready(Arc<Connection>),
    Failed {
        reason: Reason,
        last: Option<Arc<Connection>>,
    },
}

impl Connections {
    /// Until this is synced, an instance may exist that nobody has told of.
    pub fn known_by(&self, synced: Synced) {
        // A second one would be a second watch of the instances: there is none.
        let _ = self.known.set(synced);
    }

    /// The instance exists. Says whether that is new.
    pub fn exists(&self, instance: &ObjectKey) -> bool {
        let mut states = self.write();
        let new = !states.contains_key(instance);
        if new {
            states.insert(instance.clone(), State::Unseen);
        }
        new
    }

    /// The instance is ready.
    pub fn ready(&self, connection: Arc<Connection>) {
        self.write().insert(connection.key.clone(), State::Ready(connection));
    }

    /// The instance is not ready; its last good connection is kept for deletions.
    pub fn failed(&self, instance: &ObjectKey, reason: Reason) {
        let last = self.last(instance);
        self.write().insert(instance.clone(), State::Failed { reason, last });
    }

    /// The instance is gone.
    pub fn forget(&self, instance: &ObjectKey) {
        self.write().remove(instance);
    }

    /// The last good connection, ready or not.
    pub fn last(&self, instance: &ObjectKey) -> Option<Arc<Connection>> {
        match self.read(instance)? {
            State::Unseen => None,
            State::Ready(connection) => Some(connection),
            State::Failed { last, .. } => last,
        }
    }

    /// The connection to work with.
    ///
    /// # Errors
    /// Waiting while the instance is absent or not ready; `DeploymentChanged` when a human must consent first;
    /// `Superseded` while nothing is known of it: a process that just started to work has nothing to say yet.
    pub fn get(&self, instance: &ObjectKey) -> Result<Arc<Connection>, Error> {
        match self.read(instance) {
            Some(State::Ready(connection)) => Ok(connection),
            Some(State::Failed {
                reason: Reason::DeploymentChanged,
                ..
            }) => Err(deployment_changed(instance, None)),
            Some(State::Failed { reason, .. }) => Err(Error::waiting(
                Reason::InstanceNotReady,
                format!("CoderInstance {instance} is not ready ({reason})"),
            )),
            Some(State::Unseen) => Err(Error::Superseded),
            None if !self.known.get().is_some_and(Synced::is_synced) => Err(Error::Superseded),
            None => Err(Error::waiting(
                Reason::InstanceNotFound,
                format!("CoderInstance {instance} does not exist; instanceRef must name one"),
            )),
        }
    }

    /// The connection to delete through: the last good one will do, unless the deployment is another one.
    ///
    /// # Errors
    /// Waiting when there never was one.
    pub fn for_deletion(&self, instance: &ObjectKey) -> Result<Arc<Connection>, Error> {
        match self.read(instance) {
            Some(State::Failed {
                reason,
                last: Some(last),
            }) if reason != Reason::DeploymentChanged => Ok(last),
            _ => self.get(instance),
        }
    }

    fn read(&self, instance: &ObjectKey) -> Option<State> {
        self.states
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(instance)
            .cloned()
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, HashMap<ObjectKey, State>> {
        self.states.write().unwrap_or_else(PoisonError::into_inner)
    }
}
