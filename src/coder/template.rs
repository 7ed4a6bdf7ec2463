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
    /// The templates of an organization.
    pub async fn list_templates(&self, organization: OrganizationId) -> Result<Vec<Template>, Error> {
        self.get_list(Path::new("/organizations/{organization}/templates").segment(organization))
            .await
    }
}
