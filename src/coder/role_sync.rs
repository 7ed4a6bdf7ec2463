//! Which roles of an organization come from the identity provider: `/organizations/{organization}/settings/idpsync/roles`.
//!
//! While `field` is not empty, nobody can change the roles of OIDC users in another way (recording 22).

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::idp_sync::{IdpSync, SyncMapping, mapping};
use super::wire::null_default;

/// How the roles in an organization follow the identity provider.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct RoleSyncSettings {
    /// The claim that lists a user's roles; empty = off.
    #[serde(default, deserialize_with = "null_default")]
    pub field: String,
    /// From the claim's value to names of roles.
    #[serde(default, deserialize_with = "mapping")]
    pub mapping: SyncMapping<String>,
}

impl RoleSyncSettings {
    /// Whether roles come from the identity provider.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.field.is_empty()
    }
}

impl IdpSync for RoleSyncSettings {
    type Target = String;
    const NAME: &'static str = "role_sync";
    const LOGGED: &'static str = "idp_sync_settings_role";
    const SETTINGS: &'static str = "/organizations/{organization}/settings/idpsync/roles";
    const CONFIG: &'static str = "/organizations/{organization}/settings/idpsync/roles/config";
    const MAPPING: &'static str = "/organizations/{organization}/settings/idpsync/roles/mapping";

    fn initial() -> Self {
        Self::default()
    }

    fn claim(&self) -> &str {
        &self.field
    }

    fn mapping(&self) -> &SyncMapping<String> {
        &self.mapping
    }

    fn mapping_mut(&mut self) -> &mut SyncMapping<String> {
        &mut self.mapping
    }

    fn config(&self) -> Value {
        json!({ "field": self.field })
    }
}
