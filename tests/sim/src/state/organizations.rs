//! Organizations, their members, custom roles and provisioner keys.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{State, User, secret};
use crate::clock::{rfc3339, rfc3339_or_zero};

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
    /// How many templates are in it: any block or fall to its deletion.
    pub templates: u32,
    /// How many workspaces are in it.
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

/// A custom role of an organization.
#[derive(Clone, Debug, Serialize)]
pub struct CustomRole {
    /// The organization.
    pub organization_id: Uuid,
    /// Its name, in lower case.
    pub name: String,
    /// What people see.
    pub display_name: String,
    /// Objects with `negate`, `resource_type` and `action`.
    pub organization_permissions: Vec<Value>,
}

/// A provisioner key.
#[derive(Clone, Debug, Serialize)]
pub struct ProvisionerKey {
    /// Its id.
    pub id: Uuid,
    /// The organization.
    pub organization_id: Uuid,
    /// Its name, in lower case.
    pub name: String,
    /// Its tags.
    pub tags: std::collections::BTreeMap<String, String>,
    /// The secret, which the API shows once.
    pub key: String,
    /// When it was made.
    #[serde(serialize_with = "super::serialize_time")]
    pub created_at: Timestamp,
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
                templates: 0,
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
        let organization = self.organizations.get(&id);
        let count = |field: fn(&Organization) -> u32| organization.map_or(0, |found| field(found) as usize);
        let groups = self
            .groups
            .values()
            .filter(|group| group.organization_id == id && group.id != id)
            .count();
        let members = self
            .members
            .values()
            .filter(|member| member.organization_id == id)
            .count();
        let keys = self
            .provisioner_keys
            .iter()
            .filter(|key| key.organization_id == id)
            .count();
        Blockers(vec![
            (count(|found| found.workspaces), "workspace"),
            (count(|found| found.templates), "template"),
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
        self.groups.retain(|_, group| group.organization_id != id);
        self.members.retain(|(organization, _), _| *organization != id);
        self.provisioner_keys.retain(|key| key.organization_id != id);
        self.custom_roles.retain(|role| role.organization_id != id);
        self.group_sync.remove(&id);
        self.role_sync.remove(&id);
        self.sharing.remove(&id);
    }

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

    /// Deletes a custom role and takes it from its holders.
    pub(crate) fn delete_custom_role(&mut self, organization_id: Uuid, name: &str) {
        self.custom_roles
            .retain(|role| role.organization_id != organization_id || role.name != name);
        for member in self
            .members
            .values_mut()
            .filter(|member| member.organization_id == organization_id)
        {
            member.roles.retain(|role| role != name);
        }
    }

    pub(crate) fn insert_provisioner_key(
        &mut self,
        organization_id: Uuid,
        name: &str,
        tags: std::collections::BTreeMap<String, String>,
    ) -> ProvisionerKey {
        let key = ProvisionerKey {
            id: Uuid::new_v4(),
            organization_id,
            name: name.to_lowercase(),
            tags,
            key: secret(43),
            created_at: self.now(),
        };
        self.provisioner_keys.push(key.clone());
        key
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

    /// The display name of a role of the organization, built in or custom.
    pub(crate) fn organization_role(&self, organization_id: Uuid, name: &str) -> Option<String> {
        let custom = self
            .custom_roles
            .iter()
            .find(|role| role.organization_id == organization_id && role.name == name);
        if let Some(role) = custom {
            return Some(role.display_name.clone());
        }
        if name == "organization-member" {
            return Some("Organization Member".to_owned());
        }
        let roles = self.profile.organization_roles();
        let built_in = roles
            .iter()
            .find(|role| role.get("name").and_then(Value::as_str) == Some(name))?;
        Some(
            built_in
                .get("display_name")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned(),
        )
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

    pub(crate) fn custom_role_json(&self, role: &CustomRole) -> Value {
        let mut body = json!({
            "name": role.name,
            "organization_id": role.organization_id,
            "display_name": role.display_name,
            "site_permissions": [],
            "user_permissions": [],
            "organization_permissions": role.organization_permissions,
        });
        if !self.traits().verbose_users
            && let Some(object) = body.as_object_mut()
        {
            object.insert("organization_member_permissions".to_owned(), Value::Null);
        }
        body
    }
}

/// Why a permission is refused, in the server's words; `None` when it is fine. Which actions a resource knows is read off
/// the built-in roles plus the plain ones: enough to tell a typo from the real thing.
pub(crate) fn permission_problem(resource: &str, action: &str) -> Option<String> {
    const ACTIONS: &[&str] = &[
        "create",
        "read",
        "update",
        "delete",
        "use",
        "view_insights",
        "assign",
        "unassign",
        "start",
        "stop",
        "ssh",
        "share",
        "application_connect",
        "create_agent",
        "delete_agent",
        "update_agent",
        "read_personal",
        "update_personal",
        "*",
    ];
    const RESOURCES: &[&str] = &[
        "*",
        "api_key",
        "assign_org_role",
        "assign_role",
        "audit_log",
        "connection_log",
        "crypto_key",
        "debug_info",
        "deployment_config",
        "deployment_stats",
        "file",
        "group",
        "group_member",
        "idpsync_settings",
        "license",
        "notification_message",
        "notification_preference",
        "notification_template",
        "oauth2_app",
        "oauth2_app_code_token",
        "oauth2_app_secret",
        "organization",
        "organization_member",
        "prebuilt_workspace",
        "provisioner_daemon",
        "provisioner_jobs",
        "provisioner_keys",
        "replicas",
        "system",
        "tailnet_coordinator",
        "task",
        "template",
        "user",
        "workspace",
        "workspace_dormant",
        "workspace_proxy",
    ];
    if !RESOURCES.contains(&resource) {
        return Some(format!("invalid resource type {resource:?}"));
    }
    if !ACTIONS.contains(&action) {
        return Some(format!("invalid action {action:?} for resource {resource:?}"));
    }
    None
}
