//! The groups of an organization, and whether they come from the identity provider, as collections.

use std::collections::BTreeMap;
use std::future::Future;

use crate::coder::{self, Client, GroupId, OrganizationId, UserId};
use crate::kinds::audit;
use crate::mirror::Collection;

/// The groups of an organization, Everyone among them.
#[derive(Clone, Debug)]
pub struct Groups(pub OrganizationId);

/// A group, without what moves by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupItem {
    /// Its id.
    pub id: GroupId,
    /// Its organization.
    pub organization: OrganizationId,
    /// Its name.
    pub name: String,
    /// Name shown to people.
    pub display_name: String,
    /// Its picture.
    pub avatar_url: String,
    /// Credits for each member.
    pub quota_allowance: i32,
    /// Its members by id, with their names.
    pub members: BTreeMap<UserId, String>,
    /// It has members that the token does not see.
    pub hidden_members: bool,
}

impl GroupItem {
    /// The group that every member of the organization is in.
    #[must_use]
    pub fn is_everyone(&self) -> bool {
        self.id == self.organization.everyone()
    }
}

impl From<coder::Group> for GroupItem {
    fn from(group: coder::Group) -> Self {
        let hidden_members = !group.shows_all_members();
        Self {
            id: group.id,
            organization: group.organization_id,
            name: group.name,
            display_name: group.display_name,
            avatar_url: group.avatar_url,
            quota_allowance: group.quota_allowance,
            members: group
                .members
                .into_iter()
                .map(|member| (member.id, member.username))
                .collect(),
            hidden_members,
        }
    }
}

impl Collection for Groups {
    type Item = GroupItem;
    const NAME: &'static str = "groups";

    fn is_audited() -> bool {
        audit::covers::<Self>()
    }

    fn id(&self) -> String {
        format!("{}/{}", Self::NAME, self.0)
    }

    fn key(item: &GroupItem) -> String {
        item.id.to_string()
    }

    fn one(
        &self,
        client: &Client,
        key: &str,
    ) -> Option<impl Future<Output = Result<Option<GroupItem>, coder::Error>> + Send> {
        let id: GroupId = key.parse().ok()?;
        let client = client.clone();
        // Groups are deleted for good: a 404 means gone, to a token that reads all of them.
        Some(async move { Ok(client.get_group(id).await?.map(GroupItem::from)) })
    }

    async fn list(&self, client: &Client) -> Result<Vec<GroupItem>, coder::Error> {
        Ok(client
            .list_groups(self.0)
            .await?
            .into_iter()
            .map(GroupItem::from)
            .collect())
    }
}

pub(super) const GROUP_SYNC_KEY: &str = "settings";

/// Whether groups of an organization come from the identity provider: always one item.
#[derive(Clone, Debug)]
pub(in crate::kinds) struct GroupSync(pub(in crate::kinds) OrganizationId);

impl Collection for GroupSync {
    type Item = bool;
    const NAME: &'static str = "group_sync";

    fn id(&self) -> String {
        format!("{}/{}", Self::NAME, self.0)
    }

    fn key(_: &bool) -> String {
        GROUP_SYNC_KEY.to_owned()
    }

    async fn list(&self, client: &Client) -> Result<Vec<bool>, coder::Error> {
        Ok(vec![client.group_sync(self.0).await?.is_on()])
    }
}
