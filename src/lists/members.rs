//! The members of an organization.

use super::entry;
use crate::coder::{self, AuditEntry, Client, OrganizationId, UserId, UserStatus};
use crate::mirror::{Collection, Concerned, Fields, Log, Snapshot};

/// The members of an organization.
#[derive(Clone, Debug)]
pub struct Members(pub OrganizationId);

/// A member, by all that somebody may be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberItem {
    /// The user's id.
    pub id: UserId,
    /// The user's name.
    pub username: String,
    /// The user's email.
    pub email: String,
    /// The roles in the organization, sorted.
    pub roles: Vec<String>,
    /// Whether the user may not sign in; not known before v2.35.
    pub is_suspended: Option<bool>,
}

impl Members {
    fn concern(&self, entry: &AuditEntry, known: &Snapshot<MemberItem>) -> Concerned {
        let user = entry.resource_id;
        match entry.resource_type.as_str() {
            "organization_member" if entry.organization() == Some(self.0) && !entry.changed_nothing() => {
                Concerned::item(&user, entry::logged(entry))
            }
            // The identity provider may have moved them, which no entry names.
            _ if entry::is_sign_in(entry) => Concerned::Perhaps,
            // A user's name, status or end shows wherever it is a member.
            "user" if known.get(&user.to_string()).is_some() => Concerned::item(&user, Fields::All),
            _ => Concerned::NOTHING,
        }
    }
}

impl Collection for Members {
    type Item = MemberItem;
    const NAME: &'static str = "members";
    const LOG: Log<Self> = Log::Complete(Self::concern);

    fn within(&self) -> Option<OrganizationId> {
        Some(self.0)
    }

    fn key(item: &MemberItem) -> String {
        item.id.to_string()
    }

    fn names(item: &MemberItem) -> Vec<&str> {
        vec![&item.username, &item.email]
    }

    async fn list(&self, client: &Client) -> Result<Vec<MemberItem>, coder::Error> {
        let members = client.list_members(self.0).await?.into_iter();
        Ok(members
            .map(|member| {
                let mut roles: Vec<String> = member.roles.into_iter().map(|role| role.name).collect();
                roles.sort();
                MemberItem {
                    id: member.user_id,
                    username: member.username,
                    email: member.email,
                    roles,
                    is_suspended: member.status.map(|status| status == UserStatus::Suspended),
                }
            })
            .collect())
    }
}
