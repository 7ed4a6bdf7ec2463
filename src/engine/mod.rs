//! One reconcile pass for all kinds: resolve → observe → plan → apply → report.
//!
//! The engine knows neither Coder's endpoints nor any concrete kind; a kind says what is particular to it by
//! implementing [`Remote`]. The rules that protect users live here, once:
//!
//! * [`pass`] is the driver, [`teardown`] the way out of it;
//! * [`adoption`] decides between creating, managing and taking over; [`claims`] between two custom resources;
//!   [`access`] who may use a connection;
//! * [`drift`] says what somebody else did, [`fights`] when it happens again and again;
//! * [`error`] says what follows from a failure, [`conditions`] how users see it, [`status`] how it is written;
//! * [`wake`] brings back whoever waits; [`connection`] holds what passes work with; [`objects`] where they look things
//!   up, [`files`] the same without Kubernetes; [`output`] the Secrets they write; [`cx`] is all of that as a kind
//!   sees it;
//! * [`worker`] ties a kind to its watch.

pub mod access;
pub mod adoption;
pub mod backoff;
pub mod claims;
pub mod conditions;
pub mod connection;
pub mod cx;
pub mod drift;
pub mod error;
pub mod fights;
pub mod files;
pub mod metadata;
pub mod objects;
pub mod output;
pub mod pass;
pub mod remote;
pub mod status;
pub mod teardown;
pub mod wake;
pub mod watch;
pub mod worker;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_controller::events::{Event, EventRecorder, EventType};
use kube::Resource;

pub use cx::Cx;
pub use drift::Deviation;
pub use error::{Disposition, Error, Reason};
pub use remote::{Note, Remote, Report, Target};

use crate::api::ObjectKey;
use crate::leader::Leadership;
use crate::metrics::Metrics;
use claims::Claims;
use connection::Connections;
use fights::Fights;
use metadata::MetadataCache;
use objects::Caches;
use output::Outputs;
use wake::Wakes;

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
    pub chance: fn() -> f64,
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
            note: Some(note),
            related: None,
        };
        if let Err(error) = self.events.publish(object, &event).await {
            tracing::warn!(%error, reason, "an event could not be written");
        }
    }

    /// The labels of a namespace, as far as they are known.
    #[must_use]
    pub fn labels(&self, namespace: &str) -> Option<BTreeMap<String, String>> {
        self.namespaces.labels(&ObjectKey::new("", namespace))
    }
}
