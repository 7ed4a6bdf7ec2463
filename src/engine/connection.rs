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
use crate::coder::{Client, DeploymentId, User};
use crate::engine::cluster::coverage::Coverage;
use crate::engine::error::{Error, Reason};
use crate::mirror::Mirror;

/// How old the last proof may be that the deployment is still the pinned one when something is written to it.
const PROOF_AGE: Duration = Duration::from_secs(5);

/// What the owner of an instance says of its use. It counts from the moment that it is said, whether the deployment can
/// be reached or not.
#[derive(Clone, Debug, PartialEq)]
pub struct Terms {
    /// Who else may use it.
    pub access: Option<Access>,
    /// Policies for objects that do not say their own.
    pub defaults: Defaults,
    /// Whether everything stays in Coder when its custom resource goes, whatever that says itself.
    pub lets_go: bool,
    /// How long drift may stay unseen.
    pub resync: Duration,
    /// How long it stays unseen at least where an object asks for less.
    pub min_resync: Duration,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            access: None,
            defaults: Defaults::default(),
            lets_go: false,
            resync: Duration::from_mins(10),
            min_resync: Duration::from_secs(30),
        }
    }
}

impl Terms {
    /// How long drift of an object may stay unseen that asks for that.
    #[must_use]
    pub fn interval(&self, asked: Option<Duration>) -> Duration {
        let shortest = self.min_resync.min(self.resync);
        asked.map_or(self.resync, |asked| asked.max(shortest))
    }
}

/// A working connection and what is known of the deployment behind it.
#[derive(Clone)]
pub struct Connection {
    /// The `CoderInstance`.
    pub key: ObjectKey,
    /// Client and mirror; kept while only facts change.
    pub link: Arc<Link>,
    /// What its owner says of its use.
    pub terms: Terms,
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
        let deployment = self.client().deployment_id().await?;
        if deployment != Some(self.link.deployment) {
            return Err(deployment_changed(&self.key, deployment));
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
    instances: RwLock<HashMap<ObjectKey, Instance>>,
    /// How much is known of the instances that exist.
    coverage: OnceLock<Coverage>,
}

/// An instance that exists.
struct Instance {
    terms: Terms,
    state: State,
}

#[derive(Clone)]
enum State {
    /// Nobody has looked at it yet.
    Unseen,
    Ready(Arc<Connection>),
    Failed {
        reason: Reason,
        last: Option<Arc<Connection>>,
    },
}

impl State {
    fn last(&self) -> Option<&Arc<Connection>> {
        match self {
            Self::Unseen => None,
            Self::Ready(connection) => Some(connection),
            Self::Failed { last, .. } => last.as_ref(),
        }
    }
}

impl Connections {
    /// Where this does not cover, an instance may exist that nobody has told of.
    pub fn known_by(&self, coverage: Coverage) {
        // A second one would be a second watch of the instances: there is none.
        let _ = self.coverage.set(coverage);
    }

    /// The instance exists, and this is what its owner says. Tells whether that is new.
    pub fn exists(&self, key: &ObjectKey, terms: Terms) -> bool {
        let mut instances = self.write();
        let Some(instance) = instances.get_mut(key) else {
            let state = State::Unseen;
            instances.insert(key.clone(), Instance { terms, state });
            return true;
        };
        if instance.terms == terms {
            return false;
        }
        let renewed = |connection: &Arc<Connection>| {
            let connection = Connection::clone(connection);
            Arc::new(Connection {
                terms: terms.clone(),
                ..connection
            })
        };
        instance.state = match &instance.state {
            State::Unseen => State::Unseen,
            State::Ready(connection) => State::Ready(renewed(connection)),
            State::Failed { reason, last } => State::Failed {
                reason: *reason,
                last: last.as_ref().map(renewed),
            },
        };
        instance.terms = terms;
        true
    }

    /// The instance is ready. Tells whether it was not before.
    pub fn ready(&self, connection: Connection) -> bool {
        let mut instances = self.write();
        let Some(instance) = instances.get_mut(&connection.key) else {
            // It went while it was looked at.
            return false;
        };
        let terms = instance.terms.clone();
        let new = State::Ready(Arc::new(Connection { terms, ..connection }));
        !matches!(std::mem::replace(&mut instance.state, new), State::Ready(_))
    }

