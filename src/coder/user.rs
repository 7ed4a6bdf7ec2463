//! Users: looked up to make them members.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;

use super::{
    Call, Client, Error, Method, OrganizationId, Path, UserId,
    wire::{null_default, open_enum},
};

/// How often a paged list is read again because it changed meanwhile.
const ATTEMPTS: usize = 3;

open_enum! {
    /// Whether a user may work. Dormant users become active by themselves: compare only "suspended or not".
    pub enum UserStatus {
        /// Has signed in.
        Active = "active",
        /// Has not signed in for long, or never.
        Dormant = "dormant",
        /// May not sign in. Stays a member of organizations and groups.
        Suspended = "suspended",
    }
}

open_enum! {
    /// How a user signs in.
    pub enum LoginType {
        /// With a password.
        Password = "password",
        /// Not at all: tokens only.
        None = "none",
        /// Through the identity provider; organizations, groups and roles may then come from there.
        Oidc = "oidc",
        /// Through GitHub.
        Github = "github",
        /// A token's login.
        Token = "token",
    }
}

/// A role as it is listed at a user or a member.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct RoleName {
    /// Without the organization: `owner`, `organization-admin`, a custom role's name.
    pub name: String,
    /// As people read it.
    #[serde(default, deserialize_with = "null_default")]
    pub display_name: String,
    /// None for a role of the whole deployment.
    #[serde(default)]
    pub organization_id: Option<OrganizationId>,
}

/// A user of the deployment.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct User {
    /// Its id; a deleted user keeps answering by it.
    pub id: UserId,
    /// Unique among users that are not deleted, case-insensitive.
    pub username: String,
    /// The person's name.
    #[serde(default, deserialize_with = "null_default")]
    pub name: String,
    /// Unique among users that are not deleted, case-insensitive. Empty for a service account.
    #[serde(default, deserialize_with = "null_default")]
    pub email: String,
    /// Whether it may work.
    pub status: UserStatus,
    /// How it signs in. Not shown to everyone.
    #[serde(default)]
    pub login_type: Option<LoginType>,
    /// When it was created.
    #[serde(default)]
    pub created_at: Option<Timestamp>,
    /// The organizations it is a member of.
    #[serde(default, deserialize_with = "null_default")]
    pub organization_ids: Vec<OrganizationId>,
    /// Its roles in the deployment, without the implied `member`.
    #[serde(default, deserialize_with = "null_default")]
    pub roles: Vec<RoleName>,
    /// v2.32 and later.
    #[serde(default, deserialize_with = "null_default")]
    pub is_service_account: bool,
}

impl User {
    /// Whether it has the deployment's role of that name, for example `owner`.
    #[must_use]
    pub fn has_role(&self, name: &str) -> bool {
        self.roles
            .iter()
            .any(|role| role.name == name && role.organization_id.is_none())
    }
}

#[derive(Deserialize)]
struct Users {
    #[serde(default, deserialize_with = "null_default")]
    users: Vec<User>,
    #[serde(default, deserialize_with = "null_default")]
    count: usize,
}

impl Client {
    /// Who the token belongs to. The one call that proves a token.
    pub async fn me(&self) -> Result<User, Error> {
        self.get(Path::new("/users/{user}").segment("me")).await
    }

    /// The user of that name, case-insensitive; none if there is none or it is deleted.
    pub async fn user_by_username(&self, username: &str) -> Result<Option<User>, Error> {
        // Coder reads these two differently: `me` is the caller, and a UUID is an id, in whatever spelling.
        if username == "me" || uuid::Uuid::try_parse(username).is_ok() {
            return Ok(None);
        }
        absent_is_none(self.get(Path::new("/users/{user}").segment(username)).await)
    }

    /// The user of that id; none if there is none or it is deleted.
    ///
    /// By id Coder also returns deleted users, with nothing that marks them (recording 11); by name it does not.
    /// So this asks twice.
    pub async fn user_by_id(&self, id: UserId) -> Result<Option<User>, Error> {
        let Some(user) = absent_is_none(self.get::<User>(Path::new("/users/{user}").segment(id)).await)? else {
            return Ok(None);
        };
        Ok(self
            .user_by_username(&user.username)
            .await?
            .filter(|named| named.id == id))
    }

    /// The user with exactly that email address, case-insensitive. Coder's own search is fuzzy.
    pub async fn user_by_email(&self, email: &str) -> Result<Option<User>, Error> {
        // A colon would make it one of Coder's search terms, and none is in an address that Coder accepts.
        if email.is_empty() || email.contains([':', ' ', '"']) {
            return Ok(None);
        }
        let same = |user: &User| user.email.to_lowercase() == email.to_lowercase();
        Ok(self.users(Some(email)).await?.into_iter().find(same))
    }

