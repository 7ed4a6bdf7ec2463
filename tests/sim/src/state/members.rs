//! Members of organizations.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{State, User};
use crate::clock::{rfc3339, rfc3339_or_zero};

/// A user in an organization.
#[derive(Clone, Debug, Serialize)]
pub struct Member {
    /// The organization.
    pub organization_id: Uuid,
    /// The user.
    pub user_id: Uuid,
    /// Roles in this organization, without the implied ones.
    pub roles: Vec<String>,
    /// When it became a member.
    #[serde(serialize_with = "super::serialize_time")]
    pub created_at: Timestamp,
    /// When it was last written.
    #[serde(serialize_with = "super::serialize_time")]
    pub updated_at: Timestamp,
    #[serde(skip)]
    pub(crate) seq: u64,
}

impl State {
    pub(crate) fn insert_member(&mut self, organization_id: Uuid, user_id: Uuid) {
        let (now, seq) = (self.now(), self.next_seq());
        let member = Member {
            organization_id,
            user_id,
            roles: Vec::new(),
            created_at: now,
            updated_at: now,
            seq,
        };
        self.members.insert((organization_id, user_id), member);
    }

    /// Removing a member takes it out of the organization's groups too (recording 04).
    pub(crate) fn remove_member(&mut self, organization_id: Uuid, user_id: Uuid) -> bool {
        for group in self
            .groups
            .values_mut()
            .filter(|group| group.organization_id == organization_id)
        {
            group.members.retain(|member| *member != user_id);
        }
        self.members.remove(&(organization_id, user_id)).is_some()
    }

    /// Replaces the roles. They come back without duplicates and sorted; `updated_at` stays (recording 03).
    pub(crate) fn set_member_roles(&mut self, organization_id: Uuid, user_id: Uuid, mut roles: Vec<String>) {
        roles.sort();
        roles.dedup();
        let seq = self.next_seq();
        if let Some(member) = self.members.get_mut(&(organization_id, user_id)) {
            member.roles = roles;
            member.seq = seq;
        }
    }

    /// A member as writes answer it.
    pub(crate) fn member_json(&self, member: &Member) -> Value {
        let roles: Vec<Value> = member
            .roles
            .iter()
            .map(|role| {
                json!({
                    "name": role,
                    "display_name": self.organization_role(member.organization_id, role).unwrap_or_default(),
                    "organization_id": member.organization_id,
                })
            })
            .collect();
        json!({
            "user_id": member.user_id,
            "organization_id": member.organization_id,
            "created_at": rfc3339(member.created_at),
            "updated_at": rfc3339(member.updated_at),
            "roles": roles,
        })
    }

    /// A member as lists answer it: with the user.
    pub(crate) fn member_with_user_json(&self, member: &Member, user: &User) -> Value {
        let mut body = self.member_json(member);
        let Some(object) = body.as_object_mut() else {
            return body;
        };
        object.insert("username".to_owned(), json!(user.username));
        object.insert("email".to_owned(), json!(user.email));
        object.insert("global_roles".to_owned(), super::users::site_roles_json(&user.roles));
        let verbose = self.traits().verbose_users;
        for (name, value) in [("name", &user.name), ("avatar_url", &user.avatar_url)] {
            if verbose || !value.is_empty() {
                object.insert(name.to_owned(), json!(value));
            }
        }
        if !verbose {
            object.insert("status".to_owned(), json!(user.status.name()));
            object.insert("login_type".to_owned(), json!(user.login_type));
            object.insert("last_seen_at".to_owned(), json!(rfc3339_or_zero(user.last_seen_at)));
            object.insert("user_created_at".to_owned(), json!(rfc3339(user.created_at)));
            object.insert("user_updated_at".to_owned(), json!(rfc3339(user.updated_at)));
            object.insert("has_ai_seat".to_owned(), json!(false));
        }
        body
    }
}
