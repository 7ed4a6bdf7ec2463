//! Roles that can be given in an organization: `/organizations/{organization}/members/roles`.

use serde::Deserialize;

use super::{Client, Error, OrganizationId, Path, wire::null_default};

/// A role of an organization.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct OrganizationRole {
    /// Its name, without the organization.
    pub name: String,
    /// Whether Coder defines it; all others are custom roles.
    #[serde(default, deserialize_with = "null_default")]
    pub built_in: bool,
}

impl Client {
    /// The roles of an organization, built-in ones among them.
    pub async fn list_organization_roles(&self, organization: OrganizationId) -> Result<Vec<OrganizationRole>, Error> {
        self.get_list(Path::new("/organizations/{organization}/members/roles").segment(organization))
            .await
    }
}
