//! `CoderOrganization`: an organization, the quota of its group Everyone and its workspace sharing.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::CommonSpec;
use super::kind::{Scope, kind};
use super::rules;
use super::status::CommonStatus;

/// An organization in Coder.
///
/// Found by name in the list of organizations, never trusted by id alone: Coder keeps answering for deleted ones.
/// The default organization can only be adopted and is never deleted.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "coder-operator.dev",
    version = "v1alpha1",
    kind = "CoderOrganization",
    plural = "coderorganizations",
    shortname = "corg",
    category = "coder",
    namespaced,
    status = "OrganizationStatus",
    derive = "PartialEq",
    doc = "An organization in Coder, with the quota of its group Everyone and its workspace sharing.",
    validation = rules::metadata_name(),
    validation = Rule::new("has(self.spec.name) ? self.spec.name != 'default' : self.metadata.name != 'default'")
        .message("\"default\" is reserved by Coder: set spec.name to the real name of the default organization (at first \"coder\")"),
    printcolumn(name = "Organization", type_ = "string", json_path = ".status.name"),
    printcolumn(name = "ID", type_ = "string", json_path = ".status.id", priority = 1),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
pub struct OrganizationSpec {
    /// Instance, mode and policies.
    #[serde(flatten)]
    pub common: CommonSpec,

    /// Name in Coder; default: `metadata.name`. Changing it renames the organization, whose id stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32))]
    #[x_kube(validation = rules::name(), validation = rules::name_not_reserved())]
    pub name: Option<String>,

    /// Name shown to people. Absent = unmanaged. Coder cannot clear it, so it cannot be empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(validation = rules::display_name())]
    pub display_name: Option<String>,

    /// What it is for. Absent = unmanaged, `""` clears it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub description: Option<String>,

    /// URL or path of its icon, such as `/emojis/1f680.png`. Absent = unmanaged, `""` clears it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    #[x_kube(validation = rules::no_spaces())]
    pub icon: Option<String>,

    /// Quota that every member gets through the group Everyone, in credits. Absent = unmanaged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 2_147_483_647))]
    pub everyone_quota_allowance: Option<i32>,

    /// Who may share workspaces with others. Absent = unmanaged. Leaving `Everyone` makes Coder delete what is shared.
    /// Needs Coder v2.32 or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace_sharing: Option<WorkspaceSharing>,
}

/// Who may share workspaces with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, strum::Display)]
pub enum WorkspaceSharing {
    /// Nobody.
    None,
    /// Every member.
    Everyone,
    /// Service accounts only.
    ServiceAccounts,
}

/// What the operator knows of the organization.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrganizationStatus {
    /// Conditions and what all kinds share.
    #[serde(flatten)]
    pub common: CommonStatus,
    /// Coder's id of the organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its name in Coder at the last look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

kind!(CoderOrganization, Scope::Deployment, OrganizationStatus);
