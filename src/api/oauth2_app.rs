//! `CoderOAuth2App`: an application that signs people in through Coder; its client secret goes to a Secret.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::{CommonSpec, SecretKeyRef};
use super::kind::{Scope, kind};
use super::rotation::{PreviousCredential, Rotation};
use super::rules;
use super::status::{CommonStatus, optional_time_schema};
use super::workspace_proxy::TokenSecret;

/// An OAuth2 application in Coder.
///
/// Names of applications are not unique in Coder: of those with the same name the one with the same `callbackURL` is
/// meant, or else the only one.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "coder-operator.dev",
    version = "v1alpha1",
    kind = "CoderOAuth2App",
    plural = "coderoauth2apps",
    shortname = "coa",
    category = "coder",
    namespaced,
    status = "OAuth2AppStatus",
    derive = "PartialEq",
    doc = "An application that signs people in through Coder. Its client secret is written to a Secret.",
    validation = rules::metadata_name(),
    printcolumn(name = "App", type_ = "string", json_path = ".status.name"),
    printcolumn(name = "Client-ID", type_ = "string", json_path = ".status.id"),
    printcolumn(name = "Issued", type_ = "date", json_path = ".status.secretIssuedAt"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[x_kube(validation = Rule::new("!has(self.rotation) || has(self.clientSecret)")
    .message("rotation says when a client secret is renewed: set clientSecret, or remove rotation"))]
pub struct OAuth2AppSpec {
    /// Instance, mode and policies.
    #[serde(flatten)]
    pub common: CommonSpec,

    /// Name in Coder; default: `metadata.name`. Changing it renames the application, whose client id stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32))]
    #[x_kube(validation = rules::name(), validation = rules::name_not_reserved())]
    pub name: Option<String>,

    /// Where people are sent back to after they signed in.
    #[serde(rename = "callbackURL")]
    #[schemars(length(min = 1, max = 2048))]
    #[x_kube(validation = rules::callback_url())]
    pub callback_url: String,

    /// URL or path of its icon, such as `/emojis/1f4ca.png`. Absent = unmanaged, `""` clears it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    #[x_kube(validation = rules::no_spaces())]
    pub icon: Option<String>,

    /// The Secret in this namespace that the operator creates and keeps for the application: the client secret under `key`
    /// (default `CLIENT_SECRET`), and beside it `CLIENT_ID`, `AUTHORIZATION_URL` and `TOKEN_URL`, ready for `envFrom`. It is
    /// owned by this object and goes with it when the application is deleted in Coder; it stays when that stays. A Secret of
    /// that name that belongs to somebody else is never overwritten. Absent: client secrets are unmanaged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("!has(self.key) || !(self.key in ['CLIENT_ID', 'AUTHORIZATION_URL', 'TOKEN_URL'])")
        .message("CLIENT_ID, AUTHORIZATION_URL and TOKEN_URL stand beside it: choose another key for the client secret"))]
    pub client_secret: Option<SecretKeyRef>,

    /// When a new client secret is issued without anybody asking. Absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<Rotation>,
}

/// What the operator knows of the application.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OAuth2AppStatus {
    /// Conditions and what all kinds share.
    #[serde(flatten)]
    pub common: CommonStatus,
    /// Coder's id of the application: the client id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its name in Coder at the last look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Coder's id of the client secret that is in the Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_id: Option<String>,
    /// When it was issued. Absent: none was issued for this object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "optional_time_schema")]
    pub secret_issued_at: Option<Time>,
    /// Where it is: by it, it is found again after `spec.clientSecret` was changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<TokenSecret>,
    /// The client secret before, while it still works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_secret: Option<PreviousCredential>,
    /// The value of the annotation `coder-operator.dev/rotate` that was last acted upon. One that was there when the
    /// application was taken over counts as acted upon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_rotate: Option<String>,
}

kind!(CoderOAuth2App, Scope::Deployment, OAuth2AppStatus);
