//! The templates of an organization.

use super::entry;
use crate::coder::{self, AuditEntry, Client, OrganizationId, Template};
use crate::mirror::{Collection, Concerned, Log, Snapshot};

/// The templates of an organization.
#[derive(Clone, Debug)]
pub struct Templates(pub OrganizationId);

impl Templates {
    fn concern(&self, entry: &AuditEntry, _: &Snapshot<Template>) -> Concerned {
        if entry.resource_type == "template" && entry.organization() == Some(self.0) && !entry.changed_nothing() {
            Concerned::item(&entry.resource_id, entry::logged(entry))
        } else {
            Concerned::NOTHING
        }
    }
}

impl Collection for Templates {
    type Item = Template;
    const NAME: &'static str = "templates";
    const LOG: Log<Self> = Log::Complete(Self::concern);

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
