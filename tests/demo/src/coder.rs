//! Coder itself, asked as anybody would.

use reqwest::Method;
use serde_json::Value;

use crate::Failure;
use crate::manifests::at;

/// A server and a token for it.
pub(crate) struct Coder {
    url: String,
    token: String,
    http: reqwest::Client,
}

impl Coder {
    pub(crate) fn new(url: &str, token: &str) -> Self {
        Self {
            url: url.to_owned(),
            token: token.to_owned(),
            http: reqwest::Client::new(),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Value, Failure> {
        self.call(Method::GET, path, None).await
    }

    pub(crate) async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Result<Value, Failure> {
        let url = format!("{}/api/v2{path}", self.url);
        let mut request = self
            .http
            .request(method.clone(), url)
            .header("Coder-Session-Token", &self.token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        if !status.is_success() {
            return Err(format!("{method} {path}: {status} {text}").into());
        }
        Ok(serde_json::from_str(&text).unwrap_or_default())
    }

    /// What it holds of the organizations with these ids, and of everything else at most `limit` each.
    pub(crate) async fn print(&self, organizations: &[String], limit: usize) -> Result<(), Failure> {
        println!("\nCoder now holds (asked over its API):");
        let all = self.get("/organizations").await?;
        for organization in list(&all).filter(|one| organizations.iter().any(|id| id == at(one, "/id"))) {
            let id = at(organization, "/id");
            println!(
                "  organization {:<12} {}",
                at(organization, "/name"),
                at(organization, "/display_name")
            );
            let groups = self.get(&format!("/organizations/{id}/groups")).await?;
            for group in list(&groups) {
                println!("    {}", Held::of(group));
            }
        }
        let proxies = self.get("/workspaceproxies").await?;
        let proxies = proxies.get("regions").cloned().unwrap_or_default();
        for proxy in list(&proxies)
            .filter(|proxy| at(proxy, "/name") != "primary")
            .take(limit)
        {
            println!(
                "  proxy        {:<12} {}",
                at(proxy, "/name"),
                at(proxy, "/display_name")
            );
        }
        let licenses = self.get("/licenses").await.unwrap_or_default();
        for license in list(&licenses).take(limit) {
            let id = license.get("id").map(Value::to_string).unwrap_or_default();
            let expires = license
                .pointer("/claims/license_expires")
                .and_then(Value::as_i64)
                .unwrap_or_default();
            let expires = jiff::Timestamp::from_second(expires).map(|at| at.strftime("%Y-%m-%d").to_string());
            let set = at(license, "/claims/feature_set");
            println!("  licence      {id:<12} {set}, expires {}", expires.unwrap_or_default());
        }
        Ok(())
    }
}

/// The part of a group that the demo changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) name: String,
    pub(crate) quota: i64,
    /// Ids and names, in the order of the names.
    pub(crate) members: Vec<(String, String)>,
}

impl Held {
    pub(crate) fn of(group: &Value) -> Self {
        let members = group.get("members").cloned().unwrap_or_default();
        let mut members: Vec<(String, String)> = list(&members)
            .map(|one| (at(one, "/username").to_owned(), at(one, "/id").to_owned()))
            .collect();
        members.sort();
        Self {
            name: at(group, "/name").to_owned(),
            quota: group.get("quota_allowance").and_then(Value::as_i64).unwrap_or_default(),
            members: members.into_iter().map(|(name, id)| (id, name)).collect(),
        }
    }
}

impl std::fmt::Display for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.members.iter().map(|(_, name)| name.as_str()).collect();
        let names = if names.is_empty() {
            "nobody".to_owned()
        } else {
            names.join(", ")
        };
        write!(f, "group {:<12} quota {:<3} members {names}", self.name, self.quota)
    }
}

/// The items of a JSON array.
pub(crate) fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
