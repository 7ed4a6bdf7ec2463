//! Organizations and their workspace sharing.

use serde_json::{Value, json};

use crate::answer::{Answer, Outcome, RBAC_FORBIDDEN};
use crate::audit::Note;
use crate::router::{Call, Gate, Route};
use crate::validate::{self, Checks};

const ORGANIZATION: &str = "/api/v2/organizations/{organization}";
const SHARING: &str = "/api/v2/organizations/{organization}/settings/workspace-sharing";
const GATE: Gate = Gate::Then("multiple_organizations");

pub(super) static ROUTES: &[Route] = &[
    Route::get("/api/v2/organizations", list),
    Route::post("/api/v2/organizations", create).gate(GATE),
    Route::get(ORGANIZATION, get),
    Route::patch(ORGANIZATION, patch).gate(GATE),
    Route::delete(ORGANIZATION, delete).gate(GATE),
    Route::get(SHARING, get_sharing).newer(),
    Route::patch(SHARING, patch_sharing).newer(),
];

fn list(call: &mut Call<'_>) -> Outcome {
    let organizations = call.state.organizations.values();
    let mut readable: Vec<_> = organizations
        .filter(|found| !found.deleted && call.rights.organization_read(found.id))
        .collect();
    readable.sort_by_key(|found| found.seq);
    let body: Value = readable
        .iter()
        .map(|found| call.state.organization_json(found))
        .collect();
    Ok(Answer::json(200, &body))
}

fn get(call: &mut Call<'_>) -> Outcome {
    let id = call.organization()?;
    answer(call, 200, id)
}

fn create(call: &mut Call<'_>) -> Outcome {
    let fields = call.fields("CreateOrganizationRequest")?;
    let (name, display_name) = (fields.string("name")?, fields.string("display_name")?);
    let (description, icon) = (fields.string("description")?, fields.string("icon")?);
    Checks::new()
        .required_tag("name", "organization_name", &name, validate::name)
        .optional_tag(
            "display_name",
            "organization_display_name",
            &display_name,
            validate::display_name,
        )
        .done()?;
    if name == "default" {
        return Err(reserved());
    }
    if call.state.organization_by_name(&name).is_some() {
        return Err(Answer::message(409, "Organization already exists with that name."));
    }
    if !call.rights.deployment_write() {
        return Err(Answer::detail(
            500,
            "Internal error inserting organization member.",
            format!("execute transaction: create organization: {RBAC_FORBIDDEN}"),
        ));
    }
    let display_name = if display_name.is_empty() { &name } else { &display_name };
    let id = call
        .state
        .insert_organization(&name, display_name, &description, &icon, false);
    // Whoever makes an organization becomes its first member.
    call.state.insert_member(id, call.me);
    call.created("organization", id);
    note(call, "create", id);
    if let Some(note) = &mut call.note {
        note.after = std::mem::take(&mut note.before);
    }
    answer(call, 201, id)
}

fn patch(call: &mut Call<'_>) -> Outcome {
    let id = call.organization()?;
    note(call, "write", id);
    let fields = call.fields("UpdateOrganizationRequest")?;
    let (name, display_name) = (fields.string("name")?, fields.string("display_name")?);
    let (description, icon) = (fields.opt_string("description")?, fields.opt_string("icon")?);
    let roles = fields
        .opt_strings("default_org_member_roles")?
        .filter(|_| call.state.traits().default_member_roles);
    Checks::new()
        .optional_tag("name", "organization_name", &name, validate::name)
        .optional_tag(
            "display_name",
            "organization_display_name",
            &display_name,
            validate::display_name,
        )
        .done()?;
    if name == "default" {
        return Err(reserved());
    }
    if !call.rights.organization_write(id) {
        return Err(Answer::not_found());
    }
    if roles.is_some_and(|roles| roles != ["organization-workspace-access"]) {
        return Err(Answer::message(
            403,
            "Changing default organization roles is not enabled on this deployment.",
        ));
    }
    if call
        .state
        .organization_by_name(&name)
        .is_some_and(|other| other.id != id)
    {
        return Err(Answer::json(
            409,
            &json!({
                "message": format!("Organization already exists with the name {name:?}."),
                "validations": [{ "field": "name", "detail": "This value is already in use and should be unique." }],
            }),
        ));
    }
    call.state.edit_organization(id, |organization| {
        // Plain strings: an empty one changes nothing. The other two are pointers and can be cleared.
        for (field, value) in [
            (&mut organization.name, name),
            (&mut organization.display_name, display_name),
        ] {
            if !value.is_empty() {
                *field = value;
            }
        }
        for (field, value) in [
            (&mut organization.description, description),
            (&mut organization.icon, icon),
        ] {
            if let Some(value) = value {
                *field = value;
            }
        }
    });
    call.updated("organization", id);
    noted(call, id);
    answer(call, 200, id)
}

