//! `CoderLicense`: a licence, taken from a Secret.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::{CommonSpec, SecretKeyRef};
use super::duration::DurationString;
use super::kind::{Scope, kind};
use super::status::{CommonStatus, optional_time_schema};

/// A licence in Coder. The JWT never leaves memory; it is matched with what Coder holds by its claims.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "coder-operator.dev",
    version = "v1alpha1",
    kind = "CoderLicense",
    plural = "coderlicenses",
    shortname = "clic",
    category = "coder",
    namespaced,
    status = "LicenseStatus",
    derive = "PartialEq",
    doc = "A Coder licence, taken from a Secret.",
    printcolumn(name = "ID", type_ = "integer", json_path = ".status.id"),
    printcolumn(name = "Expires", type_ = "string", json_path = ".status.expiresAt"),
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
pub struct LicenseSpec {
    /// Instance, mode and policies.
    #[serde(flatten)]
    pub common: CommonSpec,

    /// The Secret in this namespace that holds the JWT; the key defaults to `license`. When its content changes, the new
    /// licence is added before the old one is removed.
    pub license_secret_ref: SecretKeyRef,

    /// How long before the expiry the condition `Expiring` and an event say so, for example `30d`.
    #[serde(default = "default_expiry_warning")]
    pub expiry_warning: DurationString,
}

fn default_expiry_warning() -> DurationString {
    DurationString("30d".to_owned())
}

/// What the operator knows of the licence.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LicenseStatus {
    /// Conditions and what all kinds share.
    #[serde(flatten)]
    pub common: CommonStatus,
    /// Coder's number of the licence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<i32>,
    /// Coder's uuid of the licence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// SHA-256 of the claims, by which it is found again. Says nothing about the signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claims_digest: Option<String>,
    /// The licences that this one replaced and that are still there: each goes when this one gives what it gave.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replaced: Vec<ReplacedLicense>,
    /// Number of a licence that an earlier version replaced and did not remove. A number proves nothing, so that licence
    /// stays until somebody removes it in Coder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<i32>,
    /// Kind of account, for example `salesforce`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_type: Option<String>,
    /// Whether it is a trial.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<bool>,
    /// The feature set, or the features named one by one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<String>,
    /// When it expires; features then stay on until `graceEndsAt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "optional_time_schema")]
    pub expires_at: Option<Time>,
    /// When its features end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "optional_time_schema")]
    pub grace_ends_at: Option<Time>,
}

/// A licence that was replaced.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReplacedLicense {
    /// Coder's number of it.
    pub id: i32,
    /// Coder's uuid of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// SHA-256 of its claims.
    pub claims_digest: String,
}

kind!(CoderLicense, Scope::Deployment, LicenseStatus);
