//! Which groups of an organization come from the identity provider: `/organizations/{organization}/settings/idpsync/groups`.
//!
//! While `field` is not empty, the members of OIDC users are overwritten at their next login: group members should
//! not be managed here as well.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Value, json};

use super::GroupId;
use super::idp_sync::{IdpSync, SyncMapping, mapping};
use super::wire::null_default;

/// How groups follow the identity provider.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct GroupSyncSettings {
    /// The claim that lists a user's groups; empty = off.
    #[serde(default, deserialize_with = "null_default")]
    pub field: String,
    /// From the claim's value to groups.
    #[serde(default, deserialize_with = "mapping")]
    pub mapping: SyncMapping<GroupId>,
    /// Which values count (RE2). An empty pattern and none mean the same; none is sent.
    #[serde(default, deserialize_with = "null_default", serialize_with = "none_if_empty")]
    pub regex_filter: String,
    /// Make a group for every value that has none.
    #[serde(default, deserialize_with = "null_default")]
    pub auto_create_missing_groups: bool,
    /// From the claim's value to names of groups, as flags of the server say. It is lost with a write of the whole, which may
    /// not contain it.
    #[serde(default, deserialize_with = "null_default", skip_serializing)]
    pub legacy_group_name_mapping: BTreeMap<String, String>,
}

impl GroupSyncSettings {
    /// Whether group members come from the identity provider.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.field.is_empty()
    }

    fn pattern(&self) -> Option<&str> {
        Some(&*self.regex_filter).filter(|pattern| !pattern.is_empty())
    }
}

impl IdpSync for GroupSyncSettings {
    type Target = GroupId;
    const NAME: &'static str = "group_sync";
    const LOGGED: &'static str = "idp_sync_settings_group";
    const SETTINGS: &'static str = "/organizations/{organization}/settings/idpsync/groups";
    const CONFIG: &'static str = "/organizations/{organization}/settings/idpsync/groups/config";
    const MAPPING: &'static str = "/organizations/{organization}/settings/idpsync/groups/mapping";

    fn initial() -> Self {
        Self::default()
    }

    fn claim(&self) -> &str {
        &self.field
    }

    fn mapping(&self) -> &SyncMapping<GroupId> {
        &self.mapping
    }

    fn mapping_mut(&mut self) -> &mut SyncMapping<GroupId> {
        &mut self.mapping
    }

    fn config(&self) -> Value {
        json!({
            "field": self.field,
            "regex_filter": self.pattern(),
            "auto_create_missing_groups": self.auto_create_missing_groups,
        })
    }

    fn has_more_than_can_be_written(&self) -> bool {
        !self.legacy_group_name_mapping.is_empty()
    }
}

fn none_if_empty<S: Serializer>(pattern: &str, serializer: S) -> Result<S::Ok, S::Error> {
    Some(pattern)
        .filter(|pattern| !pattern.is_empty())
        .serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_empty_and_absent_entries_are_equal() {
        let read = |body| serde_json::from_str::<GroupSyncSettings>(body).unwrap();
        let off = GroupSyncSettings::default();
        assert_eq!(
            read(r#"{"field":"","mapping":null,"regex_filter":null,"auto_create_missing_groups":false}"#),
            off
        );
        assert_eq!(read(r#"{"mapping":{"a":null,"b":[]}}"#), off);
        assert!(!off.is_on() && read(r#"{"field":"groups"}"#).is_on());
    }

    #[test]
    fn an_empty_pattern_is_none_and_none_is_sent() {
        let off: GroupSyncSettings = serde_json::from_str(r#"{"regex_filter":""}"#).unwrap();
        assert_eq!(off, GroupSyncSettings::default());
        assert_eq!(serde_json::to_value(&off).unwrap()["regex_filter"], Value::Null);
        assert_eq!(off.config()["regex_filter"], Value::Null);
    }
}
