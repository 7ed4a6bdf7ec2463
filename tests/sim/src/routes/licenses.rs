//! Licences and entitlements.

use serde_json::Value;

use crate::answer::{Answer, Outcome};
use crate::audit::Note;
use crate::clock::seconds_between;
use crate::router::{Access, Call, Route};
use crate::state::{LicenseRefusal, State, audited_license};
use crate::validate::Checks;

pub(super) static ROUTES: &[Route] = &[
    Route::get("/api/v2/licenses", list),
    Route::post("/api/v2/licenses", create),
    Route::post("/api/v2/licenses/refresh-entitlements", refresh),
    Route::delete("/api/v2/licenses/{id}", delete),
    Route::get("/api/v2/entitlements", entitlements).access(Access::Anyone),
];

fn list(call: &mut Call<'_>) -> Outcome {
    let licenses = call.state.licenses.values().filter(|_| call.rights.deployment_write());
    let licenses: Vec<Value> = licenses.map(State::license_json).collect();
    let null = licenses.is_empty() && !call.state.traits().empty_not_null;
    Ok(Answer::json(
        200,
        &if null { Value::Null } else { Value::Array(licenses) },
    ))
}

fn create(call: &mut Call<'_>) -> Outcome {
    if !call.rights.deployment_write() {
        return Err(call.forbidden());
    }
    let jwt = call.fields("AddLicenseRequest")?.string("license")?;
    Checks::new().required("license", &jwt).done()?;
    let id = call.state.insert_license(&jwt).map_err(|refusal| match refusal {
        LicenseRefusal::Invalid(detail) => Answer::detail(400, "Invalid license", detail),
        LicenseRefusal::OtherDeployment(ids) => {
            let own = call.state.deployment_id;
            let detail = format!(
                "The provided license is locked to the following deployments: {ids:?}. Your deployment identifier is \
                 \"{own}\". Please contact sales."
            );
            Answer::detail(400, "License cannot be used on this deployment!", detail)
        }
        LicenseRefusal::Duplicate(constraint) => Answer::detail(
            500,
            "Unable to add license to database",
            format!("pq: duplicate key value violates unique constraint {constraint:?}"),
        ),
    })?;
    call.created("license", id);
    let license = call.state.licenses.get(&id).ok_or_else(Answer::not_found)?;
    let note = Note::new("license", "create", license.uuid, &id.to_string());
    call.note = Some(note.after(audited_license(license)));
    Ok(Answer::json(201, &State::license_json(license)))
}

fn delete(call: &mut Call<'_>) -> Outcome {
    let Ok(id) = call.param("id").parse() else {
        return Err(Answer::message(404, "License ID must be an integer"));
    };
    if !call.rights.deployment_write() {
        return Err(call.forbidden());
    }
    if let Some(license) = call.state.licenses.get(&id) {
        let note = Note::new("license", "delete", license.uuid, &id.to_string());
        call.note = Some(note.before(audited_license(license)));
    }
    if !call.state.delete_license(id) {
        return Err(Answer::message(404, "Unknown license ID"));
    }
    call.deleted("license", id);
    Ok(Answer::empty(200))
}

fn refresh(call: &mut Call<'_>) -> Outcome {
    if !call.rights.deployment_write() {
        return Err(call.forbidden());
    }
    let passed = seconds_between(call.state.entitlements.refreshed_at, call.state.now());
    if passed < 60.0 {
        let left = (60.0 - passed).floor();
        let message =
            format!("Entitlements already recently refreshed, please wait {left} seconds to force a new refresh");
        return Err(Answer::message(400, message).header("retry-after", left.to_string()));
    }
    call.state.refresh_entitlements();
    Ok(Answer::message(200, "Entitlements updated"))
}

fn entitlements(call: &mut Call<'_>) -> Outcome {
    Ok(Answer::json(200, &call.state.current_entitlements().json()))
}
