//! `CoderInstance`: the connection to a Coder deployment and who may use it.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, Time};
use kube::{CustomResource, KubeSchema};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::common::{AdoptionPolicy, DeletionPolicy, SecretKeyRef, SecretRef};
use super::duration::DurationString;
use super::kind::object;
use super::status::{CommonStatus, optional_time_schema};

/// The connection to a Coder deployment. Only this kind holds a URL and a token: whoever may write it decides where the
/// token goes, and grants others the use of it without ever showing it.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "coder-operator.dev",
    version = "v1alpha1",
    kind = "CoderInstance",
    plural = "coderinstances",
    shortname = "ci",
    category = "coder",
    namespaced,
    status = "InstanceStatus",
    derive = "PartialEq",
    doc = "The connection to a Coder deployment: its URL, a token and who may use it.",
    printcolumn(name = "URL", type_ = "string", json_path = ".spec.url"),
    printcolumn(name = "Version", type_ = "string", json_path = ".status.version"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].status"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].reason",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[x_kube(
    validation = Rule::new("self.url.startsWith('https://') || (self.url.startsWith('http://') && has(self.allowInsecureHTTP) && self.allowInsecureHTTP)")
        .message("url must start with https:// (or http:// with allowInsecureHTTP: true, which sends the token in clear text)"),
    validation = Rule::new("!has(self.caSecretRef) || !has(self.caConfigMapRef)")
        .message("set at most one of caSecretRef and caConfigMapRef"),
    validation = Rule::new("!has(self.clientCertificateSecretRef) || self.url.startsWith('https://')")
        .message("clientCertificateSecretRef needs a url that starts with https://")
)]
pub struct InstanceSpec {
    /// Address of the deployment, for example `https://coder.example.com`.
    #[schemars(length(min = 1, max = 2048))]
    #[x_kube(validation = Rule::new("isURL(self) && url(self).getHostname() != ''").message("must be an absolute URL such as https://coder.example.com"),
        validation = Rule::new("!self.contains('?') && !self.contains('#') && !self.contains('@')")
            .message("must have no user, query or fragment: the token belongs into tokenSecretRef"))]
    pub url: String,

    /// The Secret in this namespace that holds a session token; the key defaults to `token`. A changed token is picked up
    /// without a restart.
    pub token_secret_ref: SecretKeyRef,

    /// A Secret in this namespace with the certificate authority (PEM) that signed the server's certificate; the key
    /// defaults to `ca.crt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<SecretKeyRef>,

    /// A `ConfigMap` in this namespace with the certificate authority (PEM); the key defaults to `ca.crt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_config_map_ref: Option<SecretKeyRef>,

    /// A Secret in this namespace whose keys and values are sent as headers with every call: who the operator is to a
    /// gateway in front of Coder (Cloudflare Access, an identity-aware proxy). They go to `url` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headers_secret_ref: Option<SecretRef>,

    /// A Secret in this namespace with a client certificate (`tls.crt`) and its key (`tls.key`), both PEM: who the operator
    /// is to a gateway that asks for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate_secret_ref: Option<SecretRef>,

    /// Allows `http://`. The token then travels in clear text: for tests and for links that are protected otherwise.
    #[serde(default, rename = "allowInsecureHTTP")]
    pub allow_insecure_http: bool,

    /// The longest time that a change made behind the operator's back can stay unseen. Default for all objects of this
    /// instance.
    #[serde(default = "default_resync_interval")]
    pub resync_interval: DurationString,

    /// The shortest `resyncInterval` that objects of this instance can ask for: a shorter one counts as this. It never
    /// makes them look less often than the instance's own `resyncInterval`.
    #[serde(default = "default_min_resync_interval")]
    pub min_resync_interval: DurationString,

    /// How long before the token ends the condition `TokenExpiring` says so.
    #[serde(default = "default_token_expiry_warning")]
    pub token_expiry_warning: DurationString,

    /// How often Coder's audit log is read, which names what somebody changed within seconds; `Off` = never. Needs the
    /// licensed feature `audit_log` and a token of an Owner or Auditor; without them everything is listed once every
    /// `resyncInterval`, as `status.feed` says.
    #[serde(default = "default_feed_interval")]
    #[schemars(schema_with = "feed_interval_schema")]
    pub feed_interval: DurationString,

    /// Who besides this namespace may use the connection; absent = nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<Access>,

    /// Policies for objects that do not say their own.
    #[serde(default)]
    pub defaults: Defaults,

    /// What counts for every object of this instance, whatever the object says itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overrides: Option<Overrides>,
}

