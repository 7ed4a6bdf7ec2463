//! Users and their tokens.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::State;

/// Whether a user may use the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum UserStatus {
    /// May.
    Active,
    /// Has not used it yet: becomes active by signing in.
    Dormant,
    /// May not.
    Suspended,
}

impl UserStatus {
    /// As the API spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Dormant => "dormant",
            Self::Suspended => "suspended",
        }
    }
}

/// A user, also a deleted one.
#[derive(Clone, Debug, Serialize)]
pub struct User {
    /// Its id.
    pub id: Uuid,
    /// Login name.
    pub username: String,
    /// Real name.
    pub name: String,
    /// Mail address.
    pub email: String,
    /// Picture.
    pub avatar_url: String,
    /// Active, dormant or suspended.
    pub status: UserStatus,
    /// `password`, `none`, `oidc`, `github`.
    pub login_type: String,
    /// Site roles.
    pub roles: Vec<String>,
    /// Whether it is a service account.
    pub service_account: bool,
    /// Quiet hours the user set.
    pub quiet_hours: Option<String>,
    /// Deleted users stay behind their id.
    pub deleted: bool,
    /// When it was made.
    #[serde(serialize_with = "super::serialize_time")]
    pub created_at: Timestamp,
    /// When it was last written.
    #[serde(serialize_with = "super::serialize_time")]
    pub updated_at: Timestamp,
    /// When it last used the API.
    pub last_seen_at: Option<Timestamp>,
    /// What the identity provider calls it.
    pub subject: Option<String>,
    /// The claims it last signed in with.
    pub claims: Option<Value>,
    #[serde(skip)]
    pub(crate) password: String,
    /// How many workspaces it has: any block its deletion.
    pub workspaces: u32,
    #[serde(skip)]
    pub(crate) seq: u64,
}

/// What is needed to make a user.
#[derive(Clone, Debug)]
pub(crate) struct NewUser {
    pub(crate) username: String,
    pub(crate) email: String,
    pub(crate) name: String,
    pub(crate) login_type: String,
    pub(crate) password: String,
    pub(crate) status: UserStatus,
    pub(crate) service_account: bool,
    pub(crate) organizations: Vec<Uuid>,
}

impl State {
    pub(crate) fn insert_user(&mut self, new: NewUser) -> Uuid {
        let now = self.now();
        let id = Uuid::new_v4();
        let seq = self.next_seq();
        self.users.insert(User {
            id,
            username: new.username,
            name: new.name,
            email: new.email,
            avatar_url: String::new(),
            status: new.status,
            login_type: new.login_type,
            roles: Vec::new(),
            service_account: new.service_account,
            quiet_hours: None,
            deleted: false,
            created_at: now,
            updated_at: now,
            last_seen_at: None,
            subject: None,
            claims: None,
            password: new.password,
            workspaces: 0,
            seq,
        });
        for organization in new.organizations {
            self.insert_member(organization, id);
        }
        id
    }

    /// Writes to a user. The row moves to the end of its table, but `updated_at` only changes where the caller sets it:
    /// giving roles does not touch it (recording 03).
    pub(crate) fn edit_user(&mut self, id: Uuid, edit: impl FnOnce(&mut User)) {
        let seq = self.next_seq();
        self.users.edit(id, |user| {
            edit(user);
            user.seq = seq;
        });
    }

    pub(crate) fn set_user_status(&mut self, id: Uuid, status: UserStatus) {
        let now = self.now();
        self.edit_user(id, |user| {
            user.status = status;
            user.updated_at = now;
        });
    }

    /// Deletes a user: its tokens and group memberships go; it stays behind its id. `updated_at` stays (recording 11).
    pub(crate) fn delete_user(&mut self, id: Uuid) {
        self.edit_user(id, |user| user.deleted = true);
        self.api_keys.retain(|_, key| key.user != id);
        self.groups.take_out(None, id);
        if self.traits().deleted_user_leaves {
            self.members.remove_user(id);
        }
    }

    /// The user that a path names: `me`, an id (deleted ones too) or a username (never a deleted one).
    pub(crate) fn find_user(&self, named: &str, me: Uuid) -> Option<&User> {
        if named == "me" {
            return self.users.get(&me);
        }
        if let Ok(id) = Uuid::try_parse(named) {
            return self.users.get(&id);
        }
        self.user_by_name(named)
    }

    pub(crate) fn user_by_name(&self, name: &str) -> Option<&User> {
        self.users.named(name)
    }

    pub(crate) fn user_by_email(&self, email: &str) -> Option<&User> {
        self.users.with_email(email)
    }
}

/// The display name of a site role that exists.
pub(crate) fn site_role(name: &str) -> Option<&'static str> {
    match name {
        "member" => Some("Member"),
        "owner" => Some("Owner"),
        "user-admin" => Some("User Admin"),
        "template-admin" => Some("Template Admin"),
        "auditor" => Some("Auditor"),
        "agents-access" => Some("Coder Agents User"),
        _ => None,
    }
}
