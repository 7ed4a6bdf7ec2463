//! The users of a deployment.

use super::entry;
use crate::coder::{self, AuditEntry, Client, LoginType, User, UserId, UserStatus};
use crate::mirror::{Collection, Concerned, Fields, Log, Snapshot};

/// All users that are not deleted and that the token may read.
#[derive(Clone, Debug)]
pub struct Users;

/// A user, without what moves by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserItem {
    /// Its id.
    pub id: UserId,
    /// Its name.
    pub username: String,
    /// Its email; empty for a service account.
    pub email: String,
    /// Whether it comes from the identity provider.
    pub is_oidc: bool,
    /// Whether it may not sign in.
    pub is_suspended: bool,
}

impl From<User> for UserItem {
    fn from(user: User) -> Self {
        Self {
            id: user.id,
            username: user.username,
            email: user.email,
            is_oidc: user.login_type == Some(LoginType::Oidc),
            is_suspended: user.status == UserStatus::Suspended,
        }
    }
}

impl UserItem {
    /// Whether that name or email is its own; neither has a case in Coder.
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        let own = if name.contains('@') {
            &self.email
        } else {
            &self.username
        };
        own.eq_ignore_ascii_case(name)
    }
}

impl Users {
    fn concern(_: &Self, entry: &AuditEntry, _: &Snapshot<UserItem>) -> Concerned {
        match entry.resource_type.as_str() {
            "user" => Concerned::item(&entry.resource_id, Fields::All),
            // The identity provider may have made somebody, or changed an email, which no entry names.
            _ if entry::is_sign_in(entry) => Concerned::Perhaps,
            _ => Concerned::NOTHING,
        }
    }
}

impl Collection for Users {
    type Item = UserItem;
    const NAME: &'static str = "users";
    const LOG: Log<Self> = Log::Complete(Self::concern);

    fn key(item: &UserItem) -> String {
        item.id.to_string()
    }

    fn names(item: &UserItem) -> Vec<&str> {
        vec![&item.username, &item.email]
    }

    async fn list(&self, client: &Client) -> Result<Vec<UserItem>, coder::Error> {
        let users = client.list_users().await?.into_iter();
        Ok(users.map(UserItem::from).collect())
    }
}
