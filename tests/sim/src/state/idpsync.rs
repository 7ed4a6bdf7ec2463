//! The three settings objects of IdP sync.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::profile::Profile;

/// Claim values to what they give. An emptied entry stays: as `[]` right after, as `null` after the next write
/// (recording 06).
pub(crate) type Mapping = BTreeMap<String, Option<Vec<String>>>;

#[derive(Clone, Debug, Default)]
pub(crate) struct OrganizationSync {
    pub(crate) field: String,
    pub(crate) mapping: Option<Mapping>,
    pub(crate) assign_default: bool,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct GroupSync {
    pub(crate) field: String,
    pub(crate) mapping: Option<Mapping>,
    pub(crate) regex_filter: Option<String>,
    pub(crate) auto_create: bool,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct RoleSync {
    pub(crate) field: String,
    pub(crate) mapping: Option<Mapping>,
}

impl OrganizationSync {
    /// Before the first write the deployment's flags apply: everyone gets the default organization.
    pub(crate) fn at_birth() -> Self {
        Self {
            assign_default: true,
            ..Self::default()
        }
    }

    pub(crate) fn json(&self, profile: Profile) -> Value {
        json!({
            "field": self.field,
            "mapping": mapping_json(self.mapping.as_ref(), profile),
            "organization_assign_default": self.assign_default,
        })
    }
}

impl GroupSync {
    pub(crate) fn json(&self, profile: Profile) -> Value {
        json!({
            "field": self.field,
            "mapping": mapping_json(self.mapping.as_ref(), profile),
            "regex_filter": self.regex_filter,
            "auto_create_missing_groups": self.auto_create,
        })
    }
}

impl RoleSync {
    pub(crate) fn json(&self, profile: Profile) -> Value {
        json!({ "field": self.field, "mapping": mapping_json(self.mapping.as_ref(), profile) })
    }
}

fn mapping_json(mapping: Option<&Mapping>, profile: Profile) -> Value {
    match mapping {
        Some(mapping) => json!(mapping),
        None if profile.traits().empty_not_null => json!({}),
        None => Value::Null,
    }
}

/// A set difference on a mapping: removal wins, what is there already is not added again.
pub(crate) fn change_mapping(mapping: &mut Option<Mapping>, add: &[(String, String)], remove: &[(String, String)]) {
    let mut entries = mapping.take().unwrap_or_default();
    for gets in entries.values_mut() {
        if gets.as_ref().is_some_and(Vec::is_empty) {
            *gets = None;
        }
    }
    for (given, wanted) in add {
        let gets = entries.entry(given.clone()).or_default().get_or_insert_default();
        if !gets.contains(wanted) {
            gets.push(wanted.clone());
        }
    }
    for (given, unwanted) in remove {
        // A claim that was not there is there afterwards, with nothing (recording 21).
        if let Some(gets) = entries.entry(given.clone()).or_default() {
            gets.retain(|own| own != unwanted);
        }
    }
    *mapping = Some(entries);
}
