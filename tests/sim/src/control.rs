//! The control surface over HTTP, for a simulator in another process. Small on purpose, open to anyone who reaches it.
//!
//! * `GET /_sim/journal`: all calls
//! * `GET /_sim/state`: everything the deployment remembers
//! * `POST /_sim/faults`: adds a fault, for example `{"method":"POST","template":"/api/v2/organizations","times":1,
//!   "latency_ms":500,"status":503,"body":{"message":"down"}}`, with `"done":true` after doing what was asked; instead of `status`
//!   also `"cut":"before"`, `"cut":"after"`, `"rate_limited":5`, `"page":{"status":502}` or `"hang":true`; and besides
//!   `"answer_after_ms":500`
//! * `DELETE /_sim/faults`: takes all faults away
//! * `POST /_sim/gateway`: a gateway in front answers `{"page":{"status":503,"retry_after":5}}`, with `"times":3` only the
//!   next calls, with `"demand":["x-proxy-key","k"]` only those without that header; a page is HTML, or `"text":"no"`, or
//!   leads away with `"status":302,"location":"https://…"`; `DELETE` lets everything through again
//! * `POST /_sim/seed`: much at once, `{"organization":"default","users":20000,"groups":10000,"members_each":3}`
//! * `POST /_sim/sign-in`: somebody comes back from the identity provider with these claims, for example
//!   `{"sub":"1","email":"kim@example.com","preferred_username":"kim","groups":["devs"]}`; answers `{"status":200,"session":"…"}`
//! * `PATCH /_sim/settings`: `{"telemetry":true,"last_license_number":0,"time_per_listed_group_us":4500,"journal":1000}`, each
//!   left out as it is
//! * `POST /_sim/audit`: makes a fault in the audit log: `"hold"`, `"release"`, `{"delay":{"ms":4000}}`,
//!   `{"disorder":{"ms":4000}}`, `{"purge":{}}`, `{"purge":{"before":"2026-07-24T08:00:00Z"}}`, `{"switch":{"on":false}}`,
//!   `{"burst":{"user":"ann","rows":10000,"ms":60000}}`; see `AuditLog`

use std::time::Duration;

use axum::http::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::auditlog;
use crate::faults::Fault;
use crate::gateway;
use crate::seed;
use crate::server::Shared;
use crate::signin;

#[derive(Deserialize)]
struct FaultRequest {
    method: Option<String>,
    template: Option<String>,
    times: Option<u64>,
    latency_ms: Option<u64>,
    status: Option<u16>,
    body: Option<Value>,
    cut: Option<String>,
    rate_limited: Option<u64>,
    answer_after_ms: Option<u64>,
    #[serde(default)]
    done: bool,
    page: Option<gateway::PageRequest>,
    #[serde(default)]
    hang: bool,
}

/// Small settings, each changed only where it is given.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    telemetry: Option<bool>,
    last_license_number: Option<i32>,
    time_per_listed_group_us: Option<u64>,
    journal: Option<usize>,
}

impl Settings {
    fn set(self, shared: &Shared) {
        let mut state = shared.state();
        if let Some(telemetry) = self.telemetry {
            state.process.configuration.telemetry = telemetry;
            state.refresh_entitlements();
        }
        if let Some(number) = self.last_license_number {
            state.last_license_id = number;
        }
        if let Some(time) = self.time_per_listed_group_us {
            state.process.configuration.time_per_listed_group = Duration::from_micros(time);
        }
        if let Some(most) = self.journal {
            shared.journal.keep(most);
        }
    }
}

pub(crate) fn answer(shared: &Shared, method: &Method, command: &str, body: &[u8]) -> Answer {
    let done = match (method, command) {
        (&Method::GET, "journal") => return Answer::json(200, &shared.journal.calls()),
        (&Method::GET, "state") => return Answer::json(200, &shared.state().snapshot()),
        (&Method::POST, "sign-in") => return sign_in(shared, body),
        (&Method::DELETE, "faults") => {
            shared.faults.clear();
            Ok(())
        }
        (&Method::DELETE, "gateway") => {
            gateway::clear(shared);
            Ok(())
        }
        (&Method::POST, "faults") => read(body).and_then(fault).map(|fault| shared.faults.add(fault)),
        (&Method::POST, "gateway") => read(body).map(|command: gateway::Command| command.run(shared)),
        (&Method::POST, "audit") => read(body).and_then(|command: auditlog::Command| command.run(shared)),
        (&Method::POST, "seed") => read(body).and_then(|request: seed::Request| request.run(shared)),
        (&Method::PATCH, "settings") => read(body).map(|settings: Settings| settings.set(shared)),
        _ => return Answer::message(404, "No such command."),
    };
    match done {
        Ok(()) => Answer::empty(204),
        Err(problem) => Answer::message(400, problem),
    }
}

fn sign_in(shared: &Shared, claims: &[u8]) -> Answer {
    match read(claims) {
        Ok(claims) => Answer::json(200, &json!(signin::sign_in(&mut shared.state(), &claims))),
        Err(problem) => Answer::message(400, problem),
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| error.to_string())
}

fn fault(request: FaultRequest) -> Result<Fault, String> {
    let method = request
        .method
        .map(|method| method.parse::<Method>().map_err(|error| error.to_string()))
        .transpose()?;
    let mut fault = match (method, request.template) {
        (Some(method), Some(template)) => Fault::on(method, &template),
        (Some(method), None) => Fault::on_method(method),
        (None, None) => Fault::on_any(),
        (None, Some(_)) => return Err("a template needs a method".to_owned()),
    };
    if let Some(times) = request.times {
        fault = fault.times(times);
    }
    if let Some(latency) = request.latency_ms {
        fault = fault.latency(Duration::from_millis(latency));
    }
    if let Some(status) = request.status {
        let body = request.body.unwrap_or_else(|| json!({ "message": "A fault." }));
        fault = if request.done {
            fault.done_but_answered(status, body)
        } else {
            fault.status(status, body)
        };
    }
    if let Some(seconds) = request.rate_limited {
        fault = fault.rate_limited(Duration::from_secs(seconds));
    }
    if let Some(delay) = request.answer_after_ms {
        fault = fault.answer_after(Duration::from_millis(delay));
    }
    if let Some(page) = request.page {
        fault = fault.page(page.page());
    }
    if request.hang {
        fault = fault.hang();
    }
    match request.cut.as_deref() {
        Some("before") => Ok(fault.cut_before()),
        Some("after") => Ok(fault.cut_after()),
        Some(other) => Err(format!("cut is before or after, not {other:?}")),
        None => Ok(fault),
    }
}
