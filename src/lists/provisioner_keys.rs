//! The provisioner keys of an organization.

use crate::coder::{self, Client, OrganizationId, ProvisionerKey};
use crate::mirror::Collection;

/// The provisioner keys of an organization.
#[derive(Clone, Debug)]
pub struct ProvisionerKeys(pub OrganizationId);

impl Collection for ProvisionerKeys {
    type Item = ProvisionerKey;
    const NAME: &'static str = "provisioner_keys";

    fn within(&self) -> Option<OrganizationId> {
        Some(self.0)
    }

    fn key(item: &ProvisionerKey) -> String {
        item.id.to_string()
    }

    fn names(item: &ProvisionerKey) -> Vec<&str> {
        vec![&item.name]
    }

    async fn list(&self, client: &Client) -> Result<Vec<ProvisionerKey>, coder::Error> {
        client.list_provisioner_keys(self.0).await
    }
}
