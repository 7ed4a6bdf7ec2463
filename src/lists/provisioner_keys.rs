//! The provisioner keys of an organization, and how many daemons use them.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::coder::{self, Client, OrganizationId, ProvisionerKeyDaemons, ProvisionerKeyId};
use crate::mirror::Collection;

/// The provisioner keys of an organization. No audit log says anything of them.
#[derive(Clone, Debug)]
pub struct ProvisionerKeys(pub OrganizationId);

/// A provisioner key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvisionerKeyItem {
    /// Its id.
    pub id: ProvisionerKeyId,
    /// Its name, in lower case.
    pub name: String,
    /// What its daemons are for.
    pub tags: BTreeMap<String, String>,
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// How many daemons with this key were heard of lately.
    pub daemons: usize,
}

impl From<ProvisionerKeyDaemons> for ProvisionerKeyItem {
    fn from(listed: ProvisionerKeyDaemons) -> Self {
        let ProvisionerKeyDaemons { key, daemons } = listed;
        Self {
            id: key.id,
            name: key.name,
            tags: key.tags,
            created_at: key.created_at,
            daemons: daemons.len(),
        }
    }
}

impl Collection for ProvisionerKeys {
    type Item = ProvisionerKeyItem;
    const NAME: &'static str = "provisioner_keys";

    fn within(&self) -> Option<OrganizationId> {
        Some(self.0)
    }

    fn key(item: &ProvisionerKeyItem) -> String {
        item.id.to_string()
    }

    fn names(item: &ProvisionerKeyItem) -> Vec<&str> {
        vec![&item.name]
    }

    async fn list(&self, client: &Client) -> Result<Vec<ProvisionerKeyItem>, coder::Error> {
        let keys = client.list_provisioner_keys(self.0).await?.into_iter();
        Ok(keys
            .filter(|listed| !listed.key.is_reserved())
            .map(Into::into)
            .collect())
    }
}
