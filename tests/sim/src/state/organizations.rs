//! Organizations.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::State;
use crate::clock::rfc3339;

/// An organization, also a deleted one.
#[derive(Clone, Debug, Serialize)]
pub struct Organization {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// What people see.
    pub display_name: String,
    /// Free text.
    pub description: String,
    /// URL or path of a picture.
    pub icon: String,
    /// Whether it is the one every deployment is born with.
    pub is_default: bool,
    /// Roles every member has.
    pub default_member_roles: Vec<String>,
    /// In the newer server a deleted organization stays behind its id.
    pub deleted: bool,
    /// How many workspaces are in it: any block or fall to its deletion.
    pub workspaces: u32,
    /// When it was made.
    #[serde(serialize_with = "super::serialize_time")]
    pub created_at: Timestamp,
    /// When it was last written.
    #[serde(serialize_with = "super::serialize_time")]
    pub updated_at: Timestamp,
    #[serde(skip)]
    pub(crate) seq: u64,
}

/// What stands in the way of deleting an organization.
pub(crate) struct Blockers(Vec<(usize, &'static str)>);

impl Blockers {
    /// The text of the database's guard, or `None` when nothing is in the way.
    pub(crate) fn text(&self) -> Option<String> {
        let parts: Vec<String> = self
            .0
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}{}", if *count == 1 { "" } else { "s" }))
            .collect();
        (!parts.is_empty()).then(|| format!("This organization has {} that must be deleted first.", parts.join(", ")))
    }
}

impl State {
    pub(crate) fn insert_default_organization(&mut self) {
        self.insert_organization("coder", "Coder", "Builtin default organization.", "", true);
    }

    /// Makes an organization and its group of everyone, which shares its id.
    pub(crate) fn insert_organization(
        &mut self,
        name: &str,
        display_name: &str,
        description: &str,
        icon: &str,
        is_default: bool,
    ) -> Uuid {
        let (id, now, seq) = (Uuid::new_v4(), self.now(), self.next_seq());
        self.organizations.insert(
            id,
            Organization {
                id,
                name: name.to_owned(),
                display_name: display_name.to_owned(),
                description: description.to_owned(),
                icon: icon.to_owned(),
                is_default,
                default_member_roles: vec!["organization-workspace-access".to_owned()],
                deleted: false,
                workspaces: 0,
                created_at: now,
                updated_at: now,
                seq,
            },
        );
        self.insert_everyone(id);
        id
    }

    pub(crate) fn default_organization(&self) -> Uuid {
        self.organizations
            .values()
            .find(|organization| organization.is_default)
            .map_or(Uuid::nil(), |found| found.id)
    }

    /// The organization that a path names: an id (deleted ones too), a name in any case, `default` or the nil id.
    pub(crate) fn find_organization(&self, named: &str) -> Option<&Organization> {
        if named == "default" {
            return self.organizations.get(&self.default_organization());
        }
        if let Ok(id) = Uuid::try_parse(named) {
            let id = if id.is_nil() { self.default_organization() } else { id };
            return self.organizations.get(&id);
        }
        self.organization_by_name(named)
    }

    pub(crate) fn organization_by_name(&self, name: &str) -> Option<&Organization> {
        self.organizations
            .values()
            .find(|found| !found.deleted && found.name.eq_ignore_ascii_case(name))
    }

    pub(crate) fn edit_organization(&mut self, id: Uuid, edit: impl FnOnce(&mut Organization)) {
        let (now, seq) = (self.now(), self.next_seq());
        if let Some(organization) = self.organizations.get_mut(&id) {
            edit(organization);
            organization.updated_at = now;
            organization.seq = seq;
        }
    }

    /// What is inside, beyond what every organization has: the group of everyone and one member.
    pub(crate) fn organization_blockers(&self, id: Uuid) -> Blockers {
        let workspaces = self.organizations.get(&id).map_or(0, |found| found.workspaces as usize);
        let groups = self.groups.of_organization(id).filter(|group| group.id != id).count();
        let members = self.members.of_organization(id);
        let members = members
            .filter(|member| self.users.contains_key(&member.user_id))
            .count();
        let keys = self
            .provisioner_keys
            .iter()
            .filter(|key| key.organization_id == id)
            .count();
        Blockers(vec![
            (workspaces, "workspace"),
            (self.templates_of(id).len(), "template"),
            (members.saturating_sub(1), "member"),
            (groups, "group"),
            (keys, "provisioner key"),
        ])
    }

    /// Deletes as the profile does: the newer server only marks, the older one takes everything in it along.
    pub(crate) fn delete_organization(&mut self, id: Uuid) {
        if self.traits().soft_delete_organizations {
            self.edit_organization(id, |organization| organization.deleted = true);
        } else {
            self.erase_organization(id);
        }
    }

    /// Takes an organization and everything in it away for good.
    pub(crate) fn erase_organization(&mut self, id: Uuid) {
        self.organizations.remove(&id);
        self.groups.remove_organization(id);
        self.templates.retain(|_, template| template.organization_id != id);
        self.members.remove_organization(id);
        self.provisioner_keys.retain(|key| key.organization_id != id);
        self.custom_roles.retain(|role| role.organization_id != id);
        self.group_sync.remove(&id);
        self.role_sync.remove(&id);
        self.sharing.remove(&id);
    }

    pub(crate) fn organization_json(&self, organization: &Organization) -> Value {
        let mut body = json!({
            "id": organization.id,
            "name": organization.name,
            "display_name": organization.display_name,
            "icon": organization.icon,
            "description": organization.description,
            "created_at": rfc3339(organization.created_at),
            "updated_at": rfc3339(organization.updated_at),
            "is_default": organization.is_default,
        });
        if self.traits().default_member_roles
            && let Some(object) = body.as_object_mut()
        {
            object.insert(
                "default_org_member_roles".to_owned(),
                json!(organization.default_member_roles),
            );
        }
        body
    }
}
