//! `CoderRoleSync`: how the roles in an organization follow the identity provider.

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema, ResourceExt};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use super::common::{CommonSpec, Policy};
use super::in_organization::{FoundOrganization, InOrganization};
use super::kind::{Reference, Scope, kind};
use super::rules;
use super::status::CommonStatus;
use super::sync::{SyncStatus, mapping_schema};

/// The role sync of an organization. It always exists in Coder, one for each organization, and acts when people sign in.
///
/// Taken over without being told to while nobody has set what the spec manages. Deleting gives back the initial values of
/// what the spec managed. Whoever may write it can make administrators of the organization.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "coder-operator.dev",
    version = "v1alpha1",
    kind = "CoderRoleSync",
    plural = "coderrolesyncs",
    shortname = "crs",
    category = "coder",
    namespaced,
    status = "RoleSyncStatus",
    derive = "PartialEq",
    doc = "How the roles in a Coder organization follow the identity provider.",
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
    validation = Rule::new("has(self.field) || has(self.mapping)").message("set at least one of field and mapping"),
    validation = rules::mapping_policy()
)]
pub struct RoleSyncSpec {
    /// Instance, mode and policies.
    #[serde(flatten)]
    pub common: CommonSpec,

    /// The organization whose roles follow.
    #[serde(flatten)]
    pub place: InOrganization,

    /// The claim of the identity provider that lists a user's roles; `""` switches the sync off. While it is on, the roles of
    /// users of the identity provider cannot be changed in another way. Absent = unmanaged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub field: Option<String>,

    /// From claim values to roles of the organization, built-in or custom, by name. Absent = unmanaged, `{}` = none. A value
    /// *equal to the name of a role* gives that role without any mapping, `organization-admin` too, unless the value is
    /// mapped: then only the mapping counts. A claim one of whose roles is not there yet is left as it is and named in
    /// `status.pendingMapping`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "roles_schema")]
    pub mapping: Option<BTreeMap<String, Vec<String>>>,

    /// `Exact`: this mapping and no other. `AtLeast`: these entries, others may be there; what this object put there and no
    /// longer names is taken away again. Default `Exact`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mapping_policy: Option<Policy>,
}

fn roles_schema(_: &mut SchemaGenerator) -> Schema {
    mapping_schema(&rules::role_name_schema())
}

/// What the operator knows of the role sync.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoleSyncStatus {
    /// Conditions and what all kinds share.
    #[serde(flatten)]
    pub common: CommonStatus,
    /// The organization: there is one role sync in each.
    #[serde(flatten)]
    pub place: FoundOrganization,
    /// What is known of it.
    #[serde(flatten)]
    pub sync: SyncStatus,
}

kind!(CoderRoleSync, Scope::Administration, RoleSyncStatus, references => [super::CoderOrganization]);

impl CoderRoleSync {
    /// The organization that it points at.
    fn references(&self) -> Vec<Reference> {
        self.spec.place.references(&self.namespace().unwrap_or_default())
    }
}
