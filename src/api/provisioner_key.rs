//! `CoderProvisionerKey`: a key with which external provisioner daemons of an organization sign in; it goes to a Secret.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{CustomResource, KubeSchema, ResourceExt};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::common::{CommonSpec, SecretKeyRef};
use super::in_organization::{FoundOrganization, InOrganization};
use super::kind::{Reference, Scope, kind};
use super::rotation::{PreviousCredential, Rotation};
use super::rules;
use super::status::{CommonStatus, optional_time_schema};
use super::workspace_proxy::TokenSecret;

/// A provisioner key in Coder.
///
/// Coder changes no key and shows it once. A new one (asked for by annotation, due, with other tags, or because the Secret
/// lost it) is made beside the old one, under the other of two names that take turns: `<name>` and `<name>.2`.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "coder-operator.dev",
    version = "v1alpha1",
    kind = "CoderProvisionerKey",
    plural = "coderprovisionerkeys",
    shortname = "cpk",
    category = "coder",
    namespaced,
    status = "ProvisionerKeyStatus",
    derive = "PartialEq",
    doc = "A key for external provisioner daemons of a Coder organization. It is written to a Secret.",
    validation = rules::organization_stays(),
    validation = rules::metadata_name_of_key(),
    validation = rules::name_stays(),
    printcolumn(name = "Key", type_ = "string", json_path = ".status.name"),
    printcolumn(name = "Organization", type_ = "string", json_path = ".status.organization"),
    printcolumn(name = "Daemons", type_ = "integer", json_path = ".status.daemons"),
    printcolumn(name = "Issued", type_ = "date", json_path = ".status.keyIssuedAt"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[x_kube(validation = rules::one_organization())]
pub struct ProvisionerKeySpec {
    /// Instance, mode and policies.
    #[serde(flatten)]
    pub common: CommonSpec,

    /// The organization whose jobs the daemons take.
    #[serde(flatten)]
    pub place: InOrganization,

    /// Name in Coder; default: `metadata.name`. Cannot be changed. The keys that are issued later take turns in having `.2`
    /// behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 56))]
    #[x_kube(validation = rules::key_name())]
    pub name: Option<String>,

    /// Which jobs the daemons take. Absent = unmanaged (none on a new key), `{}` = none. Coder changes the tags of no key:
    /// other tags here issue a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "tags_schema")]
    pub tags: Option<BTreeMap<String, String>>,

    /// The Secret in this namespace that the operator creates and keeps for the daemons: the key under `key` (default `key`,
    /// which the Helm chart `coder-provisioner` reads: `provisionerDaemon.keySecretName`). It is owned by this object and
    /// goes with it when the key is deleted in Coder; it stays when the key stays there. A Secret of that name that belongs
    /// to somebody else is never overwritten; one without an owner, or of an earlier object of this name, is taken over if
    /// it holds this very key. When the name or the key changes, the value moves there.
    pub key_secret: SecretKeyRef,

    /// When a new key is issued without anybody asking. Absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<Rotation>,
}

fn tags_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 32,
        "additionalProperties": { "type": "string", "maxLength": 256 },
    })
}

/// What the operator knows of the key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProvisionerKeyStatus {
    /// Conditions and what all kinds share.
    #[serde(flatten)]
    pub common: CommonStatus,
    /// The organization.
    #[serde(flatten)]
    pub place: FoundOrganization,
    /// Coder's id of the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its name in Coder: `<name>` or `<name>.2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// When the key in the Secret was issued. Absent: none was issued for this object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "optional_time_schema")]
    pub key_issued_at: Option<Time>,
    /// Where the key is: by it, a key is found again after `spec.keySecret` was changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_secret: Option<TokenSecret>,
    /// The key before, while it still works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_key: Option<PreviousCredential>,
    /// The name under which a key is being issued. Written before the call, so that what a crash leaves behind is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuing: Option<String>,
    /// How many daemons with one of these keys Coder heard of lately.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub daemons: Option<i64>,
    /// The value of the annotation `coder-operator.dev/rotate` that was last acted upon. One that was there when the key was
    /// taken over counts as acted upon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_rotate: Option<String>,
}

kind!(CoderProvisionerKey, Scope::Administration, ProvisionerKeyStatus, references => [super::CoderOrganization]);

impl CoderProvisionerKey {
    /// The organization that it points at.
    fn references(&self) -> Vec<Reference> {
        self.spec.place.references(&self.namespace().unwrap_or_default())
    }
}
