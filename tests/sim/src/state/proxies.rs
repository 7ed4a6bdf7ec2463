//! Workspace proxies and their health.
//!
//! Health is cached for all proxies together: renewed while a proxy is created, and in the background after each other
//! write, so that the answer of a write still shows the check before it (recording 05).

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{State, secret};
use crate::clock::{rfc3339, rfc3339_or_zero};

/// What the last check of a proxy found.
#[derive(Clone, Debug, Serialize)]
pub struct ProxyStatus {
    /// `ok`, `unreachable`, `unhealthy`, `unregistered`.
    pub status: String,
    /// Problems.
    pub errors: Vec<String>,
    /// Lesser problems.
    pub warnings: Vec<String>,
    /// Where the proxy is reached; empty until it has registered.
    pub url: String,
    /// Version of the proxy process; empty until it has registered.
    pub version: String,
}

impl ProxyStatus {
    /// A proxy that has registered and answers.
    #[must_use]
    pub fn ok(url: &str) -> Self {
        Self {
            status: "ok".to_owned(),
            url: url.to_owned(),
            version: "v2.35.99".to_owned(),
            ..Self::unregistered()
        }
    }

    /// A proxy that has registered but does not answer.
    #[must_use]
    pub fn unreachable(url: &str, error: &str) -> Self {
        Self {
            status: "unreachable".to_owned(),
            errors: vec![error.to_owned()],
            ..Self::ok(url)
        }
    }

    /// A proxy nobody has started yet.
    #[must_use]
    pub fn unregistered() -> Self {
        Self {
            status: "unregistered".to_owned(),
            errors: Vec::new(),
            warnings: Vec::new(),
            url: String::new(),
            version: String::new(),
        }
    }
}

/// A workspace proxy, also a deleted one.
#[derive(Clone, Debug, Serialize)]
pub struct Proxy {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// What people see.
    pub display_name: String,
    /// URL or path of a picture.
    pub icon: String,
    /// Deleted proxies stay behind their id.
    pub deleted: bool,
    /// The token that is valid now, as the API showed it once.
    pub token: String,
    /// What the last check found.
    pub health: ProxyStatus,
    /// When it was made.
    #[serde(serialize_with = "super::serialize_time")]
    pub created_at: Timestamp,
    /// When it was last written.
    #[serde(serialize_with = "super::serialize_time")]
    pub updated_at: Timestamp,
    #[serde(skip)]
    pub(crate) region_id: i32,
    #[serde(skip)]
    pub(crate) seq: u64,
}

impl State {
    /// Makes a proxy with a token, and checks all proxies.
    pub(crate) fn insert_proxy(&mut self, name: &str, display_name: &str, icon: &str) -> Uuid {
        let (id, now, seq) = (Uuid::new_v4(), self.now(), self.next_seq());
        self.last_region_id += 1;
        self.proxies.insert(
            id,
            Proxy {
                id,
                name: name.to_owned(),
                display_name: display_name.to_owned(),
                icon: icon.to_owned(),
                deleted: false,
                token: new_token(id),
                health: ProxyStatus::unregistered(),
                created_at: now,
                updated_at: now,
                region_id: self.last_region_id,
                seq,
            },
        );
        self.check_proxies();
        id
    }

    pub(crate) fn edit_proxy(&mut self, id: Uuid, edit: impl FnOnce(&mut Proxy)) {
        let (now, seq) = (self.now(), self.next_seq());
        if let Some(proxy) = self.proxies.get_mut(&id) {
            edit(proxy);
            proxy.updated_at = now;
            proxy.seq = seq;
        }
    }

    /// Gives a proxy a new token; the old one is worth nothing from now on.
    pub(crate) fn renew_proxy_token(&mut self, id: Uuid) -> String {
        let token = new_token(id);
        if let Some(proxy) = self.proxies.get_mut(&id) {
            proxy.token.clone_from(&token);
        }
        token
    }

    pub(crate) fn check_proxies(&mut self) {
        self.proxies_checked_at = self.now();
    }

    /// The proxy that a path names: an id (deleted ones too) or a name, which is compared as it is.
    pub(crate) fn find_proxy(&self, named: &str) -> Option<&Proxy> {
        if let Ok(id) = Uuid::try_parse(named) {
            return self.proxies.get(&id);
        }
        self.proxies
            .values()
            .find(|proxy| !proxy.deleted && proxy.name == named)
    }

    /// Whether another proxy has this name in any case.
    pub(crate) fn proxy_name_taken(&self, name: &str, except: Option<Uuid>) -> bool {
        let mut others = self
            .proxies
            .values()
            .filter(|proxy| !proxy.deleted && Some(proxy.id) != except);
        others.any(|proxy| proxy.name.eq_ignore_ascii_case(name))
    }

    pub(crate) fn proxy_json(&self, proxy: &Proxy) -> Value {
        // Deleted proxies are in nobody's cache.
        let checked_at = (!proxy.deleted).then_some(self.proxies_checked_at);
        let status = if proxy.deleted {
            "unknown"
        } else {
            proxy.health.status.as_str()
        };
        json!({
            "id": proxy.id,
            "name": proxy.name,
            "display_name": proxy.display_name,
            "icon_url": proxy.icon,
            "healthy": status == "ok",
            "path_app_url": proxy.health.url,
            "wildcard_hostname": "",
            "derp_enabled": true,
            "derp_only": false,
            "status": {
                "status": status,
                "report": { "errors": proxy.health.errors, "warnings": proxy.health.warnings },
                "checked_at": rfc3339_or_zero(checked_at),
            },
            "created_at": rfc3339(proxy.created_at),
            "updated_at": rfc3339(proxy.updated_at),
            "deleted": proxy.deleted,
            "version": proxy.health.version,
        })
    }

    /// The server itself as a region: its times are always now.
    pub(crate) fn primary_json(&self) -> Value {
        let now = rfc3339(self.now());
        json!({
            "id": self.deployment_id,
            "name": "primary",
            "display_name": self.primary_display_name,
            "icon_url": self.primary_icon,
            "healthy": true,
            "path_app_url": self.process.access_url,
            "wildcard_hostname": "",
            "derp_enabled": false,
            "derp_only": false,
            "status": { "status": "ok", "report": { "errors": [], "warnings": [] }, "checked_at": now },
            "created_at": now,
            "updated_at": now,
            "deleted": false,
            "version": "",
        })
    }
}

fn new_token(id: Uuid) -> String {
    format!("{id}:{}", secret(64))
}
