//! Every refusal recorded, and what it means.

use coder_operator::coder::{Call, Class, Error, Method, RawAnswer};

use crate::recordings::{Exchange, SERVERS, of};

/// Status, the beginning of the message, a part of the detail, meaning. The first row that fits counts.
const TABLE: &[(u16, &str, &str, Class)] = &[
    (
        400,
        "Failed to add or remove non-existent group member",
        "rbac: forbidden",
        Class::Forbidden,
    ),
    (400, "Failed to update role permissions", "invalid role", Class::Invalid),
    (
        400,
        "Failed to update role permissions",
        "duplicate key value",
        Class::AlreadyExists,
    ),
    (
        400,
        "Cannot add the same user to a group twice!",
        "",
        Class::AlreadyMember,
    ),
    (400, "User is already an organization member", "", Class::AlreadyMember),
    (
        400,
        "Organization member already exists in this organization",
        "",
        Class::AlreadyMember,
    ),
    (400, "\"user\" must be an existing uuid or username.", "", Class::Absent),
    (400, "Entitlements already recently refreshed", "", Class::RateLimited),
    (400, "App ID does not match secret app ID.", "", Class::Invalid),
    (400, "Cannot delete primary proxy", "", Class::Invalid),
    (400, "Cannot rename the \"Everyone\" group!", "", Class::Invalid),
    (
        400,
        "Cannot update the Display Name for the \"Everyone\" group!",
        "",
        Class::Invalid,
    ),
    (
        400,
        "\"Everyone\" is a reserved group and cannot be deleted!",
        "",
        Class::Invalid,
    ),
    (400, "Default organization cannot be deleted.", "", Class::Invalid),
    (400, "ID \"", "", Class::Invalid),
    (400, "Invalid UUID", "", Class::Invalid),
    (400, "Invalid audit search query.", "", Class::Invalid),
    (400, "Invalid color format", "", Class::Invalid),
    (400, "Invalid group name.", "", Class::Invalid),
    (400, "Invalid license", "license has multiple issues", Class::Invalid),
    (
        400,
        "Invalid request to update notification template method",
        "",
        Class::Invalid,
    ),
    (
        400,
        "Invalid request, not allowed to assign site wide permissions",
        "",
        Class::Invalid,
    ),
    (400, "Invalid shareable workspace owners value.", "", Class::Invalid),
    (400, "Name cannot be reserved name", "", Class::Invalid),
    (400, "Name is required", "", Class::Invalid),
    (400, "Name must be at most 64 characters", "", Class::Invalid),
    (400, "No organization specified", "", Class::Invalid),
    (400, "Organization name \"default\" is reserved.", "", Class::Invalid),
    (400, "Password is invalid", "", Class::Invalid),
    (400, "Password not strong enough!", "", Class::Invalid),
    (400, "Query parameters have invalid values.", "", Class::Invalid),
    (400, "Request body must be valid JSON.", "", Class::Invalid),
    (400, "Reserved role name", "", Class::Invalid),
    (400, "The name \"primary\" is reserved", "", Class::Invalid),
    (400, "Unexpected field 'legacy_group_name_mapping'.", "", Class::Invalid),
    (400, "User must be a member of organization", "", Class::Invalid),
    (400, "Validation failed.", "", Class::Invalid),
    (
        400,
        "You cannot change your own organization roles.",
        "",
        Class::Invalid,
    ),
    (400, "You cannot change your own roles.", "", Class::Invalid),
    (400, "\"no-such-role", "", Class::Invalid),
    (400, "attempt to assign a role", "", Class::Invalid),
    (400, "cannot remove self from an organization", "", Class::Invalid),
    (401, "", "", Class::Unauthorized),
    (
        403,
        "Advanced template scheduling (and user quiet hours schedule) is an Enterprise feature.",
        "",
        Class::NotEntitled,
    ),
    (403, "Custom Roles is a Premium feature.", "", Class::NotEntitled),
    (
        403,
        "External Provisioner Daemons is a Premium feature.",
        "",
        Class::NotEntitled,
    ),
    (
        403,
        "Multiple Organizations is a Premium feature.",
        "",
        Class::NotEntitled,
    ),
    (403, "Template RBAC is a Premium feature.", "", Class::NotEntitled),
    (403, "Workspace Proxy is a Premium feature.", "", Class::NotEntitled),
    (403, "OAuth2 provider is under development.", "", Class::Unsupported),
    (
        403,
        "Cannot add or remove users from the \"Everyone\" group!",
        "",
        Class::Invalid,
    ),
    (403, "You cannot delete yourself!", "", Class::Invalid),
    (403, "Forbidden.", "", Class::Forbidden),
    (
        403,
        "Insufficient permissions to update appearance",
        "",
        Class::Forbidden,
    ),
    (403, "You are not authorized to create users.", "", Class::Forbidden),
    (404, "Route not found.", "", Class::Unsupported),
    (404, "License ID must be an integer", "", Class::Invalid),
    (404, "No custom role with the name", "", Class::Absent),
    (404, "OAuth2 application not found.", "", Class::Absent),
    (
        404,
        "Resource not found or you do not have access to this resource",
        "",
        Class::Absent,
    ),
    (404, "The initial user has not been created!", "", Class::Absent),
    (404, "Unknown license ID", "", Class::Absent),
    (405, "", "", Class::Unsupported),
    (409, "", "", Class::AlreadyExists),
    (
        428,
        "\"X-Coder-Bypass-Ratelimit\" provided but user is not owner",
        "",
        Class::BypassRefused,
    ),
    (429, "You've been rate limited", "", Class::RateLimited),
    (500, "", "rbac: forbidden", Class::Forbidden),
    (
        500,
        "An internal server error occurred.",
        "parse daily schedule",
        Class::Invalid,
    ),
    (
        500,
        "An internal server error occurred.",
        "workspace_proxies_lower_name_idx",
        Class::AlreadyExists,
    ),
    (
        500,
        "Error deleting organization.",
        "that must be deleted first",
        Class::DependentsExist,
    ),
    (500, "Failed to validate health settings.", "", Class::Invalid),
    (
        500,
        "Unable to add license to database",
        "licenses_jwt_key",
        Class::AlreadyExists,
    ),
];

