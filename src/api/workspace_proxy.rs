//! `CoderWorkspaceProxy`: the registration of a workspace proxy; its token goes to a Secret.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::{CommonSpec, SecretKeyRef};
use super::kind::{Scope, kind};
use super::rules;
use super::status::{CommonStatus, optional_time_schema};

/// A workspace proxy in Coder.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "coder-operator.dev",
    version = "v1alpha1",
    kind = "CoderWorkspaceProxy",
    plural = "coderworkspaceproxies",
    shortname = "cwp",
    category = "coder",
    namespaced,
    status = "WorkspaceProxyStatus",
    derive = "PartialEq",
    doc = "The registration of a Coder workspace proxy. Its token is written to a Secret.",
    validation = rules::metadata_name(),
    validation = Rule::new("has(self.spec.name) ? self.spec.name.lowerAscii() != 'primary' : self.metadata.name != 'primary'")
        .message("\"primary\" is reserved by Coder for the deployment itself: choose another name"),
    printcolumn(name = "Proxy", type_ = "string", json_path = ".status.name"),
    printcolumn(name = "Healthy", type_ = "boolean", json_path = ".status.healthy"),
    printcolumn(name = "URL", type_ = "string", json_path = ".status.url"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
pub struct WorkspaceProxySpec {
    /// Instance, mode and policies.
    #[serde(flatten)]
    pub common: CommonSpec,

    /// Name in Coder; default: `metadata.name`. Changing it renames the proxy, whose id stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32))]
    #[x_kube(validation = rules::name(), validation = rules::name_not_reserved())]
    pub name: Option<String>,

    /// Name shown to people. Required: Coder cannot update a proxy without one.
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(validation = rules::display_name())]
    pub display_name: String,

    /// URL or path of its icon, such as `/emojis/1f1eb-1f1f7.png`. Required: Coder cannot update a proxy without one.
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(validation = rules::no_spaces())]
    pub icon: String,

    /// The Secret in this namespace that the operator creates and keeps for the proxy: the token under `key` (default
    /// `CODER_PROXY_SESSION_TOKEN`) and the deployment's URL under `CODER_PRIMARY_ACCESS_URL`. It is owned by this object
    /// and goes with it when the proxy is deleted in Coder; it stays when the proxy stays there. A Secret of that name that
    /// belongs to somebody else is never overwritten; one without an owner, or of an earlier object of this name, is taken
    /// over if it holds this very proxy's token. When the name or the key changes, the token moves there.
    #[x_kube(validation = Rule::new("!has(self.key) || self.key != 'CODER_PRIMARY_ACCESS_URL'")
        .message("CODER_PRIMARY_ACCESS_URL holds the deployment's URL: choose another key for the token"))]
    pub token_secret: SecretKeyRef,

    /// By which URL the proxy reaches the deployment: what the Secret holds under `CODER_PRIMARY_ACCESS_URL`. Default: the
    /// access URL that the deployment itself names, which need not be the one by which the operator reaches it.
    #[serde(default, rename = "primaryAccessURL", skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    #[x_kube(validation = rules::access_url())]
    pub primary_access_url: Option<String>,
}

/// What the operator knows of the proxy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkspaceProxyStatus {
    /// Conditions and what all kinds share.
    #[serde(flatten)]
    pub common: CommonStatus,
    /// Coder's id of the proxy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its name in Coder at the last look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether Coder reaches the proxy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthy: Option<bool>,
    /// Coder's word for its health: `ok`, `unreachable`, `unhealthy`, `unregistered` …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<String>,
    /// Where the running proxy serves apps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Version of the running proxy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// When the token in the Secret was issued. Absent: none was issued for this object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "optional_time_schema")]
    pub token_issued_at: Option<Time>,
    /// Where the token is: by it, a token is found again after `spec.tokenSecret` was changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_secret: Option<TokenSecret>,
    /// The value of the annotation `coder-operator.dev/rotate` that was last acted upon. One that was there when the proxy
    /// was taken over counts as acted upon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_rotate: Option<String>,
}

/// One key of a Secret in the namespace of the object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TokenSecret {
    /// Name of the Secret.
    pub name: String,
    /// Key within it.
    pub key: String,
}

kind!(CoderWorkspaceProxy, Scope::Deployment, WorkspaceProxyStatus);
