//! Groups.

use serde::Serialize;
use uuid::Uuid;

use super::{State, User};
use crate::rbac::Rights;

/// The system user that owns prebuilt workspaces: may be put into a group but is never shown there (recording 04).
pub(crate) const PREBUILDS_USER: Uuid = Uuid::from_u128(0xc42f_df75_3097_471c_8c33_fb52_454d_81c0);

/// A group.
#[derive(Clone, Debug, Serialize)]
pub struct Group {
    /// Its id. The group of everyone has the organization's.
    pub id: Uuid,
    /// The organization.
    pub organization_id: Uuid,
    /// Its name.
    pub name: String,
    /// What people see.
    pub display_name: String,
    /// Picture.
    pub avatar_url: String,
    /// What each member adds to its budget.
    pub quota_allowance: i32,
    /// `user` or `oidc`.
    pub source: String,
    /// Who was put into it. Empty for the group of everyone, whose members are the organization's.
    pub members: Vec<Uuid>,
    #[serde(skip)]
    pub(crate) seq: u64,
}

/// A change of a group, checked already.
#[derive(Clone, Debug, Default)]
pub(crate) struct GroupChange {
    pub(crate) name: Option<String>,
    pub(crate) display_name: Option<String>,
    pub(crate) avatar_url: Option<String>,
    pub(crate) quota_allowance: Option<i32>,
    pub(crate) add: Vec<Uuid>,
    pub(crate) remove: Vec<Uuid>,
}

impl State {
    pub(crate) fn insert_everyone(&mut self, organization_id: Uuid) {
        let group = Group {
            id: organization_id,
            ..self.new_group(organization_id, "Everyone")
        };
        self.groups.insert(group);
    }

    fn new_group(&mut self, organization_id: Uuid, name: &str) -> Group {
        Group {
            id: Uuid::new_v4(),
            organization_id,
            name: name.to_owned(),
            display_name: String::new(),
            avatar_url: String::new(),
            quota_allowance: 0,
            source: "user".to_owned(),
            members: Vec::new(),
            seq: self.next_seq(),
        }
    }

    pub(crate) fn insert_group(
        &mut self,
        organization_id: Uuid,
        name: &str,
        display_name: &str,
        avatar_url: &str,
        quota_allowance: i32,
    ) -> Uuid {
        let group = Group {
            display_name: display_name.to_owned(),
            avatar_url: avatar_url.to_owned(),
            quota_allowance,
            ..self.new_group(organization_id, name)
        };
        let id = group.id;
        self.groups.insert(group);
        id
    }

    /// Names are compared as they are: `backend` and `BACKEND` are two groups (recording 04).
    pub(crate) fn group_by_name(&self, organization_id: Uuid, name: &str) -> Option<&Group> {
        self.groups.named(organization_id, name)
    }

    /// Applies a change as one transaction, or refuses it as a whole: the id of the user who is a member already.
    pub(crate) fn change_group(&mut self, id: Uuid, change: GroupChange) -> Result<(), Uuid> {
        let seq = self.next_seq();
        let Some(group) = self.groups.get(&id) else {
            return Ok(());
        };
        let mut members = group.members.clone();
        members.retain(|member| !change.remove.contains(member));
        for user in change.add {
            if members.contains(&user) {
                return Err(user);
            }
            members.push(user);
        }
        self.groups.edit(id, |group| {
            group.members = members;
            for (field, value) in [
                (&mut group.name, change.name),
                (&mut group.display_name, change.display_name),
                (&mut group.avatar_url, change.avatar_url),
            ] {
                if let Some(value) = value {
                    *field = value;
                }
            }
            group.quota_allowance = change.quota_allowance.unwrap_or(group.quota_allowance);
            group.seq = seq;
        });
        Ok(())
    }

    /// The users in a group, without deleted ones and the system user, in the order of the user table.
    pub(crate) fn group_members(&self, group: &Group) -> Vec<&User> {
        let mut users: Vec<&User> = if group.id == group.organization_id {
            let of_group = self.members.of_organization(group.id);
            of_group.filter_map(|member| self.users.get(&member.user_id)).collect()
        } else {
            group.members.iter().filter_map(|user| self.users.get(user)).collect()
        };
        users.retain(|user| !user.deleted);
        users.sort_by_key(|user| user.seq);
        users
    }

    /// What a member of the organization may spend: the allowances of its groups together (recording 04).
    pub(crate) fn budget(&self, organization_id: Uuid, user: Uuid) -> i64 {
        if !self.members.contains_key(&(organization_id, user)) {
            return 0;
        }
        let groups = self.groups.of_organization(organization_id);
        groups
            .filter(|group| group.id == organization_id || group.members.contains(&user))
            .map(|group| i64::from(group.quota_allowance))
            .sum()
    }

    /// The groups of an organization, or of all, in the order of the table.
    pub(crate) fn groups_of(&self, organization: Option<Uuid>) -> Vec<&Group> {
        let mut groups: Vec<&Group> = match organization {
            Some(organization) => self.groups.of_organization(organization).collect(),
            None => self.groups.values().collect(),
        };
        groups.sort_by_key(|group| group.seq);
        groups
    }

    /// Whether each of `users` is a member of the organization. The system user passes where the profile lets it.
    pub(crate) fn all_are_members(&self, organization_id: Uuid, users: &[Uuid]) -> bool {
        let system = self.traits().system_user_in_groups;
        users
            .iter()
            .all(|user| self.members.contains_key(&(organization_id, *user)) || (system && *user == PREBUILDS_USER))
    }
}

impl Rights {
    /// Whether a group may be read: a member always may.
    pub(crate) fn may_read(&self, group: &Group) -> bool {
        self.group_read(group.organization_id)
            || if group.id == group.organization_id {
                self.is_member(group.organization_id)
            } else {
                group.members.contains(&self.user)
            }
    }
}

/// How the members of a group are listed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum MemberOrder {
    /// Not at all.
    None,
    /// As the user table has them.
    Table,
    /// By username.
    Username,
}
