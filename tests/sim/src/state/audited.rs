//! What the audit log watches of each object.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{CustomRole, Group, License, Member, Organization, Proxy, State, User};
use crate::audit::Fields;
use crate::clock::rfc3339;
use crate::license;

fn fields(value: Value) -> Fields {
    match value {
        Value::Object(fields) => fields,
        _ => Fields::new(),
    }
}

impl State {
    pub(crate) fn audited_organization(&self, organization: &Organization) -> Fields {
        let mut watched = fields(json!({
            "name": organization.name,
            "display_name": organization.display_name,
            "description": organization.description,
            "icon": organization.icon,
            "updated_at": rfc3339(organization.updated_at),
            "deleted": organization.deleted,
        }));
        if self.traits().default_member_roles {
            let sharing = self.sharing.get(&organization.id).map_or("everyone", String::as_str);
            watched.insert(
                "default_org_member_roles".to_owned(),
                json!(organization.default_member_roles),
            );
            watched.insert("shareable_workspace_owners".to_owned(), json!(sharing));
        }
        watched
    }

    pub(crate) fn audited_group(&self, group: &Group) -> Fields {
        let members = group.members.iter().filter(|user| self.users.contains_key(user));
        let members: Vec<Value> = members
            .map(|user| json!({ "group_id": group.id, "user_id": user }))
            .collect();
        fields(json!({
            "id": group.id,
            "name": group.name,
            "display_name": group.display_name,
            "avatar_url": group.avatar_url,
            "quota_allowance": group.quota_allowance,
            "members": members,
        }))
    }

    pub(crate) fn audited_member(&self, member: &Member) -> Fields {
        fields(json!({
            "user_id": member.user_id,
            "username": self.users.get(&member.user_id).map(|user| user.username.as_str()).unwrap_or_default(),
            "roles": member.roles,
            "created_at": rfc3339(member.created_at),
            "updated_at": rfc3339(member.updated_at),
        }))
    }
}

pub(crate) fn audited_custom_role(role: &CustomRole) -> Fields {
    let part = |permission: &Value, name: &str| {
        permission
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let permissions = role.organization_permissions.iter();
    let permissions: Vec<String> = permissions
        .map(|found| format!("{}.{}", part(found, "resource_type"), part(found, "action")))
        .collect();
    fields(json!({ "name": role.name, "display_name": role.display_name, "org_permissions": permissions }))
}

pub(crate) fn audited_license(found: &License) -> Fields {
    let expires = license::number(&found.claims, "exp").and_then(|exp| Timestamp::from_second(exp).ok());
    fields(json!({
        "uuid": found.uuid,
        "uploaded_at": rfc3339(found.uploaded_at),
        "exp": expires.map(rfc3339),
    }))
}

pub(crate) fn audited_proxy(proxy: &Proxy) -> Fields {
    fields(json!({
        "id": proxy.id,
        "name": proxy.name,
        "display_name": proxy.display_name,
        "icon": proxy.icon,
        "created_at": rfc3339(proxy.created_at),
        "derp_enabled": true,
        "region_id": proxy.region_id,
        "token_hashed_secret": proxy.token,
    }))
}

pub(crate) fn audited_user(user: &User) -> Fields {
    fields(json!({
        "id": user.id,
        "username": user.username,
        "name": user.name,
        "email": user.email,
        "login_type": user.login_type,
        "rbac_roles": user.roles,
        "status": user.status.name(),
        "deleted": user.deleted,
        // Users without a password get a random one: there is always a hash.
        "hashed_password": format!("hash of {}", user.password),
        "quiet_hours_schedule": user.quiet_hours.as_deref().unwrap_or_default(),
    }))
}
