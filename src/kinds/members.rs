//! The members of an organization, as a collection.

use super::audit;
use crate::coder::{self, Client, OrganizationId, UserId};
use crate::mirror::Collection;

/// The members of an organization.
#[derive(Clone, Debug)]
pub(super) struct Members(pub(super) OrganizationId);

/// A member, by all that somebody may be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MemberItem {
    /// The user's id.
    pub id: UserId,
    /// The user's name.
    pub username: String,
    /// The user's email.
    pub email: String,
    /// The roles in the organization, sorted.
    pub roles: Vec<String>,
}

impl Collection for Members {
    type Item = MemberItem;
    const NAME: &'static str = "members";

    fn is_audited() -> bool {
        audit::covers::<Self>()
    }

    fn id(&self) -> String {
        format!("{}/{}", Self::NAME, self.0)
    }

    fn key(item: &MemberItem) -> String {
        item.id.to_string()
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
                }
            })
            .collect())
    }
}
