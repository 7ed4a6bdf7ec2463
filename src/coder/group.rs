//! Groups and their members: `/groups`, `/organizations/{organization}/groups`.
//!
//! Names are case-sensitive. The group `Everyone` has its organization's id and cannot be renamed, deleted or given
//! members; its quota and avatar can be changed. Listing costs the server 4–5 ms a group, members inlined.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Client, Error, GroupId, LoginType, Method, OrganizationId, OrganizationRef, Path, UserId, UserStatus,
    user::absent_is_none,
    wire::{null_default, open_enum},
};

const ONE: &str = "/groups/{group}";
const OF_ORGANIZATION: &str = "/organizations/{organization}/groups";

open_enum! {
    /// Who made a group.
    pub enum GroupSource {
        /// A user, through the API.
        User = "user",
        /// The identity provider, at somebody's login.
        Oidc = "oidc",
    }
}

/// A member of a group, as listed in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct GroupMember {
    /// Who.
    pub id: UserId,
    /// Its user name.
    pub username: String,
    /// The person's name.
    #[serde(default, deserialize_with = "null_default")]
    pub name: String,
    /// Empty for a service account.
    #[serde(default, deserialize_with = "null_default")]
    pub email: String,
    /// Suspended and dormant users are listed, deleted ones are not.
    #[serde(default)]
    pub status: Option<UserStatus>,
    /// How it signs in.
    #[serde(default)]
    pub login_type: Option<LoginType>,
    /// When the user was created.
    #[serde(default)]
    pub created_at: Option<Timestamp>,
}

/// A group.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Group {
    /// Its id.
    pub id: GroupId,
    /// Unique in the organization, case-sensitive.
    pub name: String,
    /// May be empty.
    #[serde(default, deserialize_with = "null_default")]
    pub display_name: String,
    /// Where it belongs.
    pub organization_id: OrganizationId,
    /// Its organization's name.
    #[serde(default, deserialize_with = "null_default")]
    pub organization_name: String,
    /// Those members whom the token may read: see [`Group::shows_all_members`].
    #[serde(default, deserialize_with = "null_default")]
    pub members: Vec<GroupMember>,
    /// How many there are. None on a server that does not say.
    #[serde(default)]
    pub total_member_count: Option<usize>,
    /// May be empty.
    #[serde(default, deserialize_with = "null_default")]
    pub avatar_url: String,
    /// Credits a day that each member may spend on workspaces.
    #[serde(default, deserialize_with = "null_default")]
    pub quota_allowance: i32,
    /// Who made it.
    #[serde(default)]
    pub source: Option<GroupSource>,
}

impl Group {
    /// It is its organization's group of all members.
    #[must_use]
    pub fn is_everyone(&self) -> bool {
        self.organization_id.everyone() == self.id
    }

    /// Whether `members` is complete. If not, the token may not read some users, and a comparison with it is wrong.
    #[must_use]
    pub fn shows_all_members(&self) -> bool {
        self.total_member_count.is_none_or(|total| self.members.len() >= total)
    }
}

/// A new group. Members are added afterwards.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CreateGroup {
    /// Coder's name rule, at most 255 bytes (36 before v2.18); not `Everyone`.
    pub name: String,
    /// Empty if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Empty if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avatar_url: Option<String>,
    /// 0 if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota_allowance: Option<i32>,
}

/// A change; what is `None` or empty stays as it is. All of it happens, or nothing does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct UpdateGroup {
    /// Empty = unchanged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Empty clears it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Empty clears it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avatar_url: Option<String>,
    /// Replaces it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota_allowance: Option<i32>,
    /// Members of the organization who are not in the group:
    /// [`Class::AlreadyMember`](super::Class::AlreadyMember) otherwise.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub add_users: Vec<UserId>,
    /// Members of the organization; those who are not in the group are passed over.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remove_users: Vec<UserId>,
}

impl Client {
    /// All groups of an organization, `Everyone` among them. A deleted organization still lists its groups.
    pub async fn list_groups(&self, organization: OrganizationId) -> Result<Vec<Group>, Error> {
        self.get_list(Path::new(OF_ORGANIZATION).segment(organization)).await
    }

    /// All groups of the deployment that the token may read. The `Everyone` groups of deleted organizations are among
    /// them: keep to the organizations that are listed.
    pub async fn list_all_groups(&self) -> Result<Vec<Group>, Error> {
        self.get_list(Path::new("/groups")).await
    }

    /// One group by id.
    pub async fn get_group(&self, id: GroupId) -> Result<Option<Group>, Error> {
        absent_is_none(self.get(Path::new(ONE).segment(id).growing()).await)
    }

    /// One group by name, case-sensitive.
    pub async fn get_group_by_name(&self, organization: &OrganizationRef, name: &str) -> Result<Option<Group>, Error> {
        let path = Path::new("/organizations/{organization}/groups/{group}")
            .segment(organization)
            .segment(name);
        absent_is_none(self.get(path).await)
    }

    /// Creates one.
    pub async fn create_group(&self, organization: OrganizationId, request: &CreateGroup) -> Result<Group, Error> {
        self.call(
            Method::Post,
            Path::new(OF_ORGANIZATION).segment(organization),
            Some(request),
        )
        .await
    }

    /// Changes one.
    pub async fn update_group(&self, id: GroupId, request: &UpdateGroup) -> Result<Group, Error> {
        self.call(Method::Patch, Path::new(ONE).segment(id), Some(request))
            .await
    }

    /// Deletes one, for good.
    pub async fn delete_group(&self, id: GroupId) -> Result<(), Error> {
        self.call_unit(Method::Delete, Path::new(ONE).segment(id), None::<&()>)
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "7c60d51f-b44e-4682-87d6-449835ea4de6";

    fn group(rest: &str) -> Group {
        serde_json::from_str(&format!(
            r#"{{"id":"{ID}","organization_id":"{ID}","name":"Everyone"{rest}}}"#
        ))
        .unwrap()
    }

    #[test]
    fn everyone_is_known_by_its_id() {
        assert!(group("").is_everyone());
    }

    #[test]
    fn a_member_who_may_not_be_read_is_missed() {
        assert!(group("").shows_all_members());
        assert!(group(r#","members":null,"total_member_count":0"#).shows_all_members());
        assert!(!group(r#","members":[],"total_member_count":1"#).shows_all_members());
    }

    #[test]
    fn what_is_absent_is_not_sent() {
        assert_eq!(serde_json::to_string(&UpdateGroup::default()).unwrap(), "{}");
        let request = UpdateGroup {
            quota_allowance: Some(0),
            remove_users: vec![ID.parse().unwrap()],
            ..UpdateGroup::default()
        };
        assert_eq!(
            serde_json::to_string(&request).unwrap(),
            format!(r#"{{"quota_allowance":0,"remove_users":["{ID}"]}}"#)
        );
    }
}
