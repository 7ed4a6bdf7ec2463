//! Roles of organizations, built in and custom.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::answer::{Answer, Outcome};
use crate::audit::Note;
use crate::router::{Call, Gate, Route};
use crate::state::{CustomRole, audited_custom_role, permission_problem};
use crate::validate::{self, Checks};

const ROLES: &str = "/api/v2/organizations/{organization}/members/roles";
const GATE: Gate = Gate::Then("custom_roles");

pub(super) static ROUTES: &[Route] = &[
    Route::get(ROLES, list),
    Route::post(ROLES, create).gate(GATE),
    Route::put(ROLES, update).gate(GATE),
    Route::delete("/api/v2/organizations/{organization}/members/roles/{roleName}", delete).gate(GATE),
];

fn list(call: &mut Call<'_>) -> Outcome {
    let organization = call.organization()?;
    let mut roles = call.profile().organization_roles().to_vec();
    for role in &mut roles {
        let name = role.get("name").and_then(Value::as_str).unwrap_or_default();
        let assignable = call.rights.may_assign_organization_role(organization, name);
        if let Some(object) = role.as_object_mut() {
            object.insert("organization_id".to_owned(), json!(organization));
            object.insert("assignable".to_owned(), json!(assignable));
        }
    }
    let assignable = call.rights.organization_write(organization);
    for role in call
        .state
        .custom_roles
        .iter()
        .filter(|role| role.organization_id == organization)
    {
        let mut body = call.state.custom_role_json(role);
        if let Some(object) = body.as_object_mut() {
            object.insert("assignable".to_owned(), json!(assignable));
            object.insert("built_in".to_owned(), json!(false));
        }
        roles.push(body);
    }
    Ok(Answer::json(200, &Value::Array(roles)))
}

/// A role as asked for, with what is wrong with its permissions.
struct Wanted {
    role: CustomRole,
    /// What no role can have; a `PUT` of newer servers leaves it out.
    unknown: Option<String>,
    /// What a custom role may not have, or the caller may not give.
    refused: Option<String>,
}

fn wanted(call: &Call<'_>, organization: Uuid, drop_unknown: bool) -> Result<Wanted, Answer> {
    let fields = call.fields("CustomRoleRequest")?;
    let (name, display_name) = (fields.string("name")?, fields.string("display_name")?);
    Checks::new()
        .required_tag("name", "username", &name, validate::name)
        .done()?;
    if reserved(call, &name) {
        return Err(reserved_name(&name));
    }
    let mut kept_empty = vec![("site_permissions", "site wide"), ("user_permissions", "user")];
    if call.state.traits().custom_role_put_drops_unknown {
        kept_empty.push(("organization_member_permissions", "organization member"));
    }
    for (field, what) in kept_empty {
        if fields
            .objects(field, "Permission")?
            .is_some_and(|found| !found.is_empty())
        {
            return Err(Answer::detail(
                400,
                format!("Invalid request, not allowed to assign {what} permissions for an organization role."),
                format!("organization scoped roles may not contain {what} permissions"),
            ));
        }
    }
    let (mut permissions, mut unknown, mut refused) = (Vec::new(), None, None);
    for permission in fields
        .objects("organization_permissions", "Permission")?
        .unwrap_or_default()
    {
        let (resource, action) = (permission.string("resource_type")?, permission.string("action")?);
        let negate = permission.boolean("negate")?;
        if let Some(problem) = permission_problem(&resource, &action) {
            if !drop_unknown {
                unknown = unknown.or(Some(problem));
            }
            continue;
        }
        let refusal = if negate {
            Some("no negative permissions")
        } else if resource == "*" || action == "*" {
            Some("no wildcard symbols")
        } else if !call.rights.may_grant(organization, &resource, &action) {
            Some("not allowed to grant this permission")
        } else {
            None
        };
        let text = |why| format!("invalid permission for action={action:?} type={resource:?}, {why}");
        refused = refused.or(refusal.map(text));
        permissions.push(json!({ "negate": negate, "resource_type": resource, "action": action }));
    }
    let role = CustomRole {
        id: Uuid::new_v4(),
        organization_id: organization,
        name,
        display_name,
        organization_permissions: permissions,
    };
    Ok(Wanted { role, unknown, refused })
}

fn reserved(call: &Call<'_>, name: &str) -> bool {
    let built_in = call.profile().organization_roles();
    let of_site = call.profile().site_roles();
    let named = |role: &Value| role.get("name").and_then(Value::as_str) == Some(name);
    matches!(name, "organization-member" | "member") || built_in.iter().chain(of_site).any(named)
}

