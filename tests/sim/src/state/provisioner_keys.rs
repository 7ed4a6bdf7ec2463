//! Provisioner keys.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::{State, secret};

/// A provisioner key.
#[derive(Clone, Debug, Serialize)]
pub struct ProvisionerKey {
    /// Its id.
    pub id: Uuid,
    /// The organization.
    pub organization_id: Uuid,
    /// Its name, in lower case.
    pub name: String,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// The secret, which the API shows once.
    pub key: String,
    /// When it was made.
    #[serde(serialize_with = "super::serialize_time")]
    pub created_at: Timestamp,
    /// The ids of the daemons that signed in with it. They go with it.
    pub daemons: Vec<Uuid>,
}

impl State {
    pub(crate) fn insert_provisioner_key(
        &mut self,
        organization_id: Uuid,
        name: &str,
        tags: BTreeMap<String, String>,
    ) -> ProvisionerKey {
        let key = ProvisionerKey {
            id: Uuid::new_v4(),
            organization_id,
            name: name.to_lowercase(),
            tags,
            key: secret(43),
            created_at: self.now(),
            daemons: Vec::new(),
        };
        self.provisioner_keys.push(key.clone());
        key
    }
}
