//! `CoderTemplateAccess`: who may use a template.

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema, ResourceExt};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::common::{CommonSpec, Policy};
use super::in_organization::{FoundOrganization, InOrganization};
use super::kind::{Reference, Scope, kind};
use super::rules;
use super::status::CommonStatus;

/// Who may use a template. The template itself comes from elsewhere and is waited for.
///
/// Taken over without being told to while the template is as it was made: open to everyone in its organization, or to nobody.
/// Deleting leaves all as it is unless `deletionPolicy: Delete` is said; that takes away what this object gave.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "coder-operator.dev",
    version = "v1alpha1",
    kind = "CoderTemplateAccess",
    plural = "codertemplateaccesses",
    shortname = "cta",
    category = "coder",
    namespaced,
    status = "TemplateAccessStatus",
    derive = "PartialEq",
    doc = "Who may use a template of Coder.",
    validation = rules::organization_stays(),
    validation = Rule::new(
        "!has(self.status) || !has(self.status.origin) || !has(self.status.id) || self.spec.template == oldSelf.spec.template || \
         self.spec.template.lowerAscii() == self.status.id || (has(self.status.template) && self.spec.template.lowerAscii() == self.status.template.lowerAscii())"
    ).message("template cannot be changed: delete this object (deletionPolicy: Delete takes away what it gave) and create it anew"),
    printcolumn(name = "Template", type_ = "string", json_path = ".status.template"),
    printcolumn(name = "Organization", type_ = "string", json_path = ".status.organization"),
    printcolumn(name = "Users", type_ = "integer", json_path = ".status.userCount"),
    printcolumn(name = "Groups", type_ = "integer", json_path = ".status.groupCount"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[x_kube(
    validation = rules::one_organization(),
    validation = Rule::new("has(self.users) || has(self.groups)").message("set at least one of users and groups")
)]
pub struct TemplateAccessSpec {
    /// Instance, mode and policies.
    #[serde(flatten)]
    pub common: CommonSpec,

    /// The organization that the template is in.
    #[serde(flatten)]
    pub place: InOrganization,

    /// The template by name or id. Waited for. May be named in another way, and not be another one.
    #[schemars(length(min = 1, max = 36))]
    #[x_kube(validation = Rule::new("self.matches('^[a-zA-Z0-9]+(-[a-zA-Z0-9]+)*$')").message("must be the name or the id of a template"))]
    pub template: String,

    /// People by name, email or id, and what they may do. Absent = unmanaged, `{}` = nobody by themselves. Who is not in the
    /// organization yet waits in `status.pendingUsers` and holds up nobody. Whom a name led to once it means for as long as it
    /// is here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "users_schema")]
    pub users: Option<BTreeMap<String, TemplateRole>>,

    /// Groups of the organization by name or id, and what their members may do; `Everyone` stands for all members of the
    /// organization. Absent = unmanaged, `{}` = none, which makes the template private. While a group is not there yet, no
    /// group loses its role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "groups_schema")]
    pub groups: Option<BTreeMap<String, TemplateRole>>,

    /// `Exact`: these and no others. `AtLeast`: these, others may be there; what this object gave and no longer names is taken
    /// away again. Default `Exact`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_policy: Option<Policy>,
}

/// What somebody may do with a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, strum::Display)]
pub enum TemplateRole {
    /// Make workspaces of it.
    Use,
    /// Change it as well.
    Admin,
}

fn users_schema(_: &mut SchemaGenerator) -> Schema {
    roles_schema("names of people must have 1 to 254 characters", 254)
}

fn groups_schema(_: &mut SchemaGenerator) -> Schema {
    roles_schema("names of groups must have 1 to 255 characters", 255)
}

/// One value, as what is in it are rights. The names are looked at no closer: over so many keys a pattern would cost too much. One that nobody can have is pending.
fn roles_schema(message: &str, longest: usize) -> Schema {
    json_schema!({
        "type": "object",
        "x-kubernetes-map-type": "atomic",
        "maxProperties": 500,
        "additionalProperties": { "type": "string", "enum": ["Use", "Admin"] },
        "x-kubernetes-validations": [{
            "rule": format!("self.all(name, name.size() >= 1 && name.size() <= {longest})"),
            "message": message,
        }],
    })
}

/// What the operator knows of the access.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemplateAccessStatus {
    /// Conditions and what all kinds share.
    #[serde(flatten)]
    pub common: CommonStatus,
    /// The organization that the template is in.
    #[serde(flatten)]
    pub place: FoundOrganization,
    /// Coder's id of the template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Name of the template, at the last look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// How many people have a role by themselves, at the last look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_count: Option<i64>,
    /// How many groups have a role, at the last look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_count: Option<i64>,
    /// Who is not in the organization yet; the first 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pending_users: Vec<String>,
    /// Who has a role and is not shown by Coder, because of being suspended: ids and roles.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("x-kubernetes-map-type" = "atomic"))]
    pub hidden_users: BTreeMap<String, TemplateRole>,
    /// The lists that this object manages, or did and left behind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub managed: Vec<String>,
    /// The ids of the users to whom this object gave a role.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub given_users: Vec<String>,
    /// The ids of the groups to which this object gave a role.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub given_groups: Vec<String>,
    /// Whom the names in `users` led to, by id: a name goes on to mean them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("x-kubernetes-map-type" = "atomic"))]
    pub user_ids: BTreeMap<String, String>,
    /// What the names in `groups` led to, by id: a name goes on to mean that for as long as it exists.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("x-kubernetes-map-type" = "atomic"))]
    pub group_ids: BTreeMap<String, String>,
}

kind!(CoderTemplateAccess, Scope::Administration, TemplateAccessStatus, references => [super::CoderOrganization]);

impl CoderTemplateAccess {
    /// The organization that it points at.
    fn references(&self) -> Vec<Reference> {
        self.spec.place.references(&self.namespace().unwrap_or_default())
    }
}