    /// All users that are not deleted and that the token may read.
    pub async fn list_users(&self) -> Result<Vec<User>, Error> {
        self.users(None).await
    }

    async fn users(&self, q: Option<&str>) -> Result<Vec<User>, Error> {
        const TEMPLATE: &str = "/users";
        let page = |offset| async move {
            let path = from_offset(Path::new(TEMPLATE), offset);
            let path = if let Some(q) = q { path.query("q", q) } else { path };
            self.get::<Users>(path).await.map(|page| (page.users, page.count))
        };
        all_pages(Call::new(Method::Get, TEMPLATE), |user: &User| user.id, page).await
    }
}

/// Reads a list that may come in pages. Without a limit Coder sends all of it at once, which alone is one consistent
/// view; should a server or something in front of it cut it short, the rest is fetched. If the list changes between
/// pages, rows may be missed: it is read again rather than taken for complete.
pub(super) async fn all_pages<T, F: Future<Output = Result<(Vec<T>, usize), Error>>>(
    call: Call,
    id: impl Fn(&T) -> UserId,
    page: impl Fn(usize) -> F,
) -> Result<Vec<T>, Error> {
    for _ in 0..ATTEMPTS {
        let mut seen = BTreeMap::new();
        let mut total = None;
        let complete = loop {
            let (items, count) = page(seen.len()).await?;
            // The count comes with the rows: a page without rows counts 0.
            if items.is_empty() {
                break total.is_none() && count == 0;
            }
            let expected = seen.len() + items.len();
            seen.extend(items.into_iter().map(|item| (id(&item), item)));
            if seen.len() != expected || total.replace(count).is_some_and(|total| total != count) {
                break false;
            }
            if expected >= count {
                break true;
            }
        };
        if complete {
            return Ok(seen.into_values().collect());
        }
    }
    Err(Error::Torn { call })
}

/// A page of a list. The first needs no offset.
pub(super) fn from_offset(path: Path, offset: usize) -> Path {
    let path = path.growing();
    if offset == 0 {
        path
    } else {
        path.query("offset", offset)
    }
}

/// Absent as `None`; every other error stays one.
pub(super) fn absent_is_none<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is_absent() => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    const CALL: Call = Call {
        method: Method::Get,
        template: "/users",
    };

    async fn read(pages: Vec<(Vec<u128>, usize)>) -> Result<Vec<u128>, Error> {
        let pages = RefCell::new(pages.into_iter());
        let page = |_| {
            let (ids, count) = pages.borrow_mut().next().unwrap();
            std::future::ready(Ok((
                ids.into_iter().map(uuid::Uuid::from_u128).map(UserId).collect(),
                count,
            )))
        };
        Ok(all_pages(CALL, |id| *id, page)
            .await?
            .into_iter()
            .map(|id| id.0.as_u128())
            .collect())
    }

    #[tokio::test]
    async fn pages_are_joined() {
        assert_eq!(read(vec![(vec![1, 2], 3), (vec![3], 3)]).await.unwrap(), [1, 2, 3]);
        assert!(read(vec![(vec![], 0)]).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_list_that_lost_a_row_between_pages_is_read_again() {
        // 1 is deleted after the first page: 3 moves into its reach and is never seen.
        let torn = [(vec![1, 2], 4), (vec![4], 3)];
        let again = [(vec![2, 3], 3), (vec![4], 3)];
        assert_eq!(read(torn.into_iter().chain(again).collect()).await.unwrap(), [2, 3, 4]);
    }

    #[tokio::test]
    async fn a_list_that_never_rests_is_an_error() {
        let torn = [(vec![1, 2], 4), (vec![2], 4)];
        let error = read(torn.iter().cycle().take(6).cloned().collect()).await.unwrap_err();
        assert!(matches!(error, Error::Torn { .. }) && error.is_transient());
    }

    #[test]
    fn roles_of_an_organization_are_none_of_the_deployment() {
        let body = r#"{"id":"7c60d51f-b44e-4682-87d6-449835ea4de6","username":"ann","status":"on holiday",
            "roles":[{"name":"auditor"},{"name":"owner","organization_id":"7c60d51f-b44e-4682-87d6-449835ea4de6"}]}"#;
        let user: User = serde_json::from_str(body).unwrap();
        assert!(user.has_role("auditor") && !user.has_role("owner"));
        assert_eq!(user.status, UserStatus::Other("on holiday".into()));
    }
}
