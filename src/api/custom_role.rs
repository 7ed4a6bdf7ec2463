//! `CoderCustomRole`: a role of an organization that Coder does not define itself.

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema, ResourceExt};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::common::CommonSpec;
use super::in_organization::{FoundOrganization, InOrganization};
use super::kind::{Reference, Scope, kind};
use super::rules;
use super::status::CommonStatus;

/// A custom role of an organization.
///
/// Deleting it takes it from everybody who has it, and making it anew gives it back to nobody. Whoever may write it can give
/// any right in the organization.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "coder-operator.dev",
    version = "v1alpha1",
    kind = "CoderCustomRole",
    plural = "codercustomroles",
    shortname = "crole",
    category = "coder",
    namespaced,
    status = "CustomRoleStatus",
    derive = "PartialEq",
    doc = "A role of a Coder organization that Coder does not define itself.",
    validation = rules::metadata_name_of_role(),
    validation = rules::organization_stays(),
    validation = Rule::new(
        "!has(self.status) || !has(self.status.origin) || \
         (has(self.spec.name) ? self.spec.name : self.metadata.name) == (has(oldSelf.spec.name) ? oldSelf.spec.name : oldSelf.metadata.name)"
    ).message("name cannot be changed, Coder cannot rename a role: another name is another role; delete this object and create it anew"),
    printcolumn(name = "Role", type_ = "string", json_path = ".status.name"),
    printcolumn(name = "Organization", type_ = "string", json_path = ".status.organization"),
    printcolumn(name = "Permissions", type_ = "integer", json_path = ".status.permissionCount"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[x_kube(validation = rules::one_organization())]
pub struct CustomRoleSpec {
    /// Instance, mode and policies.
    #[serde(flatten)]
    pub common: CommonSpec,

    /// The organization that it is a role of.
    #[serde(flatten)]
    pub place: InOrganization,

    /// Name in Coder, in lower case; default: `metadata.name`. Cannot be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32))]
    #[x_kube(validation = rules::role_name(), validation = rules::role_name_free())]
    pub name: Option<String>,

    /// Name shown to people. Absent = unmanaged, `""` clears it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    #[x_kube(validation = rules::display_name())]
    pub display_name: Option<String>,

    /// What it allows in the organization: from resources to actions, as `template: [read, update]`. Absent = unmanaged, `{}` =
    /// nothing. The token's user must have what the role gives. Permissions that the server does not know are left out by
    /// newer servers; `status.unknownPermissions` names them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "permissions_schema")]
    pub permissions: Option<BTreeMap<String, Vec<String>>>,
}

/// One value, as what is in it are rights.
fn permissions_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "x-kubernetes-map-type": "atomic",
        "maxProperties": 64,
        "additionalProperties": {
            "type": "array",
            "maxItems": 32,
            "x-kubernetes-list-type": "set",
            "items": { "type": "string", "maxLength": 64, "pattern": "^[a-z0-9_]+$" },
        },
        "x-kubernetes-validations": [{
            "rule": "self.all(resource, resource.size() <= 64 && resource.matches('^[a-z0-9_]+$'))",
            "message": "resources are words of lower-case letters, digits and underscores, such as template",
        }],
    })
}

/// What the operator knows of the role.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CustomRoleStatus {
    /// Conditions and what all kinds share.
    #[serde(flatten)]
    pub common: CommonStatus,
    /// The organization that it is a role of.
    #[serde(flatten)]
    pub place: FoundOrganization,
    /// Id of the organization and name of the role: Coder shows no other id of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its name in Coder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How many permissions it gives, at the last look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permission_count: Option<i64>,
    /// The lists that this object manages, or did and left behind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub managed: Vec<String>,
    /// What the server left out of a change because it does not know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown_permissions: Option<UnknownPermissions>,
}

/// Permissions that a version of the server does not know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UnknownPermissions {
    /// The version.
    pub version: String,
    /// The `metadata.generation` that asked for them.
    pub generation: i64,
    /// They themselves, as `template.fly`.
    pub permissions: Vec<String>,
}

kind!(CoderCustomRole, Scope::Administration, CustomRoleStatus, references => [super::CoderOrganization]);

impl CoderCustomRole {
    /// The organization that it points at.
    fn references(&self) -> Vec<Reference> {
        self.spec.place.references(&self.namespace().unwrap_or_default())
    }
}
