//! `CoderGroupSync`: how the groups of an organization follow the identity provider.

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema, ResourceExt};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::common::{CommonSpec, Policy};
use super::in_organization::{FoundOrganization, InOrganization};
use super::kind::{Reference, Scope, kind};
use super::rules;
use super::status::CommonStatus;
use super::sync::{SyncStatus, mapping_schema};

/// The group sync of an organization. It always exists in Coder, one for each organization, and acts when people sign in.
///
/// Taken over without being told to while nobody has set what the spec manages. Deleting gives back the initial values of
/// what the spec managed.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "coder-operator.dev",
    version = "v1alpha1",
    kind = "CoderGroupSync",
    plural = "codergroupsyncs",
    shortname = "cgs",
    category = "coder",
    namespaced,
    status = "GroupSyncStatus",
    derive = "PartialEq",
    doc = "How the groups of a Coder organization follow the identity provider.",
    validation = rules::organization_stays(),
    printcolumn(name = "Organization", type_ = "string", json_path = ".status.organization"),
    printcolumn(name = "Field", type_ = "string", json_path = ".status.field"),
    printcolumn(name = "Claims", type_ = "integer", json_path = ".status.claims"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[x_kube(
    validation = rules::one_organization(),
    validation = Rule::new("has(self.field) || has(self.regexFilter) || has(self.autoCreateMissingGroups) || has(self.mapping)")
        .message("set at least one of field, regexFilter, autoCreateMissingGroups and mapping"),
    validation = rules::mapping_policy()
)]
pub struct GroupSyncSpec {
    /// Instance, mode and policies.
    #[serde(flatten)]
    pub common: CommonSpec,

    /// The organization whose groups follow.
    #[serde(flatten)]
    pub place: InOrganization,

    /// The claim of the identity provider that lists a user's groups; `""` switches the sync off. Absent = unmanaged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub field: Option<String>,

    /// Only claim values that match this pattern (RE2) count; the others are dropped before they are mapped. `""` = all.
    /// Absent = unmanaged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    #[x_kube(validation = rules::pattern())]
    pub regex_filter: Option<String>,

    /// Whether Coder makes a group for each claim value that has none. Absent = unmanaged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_create_missing_groups: Option<bool>,

    /// From claim values to groups of the organization, by name or id. Absent = unmanaged, `{}` = none. A value *equal to the
    /// name of a group* puts people into that group without any mapping, unless the value is mapped: then only the mapping
    /// counts. A claim one of whose groups is not there yet is left as it is and named in `status.pendingMapping`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "groups_schema")]
    pub mapping: Option<BTreeMap<String, Vec<String>>>,

    /// `Exact`: this mapping and no other. `AtLeast`: these entries, others may be there; what this object put there and no
    /// longer names is taken away again. Default `Exact`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mapping_policy: Option<Policy>,
}

fn groups_schema(_: &mut SchemaGenerator) -> Schema {
    // The identity provider makes groups of such names as `/platform/devs`.
    mapping_schema(&json_schema!({ "type": "string", "minLength": 1, "maxLength": 255 }))
}

/// What the operator knows of the group sync.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GroupSyncStatus {
    /// Conditions and what all kinds share.
    #[serde(flatten)]
    pub common: CommonStatus,
    /// The organization: there is one group sync in each.
    #[serde(flatten)]
    pub place: FoundOrganization,
    /// What is known of it.
    #[serde(flatten)]
    pub sync: SyncStatus,
}

kind!(CoderGroupSync, Scope::Administration, GroupSyncStatus, references => [super::CoderOrganization]);

impl CoderGroupSync {
    /// The organization that it points at.
    fn references(&self) -> Vec<Reference> {
        self.spec.place.references(&self.namespace().unwrap_or_default())
    }
}
