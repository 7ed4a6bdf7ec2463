//! The audit log: what handlers note about a change, and what becomes of it when the request ends.
//!
//! A handler notes an object as soon as it has it and what it is afterwards; a refused call on a noted object is an entry
//! too, with an empty difference. Only while requests are logged when the request begins (recordings 12, 14 and 20).

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::clock::rfc3339;
use crate::state::{Organization, State};

/// The fields of an object that the log watches.
pub(crate) type Fields = Map<String, Value>;

/// Settings objects have no id of their own: they are logged under this one.
pub(crate) const SETTINGS_ID: Uuid = Uuid::from_u128(0x51a5_1c00_0000_0000_0000_0000_0000_0000);

/// What a handler notes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Note {
    pub(crate) kind: &'static str,
    pub(crate) action: &'static str,
    pub(crate) id: Uuid,
    pub(crate) target: String,
    pub(crate) organization: Uuid,
    pub(crate) before: Fields,
    pub(crate) after: Fields,
}

impl Note {
    pub(crate) fn new(kind: &'static str, action: &'static str, id: Uuid, target: &str) -> Self {
        Self {
            kind,
            action,
            id,
            target: target.to_owned(),
            ..Self::default()
        }
    }

    pub(crate) fn within(mut self, organization: Uuid) -> Self {
        self.organization = organization;
        self
    }

    /// What the object was. A change that says no more leaves it like that.
    pub(crate) fn before(mut self, fields: Fields) -> Self {
        self.before = fields;
        self
    }

    pub(crate) fn after(mut self, fields: Fields) -> Self {
        self.after = fields;
        self
    }

    /// The fields that differ. A missing object counts as one whose fields are all zero.
    fn difference(&self) -> Value {
        let mut difference = Map::new();
        for key in self.before.keys().chain(self.after.keys()) {
            let (old, new) = (self.before.get(key), self.after.get(key));
            let zero = zero_of(key, old.or(new).unwrap_or(&Value::Null));
            let (old, new) = (old.unwrap_or(&zero), new.unwrap_or(&zero));
            if old == new || difference.contains_key(key) {
                continue;
            }
            difference.insert(key.clone(), change(key, old, new));
        }
        Value::Object(difference)
    }
}

fn change(key: &str, old: &Value, new: &Value) -> Value {
    match key {
        "token_hashed_secret" | "hashed_password" | "hashed_secret" | "registration_access_token" => {
            json!({ "secret": true })
        }
        // A pattern has no JSON form there (recording 14).
        "regex_filter" => json!({ "old": {}, "new": {}, "secret": false }),
        _ => {
            let mut change = Map::from_iter([("secret".to_owned(), json!(false))]);
            for (name, value) in [("old", old), ("new", new)] {
                if !value.is_null() {
                    change.insert(name.to_owned(), value.clone());
                }
            }
            Value::Object(change)
        }
    }
}

fn zero_of(key: &str, value: &Value) -> Value {
    match value {
        Value::String(_)
            if matches!(
                key,
                "created_at" | "updated_at" | "uploaded_at" | "exp" | "expires_at" | "last_used"
            ) =>
        {
            json!("0001-01-01T00:00:00Z")
        }
        Value::String(_) if matches!(key, "user_acl" | "group_acl") => json!("map[]"),
        // Go's wrappers of values that can be null in the database.
        Value::String(_) if matches!(key, "client_type" | "token_endpoint_auth_method") => json!("null"),
        Value::Object(_) if key == "dynamically_registered" => json!({ "Bool": false, "Valid": false }),
        Value::String(_) => json!(""),
        Value::Number(_) => json!(0),
        Value::Bool(_) => json!(false),
        // Permissions are a list of their own kind, which is never null.
        Value::Array(_) if key == "org_permissions" => json!([]),
        _ => Value::Null,
    }
}

/// An entry of the log.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) id: Uuid,
    pub(crate) request_id: Uuid,
    pub(crate) time: Timestamp,
    pub(crate) ip: String,
    pub(crate) user_agent: String,
    pub(crate) user: Uuid,
    pub(crate) status: u16,
    pub(crate) difference: Value,
    pub(crate) additional_fields: Value,
    pub(crate) note: Note,
}

