//! Plays recordings, with the calls that were made but not recorded.

use std::collections::HashMap;
use std::fmt;

use coder_sim::{Clock, Sim};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::bindings::Bindings;
use crate::recordings::{Part, Recording, find};

/// The headers that the recordings keep.
const KEPT: [&str; 6] = [
    "content-type",
    "retry-after",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "location",
    "www-authenticate",
];
/// How the recorder called itself.
const RECORDER: &str = "Python-urllib/3.11";
/// What every recorded user signs in with.
const PASSWORD: &str = "SomeSecurePassword!1";

/// An exchange that is not compared to the letter.
pub(crate) struct Exception {
    pub(crate) recording: Recording,
    pub(crate) part: &'static str,
    pub(crate) step: &'static str,
    pub(crate) actor: &'static str,
    /// Lists under this name may come in any order; all else must match.
    pub(crate) any_order: &'static str,
    pub(crate) reason: &'static str,
}

/// An exchange that came out otherwise.
pub(crate) struct Mismatch {
    pub(crate) part: String,
    pub(crate) step: String,
    call: String,
    differences: Vec<String>,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{} [{}] {}", self.part, self.step, self.call)?;
        for difference in self.differences.iter().take(12) {
            writeln!(formatter, "    {difference}")?;
        }
        Ok(())
    }
}

/// Fields that hold times at or before the moment when a server answers with them.
const PAST: [&str; 7] = [
    "created_at",
    "last_seen_at",
    "last_used",
    "refreshed_at",
    "time",
    "updated_at",
    "uploaded_at",
];

/// A simulator and what was said to it so far.
pub(crate) struct Conversation {
    recording: Recording,
    sim: Sim,
    client: reqwest::Client,
    bindings: Bindings,
    tokens: HashMap<String, String>,
    newcomer: Option<String>,
}

impl Conversation {
    /// A server nobody has used, at the time of the recording.
    pub(crate) async fn start(recording: Recording) -> Self {
        // A second installation fails; the first is enough.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let first = Value::Array(recording.parts()[0].exchanges.clone());
        let start = find(&first, "refreshed_at").or_else(|| find(&first, "created_at"));
        let start = start.expect("a time").parse().expect("a time");
        let sim = recording.server().clock(Clock::starting_at(start)).start().await;
        // A server that never says where it is is nowhere in its answers.
        let url = find(&first, "dashboard_url").unwrap_or_else(|| "http://coder.invalid".to_owned());
        let bindings = Bindings::new(&url, &sim.url());
        let tokens = [
            ("garbage", "not-a-token"),
            ("unknown", "abcdefghij-abcdefghijklmnopqrstuv"),
        ];
        let tokens = tokens.map(|(actor, token)| (actor.to_owned(), token.to_owned())).into();
        let conversation = Self {
            recording,
            sim,
            client: reqwest::Client::new(),
            bindings,
            tokens,
            newcomer: None,
        };
        // The recorder waited for the server to come up.
        conversation.send("GET", "/api/v2/buildinfo", None, None).await;
        conversation
    }

    /// Plays a part and returns what did not match.
    pub(crate) async fn play(&mut self, part: &Part, exceptions: &[Exception]) -> Vec<Mismatch> {
        if part.name.starts_with("13") {
            // The calls that use up the limit of the path whose refusal is recorded.
            for _ in 0..512 {
                self.send(
                    "GET",
                    "/api/v2/users/ann",
                    self.tokens.get("owner").map(String::as_str),
                    None,
                )
                .await;
            }
        }
        let mut mismatches = Vec::new();
        for exchange in &part.exchanges {
            let step = exchange["step"].as_str().expect("a step").to_owned();
            self.sign_in_newcomer(&step).await;
            let exception = exceptions.iter().find(|exception| {
                exception.recording == self.recording
                    && part.name.starts_with(exception.part)
                    && exception.step == step
                    && exchange["actor"] == exception.actor
            });
            let differences = self.exchange(exchange, exception).await;
            self.unrecorded_after(&part.name, &step).await;
            if !differences.is_empty() {
                let request = &exchange["request"];
                let call = format!(
                    "{} {} {}",
                    exchange["actor"].as_str().unwrap_or_default(),
                    request["method"].as_str().unwrap_or_default(),
                    request["path"].as_str().unwrap_or_default()
                );
                mismatches.push(Mismatch {
                    part: part.name.clone(),
                    step,
                    call,
                    differences,
                });
            }
        }
        mismatches
    }

