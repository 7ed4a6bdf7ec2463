//! The audit log: `/audit`. Who changed what, newest first; one page costs the server as little as `/users/me`.
//!
//! It names what somebody changed through the API, while the feature `audit_log` is enabled. Refused calls are entries
//! too (status 4xx), and so are writes that changed nothing (an empty diff). A row is written when its request
//! ends: it may appear late, and out of order with others of nearly the same time (recording 14).

use std::collections::BTreeMap;

use jiff::{Timestamp, civil::Date};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::{Client, Error, OrganizationId, Path, UserId, wire::null_default};

/// One change, or an attempt at one.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct AuditEntry {
    /// Its id.
    pub id: Uuid,
    /// When the request ended.
    pub time: Timestamp,
    /// `User-Agent` of the request.
    #[serde(default, deserialize_with = "null_default")]
    pub user_agent: String,
    /// `group`, `organization`, `organization_member`, `workspace_proxy`, `license`, `user`, ….
    pub resource_type: String,
    /// Id of what was changed; for a member the user's.
    pub resource_id: Uuid,
    /// What it was called: some things have no id that shows anywhere else.
    #[serde(default, deserialize_with = "null_default")]
    pub resource_target: String,
    /// `create`, `write`, `delete`, ….
    #[serde(default, deserialize_with = "null_default")]
    pub action: String,
    /// The status of the answer.
    #[serde(default, deserialize_with = "null_default")]
    pub status_code: u16,
    /// What differs, by field; secret values are left out by the server.
    #[serde(default, deserialize_with = "null_default")]
    pub diff: BTreeMap<String, Value>,
    /// Where; the nil id where there is no organization to it.
    #[serde(default)]
    organization_id: Option<OrganizationId>,
    /// Who; none where the server does not know.
    #[serde(default)]
    pub user: Option<AuditUser>,
}

/// Who made a change.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct AuditUser {
    /// Its id.
    pub id: UserId,
    /// Its name.
    pub username: String,
}

impl AuditEntry {
    /// The organization that it happened in.
    #[must_use]
    pub fn organization(&self) -> Option<OrganizationId> {
        self.organization_id.filter(|id| !id.0.is_nil())
    }

    /// Whether the call was refused: nothing changed. An answer of 500 and more is no refusal: v2.16.1 makes a change and
    /// fails to show it to who made it (recording 14).
    #[must_use]
    pub fn is_refused(&self) -> bool {
        (400..500).contains(&self.status_code)
    }

    /// Whether it is a write that left everything as it was, as far as the log shows what a write changes. It does not for
    /// users (passwords, roles) and for settings that were switched off.
    #[must_use]
    pub fn changed_nothing(&self) -> bool {
        self.action == "write" && self.diff.is_empty() && self.status_code < 400
    }
}

#[derive(Deserialize)]
struct Page {
    #[serde(default, deserialize_with = "null_default")]
    audit_logs: Vec<AuditEntry>,
}

impl Client {
    /// A page of the audit log of that day and later, newest first.
    pub async fn audit(&self, from: Date, limit: usize, offset: usize) -> Result<Vec<AuditEntry>, Error> {
        let path = Path::new("/audit")
            .query("q", format!("date_from:{from}"))
            .query("limit", limit)
            .query("offset", offset);
        self.get::<Page>(path).await.map(|page| page.audit_logs)
    }
}
