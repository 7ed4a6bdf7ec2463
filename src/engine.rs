//! One reconcile pass for all kinds: resolve → observe → plan → apply → report.
//!
//! The engine knows neither Coder's endpoints nor any concrete kind; a kind says what is particular to it by
//! implementing [`Remote`]. The rules that protect users live here, once:
//!
//! * [`pass`] is the driver and what it decides: whose an object is, when it is created, taken over or let go, what somebody
//!   else did to it;
//! * [`cluster`] is the Kubernetes side: watches, what wakes whom, the status, the Secrets that are written, and the worker
//!   that ties a kind to its watch;
//! * [`record`] is one object under a pass, and all that is written of it; [`dependents`] is what holds up a deletion;
//! * [`access`] says who may use a [`connection`]; [`error`] what follows from a failure, [`conditions`] how users see it;
//! * [`remote`] is what a kind has to say, [`cx`] what it may ask and do, [`issued`] how it keeps what Coder shows once.

pub mod access;
pub mod cluster;
pub mod conditions;
pub mod connection;
pub mod cx;
pub mod dependents;
pub mod error;
pub mod issued;
pub mod pass;
pub mod record;
pub mod remote;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_controller::events::{Event, EventRecorder, EventType};
use kube::Resource;

pub use cx::Cx;
pub use error::{Disposition, Error, Reason};
pub use pass::drift::Deviation;
pub use remote::{Life, Note, Remote, Report, Target};

use crate::api::ObjectKey;
use crate::coder::{Bodies, DeploymentId};
use crate::leader::Leadership;
use crate::metrics::Metrics;
use crate::supervisor::Supervisor;
use cluster::index::Holder;
use cluster::metadata::MetadataCache;
use cluster::objects::Caches;
use cluster::output::Outputs;
use cluster::wake::Wakes;
use connection::Connections;
use pass::claims::Claims;
use pass::fights::Fights;

/// The longest note of an event, in bytes.
const NOTE_MAX: usize = 1024;

/// What all passes share.
pub struct Engine {
    /// Kubernetes.
    pub kube: kube::Client,
    /// The custom resources as watched.
    pub caches: Arc<Caches>,
    /// Labels of namespaces, for the grants of instances.
    pub namespaces: Arc<MetadataCache>,
    /// Who is woken by what.
    pub wakes: Arc<Wakes>,
    /// Who wants what by name.
    pub claims: Claims,
    /// What was set back lately.
    pub fights: Fights,
    /// The connections to Coder.
    pub connections: Connections,
    /// Where their large answers find room.
    pub bodies: Bodies,
    /// Secrets that the operator writes.
    pub outputs: Outputs,
    /// Kubernetes events.
    pub events: EventRecorder,
    /// Whether this process may write.
    pub leadership: Leadership,
    /// Numbers.
    pub metrics: Arc<Metrics>,
    /// The clock.
    pub now: fn() -> Timestamp,
    /// A number in 0 … 1, new at each call.
    pub jitter: fn() -> f64,
    /// What runs beside the passes.
    pub tasks: Arc<Supervisor>,
}

impl Engine {
    /// Tells the readers of an object what happened to it. An event that cannot be written is logged, nothing more.
    pub async fn tell<K>(&self, object: &K, type_: EventType, reason: &str, note: String)
    where
        K: Resource<DynamicType = ()>,
    {
        let event = Event {
            type_,
            reason: reason.to_owned(),
            action: "Reconcile".to_owned(),
            // The API server takes no longer one.
            note: Some(conditions::cut(&note, NOTE_MAX).into_owned()),
            related: None,
        };
        if let Err(error) = self.events.publish(object, &event).await {
            tracing::warn!(%error, reason, "an event could not be written");
        }
    }

    /// The labels of a namespace.
    ///
    /// # Errors
    /// `Pending`, or waiting, while nothing is known of namespaces.
    pub fn labels(&self, namespace: &str) -> Result<Option<BTreeMap<String, String>>, Error> {
        let labels = self.namespaces.labels(&ObjectKey::new("", namespace));
        if labels.is_none() {
            self.namespaces.coverage().of("")?;
        }
        Ok(labels)
    }

    /// The custom resources of a kind that manage the object with that id in that deployment.
    pub fn holders(&self, kind: &'static str, deployment: DeploymentId, id: &str) -> Vec<Holder> {
        let mut holders = self.caches.index().holders(kind, id);
        let by_instance = |instance: &ObjectKey| {
            let there = self.connections.last(instance)?;
            Some(there.link.deployment.to_string())
        };
        let deployment = deployment.to_string();
        holders.retain(|holder| {
            let there = holder.deployment.clone().or_else(|| by_instance(&holder.instance));
            there.as_ref() == Some(&deployment)
        });
        holders
    }

    /// Forgets everything that was found out by looking: somebody else may have led meanwhile.
    pub fn reset(&self) {
        self.connections.close();
        self.claims.clear();
        self.fights.clear();
    }
}
