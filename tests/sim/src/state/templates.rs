//! Templates, and who may use them. Their versions are not simulated.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Group, State, User, UserStatus};
use crate::audit::Fields;
use crate::clock::rfc3339;
use crate::rbac::Rights;

/// A template.
#[derive(Clone, Debug, Serialize)]
pub struct Template {
    /// Its id.
    pub id: Uuid,
    /// The organization.
    pub organization_id: Uuid,
    /// Its name.
    pub name: String,
    /// What people see.
    pub display_name: String,
    /// Free text.
    pub description: String,
    /// URL or path of a picture.
    pub icon: String,
    /// Why it is not to be used any more; empty while it is.
    pub deprecation_message: String,
    /// Deleted templates stay behind their id, and nobody sees them.
    pub deleted: bool,
    /// People with their roles: `use` or `admin`.
    pub users: BTreeMap<Uuid, String>,
    /// Groups with their roles. The organization's id stands for everyone in it.
    pub groups: BTreeMap<Uuid, String>,
    /// The version that is in use.
    pub active_version_id: Uuid,
    /// Who made it.
    pub created_by: Uuid,
    /// When it was made.
    #[serde(serialize_with = "super::serialize_time")]
    pub created_at: Timestamp,
    /// When it was last written.
    #[serde(serialize_with = "super::serialize_time")]
    pub updated_at: Timestamp,
}

impl State {
    /// Makes a template that everyone in its organization may use.
    pub(crate) fn insert_template(&mut self, organization_id: Uuid, name: &str, version: Uuid, by: Uuid) -> Uuid {
        let now = self.now();
        let template = Template {
            id: Uuid::new_v4(),
            organization_id,
            name: name.to_owned(),
            display_name: String::new(),
            description: String::new(),
            icon: String::new(),
            deprecation_message: String::new(),
            deleted: false,
            users: BTreeMap::new(),
            groups: BTreeMap::from([(organization_id, "use".to_owned())]),
            active_version_id: version,
            created_by: by,
            created_at: now,
            updated_at: now,
        };
        let id = template.id;
        self.templates.insert(id, template);
        id
    }

    pub(crate) fn edit_template(&mut self, id: Uuid, edit: impl FnOnce(&mut Template)) {
        let now = self.now();
        if let Some(template) = self.templates.get_mut(&id) {
            edit(template);
            template.updated_at = now;
        }
    }

    /// The templates of an organization that are not deleted, by name.
    pub(crate) fn templates_of(&self, organization: Uuid) -> Vec<&Template> {
        let templates = self.templates.values();
        let mut templates: Vec<_> = templates
            .filter(|template| template.organization_id == organization && !template.deleted)
            .collect();
        templates.sort_by_key(|template| template.name.to_lowercase());
        templates
    }

    pub(crate) fn template_by_name(&self, organization: Uuid, name: &str) -> Option<&Template> {
        let mut templates = self.templates.values();
        templates.find(|template| {
            template.organization_id == organization && !template.deleted && template.name.eq_ignore_ascii_case(name)
        })
    }

