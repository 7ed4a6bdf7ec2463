//! The groups of an organization.

use std::future::Future;

use super::entry;
use super::roster::{Names, Roster};
use crate::coder::{self, AuditEntry, Client, GroupId, OrganizationId, UserId};
use crate::mirror::{Collection, Concerned, Fields, Log, Snapshot};

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
    pub members: Roster,
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

impl GroupItem {
    fn new(group: coder::Group, names: &mut Names) -> Self {
        Self {
            hidden_members: !group.shows_all_members(),
            id: group.id,
            organization: group.organization_id,
            name: group.name,
            display_name: group.display_name,
            avatar_url: group.avatar_url,
            quota_allowance: group.quota_allowance,
            members: names.roster(group.members),
        }
    }
}

impl From<coder::Group> for GroupItem {
    fn from(group: coder::Group) -> Self {
        Self::new(group, &mut Names::default())
    }
}

impl Groups {
    fn concern(&self, entry: &AuditEntry, known: &Snapshot<GroupItem>) -> Concerned {
        let here = entry.organization() == Some(self.0);
        match entry.resource_type.as_str() {
            "group" if here && !entry.changed_nothing() => {
                let everyone = entry.resource_id == self.0.0;
                // The quota of the group Everyone is a field of the organization's spec.
                let other: &[_] = if everyone {
                    &[("quota_allowance", "everyoneQuotaAllowance")]
                } else {
                    &[]
                };
                Concerned::item(&entry.resource_id, entry::logged_as(entry, other))
            }
            // Who leaves an organization leaves its groups, without an entry for them.
            "organization_member" if here && !entry.changed_nothing() => with_member(known, UserId(entry.resource_id)),
            // The identity provider may have moved them, which no entry names.
            _ if entry::is_sign_in(entry) => Concerned::Perhaps,
            "user" => with_member(known, UserId(entry.resource_id)),
            _ => Concerned::NOTHING,
        }
    }
}

/// The groups that a user was in when they were last looked at.
fn with_member(known: &Snapshot<GroupItem>, user: UserId) -> Concerned {
    let with_user = known.iter().filter(|group| group.members.contains_key(&user));
    Concerned::Items(
        with_user
            .map(|group| (group.id.to_string(), Fields::named(["members"])))
            .collect(),
    )
}

impl Collection for Groups {
    type Item = GroupItem;
    const NAME: &'static str = "groups";
    const LOG: Log<Self> = Log::Complete(Self::concern);

    fn within(&self) -> Option<OrganizationId> {
        Some(self.0)
    }

    fn key(item: &GroupItem) -> String {
        item.id.to_string()
    }

    fn names(item: &GroupItem) -> Vec<&str> {
        vec![&item.name]
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
        let groups = client.list_groups(self.0).await?.into_iter();
        let mut names = Names::default();
        Ok(groups.map(|group| GroupItem::new(group, &mut names)).collect())
    }
}
