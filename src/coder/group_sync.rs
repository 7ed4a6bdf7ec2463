//! Which groups of an organization come from the identity provider: `/organizations/{organization}/settings/idpsync/groups`.
//!
//! While `field` is not empty, the members of OIDC users are overwritten at their next login: group members should
//! not be managed here as well.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer, Serialize};

use super::{Client, Error, GroupId, Method, OrganizationId, Path, wire::null_default};

const SETTINGS: &str = "/organizations/{organization}/settings/idpsync/groups";
const CONFIG: &str = "/organizations/{organization}/settings/idpsync/groups/config";
const MAPPING: &str = "/organizations/{organization}/settings/idpsync/groups/mapping";

/// How groups follow the identity provider.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct GroupSyncSettings {
    /// The claim that lists a user's groups; empty = off.
    #[serde(default, deserialize_with = "null_default")]
    pub field: String,
    /// From the claim's value to groups. The groups need not exist. Emptied entries, which the server keeps as `[]` or
    /// `null` (recording 06), are left out.
    #[serde(default, deserialize_with = "mapping")]
    pub mapping: BTreeMap<String, BTreeSet<GroupId>>,
    /// Which values count (RE2). An empty one is a pattern that matches everything, none is no pattern.
    #[serde(default)]
    pub regex_filter: Option<String>,
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
}

fn mapping<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, BTreeSet<GroupId>>, D::Error> {
    let raw = Option::<BTreeMap<String, Option<BTreeSet<GroupId>>>>::deserialize(deserializer)?.unwrap_or_default();
    let entries = raw
        .into_iter()
        .map(|(claim, groups)| (claim, groups.unwrap_or_default()));
    Ok(entries.filter(|(_, groups)| !groups.is_empty()).collect())
}

impl Client {
    /// The settings of an organization; they always exist.
    pub async fn group_sync(&self, organization: OrganizationId) -> Result<GroupSyncSettings, Error> {
        self.get(Path::new(SETTINGS).segment(organization)).await
    }

    /// Replaces all of them, the legacy mapping too.
    pub async fn update_group_sync(
        &self,
        organization: OrganizationId,
        settings: &GroupSyncSettings,
    ) -> Result<GroupSyncSettings, Error> {
        self.call(Method::Patch, Path::new(SETTINGS).segment(organization), Some(settings))
            .await
    }

    /// Replaces all but the mapping. Unsupported before v2.20.
    pub async fn update_group_sync_config(
        &self,
        organization: OrganizationId,
        settings: &GroupSyncSettings,
    ) -> Result<GroupSyncSettings, Error> {
        let body = ConfigBody {
            field: &settings.field,
            regex_filter: settings.regex_filter.as_deref(),
            auto_create_missing_groups: settings.auto_create_missing_groups,
        };
        self.call(Method::Patch, Path::new(CONFIG).segment(organization), Some(&body))
            .await
    }

    /// Adds entries to the mapping and removes some; removing wins. Unsupported before v2.20.
    pub async fn update_group_sync_mapping(
        &self,
        organization: OrganizationId,
        add: &[(String, GroupId)],
        remove: &[(String, GroupId)],
    ) -> Result<GroupSyncSettings, Error> {
        let entries = |pairs: &[(String, GroupId)]| {
            let entry = |(given, gets): &(String, GroupId)| Entry {
                given: given.clone(),
                gets: *gets,
            };
            pairs.iter().map(entry).collect()
        };
        let body = MappingBody {
            add: entries(add),
            remove: entries(remove),
        };
        self.call(Method::Patch, Path::new(MAPPING).segment(organization), Some(&body))
            .await
    }
}

#[derive(Serialize)]
struct ConfigBody<'a> {
    field: &'a str,
    regex_filter: Option<&'a str>,
    auto_create_missing_groups: bool,
}

#[derive(Serialize)]
struct MappingBody {
    add: Vec<Entry>,
    remove: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    given: String,
    gets: GroupId,
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
        assert_eq!(read(r#"{"regex_filter":""}"#).regex_filter.as_deref(), Some(""));
    }
}
