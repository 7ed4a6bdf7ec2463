//! The part of the status that every kind has.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use super::common::DeletionPolicy;

/// What `observedGeneration` is before the first pass. Without it, tools that wait for readiness take an object that
/// nobody has looked at yet for done.
pub const NEVER_OBSERVED: i64 = -1;

/// The fields that all kinds share, flattened into each status.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CommonStatus {
    /// The `metadata.generation` that the conditions speak of.
    #[serde(default = "never_observed")]
    pub observed_generation: i64,

    /// `Ready` always; `Reconciling` or `Stalled` only while true; `Synced` tells whether Coder equalled the spec at the
    /// last look; others only while there is something to say.
    #[serde(default)]
    #[schemars(schema_with = "conditions_schema")]
    pub conditions: Vec<Condition>,

    /// The uid of the custom resource that this status was written for. One that came back from a backup has another: then
    /// nothing in here counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,

    /// Id of the deployment in which the object was made or taken over. In another one nothing is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<String>,

    /// Whether the operator created the object in Coder or took over an existing one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,

    /// What will become of the object in Coder when this one is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective_deletion_policy: Option<DeletionPolicy>,

    /// A creation that was begun and whose outcome is not recorded yet. Written before the call, so that a crash between
    /// the call and its answer leaves neither a duplicate nor an orphan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending_creation: Option<PendingCreation>,

    /// The value of the annotation `coder-operator.dev/reconcile-at` that was last acted upon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
}

impl Default for CommonStatus {
    fn default() -> Self {
        Self {
            observed_generation: NEVER_OBSERVED,
            conditions: Vec::new(),
            uid: None,
            deployment: None,
            origin: None,
            effective_deletion_policy: None,
            pending_creation: None,
            last_handled_reconcile_at: None,
        }
    }
}

impl CommonStatus {
    /// The condition of that type.
    #[must_use]
    pub fn condition(&self, type_: &str) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.type_ == type_)
    }

    /// Whether an object in Coder is held, or may have been made by a creation whose outcome is not recorded.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.origin.is_some() || self.pending_creation.is_some()
    }

    /// Whether the condition of that type is there and True.
    #[must_use]
    pub fn is_true(&self, type_: &str) -> bool {
        self.condition(type_)
            .is_some_and(|condition| condition.status == "True")
    }
}

/// Where the object in Coder comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Origin {
    /// The operator created it.
    Created,
    /// It was there before and was taken over.
    Adopted,
}

/// The intent to create an object in Coder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PendingCreation {
    /// By what the object will be found again (its name and where it lives; for a licence the digest of its claims).
    pub key: String,
    /// When the creation was begun.
    #[schemars(schema_with = "time_schema")]
    pub since: Time,
}

fn never_observed() -> i64 {
    NEVER_OBSERVED
}

/// The schema of `metav1.Time`.
pub fn time_schema(_: &mut SchemaGenerator) -> Schema {
    schemars::json_schema!({ "type": "string", "format": "date-time" })
}

/// The schema of an optional `metav1.Time`.
pub fn optional_time_schema(_: &mut SchemaGenerator) -> Schema {
    schemars::json_schema!({ "type": "string", "format": "date-time", "nullable": true })
}

/// The schema of `metav1.Condition` as a list keyed by type, so that several writers can each own conditions.
pub fn conditions_schema(_: &mut SchemaGenerator) -> Schema {
    schemars::json_schema!({
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "required": ["type", "status", "lastTransitionTime", "reason", "message"],
            "properties": {
                "type": { "type": "string", "maxLength": 316 },
                "status": { "type": "string", "enum": ["True", "False", "Unknown"] },
                "observedGeneration": { "type": "integer", "format": "int64", "minimum": 0 },
                "lastTransitionTime": { "type": "string", "format": "date-time" },
                "reason": { "type": "string", "minLength": 1, "maxLength": 1024 },
                "message": { "type": "string", "maxLength": 32768 },
            },
        },
    })
}