fn default_resync_interval() -> DurationString {
    DurationString("10m".to_owned())
}

fn default_min_resync_interval() -> DurationString {
    DurationString("30s".to_owned())
}

fn default_token_expiry_warning() -> DurationString {
    DurationString("2d".to_owned())
}

fn default_feed_interval() -> DurationString {
    DurationString("5s".to_owned())
}

fn feed_interval_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": 32,
        "x-kubernetes-validations": [{
            "rule": "self == 'Off' || (self.matches('^([0-9]{1,6}d)?([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?$') && self.matches('[1-9]'))",
            "message": "must be a duration longer than zero such as 5s or 1m, or Off",
        }],
    })
}

/// What others may do through a connection. Every part that is present must allow it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Access {
    /// The namespaces that may use the connection, besides its own.
    pub namespaces: NamespaceAccess,

    /// The kinds they may use it for. Absent: the kinds that live inside an organization; deployment-wide kinds
    /// (organizations, licences, proxies …) only when named here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), inner(length(max = 64)), extend("x-kubernetes-list-type" = "set"))]
    pub kinds: Option<Vec<String>>,

    /// The organizations they may touch, by name in Coder; `*` stands for any letters, as in `team-*`. Absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 64)), extend("x-kubernetes-list-type" = "set"))]
    pub organizations: Option<Vec<String>>,
}

/// Namespaces by name, by label, or both; either is enough.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceAccess {
    /// Namespaces whose labels match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
    /// Namespaces by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000), inner(length(min = 1, max = 63)), extend("x-kubernetes-list-type" = "set"))]
    pub names: Vec<String>,
}

/// Policies for objects that do not say their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Defaults {
    /// See `adoptionPolicy` of the objects. `IfExists` takes over after a restore from a backup, which loses the status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adoption_policy: Option<AdoptionPolicy>,
    /// See `deletionPolicy` of the objects. `Orphan` keeps all that does not say `Delete` itself; `Delete` is what holds
    /// anyway for what the operator created, and never condemns what it took over, organizations or licences.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
}

/// What counts for every object of an instance, whatever the object says itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Overrides {
    /// See `deletionPolicy` of the objects. Only `Orphan`: no instance can condemn what an object wants to keep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<OverridingDeletionPolicy>,
}

/// `Orphan` lets go of everything at once: whatever is deleted in Kubernetes from now on stays in Coder, also what says
/// `deletionPolicy: Delete` itself or is suspended. It works while Coder cannot be reached and while objects are being
/// deleted, and changes nothing for objects that are not deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OverridingDeletionPolicy {
    /// Everything stays in Coder, unmanaged.
    Orphan,
}

/// What the operator knows of the deployment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InstanceStatus {
    /// Conditions and what all kinds share.
    #[serde(flatten)]
    pub common: CommonStatus,
    /// Id of the deployment, pinned at the first contact. Another one behind the same URL stops every write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment_id: Option<String>,
    /// Version of the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The user whose token is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// That user's site-wide roles.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// Licensed features that are enabled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<String>,
    /// When the licence that ends last expires, as far as the token may see licences.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "optional_time_schema")]
    pub license_expires_at: Option<Time>,
    /// When the token ends, as far as the server says. Not shown of servers before v2.35, where each use moves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "optional_time_schema")]
    pub token_expires_at: Option<Time>,
    /// How changes made behind the operator's back are found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feed: Option<Feed>,
    /// Why the audit log is not read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feed_reason: Option<String>,
    /// Whether calls carry the owners' header that lifts Coder's rate limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit_bypass: Option<bool>,
    /// How many objects use the connection, by kind.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub objects: BTreeMap<String, i64>,
}

/// How changes made behind the operator's back are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Feed {
    /// The audit log names what somebody changed.
    AuditLog,
    /// Every collection is listed once an interval and compared.
    Sweep,
}

object!(CoderInstance, InstanceStatus);

/// The kind's name as in manifests.
pub const KIND: &str = <CoderInstance as super::Object>::KIND;
