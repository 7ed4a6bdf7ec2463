//! Build info, appearance, and the small settings of the whole deployment.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::answer::{Answer, Outcome};
use crate::audit::{Fields as Watched, Note};
use crate::clock::rfc3339;
use crate::json::Fields;
use crate::router::{Access, Call, Gate, Route};
use crate::state::Banner;
use crate::validate;

const APPEARANCE: &str = "/api/v2/appearance";
const NOTIFICATIONS: &str = "/api/v2/notifications/settings";
const PREBUILDS: &str = "/api/v2/prebuilds/settings";
const HEALTH: &str = "/api/v2/debug/health/settings";
const PREBUILDS_GATE: Gate = Gate::Then("workspace_prebuilds");

pub(super) static ROUTES: &[Route] = &[
    Route::get("/api/v2/buildinfo", buildinfo).access(Access::Anyone),
    Route::get(APPEARANCE, get_appearance),
    Route::put(APPEARANCE, put_appearance),
    Route::get("/api/v2/notifications/templates/system", notification_templates),
    Route::get("/api/v2/notifications/templates/custom", custom_notification_templates).newer(),
    Route::put(
        "/api/v2/notifications/templates/{notification_template}/method",
        notification_method,
    ),
    Route::get("/api/v2/notifications/dispatch-methods", dispatch_methods),
    Route::get(NOTIFICATIONS, get_notifications),
    Route::put(NOTIFICATIONS, put_notifications),
    Route::get(PREBUILDS, get_prebuilds).gate(PREBUILDS_GATE).newer(),
    Route::put(PREBUILDS, put_prebuilds).gate(PREBUILDS_GATE).newer(),
    Route::get(HEALTH, get_health),
    Route::put(HEALTH, put_health),
    Route::get("/api/v2/replicas", replicas),
];

fn buildinfo(call: &mut Call<'_>) -> Outcome {
    let traits = call.state.traits();
    let mut body = json!({
        "external_url": "https://github.com/coder/coder",
        "version": traits.version,
        "dashboard_url": call.state.process.access_url,
        "telemetry": call.state.process.configuration.telemetry,
        "workspace_proxy": call.state.process.configuration.answers_as_proxy,
        "agent_api_version": "1.0",
        "provisioner_api_version": traits.provisioner_api_version,
        "upgrade_message": "",
        "deployment_id": call.state.deployment_id,
    });
    if let (Some(key), Some(object)) = (traits.webpush_public_key, body.as_object_mut()) {
        object.insert("webpush_public_key".to_owned(), json!(key));
    }
    Ok(Answer::json(200, &body))
}

fn get_appearance(call: &mut Call<'_>) -> Outcome {
    Ok(Answer::json(200, &call.state.appearance_json()))
}

fn put_appearance(call: &mut Call<'_>) -> Outcome {
    if !call.rights.deployment_write() {
        return Err(Answer::message(403, "Insufficient permissions to update appearance"));
    }
    let fields = call.fields("UpdateAppearanceConfig")?;
    let (application_name, logo_url) = (fields.string("application_name")?, fields.string("logo_url")?);
    let mut banners = Vec::new();
    // Answered as it came, and not kept (recording 29).
    let old_banner = read_banner(&fields.object("service_banner", "UpdateAppearanceConfig")?)?;
    for banner in fields
        .objects("announcement_banners", "BannerConfig")?
        .unwrap_or_default()
    {
        let banner = read_banner(&banner)?;
        // Also of a banner that is switched off (recording 08).
        if !validate::colour(&banner.background_color) {
            return Err(Answer::detail(
                400,
                format!("Invalid color format: {:?}", banner.background_color),
                "expected # prefix and 6 characters",
            ));
        }
        banners.push(banner);
    }
    let body = json!({
        "application_name": application_name,
        "logo_url": logo_url,
        "service_banner": old_banner.as_answered(),
        "announcement_banners": banners.iter().map(Banner::json).collect::<Vec<_>>(),
    });
    call.state.application_name = application_name;
    call.state.logo_url = logo_url;
    call.state.banners = banners;
    call.updated("appearance", call.state.deployment_id);
    Ok(Answer::json(200, &body))
}

fn read_banner(fields: &Fields) -> Result<Banner, Answer> {
    Ok(Banner {
        enabled: fields.boolean("enabled")?,
        message: fields.string("message")?,
        background_color: fields.string("background_color")?,
    })
}

fn notification_templates(call: &mut Call<'_>) -> Outcome {
    let templates = if call.rights.is_owner() {
        call.state.notification_templates.clone()
    } else {
        Vec::new()
    };
    Ok(Answer::json(200, &Value::Array(templates)))
}

fn custom_notification_templates(_: &mut Call<'_>) -> Outcome {
    let template = json!({
        "id": "39b1e189-c857-4b0c-877a-511144c18516",
        "name": "Custom Notification",
        "title_template": "{{.Labels.custom_title}}",
        "body_template": "{{.Labels.custom_message}}",
        "actions": "[]",
        "group": "Custom Events",
        "method": "",
        "kind": "custom",
        "enabled_by_default": true,
    });
    Ok(Answer::json(200, &json!([template])))
}

