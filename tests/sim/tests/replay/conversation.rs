//! Plays recordings, with the calls that were made but not recorded.

use std::collections::{HashMap, HashSet};
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
/// Exchanges that are not compared to the letter.
pub(crate) struct Exception {
    pub(crate) recordings: &'static [Recording],
    /// How the part's name begins, and the steps there.
    pub(crate) steps: &'static [(&'static str, &'static str)],
    pub(crate) tolerance: Tolerance,
    pub(crate) reason: &'static str,
}

/// What may differ; all else must match. An exception that is not needed is a mismatch as well.
#[derive(Clone, Copy)]
pub(crate) enum Tolerance {
    /// Lists under these names may come in any order; `body` is the whole answer.
    AnyOrder(&'static [&'static str]),
    /// As before, but it depends on random ids whether they do.
    AnyOrderByChance(&'static [&'static str]),
    /// Values under these names.
    Values(&'static [&'static str]),
}

impl Exception {
    fn covers(&self, recording: Recording, part: &str, step: &str) -> bool {
        self.recordings.contains(&recording)
            && self
                .steps
                .iter()
                .any(|(prefix, name)| part.starts_with(prefix) && *name == step)
    }
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
    pub(crate) recording: Recording,
    pub(crate) sim: Sim,
    client: reqwest::Client,
    bindings: Bindings,
    pub(crate) tokens: HashMap<String, String>,
    /// Who has been made and has not signed in yet.
    pub(crate) newcomer: Option<String>,
    /// Steps whose exceptions were needed.
    needed: HashSet<String>,
    /// The text of the last answer.
    pub(crate) last: String,
}

impl Conversation {
    /// A server nobody has used, at the time of the recording.
    pub(crate) async fn start(recording: Recording) -> Self {
        // A second installation fails; the first is enough.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let first = Value::Array(recording.parts()[0].exchanges.clone());
        let start = find(&first, "refreshed_at").or_else(|| find(&first, "created_at"));
        let start = start.expect("a time").parse().expect("a time");
        let mut server = recording.server().clock(Clock::starting_at(start));
        if let Some(id) = find(&first, "deployment_id") {
            // Licences are made for one deployment.
            server = server.deployment_id(id.parse().expect("an id"));
        }
        let sim = server.start().await;
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
            needed: HashSet::new(),
            last: String::new(),
        };
        if !recording.is_about_people() {
            // The recorder waited for the server to come up.
            conversation.send("GET", "/api/v2/buildinfo", None, None).await;
        }
        conversation
    }

    /// Plays a part and returns what did not match.
    pub(crate) async fn play(&mut self, part: &Part, exceptions: &[Exception]) -> Vec<Mismatch> {
        self.unrecorded_before_part(&part.name).await;
        let mut mismatches = Vec::new();
        for exchange in &part.exchanges {
            let step = exchange["step"].as_str().expect("a step").to_owned();
            self.unrecorded_before(&step).await;
            let covers = |exception: &&Exception| exception.covers(self.recording, &part.name, &step);
            let exception = exceptions.iter().find(covers);
            let differences = if exchange["request"]["method"] == "OIDC" {
                self.sign_in(exchange)
            } else {
                self.exchange(exchange, exception).await
            };
            self.unrecorded_after(&part.name, &step, exchange).await;
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

    /// Exceptions of this recording that no exchange needed.
    pub(crate) fn unneeded(&self, exceptions: &[Exception]) -> Vec<String> {
        let of_this = exceptions
            .iter()
            .filter(|exception| exception.recordings.contains(&self.recording))
            .filter(|exception| !matches!(exception.tolerance, Tolerance::AnyOrderByChance(_)));
        let steps = of_this.flat_map(|exception| exception.steps.iter().map(|step| (step, exception.reason)));
        let unneeded = steps.filter(|((_, step), _)| !self.needed.contains(&json!(step).to_string()));
        unneeded
            .map(|((part, step), reason)| format!("{part} [{step}] is an exception without need: {reason}"))
            .collect()
    }

    /// The path of a recorded call, with the simulator's ids.
    pub(crate) fn translated(&self, exchange: &Value) -> String {
        let path = exchange["request"]["path"].as_str().expect("a path");
        self.bindings.translate(path)
    }

    async fn exchange(&mut self, exchange: &Value, exception: Option<&Exception>) -> Vec<String> {
        let (request, recorded) = (&exchange["request"], &exchange["response"]);
        self.pass_time(&recorded["body"]);
        let path = self.translated(exchange);
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
            builder = builder.header(name, self.bindings.translate(value.as_str().expect("a header")));
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
        self.last.clone_from(&text);
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
            if !strictly.is_empty() {
                self.needed.insert(exchange["step"].to_string());
            }
            self.bindings.tolerance = Some(exception.tolerance);
        }
        self.bindings.compare("body", &recorded["body"], &own, &mut differences);
        self.bindings.tolerance = None;
        differences
    }

    /// Somebody came back from the identity provider.
    fn sign_in(&mut self, exchange: &Value) -> Vec<String> {
        let claims = &exchange["request"]["body"];
        let (recorded, own) = (&exchange["response"]["status"], self.sim.sign_in(claims));
        if let (Some(name), Some(session)) = (claims["preferred_username"].as_str(), own.session) {
            self.tokens.insert(name.to_owned(), session);
        }
        if *recorded == json!(own.status) {
            Vec::new()
        } else {
            vec![format!("status: recorded {recorded}, is {}", own.status)]
        }
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

    pub(crate) async fn log_in(&self, name: &str, password: &str) -> String {
        let body = json!({ "email": format!("{name}@example.com"), "password": password });
        let answer = self.send("POST", "/api/v2/users/login", None, Some(body)).await;
        answer["session_token"].as_str().expect("a session").to_owned()
    }

    pub(crate) async fn send(&self, method: &str, path: &str, token: Option<&str>, body: Option<Value>) -> Value {
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
