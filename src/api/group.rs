//! `CoderGroup`: a group of an organization and its members.

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema, ResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::{CommonSpec, ObjectRef, Policy};
use super::in_organization::InOrganization;
use super::kind::{Object, ObjectKey, Reference, Scope, kind};
use super::rules;
use super::status::CommonStatus;

/// A group in Coder.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "coder-operator.dev",
    version = "v1alpha1",
    kind = "CoderGroup",
    plural = "codergroups",
    shortname = "cgrp",
    category = "coder",
    namespaced,
    status = "GroupStatus",
    derive = "PartialEq",
    doc = "A group of a Coder organization: its quota and its members.",
    validation = rules::metadata_name_of_group(),
    validation = rules::organization_stays(),
    printcolumn(name = "Group", type_ = "string", json_path = ".status.name"),
    printcolumn(name = "Organization", type_ = "string", json_path = ".status.organization"),
    printcolumn(name = "Members", type_ = "integer", json_path = ".status.memberCount"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[x_kube(
    validation = rules::one_organization(),
    validation = rules::group_name(),
    validation = Rule::new("!has(self.memberPolicy) || has(self.members)")
        .message("memberPolicy says how to treat members: set members, or remove memberPolicy")
)]
pub struct GroupSpec {
    /// Instance, mode and policies.
    #[serde(flatten)]
    pub common: CommonSpec,

    /// The organization that it belongs to.
    #[serde(flatten)]
    pub place: InOrganization,

    /// Name in Coder; default: `metadata.name`. Case matters. Changing it renames the group, whose id stays. A group that
    /// exists under a name which Coder gives to no new one (the identity provider makes `/platform/devs`) can be taken
    /// over: `adoptionPolicy: IfExists` or `MustExist` has to be said here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    #[x_kube(
        validation = rules::group_name_characters(),
        validation = rules::name_not_reserved(),
        validation = Rule::new("self != 'Everyone'")
            .message("the group Everyone is part of its organization: set everyoneQuotaAllowance on the CoderOrganization")
    )]
    pub name: Option<String>,

    /// Name shown to people. Absent = unmanaged, `""` clears it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    #[x_kube(validation = rules::display_name())]
    pub display_name: Option<String>,

    /// URL or path of its picture, such as `/emojis/1f4ca.png`. Absent = unmanaged, `""` clears it.
    #[serde(default, rename = "avatarURL", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    #[x_kube(validation = rules::no_spaces())]
    pub avatar_url: Option<String>,

    /// Quota of each member through this group, in credits; a user has the sum over all groups. Absent = unmanaged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 2_147_483_647))]
    pub quota_allowance: Option<i32>,

    /// `Exact`: exactly these are members. `AtLeast`: these are, others may be; whom this object added beside others goes
    /// again when the list does not name them any more. Default `Exact`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member_policy: Option<Policy>,

    /// Users by name (`ann`), email (`ann@example.com`) or id. Absent = unmanaged, `[]` = none. The list is one value:
    /// whoever applies it replaces it whole, so that nobody whom somebody else added to it survives. A user who does not
    /// exist or is not in the organization yet waits in `status.pendingMembers` and never blocks the others. Whom a name
    /// led to once it means for as long as it is on the list, also when somebody else has the name later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 5000), inner(length(min = 1, max = 254)), extend("x-kubernetes-list-type" = "atomic"))]
    #[x_kube(validation = Rule::new("self.all(m, m.contains('@') ? m.matches('^[^@ ]+@[^@ ]+$') : m.matches('^[a-zA-Z0-9]+(-[a-zA-Z0-9]+)*$'))")
        .message("each member must be a username, an email address or a user id"))]
    pub members: Option<Vec<String>>,
}

/// What the operator knows of the group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GroupStatus {
    /// Conditions and what all kinds share.
    #[serde(flatten)]
    pub common: CommonStatus,
    /// Coder's id of the group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its name in Coder at the last look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Coder's id of its organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization_id: Option<String>,
    /// Name of its organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
    /// Members at the last look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member_count: Option<i64>,
    /// Whether `members` is managed, or was and left members behind.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub members_managed: bool,
    /// Whether the user that owns prebuilt workspaces was added as wanted. Coder never shows it among the members.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub prebuilds_member: bool,
    /// Wanted members who do not exist, or are not in the organization, yet: the first 100 of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pending_members: Vec<String>,
    /// How many there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending_member_count: Option<i64>,
    /// With `AtLeast`: the ids of those whom this object added, at most 1000.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub added_members: Vec<String>,
    /// Whom the names in `members` led to, by id, at most 1000: a name goes on to mean them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("x-kubernetes-map-type" = "atomic"))]
    pub member_ids: BTreeMap<String, String>,
}

kind!(CoderGroup, Scope::Organization, GroupStatus, references => [super::CoderOrganization]);

impl CoderGroup {
    /// The organization that it points at.
    fn references(&self) -> Vec<Reference> {
        self.spec.place.references(&self.namespace().unwrap_or_default())
    }
}

/// The `CoderOrganization` that a reference in the namespace `own` points at.
#[must_use]
pub fn organization_reference(reference: &ObjectRef, own: &str) -> Reference {
    Reference {
        kind: <super::CoderOrganization as Object>::KIND,
        key: ObjectKey::new(reference.namespace.as_deref().unwrap_or(own), &reference.name),
    }
}