fn delete(call: &mut Call<'_>) -> Outcome {
    let id = call.organization()?;
    note(call, "delete", id);
    if id == call.state.default_organization() {
        return Err(Answer::message(400, "Default organization cannot be deleted."));
    }
    let soft = call.state.traits().soft_delete_organizations;
    if !call.rights.organization_write(id) {
        let steps = if soft {
            "execute transaction: delete organization: "
        } else {
            ""
        };
        return Err(Answer::detail(
            500,
            "Internal error deleting organization.",
            format!("delete organization: {steps}{RBAC_FORBIDDEN}"),
        ));
    }
    if soft && let Some(inside) = call.state.organization_blockers(id).text() {
        return Err(Answer::detail(500, "Error deleting organization.", inside));
    }
    call.state.delete_organization(id);
    call.deleted("organization", id);
    Ok(Answer::message(200, "Organization has been deleted."))
}

fn get_sharing(call: &mut Call<'_>) -> Outcome {
    let id = call.organization()?;
    Ok(Answer::json(
        200,
        &sharing(call.state.sharing.get(&id).map_or("everyone", String::as_str)),
    ))
}

fn patch_sharing(call: &mut Call<'_>) -> Outcome {
    let id = call.organization()?;
    note(call, "write", id);
    if !call.rights.organization_write(id) {
        return Err(call.forbidden());
    }
    let fields = call.fields("UpdateWorkspaceSharingSettingsRequest")?;
    let wanted = match (
        fields.string("shareable_workspace_owners")?,
        fields.boolean("sharing_disabled")?,
    ) {
        (wanted, _) if !wanted.is_empty() => wanted,
        (_, true) => "none".to_owned(),
        // An empty body means everyone (recording 08).
        _ => "everyone".to_owned(),
    };
    if !matches!(wanted.as_str(), "none" | "everyone" | "service_accounts") {
        let detail = format!("invalid value {wanted:?}, must be one of [none, everyone, service_accounts]");
        let fields = [("shareable_workspace_owners", detail)];
        return Err(Answer::validations(
            400,
            "Invalid shareable workspace owners value.",
            &fields,
        ));
    }
    let body = sharing(&wanted);
    call.state.sharing.insert(id, wanted);
    // The setting lives in the organization's row, which moves and gets a new time.
    call.state.edit_organization(id, |_| {});
    call.updated("workspace_sharing", id);
    noted(call, id);
    Ok(Answer::json(200, &body))
}

fn sharing(owners: &str) -> Value {
    json!({
        "sharing_globally_disabled": false,
        "sharing_disabled": owners == "none",
        "shareable_workspace_owners": owners,
    })
}

fn note(call: &mut Call<'_>, action: &'static str, id: uuid::Uuid) {
    if let Some(found) = call.state.organizations.get(&id) {
        let watched = call.state.audited_organization(found);
        call.note = Some(
            Note::new("organization", action, id, &found.name)
                .within(id)
                .before(watched),
        );
    }
}

fn noted(call: &mut Call<'_>, id: uuid::Uuid) {
    if let Some(found) = call.state.organizations.get(&id) {
        call.noted_after(call.state.audited_organization(found));
    }
}

fn reserved() -> Answer {
    Answer::message(400, "Organization name \"default\" is reserved.")
}

fn answer(call: &Call<'_>, status: u16, id: uuid::Uuid) -> Outcome {
    let organization = call.state.organizations.get(&id).ok_or_else(Answer::not_found)?;
    Ok(Answer::json(status, &call.state.organization_json(organization)))
}
