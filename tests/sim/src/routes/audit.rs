//! Reading the audit log.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::answer::{Answer, Outcome};
use crate::audit::Record;
use crate::router::{Call, Route};

pub(super) static ROUTES: &[Route] = &[Route::get("/api/v2/audit", list)];

const TERMS: [&str; 10] = [
    "resource_type",
    "resource_id",
    "resource_target",
    "username",
    "email",
    "date_from",
    "date_to",
    "organization",
    "action",
    "request_id",
];
/// The kinds that the older server knows too.
const KINDS: [&str; 16] = [
    "api_key",
    "convert_login",
    "custom_role",
    "git_ssh_key",
    "group",
    "health_settings",
    "license",
    "notification_template",
    "notifications_settings",
    "oauth2_provider_app",
    "oauth2_provider_app_secret",
    "organization",
    "organization_member",
    "template",
    "user",
    "workspace_proxy",
];

/// A search term.
struct Term {
    key: String,
    value: String,
    /// Where the value is a day: its midnight and the next.
    day: Option<(Timestamp, Timestamp)>,
}

fn refuse(field: &str, detail: String) -> Answer {
    Answer::validations(400, "Invalid audit search query.", &[(field, detail)])
}

fn terms(call: &Call<'_>) -> Result<Vec<Term>, Answer> {
    let mut terms = Vec::new();
    for element in call.query("q").unwrap_or_default().to_lowercase().split_whitespace() {
        let parts: Vec<&str> = element.split(':').collect();
        let (key, value) = match parts.as_slice() {
            [value] => ("resource_target", *value),
            [key, value] => (*key, *value),
            _ => return Err(refuse("q", format!("Query element {element:?} can only contain 1 ':'"))),
        };
        if !TERMS.contains(&key) {
            return Err(refuse(key, format!("{key:?} is not a valid query param")));
        }
        let newer = call.state.traits().audit_of_settings && value.starts_with("idp_sync_settings_");
        if key == "resource_type" && !newer && !KINDS.contains(&value) {
            let detail = format!("Query param {key:?} has invalid value: {value:?} is not a valid value");
            return Err(refuse(key, detail));
        }
        terms.push(Term {
            key: key.to_owned(),
            value: value.to_owned(),
            day: value.parse().ok().and_then(day),
        });
    }
    Ok(terms)
}

fn day(date: Date) -> Option<(Timestamp, Timestamp)> {
    let midnight = |date: Date| date.to_zoned(TimeZone::UTC).ok().map(|midnight| midnight.timestamp());
    Some((midnight(date)?, midnight(date.tomorrow().ok()?)?))
}

fn matches(call: &Call<'_>, record: &Record, term: &Term) -> bool {
    let value = term.value.as_str();
    let user = || call.state.users.get(&record.user);
    match term.key.as_str() {
        "resource_type" => record.note.kind == value,
        "resource_id" => record.note.id.to_string() == value,
        "resource_target" => record.note.target.to_lowercase() == value,
        "username" => user().is_some_and(|user| user.username.to_lowercase() == value),
        "email" => user().is_some_and(|user| user.email.to_lowercase() == value),
        "date_from" => term.day.is_none_or(|(midnight, _)| record.time >= midnight),
        "date_to" => term.day.is_none_or(|(_, next)| record.time < next),
        "organization" => call
            .state
            .find_organization(value)
            .is_some_and(|found| found.id == record.note.organization),
        "action" => record.note.action == value,
        "request_id" => record.request_id.to_string() == value,
        _ => false,
    }
}

fn list(call: &mut Call<'_>) -> Outcome {
    let terms = terms(call)?;
    let all = call.rights.audit_read();
    let own: Vec<Uuid> = call.rights.audited_organizations();
    if !all && own.is_empty() && call.state.traits().forbidden_audit {
        return Err(call.forbidden());
    }
    let (_, offset) = call.page();
    let limit = call
        .query("limit")
        .and_then(|limit| limit.parse().ok())
        .filter(|limit| *limit > 0)
        .unwrap_or(100);
    let now = call.state.now();
    call.state.audit_log.pass(now);
    let found: Vec<&Record> = call
        .state
        .audit_log
        .newest_first()
        .filter(|record| all || own.contains(&record.note.organization))
        .filter(|record| terms.iter().all(|term| matches(call, record, term)))
        .collect();
    let page: Value = found
        .iter()
        .skip(offset)
        .take(limit)
        .map(|record| record.json(call.state))
        .collect();
    let mut body = json!({ "audit_logs": page, "count": found.len() });
    if call.state.traits().forbidden_audit
        && let Some(object) = body.as_object_mut()
    {
        object.insert("count_cap".to_owned(), json!(2000));
    }
    Ok(Answer::json(200, &body))
}
