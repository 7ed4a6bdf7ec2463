//! `CoderOrganizationMember`: a user as a member of an organization, with the roles there.

use kube::{CustomResource, KubeSchema, ResourceExt};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::common::CommonSpec;
use super::in_organization::{FoundOrganization, InOrganization};
use super::kind::{Reference, Scope, kind};
use super::rules;
use super::status::CommonStatus;

/// The membership of a user in an organization.
///
/// The user is waited for. Deleting removes the membership, and with it that of all groups of the organization. Whoever may
/// write it can make administrators of the organization.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "coder-operator.dev",
    version = "v1alpha1",
    kind = "CoderOrganizationMember",
    plural = "coderorganizationmembers",
    shortname = "cmem",
    category = "coder",
    namespaced,
    status = "OrganizationMemberStatus",
    derive = "PartialEq",
    doc = "A user as a member of a Coder organization, with the roles there.",
    validation = rules::organization_stays(),
    validation = Rule::new(
        "!has(self.status) || !has(self.status.origin) || !has(self.status.id) || self.spec.user == oldSelf.spec.user || \
         self.spec.user.lowerAscii() == self.status.id || (has(self.status.user) && self.spec.user.lowerAscii() == self.status.user.lowerAscii())"
    ).message("user cannot be changed, a membership is one person's: delete this object and create it anew"),
    printcolumn(name = "User", type_ = "string", json_path = ".status.user"),
    printcolumn(name = "Organization", type_ = "string", json_path = ".status.organization"),
    printcolumn(name = "Roles", type_ = "string", json_path = ".status.roles"),
    printcolumn(name = "Quota", type_ = "string", json_path = ".status.quota", priority = 1),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[x_kube(validation = rules::one_organization())]
pub struct OrganizationMemberSpec {
    /// Instance, mode and policies.
    #[serde(flatten)]
    pub common: CommonSpec,

    /// The organization that the user is a member of.
    #[serde(flatten)]
    pub place: InOrganization,

    /// The user by name (`ann`), email (`ann@example.com`) or id. Whom a name led to once it means from then on, also when
    /// somebody else has the name later. May be named in another way, and not be another one.
    #[schemars(length(min = 1, max = 254))]
    #[x_kube(validation = rules::user(), validation = rules::no_system_user())]
    pub user: String,

    /// The roles in the organization, built-in and custom, without those that every member has. Absent = unmanaged, `[]` =
    /// none. A role that is not there yet is waited for, and holds up none of the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "roles_schema")]
    pub roles: Option<Vec<String>>,

    /// Whether the status shows the member's quota. It costs one call each resync interval.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub report_quota: bool,
}

/// One value, as what is in it are rights.
fn roles_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 32,
        "x-kubernetes-list-type": "atomic",
        "items": rules::role_name_schema(),
        "x-kubernetes-validations": [{
            "rule": "!('organization-member' in self)",
            "message": "every member is an organization-member: leave it out",
        }],
    })
}

/// What the operator knows of the membership.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrganizationMemberStatus {
    /// Conditions and what all kinds share.
    #[serde(flatten)]
    pub common: CommonStatus,
    /// The organization that the user is a member of.
    #[serde(flatten)]
    pub place: FoundOrganization,
    /// Coder's id of the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Name of the user, at the last look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The roles in the organization, at the last look.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// Roles that are not there yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pending_roles: Vec<String>,
    /// The lists that this object manages, or did and left behind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub managed: Vec<String>,
    /// With `reportQuota`, what the member may spend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<MemberQuota>,
}

/// What a member may spend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MemberQuota {
    /// Credits of all groups together; absent where nothing limits them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<i64>,
    /// Credits that running workspaces take.
    pub consumed: i64,
}

kind!(CoderOrganizationMember, Scope::Administration, OrganizationMemberStatus, references => [super::CoderOrganization]);

impl CoderOrganizationMember {
    /// The organization that it points at.
    fn references(&self) -> Vec<Reference> {
        self.spec.place.references(&self.namespace().unwrap_or_default())
    }
}