    /// The people with a role in a template, as far as they are shown: suspended ones are not.
    pub(crate) fn template_users<'a>(&'a self, template: &'a Template) -> Vec<(&'a User, &'a str)> {
        let users = template
            .users
            .iter()
            .filter_map(|(id, role)| self.users.get(id).map(|user| (user, role.as_str())));
        users
            .filter(|(user, _)| !user.deleted && user.status != UserStatus::Suspended)
            .collect()
    }

    /// The groups with a role in a template, in the order of their table.
    pub(crate) fn template_groups<'a>(&'a self, template: &'a Template) -> Vec<(&'a Group, &'a str)> {
        let groups = template
            .groups
            .iter()
            .filter_map(|(id, role)| self.groups.get(id).map(|group| (group, role.as_str())));
        let mut groups: Vec<_> = groups.collect();
        groups.sort_by_key(|(group, _)| group.seq);
        groups
    }

    /// Whether somebody has a role in a template, by itself or through a group.
    pub(crate) fn has_role(&self, rights: &Rights, template: &Template, wanted: &[&str]) -> bool {
        let wanted = |role: &str| wanted.contains(&role);
        let own = template.users.get(&rights.user).is_some_and(|role| wanted(role));
        let within = |group: &Group| {
            if group.id == group.organization_id {
                rights.is_member(group.id)
            } else {
                group.members.contains(&rights.user)
            }
        };
        own || self
            .template_groups(template)
            .into_iter()
            .any(|(group, role)| wanted(role) && within(group))
    }

    /// A template as it is when nobody has changed its settings.
    pub(crate) fn template_json(&mut self, template: &Template) -> Value {
        // Without the feature every port may be shared (recording of templates).
        let sharing = if self.feature_enabled("control_shared_ports") {
            "owner"
        } else {
            "public"
        };
        let organization = self.organizations.get(&template.organization_id);
        let creator = self.users.get(&template.created_by);
        let no_times = json!({ "P50": null, "P95": null });
        json!({
            "id": template.id,
            "created_at": rfc3339(template.created_at),
            "updated_at": rfc3339(template.updated_at),
            "organization_id": template.organization_id,
            "organization_name": organization.map(|found| found.name.as_str()),
            "organization_display_name": organization.map(|found| found.display_name.as_str()),
            "organization_icon": organization.map(|found| found.icon.as_str()),
            "name": template.name,
            "display_name": template.display_name,
            "provisioner": "echo",
            "active_version_id": template.active_version_id,
            "active_user_count": 0,
            "build_time_stats": { "delete": no_times, "start": no_times, "stop": no_times },
            "description": template.description,
            "deprecated": !template.deprecation_message.is_empty(),
            "deprecation_message": template.deprecation_message,
            "deleted": false,
            "icon": template.icon,
            "default_ttl_ms": 0,
            "activity_bump_ms": 3_600_000,
            "time_til_autostop_notify_ms": 0,
            "autostop_requirement": { "days_of_week": [], "weeks": 1 },
            "autostart_requirement": {
                "days_of_week": ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"],
            },
            "created_by_id": template.created_by,
            "created_by_name": creator.map(|user| user.username.as_str()).unwrap_or_default(),
            "allow_user_autostart": true,
            "allow_user_autostop": true,
            "allow_user_cancel_workspace_jobs": false,
            "failure_ttl_ms": 0,
            "time_til_dormant_ms": 0,
            "time_til_dormant_autodelete_ms": 0,
            "require_active_version": false,
            "max_port_share_level": sharing,
            "cors_behavior": "simple",
            "use_classic_parameter_flow": false,
            "disable_module_cache": false,
        })
    }
}

/// What the audit log watches of a template.
pub(crate) fn audited_template(template: &Template) -> Fields {
    let fields = json!({
        "id": template.id,
        "name": template.name,
        "display_name": template.display_name,
        "description": template.description,
        "icon": template.icon,
        "deprecated": template.deprecation_message,
        "provisioner": "echo",
        "active_version_id": template.active_version_id,
        "activity_bump": 3_600_000_000_000_i64,
        "allow_user_autostart": true,
        "allow_user_autostop": true,
        "autostop_requirement_weeks": 1,
        "cors_behavior": "simple",
        "created_by": template.created_by,
        "max_port_sharing_level": "owner",
        "user_acl": printed(&template.users),
        "group_acl": printed(&template.groups),
    });
    fields.as_object().cloned().unwrap_or_default()
}

/// A list of roles as Go prints it.
fn printed(roles: &BTreeMap<Uuid, String>) -> String {
    let entries = roles.iter().map(|(id, role)| match role.as_str() {
        "admin" => format!("{id}:[*]"),
        _ => format!("{id}:[read use]"),
    });
    format!("map[{}]", entries.collect::<Vec<_>>().join(" "))
}
