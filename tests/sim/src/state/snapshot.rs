//! Everything that a deployment remembers and that a call could have changed, to compare.

use serde::Serialize;
use serde_json::{Value, json};

use super::State;

impl State {
    pub(crate) fn snapshot(&self) -> Value {
        let profile = self.profile;
        json!({
            "profile": profile,
            "deployment_id": self.deployment_id,
            "telemetry": self.process.configuration.telemetry,
            "users": rows(self.users.values()),
            "organizations": rows(self.organizations.values()),
            "members": rows(self.members.values()),
            "custom_roles": self.custom_roles,
            "groups": rows(self.groups.values()),
            "templates": rows(self.templates.values()),
            "provisioner_keys": self.provisioner_keys,
            "licenses": rows(self.licenses.values()),
            "workspace_proxies": rows(self.proxies.values()),
            "primary_proxy": [self.primary_display_name, self.primary_icon],
            "organization_sync": self.organization_sync.json(profile),
            "group_sync": by_id(self.group_sync.iter().map(|(id, sync)| (id, sync.json(profile)))),
            "role_sync": by_id(self.role_sync.iter().map(|(id, sync)| (id, sync.json(profile)))),
            "workspace_sharing": by_id(self.sharing.iter().map(|(id, who)| (id, json!(who)))),
            "application_name": self.application_name,
            "logo_url": self.logo_url,
            "announcement_banners": self.banners.iter().map(super::Banner::json).collect::<Vec<_>>(),
            "notification_templates": self.notification_templates,
            "notifier_paused": self.notifier_paused,
            "prebuilds_paused": self.prebuilds_paused,
            "dismissed_healthchecks": self.dismissed_healthchecks,
            "oauth2_apps": self.oauth2_apps.iter().map(|app| self.oauth2_app_json(app)).collect::<Vec<_>>(),
            "oauth2_secrets": self.oauth2_secrets.iter().map(|secret| json!([secret.app, secret.id])).collect::<Vec<_>>(),
        })
    }
}

fn rows<T: Serialize>(rows: impl Iterator<Item = T>) -> Value {
    rows.map(|row| json!(row)).collect()
}

fn by_id<'a>(values: impl Iterator<Item = (&'a uuid::Uuid, Value)>) -> Value {
    let mut values: Vec<_> = values.map(|(id, value)| (id.to_string(), value)).collect();
    values.sort_by(|(one, _), (other, _)| one.cmp(other));
    values.into_iter().collect()
}
