//! Workspace proxies: `/workspaceproxies`. All of it, reads too, needs the feature `workspace_proxy`.
//!
//! A deleted proxy keeps answering by id, with `deleted: true`. Names are unique whatever their case, but are looked
//! up with it. The token is shown once, at creation and at regeneration.

use jiff::Timestamp;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::{
    Client, Error, Method, Path, ProxyId,
    user::absent_is_none,
    wire::{null_default, open_enum, secret},
};

const ONE: &str = "/workspaceproxies/{proxy}";

open_enum! {
    /// How a proxy is doing, as of the server's last look (once a minute).
    pub enum ProxyHealth {
        /// Well.
        Ok = "ok",
        /// Registered, but does not answer.
        Unreachable = "unreachable",
        /// Answers that something is wrong.
        Unhealthy = "unhealthy",
        /// Created, but no proxy has ever reported with its token.
        Unregistered = "unregistered",
        /// Not looked at yet.
        Unknown = "unknown",
    }
}

/// What a proxy reports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct ProxyReport {
    /// What does not work.
    #[serde(default, deserialize_with = "null_default")]
    pub errors: Vec<String>,
    /// What may not.
    #[serde(default, deserialize_with = "null_default")]
    pub warnings: Vec<String>,
}

/// How a proxy is doing.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ProxyStatus {
    /// In a word.
    pub status: ProxyHealth,
    /// In sentences.
    #[serde(default, deserialize_with = "null_default")]
    pub report: ProxyReport,
    /// As of when.
    #[serde(default)]
    pub checked_at: Option<Timestamp>,
}

/// A registered proxy, or the primary region.
#[allow(clippy::struct_excessive_bools)] // as the server has them
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct WorkspaceProxy {
    /// Its id; the primary region's is the deployment's.
    pub id: ProxyId,
    /// Unique among those that are not deleted, case-insensitive; free again after deletion.
    pub name: String,
    /// As people read it.
    #[serde(default, deserialize_with = "null_default")]
    pub display_name: String,
    /// What requests call `icon`.
    #[serde(default, deserialize_with = "null_default")]
    pub icon_url: String,
    /// The short form of `status`.
    #[serde(default, deserialize_with = "null_default")]
    pub healthy: bool,
    /// How it is doing.
    #[serde(default)]
    pub status: Option<ProxyStatus>,
    /// Where users reach it; set by the proxy itself.
    #[serde(default, deserialize_with = "null_default")]
    pub path_app_url: String,
    /// For applications on subdomains; set by the proxy itself.
    #[serde(default, deserialize_with = "null_default")]
    pub wildcard_hostname: String,
    /// Set by the proxy itself.
    #[serde(default, deserialize_with = "null_default")]
    pub derp_enabled: bool,
    /// Set by the proxy itself.
    #[serde(default, deserialize_with = "null_default")]
    pub derp_only: bool,
    /// The running proxy's version; empty until one has registered.
    #[serde(default, deserialize_with = "null_default")]
    pub version: String,
    /// It is gone, although it answers.
    #[serde(default, deserialize_with = "null_default")]
    pub deleted: bool,
    /// When it was created; "now" for the primary region.
    #[serde(default)]
    pub created_at: Option<Timestamp>,
    /// When it was changed; "now" for the primary region.
    #[serde(default)]
    pub updated_at: Option<Timestamp>,
}

impl WorkspaceProxy {
    /// The deployment itself, which is listed among its proxies.
    #[must_use]
    pub fn is_primary(&self) -> bool {
        self.name == "primary"
    }
}

/// A proxy and, if one was made, its new token.
#[derive(Clone, Debug, Deserialize)]
pub struct ProxyWithToken {
    /// The proxy.
    pub proxy: WorkspaceProxy,
    /// `<proxy id>:<secret>`; never shown again.
    #[serde(default, deserialize_with = "secret")]
    pub proxy_token: Option<SecretString>,
}

