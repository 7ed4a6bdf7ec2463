//! OAuth2 apps and their secrets.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::answer::{Answer, Outcome, RBAC_FORBIDDEN};
use crate::audit::Note;
use crate::router::{Call, Route};
use crate::state::OAuth2App;
use crate::validate::{self, Checks};

const APPS: &str = "/api/v2/oauth2-provider/apps";
const APP: &str = "/api/v2/oauth2-provider/apps/{app}";
const SECRETS: &str = "/api/v2/oauth2-provider/apps/{app}/secrets";

pub(super) static ROUTES: &[Route] = &[
    Route::get(APPS, list),
    Route::post(APPS, create),
    Route::get(APP, get),
    Route::put(APP, put),
    Route::delete(APP, delete),
    Route::get(SECRETS, secrets),
    Route::post(SECRETS, create_secret),
    Route::delete("/api/v2/oauth2-provider/apps/{app}/secrets/{secretID}", delete_secret),
];

/// The older release refuses all of it, whatever is switched on (recording 09).
fn available(call: &Call<'_>) -> Result<(), Answer> {
    if call.state.traits().oauth2_provider {
        return Ok(());
    }
    Err(Answer::message(403, "OAuth2 provider is under development."))
}

fn forbidden(doing: &str) -> Answer {
    Answer::detail(500, format!("Internal error {doing}."), RBAC_FORBIDDEN)
}

fn in_path(call: &Call<'_>) -> Result<OAuth2App, Answer> {
    available(call)?;
    let id = call.uuid("app")?;
    let found = call.state.oauth2_apps.iter().find(|app| app.id == id);
    found
        .cloned()
        .ok_or_else(|| Answer::message(404, "OAuth2 application not found."))
}

fn list(call: &mut Call<'_>) -> Outcome {
    available(call)?;
    let mut apps: Vec<_> = call.state.oauth2_apps.iter().collect();
    apps.sort_by_key(|app| (&app.name, app.id));
    let body: Value = apps.into_iter().map(|app| call.state.oauth2_app_json(app)).collect();
    Ok(Answer::json(200, &body))
}

fn get(call: &mut Call<'_>) -> Outcome {
    let app = in_path(call)?;
    Ok(Answer::json(200, &call.state.oauth2_app_json(&app)))
}

fn wanted(call: &Call<'_>, owner: &'static str, id: Uuid) -> Result<OAuth2App, Answer> {
    let fields = call.fields(owner)?;
    let (name, callback_url) = (fields.string("name")?, fields.string("callback_url")?);
    let icon = fields.string("icon")?;
    Checks::new()
        .required_tag("name", "oauth2_app_name", &name, validate::name)
        .required_tag("callback_url", "http_url", &callback_url, validate::http_url)
        .done()?;
    Ok(OAuth2App {
        id,
        name,
        callback_url,
        icon,
    })
}

fn watched(app: &OAuth2App) -> crate::audit::Fields {
    let watched = json!({
        "name": app.name,
        "callback_url": app.callback_url,
        "icon": app.icon,
        "client_type": "confidential",
        "contacts": [],
        "dynamically_registered": { "Bool": false, "Valid": true },
        "grant_types": ["authorization_code", "refresh_token"],
        "redirect_uris": [],
        "registration_access_token": "none",
        "response_types": ["code"],
        "token_endpoint_auth_method": "client_secret_post",
    });
    watched.as_object().cloned().unwrap_or_default()
}

fn create(call: &mut Call<'_>) -> Outcome {
    available(call)?;
    let app = wanted(call, "PostOAuth2ProviderAppRequest", Uuid::new_v4())?;
    if !call.rights.deployment_write() {
        return Err(forbidden("creating OAuth2 application"));
    }
    call.created("oauth2_provider_app", app.id);
    call.note = Some(Note::new("oauth2_provider_app", "create", app.id, &app.name).after(watched(&app)));
    call.state.oauth2_apps.push(app.clone());
    Ok(Answer::json(201, &call.state.oauth2_app_json(&app)))
}

fn put(call: &mut Call<'_>) -> Outcome {
    let before = in_path(call)?;
    let id = before.id;
    call.note = Some(Note::new("oauth2_provider_app", "write", id, &before.name).before(watched(&before)));
    let app = wanted(call, "PutOAuth2ProviderAppRequest", id)?;
    if !call.rights.deployment_write() {
        return Err(forbidden("updating OAuth2 application"));
    }
    if let Some(stored) = call.state.oauth2_apps.iter_mut().find(|stored| stored.id == id) {
        *stored = app.clone();
    }
    call.updated("oauth2_provider_app", id);
    call.noted_after(watched(&app));
    Ok(Answer::json(200, &call.state.oauth2_app_json(&app)))
}

fn delete(call: &mut Call<'_>) -> Outcome {
    let app = in_path(call)?;
    let id = app.id;
    let note = Note::new("oauth2_provider_app", "delete", id, &app.name).before(watched(&app));
    call.note = Some(note);
    if !call.rights.deployment_write() {
        return Err(forbidden("deleting OAuth2 application"));
    }
    call.state.oauth2_apps.retain(|app| app.id != id);
    call.state.oauth2_secrets.retain(|secret| secret.app != id);
    call.deleted("oauth2_provider_app", id);
    Ok(Answer::empty(204))
}

fn secrets(call: &mut Call<'_>) -> Outcome {
    let app = in_path(call)?;
    if !call.rights.deployment_write() {
        return Err(forbidden("getting OAuth2 client secrets"));
    }
    let secrets = call.state.oauth2_secrets.iter().filter(|secret| secret.app == app.id);
    let shown =
        secrets.map(|secret| json!({ "id": secret.id, "last_used_at": null, "client_secret_truncated": secret.end() }));
    Ok(Answer::json(200, &shown.collect::<Vec<_>>()))
}

fn create_secret(call: &mut Call<'_>) -> Outcome {
    let app = in_path(call)?;
    if !call.rights.deployment_write() {
        return Err(forbidden("creating OAuth2 client secret"));
    }
    let secret = call.state.insert_oauth2_secret(app.id);
    call.created("oauth2_provider_app_secret", secret.id);
    call.note = Some(Note::new(
        "oauth2_provider_app_secret",
        "create",
        secret.id,
        &secret.end(),
    ));
    Ok(Answer::json(
        201,
        &json!({ "id": secret.id, "client_secret_full": secret.full }),
    ))
}

fn delete_secret(call: &mut Call<'_>) -> Outcome {
    let app = in_path(call)?;
    let id = call.uuid("secretID")?;
    // Who may not see secrets finds none (recording 28).
    let sees = call.rights.deployment_write();
    let mut secrets = call.state.oauth2_secrets.iter();
    let secret = secrets.find(|secret| secret.id == id).filter(|_| sees);
    let secret = secret.ok_or_else(Answer::not_found)?;
    if secret.app != app.id {
        return Err(Answer::message(400, "App ID does not match secret app ID."));
    }
    let note = Note::new("oauth2_provider_app_secret", "delete", id, &secret.end());
    call.note = Some(note);
    call.state.oauth2_secrets.retain(|secret| secret.id != id);
    call.deleted("oauth2_provider_app_secret", id);
    Ok(Answer::empty(204))
}