impl Record {
    pub(crate) fn of(note: Note, user: Uuid, status: u16, time: Timestamp, ip: String, user_agent: String) -> Self {
        let difference = if status < 400 { note.difference() } else { json!({}) };
        Self {
            id: Uuid::new_v4(),
            request_id: Uuid::new_v4(),
            time,
            ip,
            user_agent,
            user,
            status,
            difference,
            additional_fields: json!({}),
            note,
        }
    }

    pub(crate) fn json(&self, state: &State) -> Value {
        let deleted = self.is_deleted(state);
        let link = if deleted { String::new() } else { self.link(state) };
        let mut body = json!({
            "id": self.id,
            "request_id": self.request_id,
            "time": rfc3339(self.time),
            "ip": self.ip,
            "user_agent": self.user_agent,
            "resource_type": self.note.kind,
            "resource_id": self.note.id,
            "resource_target": self.note.target,
            "resource_icon": "",
            "action": self.note.action,
            "diff": self.difference,
            "status_code": self.status,
            "additional_fields": self.additional_fields,
            "description": self.description(),
            "resource_link": link,
            "is_deleted": deleted,
            "organization_id": self.note.organization,
            "user": state.users.get(&self.user).map(|user| state.user_without_organizations(user)),
        });
        let organization = self.note.organization;
        if !organization.is_nil() {
            // One that is gone for good leaves its id (recording 27).
            let found = state.organizations.get(&organization);
            let text = |of: fn(&Organization) -> &str| found.map(of).unwrap_or_default();
            let shown = json!({
                "id": organization,
                "name": text(|found| &found.name),
                "display_name": text(|found| &found.display_name),
                "icon": text(|found| &found.icon),
            });
            if let Some(object) = body.as_object_mut() {
                object.insert("organization".to_owned(), shown);
            }
        }
        body
    }

    /// Only of some kinds the log knows whether the object is still there.
    fn is_deleted(&self, state: &State) -> bool {
        let id = self.note.id;
        match self.note.kind {
            "user" => state.users.get(&id).is_some_and(|user| user.deleted),
            "template" => state.templates.get(&id).is_none_or(|template| template.deleted),
            "oauth2_provider_app" => !state.oauth2_apps.iter().any(|app| app.id == id),
            "oauth2_provider_app_secret" => !state.oauth2_secrets.iter().any(|secret| secret.id == id),
            _ => false,
        }
    }

    /// Where the dashboard shows the object.
    fn link(&self, state: &State) -> String {
        let app = |id: Uuid| format!("/deployment/oauth2-provider/apps/{id}");
        match self.note.kind {
            "user" => format!("/users?filter={}", self.note.target),
            "template" => format!("/templates/{}", self.note.target),
            "oauth2_provider_app" => app(self.note.id),
            "oauth2_provider_app_secret" => {
                let mut secrets = state.oauth2_secrets.iter();
                let secret = secrets.find(|secret| secret.id == self.note.id);
                secret.map(|secret| app(secret.app)).unwrap_or_default()
            }
            _ => String::new(),
        }
    }

    fn description(&self) -> String {
        let what = match self.note.kind {
            kind if kind.starts_with("idp_sync_settings") => "settings".to_owned(),
            "api_key" => "token".to_owned(),
            "oauth2_provider_app" => "oauth2 app".to_owned(),
            "oauth2_provider_app_secret" => "oauth2 app secret".to_owned(),
            kind if kind.ends_with("s_settings") || kind == "health_settings" => kind.to_owned(),
            kind => kind.replace('_', " "),
        };
        if self.note.action == "login" {
            return if self.status < 400 {
                "{user} logged in"
            } else {
                "{user} unsuccessfully attempted to login"
            }
            .to_owned();
        }
        if self.note.action == "register" {
            return "{user} registered".to_owned();
        }
        if self.status >= 400 {
            return format!(
                "{{user}} unsuccessfully attempted to {} {what} {{target}}",
                self.note.action
            );
        }
        let done = match self.note.action {
            "create" => "created",
            "delete" => "deleted",
            _ => "updated",
        };
        format!("{{user}} {done} {what} {{target}}")
    }
}
