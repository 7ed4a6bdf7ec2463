//! Which organizations people are in by the identity provider: `/settings/idpsync/organization`. One a deployment, v2.18 and
//! later.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::OrganizationId;
use super::idp_sync::{IdpSync, SyncMapping, mapping};
use super::wire::null_default;

/// How membership in organizations follows the identity provider.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct OrganizationSyncSettings {
    /// The claim that lists a user's organizations; empty = off.
    #[serde(default, deserialize_with = "null_default")]
    pub field: String,
    /// From the claim's value to organizations.
    #[serde(default, deserialize_with = "mapping")]
    pub mapping: SyncMapping<OrganizationId>,
    /// Whether everybody is in the default organization as well. The narrow call names it otherwise.
    #[serde(default, deserialize_with = "null_default")]
    pub organization_assign_default: bool,
}

impl IdpSync for OrganizationSyncSettings {
    type Target = OrganizationId;
    const NAME: &'static str = "organization_sync";
    const LOGGED: &'static str = "idp_sync_settings_organization";
    const SETTINGS: &'static str = "/settings/idpsync/organization";
    const CONFIG: &'static str = "/settings/idpsync/organization/config";
    const MAPPING: &'static str = "/settings/idpsync/organization/mapping";

    /// Recording 06.
    fn initial() -> Self {
        Self {
            field: String::new(),
            mapping: SyncMapping::new(),
            organization_assign_default: true,
        }
    }

    fn claim(&self) -> &str {
        &self.field
    }

    fn mapping(&self) -> &SyncMapping<OrganizationId> {
        &self.mapping
    }

    fn mapping_mut(&mut self) -> &mut SyncMapping<OrganizationId> {
        &mut self.mapping
    }

    fn config(&self) -> Value {
        json!({ "field": self.field, "assign_default": self.organization_assign_default })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_and_the_narrow_call_name_the_default_differently() {
        let initial = OrganizationSyncSettings::initial();
        assert_eq!(
            serde_json::to_value(&initial).unwrap(),
            json!({ "field": "", "mapping": {}, "organization_assign_default": true })
        );
        assert_eq!(initial.config(), json!({ "field": "", "assign_default": true }));
    }
}
