//! Workspace proxies.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::answer::{Answer, Outcome};
use crate::audit::{Fields as Watched, Note};
use crate::router::{Call, Gate, Route};
use crate::state::audited_proxy;
use crate::validate::Checks;

const PROXIES: &str = "/api/v2/workspaceproxies";
const PROXY: &str = "/api/v2/workspaceproxies/{workspaceproxy}";
const GATE: Gate = Gate::First("workspace_proxy");

pub(super) static ROUTES: &[Route] = &[
    Route::get(PROXIES, list).gate(GATE),
    Route::post(PROXIES, create).gate(GATE),
    Route::get(PROXY, get).gate(GATE),
    Route::patch(PROXY, patch).gate(GATE),
    Route::delete(PROXY, delete).gate(GATE),
];

fn list(call: &mut Call<'_>) -> Outcome {
    let mut proxies: Vec<_> = call.state.proxies.values().filter(|proxy| !proxy.deleted).collect();
    proxies.sort_by_key(|proxy| proxy.seq);
    let mut regions = vec![call.state.primary_json()];
    regions.extend(proxies.iter().map(|proxy| call.state.proxy_json(proxy)));
    Ok(Answer::json(200, &json!({ "regions": regions })))
}

fn is_primary(call: &Call<'_>) -> bool {
    let named = call.param("workspaceproxy");
    named == "primary" || named == call.state.deployment_id.to_string()
}

fn in_path(call: &Call<'_>) -> Result<Uuid, Answer> {
    call.state
        .find_proxy(call.param("workspaceproxy"))
        .map(|proxy| proxy.id)
        .ok_or_else(Answer::not_found)
}

fn json_of(call: &Call<'_>, id: Uuid) -> Result<Value, Answer> {
    call.state
        .proxies
        .get(&id)
        .map(|proxy| call.state.proxy_json(proxy))
        .ok_or_else(Answer::not_found)
}

fn get(call: &mut Call<'_>) -> Outcome {
    if is_primary(call) {
        return Ok(Answer::json(200, &call.state.primary_json()));
    }
    let id = in_path(call)?;
    Ok(Answer::json(200, &json_of(call, id)?))
}

fn create(call: &mut Call<'_>) -> Outcome {
    let fields = call.fields("CreateWorkspaceProxyRequest")?;
    let (name, display_name) = (fields.string("name")?, fields.string("display_name")?);
    let icon = fields.string("icon")?;
    Checks::new().required("name", &name).done()?;
    if name.eq_ignore_ascii_case("primary") {
        return Err(Answer::json(
            400,
            &json!({
                "message": "The name \"primary\" is reserved for the primary region.",
                "detail": "Cannot name a workspace proxy 'primary'.",
                "validations": [{ "field": "name", "detail": "Reserved name" }],
            }),
        ));
    }
    if !call.rights.deployment_write() {
        return Err(Answer::internal_forbidden());
    }
    if call.state.proxy_name_taken(&name, None) {
        // The database notices when the row has its number already (recording 14).
        call.state.last_region_id += 1;
        return Err(Answer::message(
            409,
            format!("Workspace proxy with name {name:?} already exists."),
        ));
    }
    let id = call.state.insert_proxy(&name, &display_name, &icon);
    call.created("workspace_proxy", id);
    if let Some(proxy) = call.state.proxies.get(&id) {
        call.note = Some(Note::new("workspace_proxy", "create", id, &name).after(audited_proxy(proxy)));
    }
    let token = call.state.proxies.get(&id).map(|proxy| proxy.token.clone());
    Ok(Answer::json(
        201,
        &json!({ "proxy": json_of(call, id)?, "proxy_token": token }),
    ))
}

fn patch(call: &mut Call<'_>) -> Outcome {
    let primary = is_primary(call);
    let target = if primary { Uuid::nil() } else { in_path(call)? };
    if primary {
        note_primary(call, "write");
    } else {
        note(call, "write", target);
    }
    let fields = call.fields("PatchWorkspaceProxy")?;
    let (body_id, name) = (fields.uuid("id")?, fields.string("name")?);
    let (display_name, icon) = (fields.string("display_name")?, fields.string("icon")?);
    let regenerate = fields.boolean("regenerate_token")?;
    Checks::new()
        .tag("id", "required", &body_id.to_string(), !body_id.is_nil())
        .required("name", &name)
        .required("display_name", &display_name)
        .required("icon", &icon)
        .done()?;
    if !call.rights.deployment_write() {
        return Err(Answer::not_found());
    }
    if primary {
        call.state.primary_display_name = display_name;
        call.state.primary_icon = icon;
        let after = primary_audited(call);
        call.noted_after(after);
        call.updated("workspace_proxy", call.state.deployment_id);
        return Ok(Answer::json(
            200,
            &json!({ "proxy": call.state.primary_json(), "proxy_token": "" }),
        ));
    }
    let deleted = call.state.proxies.get(&target).is_some_and(|proxy| proxy.deleted);
    if !deleted && call.state.proxy_name_taken(&name, Some(target)) {
        // The handler does not expect this: an internal error (recording 05).
        return Err(Answer::internal(
            "pq: duplicate key value violates unique constraint \"workspace_proxies_lower_name_idx\"",
        ));
    }
    call.state.edit_proxy(target, |proxy| {
        proxy.name = name;
        proxy.display_name = display_name;
        proxy.icon = icon;
    });
    let token = if regenerate {
        call.state.renew_proxy_token(target)
    } else {
        String::new()
    };
    let body = json!({ "proxy": json_of(call, target)?, "proxy_token": token });
    call.state.check_proxies();
    call.updated("workspace_proxy", target);
    if let Some(proxy) = call.state.proxies.get(&target) {
        call.noted_after(audited_proxy(proxy));
    }
    Ok(Answer::json(200, &body))
}

fn primary_audited(call: &Call<'_>) -> Watched {
    let (display_name, icon) = (&call.state.primary_display_name, &call.state.primary_icon);
    let fields = [
        ("id", json!(call.state.deployment_id)),
        ("name", json!("primary")),
        ("display_name", json!(display_name)),
        ("icon", json!(icon)),
    ];
    fields
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// The server's own proxy is an object of the log too, even where nothing can be done to it (counts of recording 14).
fn note_primary(call: &mut Call<'_>, action: &'static str) {
    let before = primary_audited(call);
    call.note = Some(Note::new("workspace_proxy", action, call.state.deployment_id, "primary").before(before));
}

fn note(call: &mut Call<'_>, action: &'static str, id: Uuid) {
    if let Some(proxy) = call.state.proxies.get(&id) {
        call.note = Some(Note::new("workspace_proxy", action, id, &proxy.name).before(audited_proxy(proxy)));
    }
}

fn delete(call: &mut Call<'_>) -> Outcome {
    if is_primary(call) {
        note_primary(call, "delete");
        return Err(Answer::message(400, "Cannot delete primary proxy"));
    }
    let id = in_path(call)?;
    note(call, "delete", id);
    if !call.rights.deployment_write() {
        return Err(Answer::not_found());
    }
    call.state.edit_proxy(id, |proxy| proxy.deleted = true);
    call.state.check_proxies();
    call.deleted("workspace_proxy", id);
    Ok(Answer::message(200, "Proxy has been deleted!"))
}
