//! What the three kinds share that say how Coder follows the identity provider.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, json_schema};
use serde::{Deserialize, Serialize};

/// What is known of a sync, flattened into its status.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SyncStatus {
    /// The claim, at the last look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// How many claim values are mapped, at the last look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claims: Option<i64>,
    /// Entries whose target is not there yet, as `claim: target`; the first 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pending_mapping: Vec<String>,
    /// The fields that this object manages, or did and left behind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub managed: Vec<String>,
    /// What the names in `mapping` led to, by id, at most 1000: a name goes on to mean that for as long as it exists.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("x-kubernetes-map-type" = "atomic"))]
    pub target_ids: BTreeMap<String, String>,
    /// With `mappingPolicy: AtLeast`, what this object put into the mapping: claim values and the ids of their targets, at
    /// most 5000.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub entries: BTreeMap<String, Vec<String>>,
}

/// The schema of a mapping whose targets are as `target` says. One value: the one in Git wins, and an emptied one stays empty
/// instead of going out of the spec.
pub(super) fn mapping_schema(target: &Schema) -> Schema {
    json_schema!({
        "type": "object",
        "x-kubernetes-map-type": "atomic",
        "maxProperties": 500,
        "additionalProperties": {
            "type": "array",
            "maxItems": 50,
            "x-kubernetes-list-type": "set",
            "items": target,
        },
        "x-kubernetes-validations": [{
            "rule": "self.all(claim, claim.size() >= 1 && claim.size() <= 256)",
            "message": "claim values must have 1 to 256 characters",
        }],
    })
}
