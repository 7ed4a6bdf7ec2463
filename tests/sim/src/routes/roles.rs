//! Roles of organizations, built in and custom.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::answer::{Answer, Outcome};
use crate::audit::Note;
use crate::json::Fields;
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
    let assignable = call.rights.custom_role_write(organization);
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
    problem: Option<String>,
}

fn wanted(call: &Call<'_>, organization: Uuid, drop_unknown: bool) -> Result<Wanted, Answer> {
    let fields = call.fields("CustomRoleRequest")?;
    let (name, display_name) = (fields.string("name")?, fields.string("display_name")?);
    Checks::new()
        .required_tag("name", "username", &name, validate::name)
        .done()?;
    if reserved(call, &name) {
        let detail = format!("{name:?} is a reserved role name, and not allowed to be used");
        return Err(Answer::detail(400, "Reserved role name", detail));
    }
    for (field, what) in [("site_permissions", "site wide"), ("user_permissions", "user")] {
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
    let mut permissions = Vec::new();
    let mut problem = None;
    for permission in fields
        .objects("organization_permissions", "Permission")?
        .unwrap_or_default()
    {
        match check(&permission)? {
            Ok(permission) => permissions.push(permission),
            Err(_) if drop_unknown => {}
            Err(text) => problem = problem.or(Some(text)),
        }
    }
    let role = CustomRole {
        id: Uuid::new_v4(),
        organization_id: organization,
        name: name.to_lowercase(),
        display_name,
        organization_permissions: permissions,
    };
    Ok(Wanted { role, problem })
}

fn reserved(call: &Call<'_>, name: &str) -> bool {
    let built_in = call.profile().organization_roles();
    name == "organization-member"
        || built_in
            .iter()
            .any(|role| role.get("name").and_then(Value::as_str) == Some(name))
        || crate::state::site_role(name).is_some()
}

fn check(permission: &Fields) -> Result<Result<Value, String>, Answer> {
    let (resource, action) = (permission.string("resource_type")?, permission.string("action")?);
    let negate = permission.boolean("negate")?;
    if negate {
        return Ok(Err("negative permissions are not allowed".to_owned()));
    }
    if resource == "*" || action == "*" {
        return Ok(Err(format!(
            "wildcard permissions are not allowed: {resource}.{action}"
        )));
    }
    Ok(match permission_problem(&resource, &action) {
        Some(problem) => Err(problem),
        None => Ok(json!({ "negate": false, "resource_type": resource, "action": action })),
    })
}

fn refuse(call: &Call<'_>, wanted: &Wanted) -> Result<(), Answer> {
    if !call.rights.custom_role_write(wanted.role.organization_id) {
        return Err(Answer::not_found());
    }
    let Some(problem) = &wanted.problem else { return Ok(()) };
    let organization = wanted.role.organization_id;
    // The newer server names the list and repeats the text (recording 03).
    let text = if call.state.traits().custom_role_put_drops_unknown {
        format!("org {problem}: {problem}")
    } else {
        problem.clone()
    };
    let detail = format!("invalid role: org=\"{organization}\": {text}");
    Err(Answer::detail(400, "Failed to update role permissions", detail))
}

fn create(call: &mut Call<'_>) -> Outcome {
    let organization = call.organization()?;
    let wanted = wanted(call, organization, false)?;
    refuse(call, &wanted)?;
    let role = wanted.role;
    let older = !call.state.traits().custom_role_put_drops_unknown;
    // The older server's index spans all organizations.
    let mut roles = call.state.custom_roles.iter();
    if roles.any(|other| other.name == role.name && (older || other.organization_id == organization)) {
        let constraint = if older {
            "idx_custom_roles_name_lower"
        } else {
            "custom_roles_unique_key"
        };
        return Err(Answer::detail(
            400,
            "Failed to update role permissions",
            format!("pq: duplicate key value violates unique constraint {constraint:?}"),
        ));
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
    let drop_unknown = call.state.traits().custom_role_put_drops_unknown;
    let wanted = wanted(call, organization, drop_unknown)?;
    let mut roles = call.state.custom_roles.iter();
    let stored = roles.position(|other| other.organization_id == organization && other.name == wanted.role.name);
    let stored = stored.and_then(|index| call.state.custom_roles.get(index).map(|role| (index, role.clone())));
    if let Some((_, before)) = &stored {
        let note = Note::new("custom_role", "write", before.id, &before.name).within(organization);
        call.note = Some(note.before(audited_custom_role(before)));
    }
    refuse(call, &wanted)?;
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
    if reserved(call, &name) {
        let detail = format!("{name:?} is a reserved role name, and not allowed to be used");
        return Err(Answer::detail(400, "Reserved role name", detail));
    }
    if !call.rights.custom_role_write(organization) {
        return Err(Answer::not_found());
    }
    let mut roles = call.state.custom_roles.iter();
    if !roles.any(|role| role.organization_id == organization && role.name == name) {
        return Err(Answer::detail(
            404,
            format!("No custom role with the name {name} found"),
            "no role found",
        ));
    }
    let mut roles = call.state.custom_roles.iter();
    if let Some(role) = roles.find(|role| role.organization_id == organization && role.name == name) {
        let note = Note::new("custom_role", "delete", role.id, &name).within(organization);
        call.note = Some(note.before(audited_custom_role(role)));
    }
    call.state.delete_custom_role(organization, &name);
    call.deleted("custom_role", format!("{organization}/{name}"));
    Ok(Answer::empty_json(204))
}