    async fn exchange(&mut self, exchange: &Value, exception: Option<&Exception>) -> Vec<String> {
        let (request, recorded) = (&exchange["request"], &exchange["response"]);
        self.pass_time(&recorded["body"]);
        let path = self.bindings.translate(request["path"].as_str().expect("a path"));
        let body = match (request.get("body"), request.get("raw")) {
            (Some(body), _) => Some(self.bindings.translate(&body.to_string())),
            (None, Some(raw)) => raw.as_str().map(str::to_owned),
            (None, None) => None,
        };
        let method = request["method"].as_str().expect("a method");
        let actor = exchange["actor"].as_str().expect("an actor");
        let token = match actor {
            "anonymous" => None,
            actor => Some(self.tokens.get(actor).expect("the actor has a token").clone()),
        };
        let mut builder = self.request(method, &path, token.as_deref(), body);
        if request["headers"].get("User-Agent").is_none() {
            builder = builder.header("User-Agent", RECORDER);
        }
        for (name, value) in request["headers"].as_object().into_iter().flatten() {
            builder = builder.header(name, value.as_str().expect("a header"));
        }
        let response = builder.send().await.expect("an answer");
        let mut differences = Vec::new();
        let status = response.status().as_u16();
        if recorded["status"] != json!(status) {
            differences.push(format!("status: recorded {}, is {status}", recorded["status"]));
        }
        for name in KEPT {
            let recorded = recorded["headers"].get(name).and_then(Value::as_str);
            let own = response
                .headers()
                .get(name)
                .map(|value| value.to_str().expect("a text"));
            let same = match (recorded, own) {
                (Some(recorded), Some(own)) => self.bindings.same_text(recorded, own),
                (recorded, own) => recorded == own,
            };
            if !same {
                differences.push(format!("{name}: recorded {recorded:?}, is {own:?}"));
            }
        }
        let text = response.text().await.expect("a body");
        let own = match serde_json::from_str(&text) {
            Ok(value) => value,
            Err(_) if text.is_empty() => Value::Null,
            // Texts were cut by the recorder, perhaps within an id.
            Err(_) => Value::String(self.bindings.recorded(&text).chars().take(200).collect()),
        };
        if let Some(exception) = exception {
            let mut strictly = Vec::new();
            self.bindings
                .clone()
                .compare("body", &recorded["body"], &own, &mut strictly);
            if strictly.is_empty() {
                differences.push(format!("an exception that is none: {}", exception.reason));
            }
            self.bindings.any_order = Some(exception.any_order);
        }
        self.bindings.compare("body", &recorded["body"], &own, &mut differences);
        self.bindings.any_order = None;
        differences
    }

    /// The recorder waited now and then, which shows in the request limiter: time passes here as it did there, as far as
    /// answers tell.
    fn pass_time(&self, recorded: &Value) {
        if let Some(then) = newest(recorded)
            && then > self.sim.clock().now()
        {
            self.sim.clock().set(then);
        }
    }

    /// After the first user the owner signed in and made a token.
    async fn unrecorded_after(&mut self, part: &str, step: &str) {
        if let Some(name) = step.strip_prefix("user ")
            && part.starts_with("10")
        {
            self.newcomer = Some(name.to_owned());
        }
        if step == "refresh too soon" {
            // The recorder looked, without a token, whether the licence was in force. Only the older server's limiter,
            // which counts by address, shows it.
            self.send("GET", "/api/v2/entitlements", None, None).await;
        }
        if step == "first user" {
            let session = self.sign_in("owner").await;
            let body = json!({ "token_name": "operator", "lifetime": 3_600_000_000_000_i64 });
            let answer = self
                .send("POST", "/api/v2/users/me/keys/tokens", Some(&session), Some(body))
                .await;
            self.tokens
                .insert("owner".to_owned(), answer["key"].as_str().expect("a token").to_owned());
        }
    }

    /// Each user of part 10 signed in once it had got its roles.
    async fn sign_in_newcomer(&mut self, next: &str) {
        if next.starts_with("roles of ") || next.starts_with("member roles of ") {
            return;
        }
        if let Some(name) = self.newcomer.take() {
            let session = self.sign_in(&name).await;
            self.tokens.insert(name, session);
        }
    }

    async fn sign_in(&self, name: &str) -> String {
        let body = json!({ "email": format!("{name}@example.com"), "password": PASSWORD });
        let answer = self.send("POST", "/api/v2/users/login", None, Some(body)).await;
        answer["session_token"].as_str().expect("a session").to_owned()
    }

    async fn send(&self, method: &str, path: &str, token: Option<&str>, body: Option<Value>) -> Value {
        let request = self.request(method, path, token, body.map(|body| body.to_string()));
        let text = request.send().await.expect("an answer").text().await.expect("a body");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    fn request(&self, method: &str, path: &str, token: Option<&str>, body: Option<String>) -> reqwest::RequestBuilder {
        let method = method.parse().expect("a method");
        let mut builder = self.client.request(method, format!("{}{path}", self.sim.url()));
        if let Some(token) = token {
            builder = builder.header("Coder-Session-Token", token);
        }
        match body {
            Some(body) => builder.header("Content-Type", "application/json").body(body),
            None => builder,
        }
    }
}

/// The newest time in an answer.
fn newest(value: &Value) -> Option<Timestamp> {
    match value {
        Value::Object(object) => {
            let times = object.iter().map(|(name, value)| match value {
                Value::String(text) if PAST.contains(&name.as_str()) => text.parse().ok(),
                Value::String(_) => None,
                value => newest(value),
            });
            times.flatten().max()
        }
        Value::Array(values) => values.iter().filter_map(newest).max(),
        _ => None,
    }
}