fn reserved_name(name: &str) -> Answer {
    let detail = format!("{name:?} is a reserved role name, and not allowed to be used");
    Answer::detail(400, "Reserved role name", detail)
}

fn refuse(call: &Call<'_>, wanted: &Wanted, action: &str) -> Result<(), Answer> {
    let organization = wanted.role.organization_id;
    if !call.rights.custom_role_write(organization, action) {
        return Err(Answer::not_found());
    }
    // The newer server names the list, and repeats one of the texts (recordings 03 and 26).
    let newer = call.state.traits().custom_role_put_drops_unknown;
    let detail = match (&wanted.unknown, &wanted.refused) {
        (Some(problem), _) if newer => {
            format!("invalid role: org=\"{organization}\": org {problem}: {problem}")
        }
        (Some(problem), _) => format!("invalid role: org=\"{organization}\": {problem}"),
        (None, Some(problem)) if newer => format!("org=\"{organization}\": org: {problem}"),
        (None, Some(problem)) => format!("org=\"{organization}\": {problem}"),
        (None, None) => return Ok(()),
    };
    Err(failed(detail))
}

fn failed(detail: impl Into<String>) -> Answer {
    Answer::detail(400, "Failed to update role permissions", detail)
}

fn create(call: &mut Call<'_>) -> Outcome {
    let organization = call.organization()?;
    let wanted = wanted(call, organization, false)?;
    refuse(call, &wanted, "create")?;
    let mut role = wanted.role;
    role.name = role.name.to_lowercase();
    let older = !call.state.traits().custom_role_put_drops_unknown;
    // The older server's index spans all organizations. Newer ones keep a role of their own in the same table.
    let mut roles = call.state.custom_roles.iter();
    let taken = roles.any(|other| other.name == role.name && (older || other.organization_id == organization));
    if taken || (!older && role.name == "organization-service-account") {
        let constraint = if older {
            "idx_custom_roles_name_lower"
        } else {
            "custom_roles_unique_key"
        };
        return Err(failed(format!(
            "pq: duplicate key value violates unique constraint {constraint:?}"
        )));
    }
    let body = call.state.custom_role_json(&role);
    call.created("custom_role", format!("{organization}/{}", role.name));
    let note = Note::new("custom_role", "create", role.id, &role.name).within(organization);
    call.note = Some(note.after(audited_custom_role(&role)));
    call.state.custom_roles.push(role);
    Ok(Answer::json(200, &body))
}

fn update(call: &mut Call<'_>) -> Outcome {
    let organization = call.organization()?;
    let newer = call.state.traits().custom_role_put_drops_unknown;
    let mut wanted = wanted(call, organization, newer)?;
    if !newer {
        // The newer server compares the name as it is (recording 26).
        wanted.role.name = wanted.role.name.to_lowercase();
    }
    let mut roles = call.state.custom_roles.iter();
    let stored = roles.position(|other| other.organization_id == organization && other.name == wanted.role.name);
    let stored = stored.and_then(|index| call.state.custom_roles.get(index).map(|role| (index, role.clone())));
    if let Some((_, before)) = &stored {
        let note = Note::new("custom_role", "write", before.id, &before.name).within(organization);
        call.note = Some(note.before(audited_custom_role(before)));
    }
    refuse(call, &wanted, "update")?;
    let (index, before) = stored.ok_or_else(Answer::not_found)?;
    let role = CustomRole {
        id: before.id,
        ..wanted.role
    };
    let body = call.state.custom_role_json(&role);
    call.noted_after(audited_custom_role(&role));
    call.updated("custom_role", format!("{organization}/{}", role.name));
    if let Some(stored) = call.state.custom_roles.get_mut(index) {
        *stored = role;
    }
    Ok(Answer::json(200, &body))
}

fn delete(call: &mut Call<'_>) -> Outcome {
    let organization = call.organization()?;
    let name = call.param("roleName").to_owned();
    let newer = call.state.traits().custom_role_put_drops_unknown;
    if newer && reserved(call, &name) {
        return Err(reserved_name(&name));
    }
    let Some(role) = call.state.custom_role(organization, &name).cloned() else {
        return Err(Answer::detail(
            404,
            format!("No custom role with the name {name} found"),
            "no role found",
        ));
    };
    let note = Note::new("custom_role", "delete", role.id, &name).within(organization);
    call.note = Some(note.before(audited_custom_role(&role)));
    if !call.rights.custom_role_write(organization, "delete") {
        return Err(if newer { call.forbidden() } else { Answer::not_found() });
    }
    call.state.delete_custom_role(organization, &name);
    call.deleted("custom_role", format!("{organization}/{name}"));
    Ok(Answer::empty_json(204))
}
