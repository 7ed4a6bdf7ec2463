//! Who may use a template.

use super::{SETTING, entry};
use crate::coder::{self, AuditEntry, Client, OrganizationId, TemplateAccess, TemplateId};
use crate::mirror::{Collection, Concerned, Fields, Log, Snapshot};

/// Who may use a template, as a list of one item.
#[derive(Clone, Debug)]
pub struct AccessTo {
    /// The organization that the template is in.
    pub organization: OrganizationId,
    /// The template.
    pub template: TemplateId,
}

impl AccessTo {
    fn concern(&self, entry: &AuditEntry, _: &Snapshot<TemplateAccess>) -> Concerned {
        let here = entry.organization() == Some(self.organization);
        match (entry.resource_type.as_str(), entry.action.as_str()) {
            ("template", _) if entry.resource_id == self.template.0 && !entry.changed_nothing() => {
                let named = [("user_acl", "users"), ("group_acl", "groups")];
                Concerned::Whole(entry::logged_as(entry, &named))
            }
            // A group that is deleted takes its role along, without an entry for that.
            ("group", "delete") if here => Concerned::Whole(Fields::named(["groups"])),
            // So does a user; one who is suspended is not shown.
            ("user", "delete") => Concerned::Whole(Fields::named(["users"])),
            ("user", "write") if entry.diff.is_empty() || entry.diff.contains_key("status") => {
                Concerned::Whole(Fields::named(["users"]))
            }
            _ => Concerned::NOTHING,
        }
    }
}

impl Collection for AccessTo {
    type Item = TemplateAccess;
    const NAME: &'static str = "template_acl";
    const LOG: Log<Self> = Log::Complete(Self::concern);

    fn within(&self) -> Option<OrganizationId> {
        Some(self.organization)
    }

    fn id(&self) -> String {
        format!("{}/{}", Self::NAME, self.template)
    }

    fn key(_: &TemplateAccess) -> String {
        SETTING.to_owned()
    }

    async fn list(&self, client: &Client) -> Result<Vec<TemplateAccess>, coder::Error> {
        Ok(vec![client.template_access(self.template).await?])
    }
}
