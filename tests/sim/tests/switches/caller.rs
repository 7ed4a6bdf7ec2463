//! A client that follows no redirects and shows all of an answer.

use std::sync::LazyLock;
use std::time::Duration;

use coder_sim::{Method, Sim};
use serde_json::Value;

/// One for all tests: connections belong to the test that made them, so none is kept.
static CLIENT: LazyLock<reqwest::Client> = LazyLock::new(|| {
    // A second installation fails; the first is enough.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    builder.pool_max_idle_per_host(0).build().expect("a client")
});

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) text: String,
    pub(crate) body: Value,
    headers: reqwest::header::HeaderMap,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("a text"))
    }

    /// Whether Coder itself wrote it.
    pub(crate) fn is_coders(&self) -> bool {
        self.header("x-coder-build-version").is_some()
    }
}

/// A call that can still be told more.
pub(crate) struct Call(reqwest::RequestBuilder);

impl Call {
    pub(crate) fn new(sim: &Sim, method: Method, path: &str) -> Self {
        Self(CLIENT.request(method, format!("{}{path}", sim.url())))
    }

    pub(crate) fn token(self, token: &str) -> Self {
        self.header("Coder-Session-Token", token)
    }

    pub(crate) fn header(self, name: &str, value: &str) -> Self {
        Self(self.0.header(name, value))
    }

    pub(crate) fn body(self, body: &Value) -> Self {
        Self(self.0.body(body.to_string()))
    }

    pub(crate) fn timeout(self, after: Duration) -> Self {
        Self(self.0.timeout(after))
    }

    /// The answer, or `None` when there was none.
    pub(crate) async fn send(self) -> Option<Answer> {
        let answer = self.0.send().await.ok()?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let text = answer.text().await.ok()?;
        let body = serde_json::from_str(&text).unwrap_or_default();
        Some(Answer {
            status,
            text,
            body,
            headers,
        })
    }
}

/// Calls as the first user.
pub(crate) async fn call(sim: &Sim, method: Method, path: &str, body: Option<Value>) -> Answer {
    let call = Call::new(sim, method, path).token(sim.owner_token());
    let call = match body {
        Some(body) => call.body(&body),
        None => call,
    };
    call.send().await.expect("an answer")
}

pub(crate) async fn get(sim: &Sim, path: &str) -> Answer {
    call(sim, Method::GET, path, None).await
}

pub(crate) async fn post(sim: &Sim, path: &str, body: Value) -> Answer {
    call(sim, Method::POST, path, Some(body)).await
}

pub(crate) async fn patch(sim: &Sim, path: &str, body: Value) -> Answer {
    call(sim, Method::PATCH, path, Some(body)).await
}
