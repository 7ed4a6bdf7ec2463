//! The large tables with their indices, so that no call on one object looks at all the others.
//!
//! Rows are read through the map that each table is; they are written only here, where the indices follow.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Deref;

use uuid::Uuid;

use super::{Group, Member, User};

/// Groups, by id; names are unique in an organization and compared as they are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Groups {
    rows: BTreeMap<Uuid, Group>,
    by_name: HashMap<Uuid, BTreeMap<String, Uuid>>,
}

impl Deref for Groups {
    type Target = BTreeMap<Uuid, Group>;

    fn deref(&self) -> &Self::Target {
        &self.rows
    }
}

impl Groups {
    pub(crate) fn insert(&mut self, group: Group) {
        let names = self.by_name.entry(group.organization_id).or_default();
        names.insert(group.name.clone(), group.id);
        self.rows.insert(group.id, group);
    }

    pub(crate) fn remove(&mut self, id: Uuid) -> Option<Group> {
        let group = self.rows.remove(&id)?;
        self.forget(group.organization_id, &group.name);
        Some(group)
    }

    pub(crate) fn edit(&mut self, id: Uuid, edit: impl FnOnce(&mut Group)) {
        if let Some(mut group) = self.remove(id) {
            edit(&mut group);
            self.insert(group);
        }
    }

    pub(crate) fn named(&self, organization: Uuid, name: &str) -> Option<&Group> {
        self.rows.get(self.by_name.get(&organization)?.get(name)?)
    }

    pub(crate) fn of_organization(&self, organization: Uuid) -> impl Iterator<Item = &Group> {
        let ids = self.by_name.get(&organization).into_iter().flat_map(BTreeMap::values);
        ids.filter_map(|id| self.rows.get(id))
    }

    /// Takes a user out of the groups of an organization, or of all.
    pub(crate) fn take_out(&mut self, organization: Option<Uuid>, user: Uuid) {
        let groups = self.rows.values_mut();
        for group in groups.filter(|group| organization.is_none_or(|id| group.organization_id == id)) {
            group.members.retain(|member| *member != user);
        }
    }

    pub(crate) fn remove_organization(&mut self, organization: Uuid) {
        self.by_name.remove(&organization);
        self.rows.retain(|_, group| group.organization_id != organization);
    }

    fn forget(&mut self, organization: Uuid, name: &str) {
        if let Some(names) = self.by_name.get_mut(&organization) {
            names.remove(name);
        }
    }
}

/// Memberships, by organization and user.
#[derive(Clone, Debug, Default)]
pub(crate) struct Members {
    rows: BTreeMap<(Uuid, Uuid), Member>,
    by_user: HashMap<Uuid, BTreeSet<Uuid>>,
}

impl Deref for Members {
    type Target = BTreeMap<(Uuid, Uuid), Member>;

    fn deref(&self) -> &Self::Target {
        &self.rows
    }
}

impl Members {
    pub(crate) fn insert(&mut self, member: Member) {
        let organizations = self.by_user.entry(member.user_id).or_default();
        organizations.insert(member.organization_id);
        self.rows.insert((member.organization_id, member.user_id), member);
    }

    pub(crate) fn remove(&mut self, organization: Uuid, user: Uuid) -> bool {
        if let Some(organizations) = self.by_user.get_mut(&user) {
            organizations.remove(&organization);
        }
        self.rows.remove(&(organization, user)).is_some()
    }

    /// A row to write to; who it is about must stay.
    pub(crate) fn get_mut(&mut self, organization: Uuid, user: Uuid) -> Option<&mut Member> {
        self.rows.get_mut(&(organization, user))
    }

    pub(crate) fn of_organization(&self, organization: Uuid) -> impl Iterator<Item = &Member> {
        let rows = self
            .rows
            .range((organization, Uuid::nil())..=(organization, Uuid::max()));
        rows.map(|(_, member)| member)
    }

    pub(crate) fn of_organization_mut(&mut self, organization: Uuid) -> impl Iterator<Item = &mut Member> {
        let rows = self
            .rows
            .range_mut((organization, Uuid::nil())..=(organization, Uuid::max()));
        rows.map(|(_, member)| member)
    }

    pub(crate) fn of_user(&self, user: Uuid) -> impl Iterator<Item = &Member> {
        let organizations = self.by_user.get(&user).into_iter().flatten();
        organizations.filter_map(move |organization| self.rows.get(&(*organization, user)))
    }

    pub(crate) fn remove_organization(&mut self, organization: Uuid) {
        let users: Vec<Uuid> = self
            .of_organization(organization)
            .map(|member| member.user_id)
            .collect();
        for user in users {
            self.remove(organization, user);
        }
    }

    pub(crate) fn remove_user(&mut self, user: Uuid) {
        for organization in self.by_user.remove(&user).unwrap_or_default() {
            self.rows.remove(&(organization, user));
        }
    }
}

/// Users, by id; deleted ones only by that.
#[derive(Clone, Debug, Default)]
pub(crate) struct Users {
    rows: BTreeMap<Uuid, User>,
    by_name: HashMap<String, Uuid>,
    by_email: HashMap<String, Uuid>,
}

impl Deref for Users {
    type Target = BTreeMap<Uuid, User>;

    fn deref(&self) -> &Self::Target {
        &self.rows
    }
}

impl Users {
    pub(crate) fn insert(&mut self, user: User) {
        if !user.deleted {
            self.by_name.insert(user.username.to_lowercase(), user.id);
            if !user.email.is_empty() {
                self.by_email.insert(user.email.to_lowercase(), user.id);
            }
        }
        self.rows.insert(user.id, user);
    }

    pub(crate) fn edit(&mut self, id: Uuid, edit: impl FnOnce(&mut User)) {
        let Some(mut user) = self.rows.remove(&id) else { return };
        if !user.deleted {
            self.by_name.remove(&user.username.to_lowercase());
            self.by_email.remove(&user.email.to_lowercase());
        }
        edit(&mut user);
        self.insert(user);
    }

    /// The user of this name in any case.
    pub(crate) fn named(&self, name: &str) -> Option<&User> {
        self.rows.get(self.by_name.get(&name.to_lowercase())?)
    }

    /// The user of this mail address in any case.
    pub(crate) fn with_email(&self, email: &str) -> Option<&User> {
        self.rows.get(self.by_email.get(&email.to_lowercase())?)
    }
}