fn notification_method(call: &mut Call<'_>) -> Outcome {
    let id = call.uuid("notification_template")?.to_string();
    let wanted = call.fields("UpdateNotificationTemplateMethod")?.string("method")?;
    let writes = call.rights.deployment_write();
    let methods = call.state.traits().notification_methods;
    let mut templates = call.state.notification_templates.iter_mut();
    let template = templates.find(|template| template.get("id").and_then(Value::as_str) == Some(&id));
    let template = template.filter(|_| writes).ok_or_else(Answer::not_found)?;
    let name = template.get("name").and_then(Value::as_str).unwrap_or_default();
    let target = Uuid::try_parse(&id).unwrap_or_default();
    if !methods.contains(&wanted.as_str()) {
        let detail = format!(
            "{wanted:?} is not a valid method; {} are the available options",
            methods.join(", ")
        );
        let message = "Invalid request to update notification template method";
        return Err(Answer::validations(400, message, &[("method", detail)]));
    }
    if template.get("method").and_then(Value::as_str) == Some(&wanted) {
        return Ok(Answer::empty(304));
    }
    let watched = |method: &str| Watched::from_iter([("method".to_owned(), json!(method))]);
    let before = template.get("method").and_then(Value::as_str).unwrap_or_default();
    let note = Note::new("notification_template", "write", target, name);
    call.note = Some(note.before(watched(before)).after(watched(&wanted)));
    if let Some(object) = template.as_object_mut() {
        object.insert("method".to_owned(), json!(wanted));
    }
    call.updated("notification_template", id);
    Ok(Answer::message(
        200,
        "Successfully updated notification template method.",
    ))
}

fn dispatch_methods(_: &mut Call<'_>) -> Outcome {
    Ok(Answer::json(
        200,
        &json!({ "available": ["smtp", "webhook"], "default": "smtp" }),
    ))
}

/// Each write of these settings is an entry about an object of its own, which was nothing before (recording 29). Who may not
/// write is logged too, what changes nothing is not.
fn note_settings(call: &mut Call<'_>, kind: &'static str, name: &str, value: &Value) {
    let after = Watched::from_iter([(name.to_owned(), value.clone())]);
    call.note = Some(Note::new(kind, "write", Uuid::new_v4(), "").after(after));
}

fn get_notifications(call: &mut Call<'_>) -> Outcome {
    Ok(Answer::json(
        200,
        &json!({ "notifier_paused": call.state.notifier_paused }),
    ))
}

fn put_notifications(call: &mut Call<'_>) -> Outcome {
    let paused = call.fields("NotificationsSettings")?.boolean("notifier_paused")?;
    if call.state.notifier_paused == paused {
        return Ok(Answer::empty(304));
    }
    note_settings(call, "notifications_settings", "notifier_paused", &json!(paused));
    if !call.rights.deployment_write() {
        return Err(call.forbidden());
    }
    call.state.notifier_paused = paused;
    call.updated("notifications_settings", call.state.deployment_id);
    get_notifications(call)
}

fn get_prebuilds(call: &mut Call<'_>) -> Outcome {
    Ok(Answer::json(
        200,
        &json!({ "reconciliation_paused": call.state.prebuilds_paused }),
    ))
}

fn put_prebuilds(call: &mut Call<'_>) -> Outcome {
    let paused = call.fields("PrebuildsSettings")?.boolean("reconciliation_paused")?;
    if call.state.prebuilds_paused == paused {
        return Ok(Answer::empty(304));
    }
    note_settings(call, "prebuilds_settings", "reconciliation_paused", &json!(paused));
    if !call.rights.deployment_write() {
        return Err(call.forbidden());
    }
    call.state.prebuilds_paused = paused;
    call.updated("prebuilds_settings", call.state.deployment_id);
    get_prebuilds(call)
}

fn get_health(call: &mut Call<'_>) -> Outcome {
    if !call.rights.deployment_write() {
        return Err(health_refused(call));
    }
    let dismissed = call
        .state
        .dismissed_healthchecks
        .clone()
        .filter(|dismissed| !dismissed.is_null());
    let dismissed = dismissed.unwrap_or_else(|| json!([]));
    Ok(Answer::json(200, &json!({ "dismissed_healthchecks": dismissed })))
}

fn health_refused(call: &Call<'_>) -> Answer {
    if call.state.traits().health_settings_hidden {
        Answer::not_found()
    } else {
        call.forbidden()
    }
}

fn put_health(call: &mut Call<'_>) -> Outcome {
    const SECTIONS: [&str; 6] = [
        "DERP",
        "AccessURL",
        "Websocket",
        "Database",
        "WorkspaceProxy",
        "ProvisionerDaemons",
    ];
    if !call.rights.deployment_write() {
        return Err(health_refused(call));
    }
    let wanted = call
        .fields("UpdateHealthSettings")?
        .opt_strings("dismissed_healthchecks")?;
    if let Some(unknown) = wanted
        .iter()
        .flatten()
        .find(|wanted| !SECTIONS.contains(&wanted.as_str()))
    {
        return Err(Answer::detail(
            500,
            "Failed to validate health settings.",
            format!("unknown healthcheck section: {unknown}"),
        ));
    }
    // To the letter: order and repetitions are changes, and so is nothing instead of an empty list (recording 29).
    let written = json!(wanted);
    let body = json!({ "dismissed_healthchecks": written });
    if call.state.dismissed_healthchecks.as_ref() == Some(&written) {
        return Ok(Answer::empty(204));
    }
    note_settings(
        call,
        "health_settings",
        "dismissed_healthchecks",
        &json!(wanted.unwrap_or_default()),
    );
    call.state.dismissed_healthchecks = Some(written);
    call.updated("health_settings", call.state.deployment_id);
    Ok(Answer::json(200, &body))
}

fn replicas(call: &mut Call<'_>) -> Outcome {
    if !call.rights.is_owner() {
        return Err(Answer::not_found());
    }
    let replica = json!({
        "id": call.state.process.replica_id,
        "hostname": "vm",
        "created_at": rfc3339(call.state.process.started_at),
        "relay_address": "",
        "region_id": 999,
        "error": "",
        "database_latency": call.state.traits().database_latency,
    });
    Ok(Answer::json(200, &json!([replica])))
}
