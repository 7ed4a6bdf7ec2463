//! When what Coder shows once is issued anew, and how long the one before it goes on working.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::duration::DurationString;
use super::status::time_schema;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// When a new one is issued without anybody asking. Whenever one is issued, the annotation `coder-operator.dev/rotate` does
/// not matter for that: it asks for one at once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rotation {
    /// How long after its issue it is replaced, for example `90d`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<DurationString>,
    /// How long the one before goes on working beside the new one, for example `24h`. Default `1h`. One that is issued within
    /// that time ends the oldest early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap: Option<DurationString>,
}

/// A credential that goes on working beside the one that replaced it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PreviousCredential {
    /// Coder's id of it.
    pub id: String,
    /// Its name in Coder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// When it is deleted in Coder.
    #[schemars(schema_with = "time_schema")]
    pub retire_at: Time,
}