/// A new proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CreateProxy {
    /// Not `primary`. Coder takes any text; one that is no path segment can only be reached by id.
    pub name: String,
    /// Without one, the proxy cannot be changed until it gets one.
    pub display_name: String,
    /// Likewise.
    pub icon: String,
}

/// A change: replaces all three, none of which may be empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UpdateProxy {
    /// Required by the server, which goes by the path.
    pub id: ProxyId,
    /// A taken one answers 500, which is read as [`Class::AlreadyExists`](super::Class::AlreadyExists).
    pub name: String,
    /// As people read it.
    pub display_name: String,
    /// A path of an emoji, or a URL.
    pub icon: String,
}

#[derive(Serialize)]
struct Regenerate<'a> {
    #[serde(flatten)]
    proxy: &'a UpdateProxy,
    regenerate_token: bool,
}

#[derive(Deserialize)]
struct Regions {
    #[serde(default, deserialize_with = "null_default")]
    regions: Vec<WorkspaceProxy>,
}

impl Client {
    /// All proxies that are not deleted, and first the primary region.
    pub async fn list_proxies(&self) -> Result<Vec<WorkspaceProxy>, Error> {
        self.get::<Regions>(Path::new("/workspaceproxies"))
            .await
            .map(|answer| answer.regions)
    }

    /// One proxy by id; none if it is deleted.
    pub async fn get_proxy(&self, id: ProxyId) -> Result<Option<WorkspaceProxy>, Error> {
        let proxy = absent_is_none(self.get::<WorkspaceProxy>(Path::new(ONE).segment(id)).await)?;
        Ok(proxy.filter(|proxy| !proxy.deleted))
    }

    /// Registers one; the answer has its token.
    pub async fn create_proxy(&self, request: &CreateProxy) -> Result<ProxyWithToken, Error> {
        self.call(Method::Post, Path::new("/workspaceproxies"), Some(request))
            .await
    }

    /// Changes one. **A deleted one accepts it too.**
    pub async fn update_proxy(&self, request: &UpdateProxy) -> Result<WorkspaceProxy, Error> {
        let path = Path::new(ONE).segment(request.id);
        self.call::<_, ProxyWithToken>(Method::Patch, path, Some(request))
            .await
            .map(|answer| answer.proxy)
    }

    /// Changes one and makes a new token. The old token stops working at once.
    pub async fn regenerate_proxy_token(&self, request: &UpdateProxy) -> Result<ProxyWithToken, Error> {
        let body = Regenerate {
            proxy: request,
            regenerate_token: true,
        };
        self.call(Method::Patch, Path::new(ONE).segment(request.id), Some(&body))
            .await
    }

    /// Deletes one. Without permission the server answers as if it were absent (recording 10).
    pub async fn delete_proxy(&self, id: ProxyId) -> Result<(), Error> {
        self.call_unit(Method::Delete, Path::new(ONE).segment(id), None::<&()>)
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "2fb6500b-bb47-4783-a0db-dedde895b865";

    #[test]
    fn a_new_token_is_kept_out_of_sight() {
        let body = format!(
            r#"{{"proxy":{{"id":"{ID}","name":"paris","status":{{"status":"asleep","report":null}}}},"proxy_token":"{ID}:topsecret"}}"#
        );
        let answer: ProxyWithToken = serde_json::from_str(&body).unwrap();
        assert!(answer.proxy_token.is_some());
        assert!(!format!("{answer:?}").contains("topsecret"));
        assert_eq!(answer.proxy.status.unwrap().status, ProxyHealth::Other("asleep".into()));
    }

    #[test]
    fn regeneration_sends_the_whole_proxy() {
        let proxy = UpdateProxy {
            id: ID.parse().unwrap(),
            name: "paris".into(),
            display_name: "Paris".into(),
            icon: "/x".into(),
        };
        assert_eq!(
            serde_json::to_value(Regenerate {
                proxy: &proxy,
                regenerate_token: true
            })
            .unwrap(),
            serde_json::json!({"id": ID, "name": "paris", "display_name": "Paris", "icon": "/x", "regenerate_token": true})
        );
    }
}
