//! Templates of an organization: `/organizations/{organization}/templates`.

use serde::Deserialize;
use uuid::Uuid;

use super::{Client, Error, OrganizationId, Path};

/// A template.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Template {
    /// Its id.
    pub id: Uuid,
    /// Its name, unique in the organization whatever its case.
    pub name: String,
}

impl Client {
    /// The templates of an organization, deprecated ones among them: newer servers leave those out unless asked for them, and
    /// then show no others.
    pub async fn list_templates(&self, organization: OrganizationId) -> Result<Vec<Template>, Error> {
        let path = || Path::new("/organizations/{organization}/templates").segment(organization);
        let mut templates: Vec<Template> = self.get_list(path()).await?;
        let deprecated: Vec<Template> = self.get_list(path().query("q", "deprecated:true")).await?;
        // Older servers do not know the question and answer with all.
        let unknown = |one: &Template| !templates.iter().any(|known| known.id == one.id);
        let more: Vec<Template> = deprecated.into_iter().filter(unknown).collect();
        templates.extend(more);
        Ok(templates)
    }
}
