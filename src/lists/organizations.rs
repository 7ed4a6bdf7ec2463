//! The organizations of a deployment.

use super::entry;
use crate::coder::{self, AuditEntry, Client, Organization};
use crate::mirror::{Collection, Concerned, Log, Snapshot};

/// All organizations that the token may see and that are not deleted.
#[derive(Clone, Debug)]
pub struct Organizations;

impl Organizations {
    /// Without what moves by itself.
    #[must_use]
    pub fn without_volatile(organization: Organization) -> Organization {
        Organization {
            updated_at: None,
            default_org_member_roles: None,
            ..organization
        }
    }

    fn concern(_: &Self, entry: &AuditEntry, _: &Snapshot<Organization>) -> Concerned {
        match entry.resource_type.as_str() {
            "organization" if !entry.changed_nothing() => Concerned::item(&entry.resource_id, entry::logged(entry)),
            _ => Concerned::NOTHING,
        }
    }
}

impl Collection for Organizations {
    type Item = Organization;
    const NAME: &'static str = "organizations";
    const LOG: Log<Self> = Log::Complete(Self::concern);

    fn key(item: &Organization) -> String {
        item.id.to_string()
    }

    fn names(item: &Organization) -> Vec<&str> {
        vec![&item.name]
    }

    async fn list(&self, client: &Client) -> Result<Vec<Organization>, coder::Error> {
        let organizations = client.list_organizations().await?.into_iter();
        Ok(organizations.map(Self::without_volatile).collect())
    }
}
