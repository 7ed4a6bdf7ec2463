//! `CoderDeploymentSettings`: what everybody sees of a deployment, and what it pauses.

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::common::CommonSpec;
use super::kind::{Scope, kind};
use super::status::CommonStatus;

/// The settings of a deployment that the API has. They always exist, once.
///
/// Each section, and each field in it, is managed by itself. Taken over without being told to while nobody has set what the
/// spec manages; deleting gives that its initial values back.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "coder-operator.dev",
    version = "v1alpha1",
    kind = "CoderDeploymentSettings",
    plural = "coderdeploymentsettings",
    shortname = "cds",
    category = "coder",
    namespaced,
    status = "DeploymentSettingsStatus",
    derive = "PartialEq",
    doc = "What everybody sees of a Coder deployment, and what it pauses.",
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
#[x_kube(
    validation = Rule::new("has(self.appearance) || has(self.notifications) || has(self.prebuilds) || has(self.health)")
        .message("set at least one of appearance, notifications, prebuilds and health")
)]
pub struct DeploymentSettingsSpec {
    /// Instance, mode and policies.
    #[serde(flatten)]
    pub common: CommonSpec,

    /// What everybody sees. Needs the licensed feature `appearance`. Absent = unmanaged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub appearance: Option<AppearanceSettings>,

    /// Notifications. Absent = unmanaged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notifications: Option<NotificationSettings>,

    /// Prebuilt workspaces. Needs Coder v2.25 and the licensed feature `workspace_prebuilds`. Absent = unmanaged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prebuilds: Option<PrebuildSettings>,

    /// The health page. Absent = unmanaged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<HealthSettings>,
}

/// What everybody sees.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppearanceSettings {
    /// The name on the sign-in page. Absent = unmanaged, `""` = Coder's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub application_name: Option<String>,

    /// URL of the logo. Absent = unmanaged, `""` = Coder's own.
    #[serde(default, rename = "logoURL", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub logo_url: Option<String>,

    /// Banners on top of every page, in this order. Absent = unmanaged, `[]` = none. The list is one value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 20), extend("x-kubernetes-list-type" = "atomic"))]
    pub announcement_banners: Option<Vec<AnnouncementBanner>>,
}

/// A banner on top of every page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnnouncementBanner {
    /// What it says; Markdown.
    #[schemars(length(max = 2048))]
    pub message: String,
    /// Its colour, such as `#004852`.
    #[schemars(regex(pattern = "^#[0-9a-fA-F]{6}$"))]
    pub background_color: String,
    /// Whether it is shown. Default `true`, which is not written into the object: what is stored equals what was applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

/// Notifications.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NotificationSettings {
    /// Whether none are sent. Absent = unmanaged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,

    /// How the notifications of a template are sent: from its name (`Workspace Deleted`) or id to `Smtp`, `Webhook` or `Inbox`.
    /// Templates that are not named are unmanaged. Coder cannot take a method back: it stays when it is named no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "methods_schema")]
    pub methods: Option<BTreeMap<String, NotificationMethod>>,
}

/// How notifications are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, strum::Display)]
pub enum NotificationMethod {
    /// By email.
    Smtp,
    /// To the webhook of the deployment.
    Webhook,
    /// Into Coder's own inbox; newer servers.
    Inbox,
}

fn methods_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "x-kubernetes-map-type": "atomic",
        "maxProperties": 100,
        "additionalProperties": { "type": "string", "enum": ["Smtp", "Webhook", "Inbox"] },
    })
}

/// Prebuilt workspaces.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PrebuildSettings {
    /// Whether none are made. Absent = unmanaged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
}

/// The health page.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HealthSettings {
    /// The checks whose warnings are not shown. Absent = unmanaged, `[]` = all are shown. The list is one value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 6), extend("x-kubernetes-list-type" = "atomic"))]
    pub dismissed: Option<Vec<HealthCheck>>,
}

/// A part of the health page.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, strum::Display,
)]
pub enum HealthCheck {
    /// The relays.
    #[serde(rename = "DERP")]
    #[strum(to_string = "DERP")]
    Derp,
    /// The address by which users reach the deployment.
    #[serde(rename = "AccessURL")]
    #[strum(to_string = "AccessURL")]
    AccessUrl,
    /// Websockets.
    Websocket,
    /// The database.
    Database,
    /// The workspace proxies.
    WorkspaceProxy,
    /// The provisioners.
    ProvisionerDaemons,
}

/// What the operator knows of the settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentSettingsStatus {
    /// Conditions and what all kinds share.
    #[serde(flatten)]
    pub common: CommonStatus,
    /// Id of the deployment: there is one of each setting in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The fields that this object manages, or did and left behind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub managed: Vec<String>,
}

kind!(CoderDeploymentSettings, Scope::Deployment, DeploymentSettingsStatus);
