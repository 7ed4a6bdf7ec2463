//! Members of organizations.

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::State;

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
        self.members.insert(member);
    }

    /// Removing a member takes it out of the organization's groups too (recording 04).
    pub(crate) fn remove_member(&mut self, organization_id: Uuid, user_id: Uuid) -> bool {
        self.groups.take_out(Some(organization_id), user_id);
        self.members.remove(organization_id, user_id)
    }

    /// Replaces the roles. They come back without duplicates and sorted; `updated_at` stays (recording 03).
    pub(crate) fn set_member_roles(&mut self, organization_id: Uuid, user_id: Uuid, mut roles: Vec<String>) {
        roles.sort();
        roles.dedup();
        let seq = self.next_seq();
        if let Some(member) = self.members.get_mut(organization_id, user_id) {
            member.roles = roles;
            member.seq = seq;
        }
    }
}
