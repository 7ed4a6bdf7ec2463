//! Members of an organization.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Call, Client, Error, Method, OrganizationId, Path, RoleName, UserId, UserStatus,
    user::{LoginType, all_pages, from_offset},
    wire::null_default,
};

/// A user's membership in one organization.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct OrganizationMember {
    /// Who.
    pub user_id: UserId,
    /// Where.
    pub organization_id: OrganizationId,
    /// Absent in the answer to a write.
    #[serde(default, deserialize_with = "null_default")]
    pub username: String,
    /// The person's name.
    #[serde(default, deserialize_with = "null_default")]
    pub name: String,
    /// Empty where the server does not say.
    #[serde(default, deserialize_with = "null_default")]
    pub email: String,
    /// None before v2.35.
    #[serde(default)]
    pub status: Option<UserStatus>,
    /// None before v2.35. OIDC users may be moved by the identity provider.
    #[serde(default)]
    pub login_type: Option<LoginType>,
    /// The roles in this organization, without the implied ones. A set: the server keeps no order.
    #[serde(default, deserialize_with = "null_default")]
    pub roles: Vec<RoleName>,
    /// The roles in the whole deployment.
    #[serde(default, deserialize_with = "null_default")]
    pub global_roles: Vec<RoleName>,
    /// Since when.
    #[serde(default)]
    pub created_at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Members {
    #[serde(default, deserialize_with = "null_default")]
    members: Vec<OrganizationMember>,
    #[serde(default, deserialize_with = "null_default")]
    count: usize,
}

/// What a member may spend, and spends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Quota {
    /// Credits that running workspaces take.
    pub credits_consumed: i64,
    /// Credits of all groups; negative where nothing limits them.
    pub budget: i64,
}

#[derive(Serialize)]
struct RolesBody<'a> {
    roles: &'a [String],
}

const MEMBER: &str = "/organizations/{organization}/members/{user}";

impl Client {
    /// Makes a user a member, without roles. The answer shows neither name nor email.
    pub async fn add_member(&self, organization: OrganizationId, user: UserId) -> Result<OrganizationMember, Error> {
        let path = Path::new(MEMBER).segment(organization).segment(user);
        self.call(Method::Post, path, None::<&()>).await
    }

    /// Replaces the roles of a member. Nobody may change their own.
    pub async fn set_member_roles(
        &self,
        organization: OrganizationId,
        user: UserId,
        roles: &[String],
    ) -> Result<OrganizationMember, Error> {
        const ROLES: &str = "/organizations/{organization}/members/{user}/roles";
        let path = Path::new(ROLES).segment(organization).segment(user);
        self.call(Method::Put, path, Some(&RolesBody { roles })).await
    }

    /// Ends a membership, and with it that of all groups of the organization.
    pub async fn remove_member(&self, organization: OrganizationId, user: UserId) -> Result<(), Error> {
        let path = Path::new(MEMBER).segment(organization).segment(user);
        self.call_unit(Method::Delete, path, None::<&()>).await
    }

    /// What a member may spend, and spends; nothing of both for who is no member (recording 25).
    pub async fn member_quota(&self, organization: OrganizationId, user: UserId) -> Result<Quota, Error> {
        const QUOTA: &str = "/organizations/{organization}/members/{user}/workspace-quota";
        self.get(Path::new(QUOTA).segment(organization).segment(user)).await
    }

    /// All members of an organization that the token may read: where the server has no paged list (before v2.21), from
    /// the older one.
    pub async fn list_members(&self, organization: OrganizationId) -> Result<Vec<OrganizationMember>, Error> {
        const PAGED: &str = "/organizations/{organization}/paginated-members";
        let page = |offset| async move {
            let path = from_offset(Path::new(PAGED).segment(organization), offset);
            self.get::<Members>(path).await.map(|page| (page.members, page.count))
        };
        match all_pages(
            Call::new(Method::Get, PAGED),
            |member: &OrganizationMember| member.user_id,
            page,
        )
        .await
        {
            Err(error) if error.is_unsupported() => {
                self.get_list(Path::new("/organizations/{organization}/members").segment(organization))
                    .await
            }
            result => result,
        }
    }
}
