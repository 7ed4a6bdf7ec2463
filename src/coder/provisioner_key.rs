//! Provisioner keys of an organization: `/organizations/{organization}/provisionerkeys`. The key itself is shown once,
//! at creation; the reserved ones are never listed.

use serde::Deserialize;
use uuid::Uuid;

use super::{Client, Error, OrganizationId, Path};

/// A provisioner key, without the key.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ProvisionerKey {
    /// Its id.
    pub id: Uuid,
    /// Its name, lower-cased by the server.
    pub name: String,
}

impl Client {
    /// The keys of an organization.
    pub async fn list_provisioner_keys(&self, organization: OrganizationId) -> Result<Vec<ProvisionerKey>, Error> {
        self.get_list(Path::new("/organizations/{organization}/provisionerkeys").segment(organization))
            .await
    }
}
