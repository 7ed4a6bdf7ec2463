//! Which groups of an organization come from the identity provider: `/organizations/{organization}/settings/idpsync/groups`.
//!
//! While `field` is not empty, the members of OIDC users are overwritten at their next login: group members should
//! not be managed here as well.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

use super::{Client, Error, GroupId, OrganizationId, Path, wire::null_default};

/// How groups follow the identity provider.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct GroupSyncSettings {
    /// The claim that lists a user's groups; empty = off.
    #[serde(default, deserialize_with = "null_default")]
    pub field: String,
    /// From the claim's value to groups. The groups need not exist. Emptied entries, which the server keeps as `[]` or
    /// `null` (recording 06), are left out.
    #[serde(default, deserialize_with = "mapping")]
    pub mapping: BTreeMap<String, Vec<GroupId>>,
    /// Which values count (RE2). An empty one is a pattern that matches everything, none is no pattern.
    #[serde(default)]
    pub regex_filter: Option<String>,
    /// Make a group for every value that has none.
    #[serde(default, deserialize_with = "null_default")]
    pub auto_create_missing_groups: bool,
}

impl GroupSyncSettings {
    /// Whether group members come from the identity provider.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.field.is_empty()
    }
}

fn mapping<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, Vec<GroupId>>, D::Error> {
    let raw = Option::<BTreeMap<String, Option<Vec<GroupId>>>>::deserialize(deserializer)?.unwrap_or_default();
    let entries = raw
        .into_iter()
        .map(|(claim, groups)| (claim, groups.unwrap_or_default()));
    Ok(entries.filter(|(_, groups)| !groups.is_empty()).collect())
}

impl Client {
    /// The settings of an organization; they always exist.
    pub async fn group_sync(&self, organization: OrganizationId) -> Result<GroupSyncSettings, Error> {
        self.get(Path::new("/organizations/{organization}/settings/idpsync/groups").segment(organization))
            .await
    }
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
