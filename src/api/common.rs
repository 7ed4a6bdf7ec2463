//! The part of the spec that every kind has.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::duration::DurationString;
use super::rules;

/// The fields that all kinds share, flattened into each spec.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct CommonSpec {
    /// The `CoderInstance` through which this object is managed. Cannot be changed: delete the object and create it anew.
    /// Another namespace works only if that instance's `spec.access` grants it to this one.
    #[serde(default)]
    #[x_kube(validation = Rule::new("self == oldSelf")
        .message("instanceRef cannot be changed: delete this object (deletionPolicy: Orphan keeps what Coder holds) and create it anew"))]
    pub instance_ref: InstanceRef,

    /// What the operator may do: `Manage` (create, update, delete), `Observe` (read and report drift, write nothing) or
    /// `Suspend` (do nothing at all).
    #[serde(default)]
    pub mode: Mode,

    /// What to do when Coder already holds an object of this name that the operator did not create: `Never` leaves it
    /// alone and says so, `IfExists` takes it over, `MustExist` takes it over and never creates one.
    /// Default: the instance's `defaults.adoptionPolicy`, else `Never`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adoption_policy: Option<AdoptionPolicy>,

    /// What becomes of the object in Coder when this one is deleted. Unset: `Delete` for what the operator created and
    /// `Orphan` for what it took over; organizations and licences are orphaned unless `Delete` is said here. The
    /// instance's `defaults.deletionPolicy: Orphan` orphans everything that does not say `Delete` itself, and its
    /// `overrides.deletionPolicy: Orphan` everything. The effective value is shown in `status.effectiveDeletionPolicy`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,

    /// The longest time that a change made behind the operator's back can stay unseen, for example `10m`.
    /// Default: the instance's `resyncInterval`; never shorter than its `minResyncInterval`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resync_interval: Option<DurationString>,
}

/// Points at the `CoderInstance` that holds the connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InstanceRef {
    /// Name of the `CoderInstance`.
    #[serde(default = "default_instance")]
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Its namespace; default: the namespace of this object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: Option<String>,
}

impl Default for InstanceRef {
    fn default() -> Self {
        Self {
            name: default_instance(),
            namespace: None,
        }
    }
}

fn default_instance() -> String {
    "default".to_owned()
}

/// Points at another custom resource of this operator.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectRef {
    /// Name of the Kubernetes object (its `metadata.name`, not the name in Coder).
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Its namespace; default: the namespace of this object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: Option<String>,
}

/// Points at one key of a Secret or `ConfigMap` in the namespace of the object that names it. There is no namespace
/// field on purpose: nobody can make the operator read a Secret that they could not mount themselves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyRef {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = rules::secret_name())]
    pub name: String,
    /// Key within it; the default is said where the reference is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = rules::secret_key())]
    pub key: Option<String>,
}

impl SecretKeyRef {
    /// The key, or what the field's documentation says is the default.
    #[must_use]
    pub fn key_or<'a>(&'a self, default: &'a str) -> &'a str {
        self.key.as_deref().unwrap_or(default)
    }
}

/// Points at a whole Secret in the namespace of the object that names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretRef {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = rules::secret_name())]
    pub name: String,
}

/// What the operator may do with an object.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, strum::IntoStaticStr,
)]
pub enum Mode {
    /// Create, update and delete until Coder agrees with the spec.
    #[default]
    Manage,
    /// Read and report differences; write nothing to Coder.
    Observe,
    /// Neither read nor write; status keeps what was last known.
    Suspend,
}

/// What to do with an object of the same name that the operator did not create.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum AdoptionPolicy {
    /// Leave it alone and report `AlreadyExists`.
    #[default]
    Never,
    /// Take it over when it is there, create it when it is not.
    IfExists,
    /// Take it over; when it is not there, report `NotFound` and wait for it.
    MustExist,
}

/// What becomes of the object in Coder when the custom resource is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, strum::Display)]
pub enum DeletionPolicy {
    /// It is deleted in Coder first.
    Delete,
    /// It stays in Coder, unmanaged.
    Orphan,
}

/// How a list or a map of the spec is to be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Policy {
    /// Exactly these.
    #[default]
    Exact,
    /// These and whatever else is there.
    AtLeast,
}
