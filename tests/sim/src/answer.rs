//! What a handler answers, and the error bodies that many handlers share.

use std::borrow::Cow;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use crate::profile::Profile;

/// Success and refusal are both answers; `Err` only means that the handler stops here.
pub(crate) type Outcome = Result<Answer, Answer>;

/// Message of every 404 for an object that is absent or hidden: the same on purpose.
pub(crate) const NOT_FOUND: &str = "Resource not found or you do not have access to this resource";
/// Detail of a refused database call.
pub(crate) const RBAC_FORBIDDEN: &str = "unauthorized: rbac: forbidden";

const JSON_TYPE: &str = "application/json; charset=utf-8";

/// A status, a body and the headers beyond the usual ones.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: Option<Cow<'static, str>>,
    pub(crate) body: Option<String>,
    pub(crate) headers: Vec<(&'static str, String)>,
    /// Whether Coder wrote it: then it says so in a header.
    pub(crate) signed: bool,
    /// How long a real server works on it, where that is simulated.
    pub(crate) takes: Duration,
}

impl Answer {
    pub(crate) fn json(status: u16, body: &impl Serialize) -> Self {
        let body = serde_json::to_string(body).expect("what is answered can be written as JSON");
        Self::of(status, Some(JSON_TYPE), Some(body))
    }

    pub(crate) fn text(status: u16, content_type: &'static str, body: &str) -> Self {
        Self::of(status, Some(content_type), Some(body.to_owned()))
    }

    /// No body and no content type.
    pub(crate) fn empty(status: u16) -> Self {
        Self::of(status, None, None)
    }

    /// No body, but the content type of JSON: some handlers of the real server write `null` with 204 (recording 07).
    pub(crate) fn empty_json(status: u16) -> Self {
        Self::of(status, Some(JSON_TYPE), None)
    }

    /// What something in front of Coder answers.
    pub(crate) fn of_gateway(status: u16, content_type: &str, body: &str) -> Self {
        Self {
            content_type: Some(Cow::Owned(content_type.to_owned())),
            signed: false,
            ..Self::of(status, None, Some(body.to_owned()))
        }
    }

    fn of(status: u16, content_type: Option<&'static str>, body: Option<String>) -> Self {
        Self {
            status,
            content_type: content_type.map(Cow::Borrowed),
            body,
            headers: Vec::new(),
            signed: true,
            takes: Duration::ZERO,
        }
    }

    pub(crate) fn message(status: u16, message: impl Into<String>) -> Self {
        Self::json(status, &json!({ "message": message.into() }))
    }

    pub(crate) fn detail(status: u16, message: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::json(status, &json!({ "message": message.into(), "detail": detail.into() }))
    }

    /// A refusal with validations: pairs of field and detail.
    pub(crate) fn validations(status: u16, message: impl Into<String>, fields: &[(&str, String)]) -> Self {
        Self::json(
            status,
            &json!({ "message": message.into(), "validations": validations(fields) }),
        )
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn taking(mut self, time: Duration) -> Self {
        self.takes = time;
        self
    }

    pub(crate) fn not_found() -> Self {
        Self::message(404, NOT_FOUND)
    }

    pub(crate) fn route_not_found() -> Self {
        Self::message(404, "Route not found.")
    }

    /// Handlers that only expect unique violations report a refused write like this (recording 10).
    pub(crate) fn internal_forbidden() -> Self {
        Self::internal(RBAC_FORBIDDEN)
    }

    pub(crate) fn internal(detail: impl Into<String>) -> Self {
        Self::detail(500, "An internal server error occurred.", detail)
    }

    pub(crate) fn forbidden(profile: Profile) -> Self {
        if profile.traits().forbidden_detail {
            Self::detail(
                403,
                "Forbidden.",
                "You don't have permission to view this content. If you believe this is a mistake, please contact your \
                 administrator or try signing in with different credentials.",
            )
        } else {
            Self::message(403, "Forbidden.")
        }
    }

    /// The refusal of a route whose feature is not licensed.
    pub(crate) fn not_entitled(feature: &str) -> Self {
        let name = match feature {
            "template_rbac" => "Template RBAC",
            "multiple_organizations" => "Multiple Organizations",
            "workspace_proxy" => "Workspace Proxy",
            "custom_roles" => "Custom Roles",
            "external_provisioner_daemons" => "External Provisioner Daemons",
            "workspace_prebuilds" => "Workspace Prebuilds",
            "service_accounts" => "Service Accounts",
            "advanced_template_scheduling" => {
                return Self::message(
                    403,
                    "Advanced template scheduling (and user quiet hours schedule) is an Enterprise feature. Contact sales!",
                );
            }
            other => other,
        };
        Self::message(403, format!("{name} is a Premium feature. Contact sales!"))
    }
}

/// The `validations` array of an error body.
pub(crate) fn validations(fields: &[(&str, String)]) -> Value {
    fields
        .iter()
        .map(|(field, detail)| json!({ "field": field, "detail": detail }))
        .collect()
}
