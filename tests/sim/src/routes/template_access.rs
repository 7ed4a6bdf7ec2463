//! Who may use a template.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use super::templates::{in_path, note, noted, writable};
use crate::answer::{Answer, Outcome};
use crate::json::Fields;
use crate::router::{Call, Gate, Route};
use crate::state::{MemberOrder, UserStatus};

const ACL: &str = "/api/v2/templates/{template}/acl";
const GATE: Gate = Gate::First("template_rbac");

pub(super) static ROUTES: &[Route] = &[
    Route::get(ACL, get).gate(GATE),
    Route::patch(ACL, patch).gate(GATE),
    Route::get("/api/v2/templates/{template}/acl/available", available).gate(GATE),
];

#[derive(Serialize)]
struct WithRole<'a, T> {
    #[serde(flatten)]
    of: T,
    role: &'a str,
}

fn get(call: &mut Call<'_>) -> Outcome {
    let template = in_path(call)?;
    writable(call, &template)?;
    let users = call.state.template_users(&template).into_iter();
    let users: Vec<_> = users
        .map(|(user, role)| WithRole {
            of: call.state.user_shown(user),
            role,
        })
        .collect();
    let groups = call.state.template_groups(&template).into_iter();
    // A group of another organization comes with the name of the template's one (recording of templates).
    let organization = call.state.organizations.get(&template.organization_id);
    let groups: Vec<_> = groups
        .map(|(group, role)| WithRole {
            of: call
                .state
                .group_shown(&call.rights, group, MemberOrder::Table)
                .with_names_of(organization),
            role,
        })
        .collect();
    let took = call.state.time_to_list(groups.len());
    Ok(Answer::json(200, &json!({ "users": users, "group": groups })).taking(took))
}

/// Whom roles could be given to: all users, and the groups of the organization without their members.
fn available(call: &mut Call<'_>) -> Outcome {
    let template = in_path(call)?;
    writable(call, &template)?;
    let mut users: Vec<_> = call
        .state
        .users
        .values()
        .filter(|user| !user.deleted && user.status != UserStatus::Suspended && call.rights.user_read(user.id))
        .collect();
    users.sort_by_key(|user| user.username.to_lowercase());
    let users: Vec<_> = users.into_iter().map(|user| call.state.reduced_user(user)).collect();
    let groups = call.state.groups_of(Some(template.organization_id)).into_iter();
    let groups: Vec<_> = groups
        .map(|group| call.state.group_shown(&call.rights, group, MemberOrder::None))
        .collect();
    Ok(Answer::json(200, &json!({ "users": users, "groups": groups })))
}

/// The changes under `name`, and what is wrong with them. An empty role takes away, whoever is meant.
fn changes(
    fields: &Fields,
    name: &'static str,
    what: &str,
    exists: impl Fn(Uuid) -> bool,
    problems: &mut Vec<(&'static str, String)>,
) -> Result<BTreeMap<Uuid, String>, Answer> {
    let mut changes = BTreeMap::new();
    let wanted = fields.object(name, "map[string]codersdk.TemplateRole")?;
    for (id, _) in wanted.entries() {
        let role = wanted.string(id)?;
        let Ok(uuid) = Uuid::try_parse(id) else {
            problems.push((name, format!("{id} is not a valid UUID.")));
            continue;
        };
        if !matches!(role.as_str(), "" | "use" | "admin") {
            problems.push((name, format!("role {role:?} is not a valid template role")));
        } else if !role.is_empty() && !exists(uuid) {
            problems.push((name, format!("{what} with ID {id} does not exist")));
        } else {
            changes.insert(uuid, role);
        }
    }
    Ok(changes)
}

fn apply(roles: &mut BTreeMap<Uuid, String>, changes: BTreeMap<Uuid, String>) {
    for (id, role) in changes {
        if role.is_empty() {
            roles.remove(&id);
        } else {
            roles.insert(id, role);
        }
    }
}

/// A merge: who is not named keeps what it has.
fn patch(call: &mut Call<'_>) -> Outcome {
    let template = in_path(call)?;
    note(call, "write", &template);
    writable(call, &template)?;
    let fields = call.fields("UpdateTemplateACL")?;
    let mut problems = Vec::new();
    let user = |id: Uuid| call.state.users.get(&id).is_some_and(|user| !user.deleted);
    let users = changes(&fields, "user_perms", "user", user, &mut problems)?;
    // A group of another organization will do (recording of templates).
    let group = |id: Uuid| call.state.groups.contains_key(&id);
    let groups = changes(&fields, "group_perms", "group", group, &mut problems)?;
    if !problems.is_empty() {
        return Err(Answer::validations(
            400,
            "Invalid request to update template ACL",
            &problems,
        ));
    }
    call.state.edit_template(template.id, |template| {
        apply(&mut template.users, users);
        apply(&mut template.groups, groups);
    });
    call.updated("template_acl", template.id);
    noted(call, template.id);
    Ok(Answer::message(200, "Successfully updated template ACL list."))
}
