//! The control surface over HTTP, for a simulator in another process. Small on purpose, open to anyone who reaches it.
//!
//! * `GET /_sim/journal`: all calls
//! * `GET /_sim/state`: everything the deployment remembers
//! * `POST /_sim/faults`: adds a fault, for example `{"method":"POST","template":"/api/v2/organizations","times":1,
//!   "latency_ms":500,"status":503,"body":{"message":"down"}}`; instead of `status` also `"cut":"before"`, `"cut":"after"`
//!   or `"rate_limited":5`, `"page":{"status":502}`, `"hang":true`, and besides `"answer_after_ms":500`
//! * `DELETE /_sim/faults`: takes all faults away
//! * `POST /_sim/gateway`: a gateway in front answers `{"page":{"status":503,"retry_after":5}}`, with `"times":3` only the
//!   next calls, with `"demand":["x-proxy-key","k"]` only those without that header; a page is HTML, or `"text":"no"`, or
//!   leads away with `"status":302,"location":"https://…"`; `DELETE` lets everything through again
//! * `POST /_sim/audit`: makes a fault in the audit log: `"hold"`, `"release"`, `{"delay":{"ms":4000}}`,
//!   `{"disorder":{"ms":4000}}`, `{"purge":{}}`, `{"purge":{"before":"2026-07-24T08:00:00Z"}}`, `{"switch":{"on":false}}`,
//!   `{"burst":{"user":"ann","rows":10000,"ms":60000}}`; see `AuditLog`

use std::time::Duration;

use axum::http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::auditlog;
use crate::faults::Fault;
use crate::gateway;
use crate::server::Shared;
use crate::state::State;

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
    page: Option<gateway::PageRequest>,
    #[serde(default)]
    hang: bool,
}

pub(crate) fn answer(shared: &Shared, method: &Method, command: &str, body: &[u8]) -> Answer {
    match (method, command) {
        (&Method::GET, "journal") => Answer::json(200, &json!(shared.journal.calls())),
        (&Method::GET, "state") => Answer::json(200, &snapshot(&shared.state())),
        (&Method::DELETE, "faults") => {
            shared.faults.clear();
            Answer::empty(204)
        }
        (&Method::POST, "faults") => match serde_json::from_slice::<FaultRequest>(body).map_err(|e| e.to_string()) {
            Ok(request) => match fault(request) {
                Ok(fault) => {
                    shared.faults.add(fault);
                    Answer::empty(204)
                }
                Err(problem) => Answer::message(400, problem),
            },
            Err(problem) => Answer::message(400, problem),
        },
        (&Method::POST, "gateway") => match serde_json::from_slice::<gateway::Command>(body) {
            Ok(command) => {
                command.run(shared);
                Answer::empty(204)
            }
            Err(problem) => Answer::message(400, problem.to_string()),
        },
        (&Method::DELETE, "gateway") => {
            gateway::clear(shared);
            Answer::empty(204)
        }
        (&Method::POST, "audit") => {
            let command = serde_json::from_slice::<auditlog::Command>(body).map_err(|e| e.to_string());
            match command.and_then(|command| command.run(shared)) {
                Ok(()) => Answer::empty(204),
                Err(problem) => Answer::message(400, problem),
            }
        }
        _ => Answer::message(404, "No such command."),
    }
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
        fault = fault.status(status, request.body.unwrap_or_else(|| json!({ "message": "A fault." })));
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

/// Everything the deployment remembers.
pub(crate) fn snapshot(state: &State) -> Value {
    let all = |values: Vec<Value>| Value::Array(values);
    json!({
        "profile": state.profile,
        "deployment_id": state.deployment_id,
        "users": all(state.users.values().map(|row| json!(row)).collect()),
        "organizations": all(state.organizations.values().map(|row| json!(row)).collect()),
        "members": all(state.members.values().map(|row| json!(row)).collect()),
        "custom_roles": state.custom_roles,
        "groups": all(state.groups.values().map(|row| json!(row)).collect()),
        "provisioner_keys": state.provisioner_keys,
        "telemetry": state.configuration.telemetry,
        "licenses": all(state.licenses.values().map(|row| json!(row)).collect()),
        "workspace_proxies": all(state.proxies.values().map(|row| json!(row)).collect()),
        "organization_sync": state.organization_sync.json(state.profile),
        "application_name": state.application_name,
        "notifier_paused": state.notifier_paused,
        "prebuilds_paused": state.prebuilds_paused,
    })
}
