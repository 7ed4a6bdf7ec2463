//! The templates of an organization.

use crate::coder::{self, Client, OrganizationId, Template};
use crate::mirror::Collection;

/// The templates of an organization.
#[derive(Clone, Debug)]
pub struct Templates(pub OrganizationId);

impl Collection for Templates {
    type Item = Template;
    const NAME: &'static str = "templates";

    fn within(&self) -> Option<OrganizationId> {
        Some(self.0)
    }

    fn key(item: &Template) -> String {
        item.id.to_string()
    }

    fn names(item: &Template) -> Vec<&str> {
        vec![&item.name]
    }

    async fn list(&self, client: &Client) -> Result<Vec<Template>, coder::Error> {
        client.list_templates(self.0).await
    }
}
