//! Roles of organizations, and their permissions.

use std::collections::HashSet;

use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::State;

/// A custom role of an organization.
#[derive(Clone, Debug, Serialize)]
pub struct CustomRole {
    /// The id the audit log knows it by.
    pub id: Uuid,
    /// The organization.
    pub organization_id: Uuid,
    /// Its name, in lower case.
    pub name: String,
    /// What people see.
    pub display_name: String,
    /// Objects with `negate`, `resource_type` and `action`.
    pub organization_permissions: Vec<Value>,
}

impl State {
    /// Deletes a custom role and takes it from its holders.
    pub(crate) fn delete_custom_role(&mut self, organization_id: Uuid, name: &str) {
        self.custom_roles
            .retain(|role| role.organization_id != organization_id || role.name != name);
        for member in self.members.of_organization_mut(organization_id) {
            member.roles.retain(|role| role != name);
        }
    }

    /// What the custom roles of a user permit: organization, resource, action.
    pub(crate) fn custom_permissions(&self, user: Uuid) -> HashSet<(Uuid, String, String)> {
        let roles = self.custom_roles.iter().filter(|role| {
            let member = self.members.get(&(role.organization_id, user));
            member.is_some_and(|member| member.roles.contains(&role.name))
        });
        let text = |permission: &Value, name: &str| {
            let text = permission.get(name).and_then(Value::as_str);
            text.unwrap_or_default().to_owned()
        };
        let permissions = roles.flat_map(|role| {
            let id = role.organization_id;
            let permissions = role.organization_permissions.iter();
            permissions.map(move |found| (id, text(found, "resource_type"), text(found, "action")))
        });
        permissions.collect()
    }

    pub(crate) fn custom_role(&self, organization_id: Uuid, name: &str) -> Option<&CustomRole> {
        self.custom_roles
            .iter()
            .find(|role| role.organization_id == organization_id && role.name == name)
    }

    /// The display name of a role of the organization, built in or custom.
    pub(crate) fn organization_role(&self, organization_id: Uuid, name: &str) -> Option<String> {
        if let Some(role) = self.custom_role(organization_id, name) {
            return Some(role.display_name.clone());
        }
        if name == "organization-member" {
            return Some(String::new());
        }
        let mut roles = self.profile.organization_roles().iter();
        let built_in = roles.find(|role| role.get("name").and_then(Value::as_str) == Some(name))?;
        Some(
            built_in
                .get("display_name")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned(),
        )
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
