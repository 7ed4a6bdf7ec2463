//! The names of the custom roles of an organization.

use crate::coder::{self, Client, OrganizationId};
use crate::mirror::Collection;

/// The names of the custom roles of an organization.
#[derive(Clone, Debug)]
pub struct CustomRoles(pub OrganizationId);

impl Collection for CustomRoles {
    type Item = String;
    const NAME: &'static str = "custom_roles";

    fn within(&self) -> Option<OrganizationId> {
        Some(self.0)
    }

    fn key(item: &String) -> String {
        item.clone()
    }

    async fn list(&self, client: &Client) -> Result<Vec<String>, coder::Error> {
        let roles = client.list_organization_roles(self.0).await?.into_iter();
        Ok(roles.filter(|role| !role.built_in).map(|role| role.name).collect())
    }
}