    /// The instance is not ready; its last good connection is kept for deletions. Tells whether nothing was known before.
    pub fn failed(&self, key: &ObjectKey, reason: Reason) -> bool {
        let mut instances = self.write();
        let Some(instance) = instances.get_mut(key) else {
            return false;
        };
        let last = instance.state.last().cloned();
        let before = std::mem::replace(&mut instance.state, State::Failed { reason, last });
        matches!(before, State::Unseen)
    }

    /// The instance is gone.
    pub fn forget(&self, key: &ObjectKey) {
        self.write().remove(key);
    }

    /// Ends all connections: whoever begins anew must not go by what was so before.
    pub fn close(&self) {
        for instance in self.write().values_mut() {
            instance.state = State::Unseen;
        }
    }

    /// What the owner says of the use of an instance.
    pub fn terms(&self, key: &ObjectKey) -> Option<Terms> {
        self.read().get(key).map(|instance| instance.terms.clone())
    }

    /// The last good connection, ready or not.
    pub fn last(&self, key: &ObjectKey) -> Option<Arc<Connection>> {
        self.read().get(key)?.state.last().cloned()
    }

    /// Whether it is known which instances that namespace holds.
    ///
    /// # Errors
    /// `Pending`, or waiting, while it is not.
    pub fn knows(&self, namespace: &str) -> Result<(), Error> {
        self.coverage.get().map_or(Ok(()), |coverage| coverage.of(namespace))
    }

    /// The connection to work with.
    ///
    /// # Errors
    /// Waiting while the instance is absent or not ready; `DeploymentChanged` when a human must consent first; `Pending`
    /// while nothing is known of it: a process that just started to work has nothing to say yet.
    pub fn get(&self, key: &ObjectKey) -> Result<Arc<Connection>, Error> {
        let state = self.read().get(key).map(|instance| instance.state.clone());
        match state {
            Some(State::Ready(connection)) => Ok(connection),
            Some(State::Failed {
                reason: Reason::DeploymentChanged,
                ..
            }) => Err(deployment_changed(key, None)),
            Some(State::Failed { reason, .. }) => Err(Error::waiting(
                Reason::InstanceNotReady,
                format!("CoderInstance {key} is not ready ({reason})"),
            )),
            Some(State::Unseen) => Err(Error::Pending),
            None => {
                self.knows(&key.namespace)?;
                Err(Error::waiting(
                    Reason::InstanceNotFound,
                    format!("CoderInstance {key} does not exist; instanceRef must name one"),
                ))
            }
        }
    }

    /// The connection to delete through: the last good one will do, unless the deployment is another one.
    ///
    /// # Errors
    /// Waiting when there never was one.
    pub fn for_deletion(&self, key: &ObjectKey) -> Result<Arc<Connection>, Error> {
        match self.read().get(key).map(|instance| &instance.state) {
            Some(State::Failed {
                reason,
                last: Some(last),
            }) if *reason != Reason::DeploymentChanged => return Ok(Arc::clone(last)),
            _ => {}
        }
        self.get(key)
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, HashMap<ObjectKey, Instance>> {
        self.instances.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, HashMap<ObjectKey, Instance>> {
        self.instances.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_looks_more_often_than_the_owner_allows_nor_less_often_than_asked() {
        let seconds = Duration::from_secs;
        let terms = |resync, min_resync| Terms {
            resync: seconds(resync),
            min_resync: seconds(min_resync),
            ..Terms::default()
        };
        for (resync, min, asked, interval) in [
            (600, 30, None, 600),
            (600, 30, Some(1), 30),
            (600, 30, Some(45), 45),
            (600, 30, Some(3600), 3600),
            (5, 30, None, 5),
            (5, 30, Some(1), 5),
            (5, 30, Some(10), 10),
        ] {
            assert_eq!(terms(resync, min).interval(asked.map(seconds)), seconds(interval));
        }
    }
}
