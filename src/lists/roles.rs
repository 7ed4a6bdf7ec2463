//! The roles that can be given in an organization.

use super::entry;
use crate::coder::{self, AuditEntry, Client, OrganizationId, OrganizationRole};
use crate::mirror::{Collection, Concerned, Log, Snapshot};

/// The roles of an organization, built-in and custom.
#[derive(Clone, Debug)]
pub struct Roles(pub OrganizationId);

impl Roles {
    /// The log knows a role by an id that nothing else shows, and by its name.
    fn concern(&self, entry: &AuditEntry, _: &Snapshot<OrganizationRole>) -> Concerned {
        if entry.resource_type != "custom_role" || entry.organization() != Some(self.0) || entry.changed_nothing() {
            return Concerned::NOTHING;
        }
        let fields = entry::logged_as(entry, &[("org_permissions", "permissions")]);
        Concerned::item(&entry.resource_target, fields)
    }
}

impl Collection for Roles {
    type Item = OrganizationRole;
    const NAME: &'static str = "roles";
    const LOG: Log<Self> = Log::Complete(Self::concern);

    fn within(&self) -> Option<OrganizationId> {
        Some(self.0)
    }

    fn key(item: &OrganizationRole) -> String {
        item.name.clone()
    }

    async fn list(&self, client: &Client) -> Result<Vec<OrganizationRole>, coder::Error> {
        client.list_organization_roles(self.0).await
    }
}
