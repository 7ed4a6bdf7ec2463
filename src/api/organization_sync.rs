//! `CoderOrganizationSync`: how membership in organizations follows the identity provider.

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::common::{CommonSpec, Policy};
use super::kind::{Scope, kind};
use super::rules;
use super::status::CommonStatus;
use super::sync::{SyncStatus, mapping_schema};

/// The organization sync of a deployment. It always exists in Coder (v2.18 and later), once, and acts when people sign in.
///
/// Taken over without being told to while nobody has set what the spec manages. Deleting gives back the initial values of
/// what the spec managed; whom a sign-in took out of an organization stays out.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "coder-operator.dev",
    version = "v1alpha1",
    kind = "CoderOrganizationSync",
    plural = "coderorganizationsyncs",
    shortname = "cos",
    category = "coder",
    namespaced,
    status = "OrganizationSyncStatus",
    derive = "PartialEq",
    doc = "How membership in Coder's organizations follows the identity provider.",
    printcolumn(name = "Field", type_ = "string", json_path = ".status.field"),
    printcolumn(name = "Claims", type_ = "integer", json_path = ".status.claims"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].status"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].reason"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[x_kube(
    validation = Rule::new("has(self.field) || has(self.assignDefault) || has(self.mapping)")
        .message("set at least one of field, assignDefault and mapping"),
    validation = rules::mapping_policy()
)]
pub struct OrganizationSyncSpec {
    /// Instance, mode and policies.
    #[serde(flatten)]
    pub common: CommonSpec,

    /// The claim of the identity provider that lists a user's organizations; `""` switches the sync off. While it is on, users
    /// of the identity provider cannot be added to organizations in another way. Absent = unmanaged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub field: Option<String>,

    /// Whether everybody is in the default organization as well. Without a field it does nothing: new people land there.
    /// Absent = unmanaged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assign_default: Option<bool>,

    /// From claim values to organizations, by name or id, or `default`. Absent = unmanaged, `{}` = none. A claim one of whose
    /// organizations is not there yet is left as it is and named in `status.pendingMapping`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "organizations_schema")]
    pub mapping: Option<BTreeMap<String, Vec<String>>>,

    /// `Exact`: this mapping and no other. `AtLeast`: these entries, others may be there; what this object put there and no
    /// longer names is taken away again. Default `Exact`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mapping_policy: Option<Policy>,
}

fn organizations_schema(_: &mut SchemaGenerator) -> Schema {
    mapping_schema(&json_schema!({
        "type": "string", "minLength": 1, "maxLength": 36, "pattern": "^[a-zA-Z0-9]+(-[a-zA-Z0-9]+)*$",
    }))
}

/// What the operator knows of the organization sync.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrganizationSyncStatus {
    /// Conditions and what all kinds share.
    #[serde(flatten)]
    pub common: CommonStatus,
    /// Id of the deployment: there is one organization sync in each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What is known of it.
    #[serde(flatten)]
    pub sync: SyncStatus,
}

kind!(CoderOrganizationSync, Scope::Users, OrganizationSyncStatus);
