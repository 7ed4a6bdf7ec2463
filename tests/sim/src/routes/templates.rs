//! Templates: only how many there are in an organization is simulated, and the list that shows it.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::answer::{Answer, Outcome};
use crate::clock::rfc3339;
use crate::router::{Call, Route};
use crate::state::Organization;

pub(super) static ROUTES: &[Route] = &[Route::get("/api/v2/organizations/{organization}/templates", list)];

fn list(call: &mut Call<'_>) -> Outcome {
    let id = call.organization()?;
    let organization = call.state.organizations.get(&id).ok_or_else(Answer::not_found)?;
    let templates: Value = (0..organization.templates)
        .map(|number| template_json(organization, number))
        .collect();
    Ok(Answer::json(200, &templates))
}

/// A template as it is when nobody has changed its settings, with an id made from the organization's.
fn template_json(organization: &Organization, number: u32) -> Value {
    let id = |kind: u128| Uuid::from_u128(organization.id.as_u128() ^ (kind + u128::from(number)));
    let no_times = json!({ "P50": null, "P95": null });
    json!({
        "id": id(1 << 32),
        "created_at": rfc3339(organization.created_at),
        "updated_at": rfc3339(organization.created_at),
        "organization_id": organization.id,
        "organization_name": organization.name,
        "organization_display_name": organization.display_name,
        "organization_icon": organization.icon,
        "name": format!("template-{}", number + 1),
        "display_name": "",
        "provisioner": "echo",
        "active_version_id": id(1 << 33),
        "active_user_count": 0,
        "build_time_stats": { "delete": no_times, "start": no_times, "stop": no_times },
        "description": "",
        "deprecated": false,
        "deprecation_message": "",
        "deleted": false,
        "icon": "",
        "default_ttl_ms": 0,
        "activity_bump_ms": 3_600_000,
        "time_til_autostop_notify_ms": 0,
        "autostop_requirement": { "days_of_week": [], "weeks": 1 },
        "autostart_requirement": {
            "days_of_week": ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"],
        },
        "created_by_id": Uuid::nil(),
        "created_by_name": "owner",
        "allow_user_autostart": true,
        "allow_user_autostop": true,
        "allow_user_cancel_workspace_jobs": false,
        "failure_ttl_ms": 0,
        "time_til_dormant_ms": 0,
        "time_til_dormant_autodelete_ms": 0,
        "require_active_version": false,
        "max_port_share_level": "owner",
        "cors_behavior": "simple",
        "use_classic_parameter_flow": false,
        "disable_module_cache": false,
    })
}
