//! The Coder of a test: the simulated one, or a real one.

use std::sync::atomic::{AtomicU32, Ordering};

use coder_sim::{Entry, Mark, Profile, Sim};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

/// The users that every Coder of the tests has.
const USERS: [&str; 3] = ["ann", "bob", "carl"];

use super::PATIENCE;

/// A Coder server and an owner's token for it.
pub(crate) struct Coder {
    pub(crate) url: String,
    pub(crate) token: String,
    sim: Option<Sim>,
    http: reqwest::Client,
}

impl Coder {
    /// The server that the environment names, or a simulated one of its own.
    pub(crate) async fn any() -> Self {
        match (std::env::var("CODER_E2E_URL"), std::env::var("CODER_E2E_TOKEN")) {
            (Ok(url), Ok(token)) => {
                static LICENSED: OnceCell<()> = OnceCell::const_new();
                let coder = Self {
                    url,
                    token,
                    sim: None,
                    http: http(),
                };
                LICENSED.get_or_init(|| coder.license()).await;
                coder
            }
            _ => Self::simulated(Profile::Main).await,
        }
    }

    /// Gives a real server the licence of `CODER_E2E_LICENSE`, a file with a JWT, and the users that the tests speak of.
    async fn license(&self) {
        if let Ok(file) = std::env::var("CODER_E2E_LICENSE") {
            let license = std::fs::read_to_string(&file).expect("CODER_E2E_LICENSE names a file with a JWT");
            let body = json!({ "license": license.trim() });
            let (status, answer) = self.call(Method::POST, "/licenses", Some(body)).await;
            let there = answer["detail"]
                .as_str()
                .is_some_and(|detail| detail.contains("licenses_jwt_key"));
            assert!(status.is_success() || there, "the licence: {status} {answer}");
        }
        let nobody = "00000000-0000-0000-0000-000000000000";
        for name in USERS {
            let body = json!({
                "email": format!("{name}@example.com"), "username": name, "login_type": "none",
                "organization_ids": [nobody], "user_status": "active",
            });
            let (status, answer) = self.call(Method::POST, "/users", Some(body)).await;
            assert!(
                status.is_success() || status == StatusCode::CONFLICT,
                "user {name}: {status} {answer}"
            );
        }
    }

    /// A simulated one with the users ann, bob and carl.
    pub(crate) async fn simulated(profile: Profile) -> Self {
        Self::of(Sim::builder(profile).users(USERS).start().await)
    }

    pub(crate) fn of(sim: Sim) -> Self {
        Self {
            url: sim.url(),
            token: sim.owner_token().to_owned(),
            sim: Some(sim),
            http: http(),
        }
    }

    /// Whether the environment names a real server.
    pub(crate) fn is_real() -> bool {
        std::env::var_os("CODER_E2E_URL").is_some() && std::env::var_os("CODER_E2E_TOKEN").is_some()
    }

    /// The simulator behind it.
    pub(crate) fn sim(&self) -> &Sim {
        self.sim
            .as_ref()
            .expect("this test needs the simulator: begin it with `simulated_only!`")
    }

    /// The operator's calls after `mark`: those of the test itself are not among them.
    pub(crate) fn calls_since(&self, mark: Mark) -> Vec<Entry> {
        let calls = self.sim().journal().since(mark).into_iter();
        calls
            .filter(|call| call.user_agent.starts_with("coder-operator/"))
            .collect()
    }

    /// What the operator wrote after `mark`, one `METHOD path` each.
    pub(crate) fn writes_since(&self, mark: Mark) -> Vec<String> {
        let calls = self.calls_since(mark).into_iter();
        calls
            .filter(|call| call.effect.is_write())
            .map(|call| format!("{} {}", call.method, call.path))
            .collect()
    }

    /// Waits until the operator has looked at each instance that many times from now on.
    pub(crate) async fn looks(&self, times: usize) {
        let mut mark = self.sim().journal().mark();
        for _ in 0..times {
            let probe = |call: &Entry| call.template == "/api/v2/entitlements";
            self.sim()
                .journal()
                .wait_since(mark, probe, PATIENCE)
                .await
                .expect("the operator looks at the instance");
            mark = self.sim().journal().mark();
        }
    }

    /// One call of the API as the owner; answers with status and body.
    pub(crate) async fn call(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        self.call_as(&self.token, method, path, body).await
    }

    /// The same as whoever that token belongs to.
    pub(crate) async fn call_as(
        &self,
        token: &str,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> (StatusCode, Value) {
        let mut request = self
            .http
            .request(method, format!("{}/api/v2{path}", self.url))
            .header("Coder-Session-Token", token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.expect("Coder answers");
        let status = answer.status();
        let text = answer.text().await.expect("a body");
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// A read that must succeed.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, body) = self.call(Method::GET, path, None).await;
        assert!(status.is_success(), "GET {path}: {status} {body}");
        body
    }

    /// A write that must succeed: what somebody else does behind the operator's back.
    pub(crate) async fn change(&self, method: Method, path: &str, body: Value) -> Value {
        self.change_as(&self.token, method, path, body).await
    }

    /// The same as whoever that token belongs to.
    pub(crate) async fn change_as(&self, token: &str, method: Method, path: &str, body: Value) -> Value {
        let (status, answer) = self.call_as(token, method.clone(), path, Some(body)).await;
        assert!(status.is_success(), "{method} {path}: {status} {answer}");
        answer
    }

    /// The organization of that name, if there is one.
    pub(crate) async fn organization(&self, name: &str) -> Option<Value> {
        let list = self.get("/organizations").await;
        list.as_array().unwrap().iter().find(|one| one["name"] == name).cloned()
    }

    /// The group of that name in an organization.
    pub(crate) async fn group(&self, organization: &str, name: &str) -> Option<Value> {
        let list = self.get(&format!("/organizations/{organization}/groups")).await;
        list.as_array().unwrap().iter().find(|one| one["name"] == name).cloned()
    }

    /// The names of the members of a group, sorted.
    pub(crate) async fn members(&self, organization: &str, group: &str) -> Vec<String> {
        let group = self.group(organization, group).await.expect("the group");
        let members = group["members"].as_array().cloned().unwrap_or_default();
        let mut names: Vec<String> = members
            .iter()
            .map(|member| member["username"].as_str().unwrap().to_owned())
            .collect();
        names.sort();
        names
    }
}

fn http() -> reqwest::Client {
    test_ground::init();
    reqwest::Client::new()
}

/// A name that no other test uses on the same Coder: at most 32 letters, digits and hyphens.
pub(crate) fn unique(prefix: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{prefix}-{:x}-{count}", std::process::id())
}