fn understood(exchange: &Exchange) -> Error {
    let method = match exchange.request.method.as_str() {
        "GET" => Method::Get,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "PATCH" => Method::Patch,
        "DELETE" => Method::Delete,
        other => panic!("{other}"),
    };
    Error::from_answer(
        Call::new(method, "/recorded"),
        &RawAnswer {
            status: exchange.response.status,
            content_type: exchange.header("content-type"),
            retry_after: exchange.header("retry-after"),
            from_coder: false,
            body: &exchange.body(),
        },
    )
}

/// What the recording holds, read without the client: the body may be two JSON documents, recorded as text.
fn texts(exchange: &Exchange) -> (String, String) {
    let body = exchange.body();
    let first = serde_json::Deserializer::from_slice(&body)
        .into_iter::<serde_json::Map<_, _>>()
        .next();
    match first {
        Some(Ok(object)) => {
            let text = |key| {
                object
                    .get(key)
                    .and_then(serde_json::Value::as_str)
                    .unwrap_or_default()
                    .to_owned()
            };
            (text("message"), text("detail"))
        }
        _ => (String::from_utf8(body).unwrap(), String::new()),
    }
}

#[test]
fn every_recorded_refusal_means_what_the_table_says() {
    let mut used = vec![0; TABLE.len()];
    let mut wrong = Vec::new();
    for server in SERVERS {
        for exchange in of(server).iter().filter(|exchange| exchange.response.status >= 400) {
            let status = exchange.response.status;
            let (message, detail) = texts(exchange);
            let at = format!(
                "{server}/{} {}: {status} {message} ({detail})",
                exchange.file, exchange.step
            );
            let row = TABLE.iter().position(|(code, start, part, _)| {
                *code == status && message.starts_with(start) && detail.contains(part)
            });
            let Some(row) = row else {
                wrong.push(format!("not in the table: {at}"));
                continue;
            };
            used[row] += 1;
            let class = understood(exchange).class();
            if class != TABLE[row].3 {
                wrong.push(format!("{class:?} instead of {:?}: {at}", TABLE[row].3));
            }
        }
    }
    println!(
        "{} refusals classified by {} rows",
        used.iter().sum::<usize>(),
        TABLE.len()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let idle: Vec<_> = TABLE
        .iter()
        .zip(&used)
        .filter(|(_, used)| **used == 0)
        .map(|(row, _)| row)
        .collect();
    assert!(idle.is_empty(), "rows of the table that no recording fits: {idle:#?}");
}

#[test]
fn a_missing_feature_is_named_as_in_the_entitlements() {
    let known: Vec<_> = of("main")
        .into_iter()
        .find(|exchange| exchange.request.path == "/api/v2/entitlements")
        .into_iter()
        .collect();
    let features = known[0].response.body["features"].as_object().unwrap().clone();
    let mut seen = 0;
    for server in SERVERS {
        for exchange in of(server).iter().filter(|exchange| exchange.response.status == 403) {
            let error = understood(exchange);
            if error.class() == Class::NotEntitled {
                let feature = error.feature().unwrap();
                assert!(features.contains_key(feature), "{feature}: {error}");
                seen += 1;
            }
        }
    }
    assert!(seen > 20, "{seen}");
}

#[test]
fn no_refusal_shows_a_time_or_runs_on() {
    for server in SERVERS {
        for exchange in of(server).iter().filter(|exchange| exchange.response.status >= 400) {
            let sentence = understood(exchange).to_string();
            assert!(!sentence.contains(char::is_control), "{sentence:?}");
            assert!(sentence.chars().count() < 1024, "{sentence}");
            assert!(!sentence.contains("seconds to force"), "{sentence}");
        }
    }
}
