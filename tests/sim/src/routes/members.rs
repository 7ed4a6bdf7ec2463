//! Members of organizations.

use serde_json::json;
use uuid::Uuid;

use crate::answer::{Answer, Outcome};
use crate::audit::Note;
use crate::router::{Call, Route};
use crate::state::{Member, PREBUILDS_USER, User};

const MEMBER: &str = "/api/v2/organizations/{organization}/members/{user}";

const ORGANIZATION_SYNC: &str = "Organization sync is enabled for OIDC users, meaning manual organization assignment is \
                                 not allowed for this user. Have the user re-login to refresh their organizations.";

pub(super) static ROUTES: &[Route] = &[
    Route::get("/api/v2/organizations/{organization}/members", list),
    Route::get("/api/v2/organizations/{organization}/paginated-members", list_page).newer(),
    Route::get(MEMBER, get).newer(),
    Route::post(MEMBER, add),
    Route::delete(MEMBER, remove),
    Route::put("/api/v2/organizations/{organization}/members/{user}/roles", set_roles),
    Route::get(
        "/api/v2/organizations/{organization}/members/{user}/workspace-quota",
        quota,
    ),
    Route::get("/api/v2/workspace-quota/{user}", quota_of_default),
];

fn readable<'a>(call: &'a Call<'_>, organization: Uuid) -> Vec<(&'a Member, &'a User)> {
    let all = call.rights.member_read(organization);
    let deleted_too = !call.state.traits().deleted_user_leaves;
    let members = call.state.members.of_organization(organization);
    let mut found: Vec<_> = members
        .filter(|member| all || member.user_id == call.me)
        .filter_map(|member| call.state.users.get(&member.user_id).map(|user| (member, user)))
        .filter(|(_, user)| deleted_too || !user.deleted)
        .collect();
    found.sort_by_key(|(member, _)| member.seq);
    found
}

fn list(call: &mut Call<'_>) -> Outcome {
    let organization = call.organization()?;
    let members = readable(call, organization);
    let body: Vec<_> = members
        .iter()
        .map(|(member, user)| call.state.member_with_user(member, user))
        .collect();
    Ok(Answer::json(200, &body))
}

fn list_page(call: &mut Call<'_>) -> Outcome {
    let organization = call.organization()?;
    let (limit, offset) = call.page();
    let wanted = call.query("q").unwrap_or_default().to_lowercase();
    let mut members = readable(call, organization);
    members.retain(|(_, user)| user.username.to_lowercase().contains(&wanted) || user.email.contains(&wanted));
    members.sort_by_key(|(_, user)| user.username.to_lowercase());
    let page = members.iter().skip(offset).take(limit);
    let page: Vec<_> = page
        .map(|(member, user)| call.state.member_with_user(member, user))
        .collect();
    Ok(Answer::json(200, &json!({ "members": page, "count": members.len() })))
}

fn get(call: &mut Call<'_>) -> Outcome {
    let member = call.member()?;
    let user = call.state.users.get(&member.user_id).ok_or_else(Answer::not_found)?;
    Ok(Answer::json(200, &call.state.member_with_user(member, user)))
}

fn add(call: &mut Call<'_>) -> Outcome {
    let organization = call.organization()?;
    if call.param("user") == PREBUILDS_USER.to_string() && call.state.traits().system_user_in_groups {
        return add_system_user(call, organization);
    }
    let user = call.user()?.clone();
    if user.login_type == "oidc" && call.state.organization_sync_is_on() {
        let name = user.username;
        let detail = format!(
            "User {name} is an OIDC user and organization sync is enabled. Ask an administrator to resolve the membership in \
             your external IDP."
        );
        return Err(Answer::detail(400, ORGANIZATION_SYNC, detail));
    }
    if !call.rights.member_write(organization) {
        return Err(Answer::not_found());
    }
    if call.state.members.contains_key(&(organization, user.id)) {
        if !call.state.traits().unknown_user_is_404 {
            return Err(Answer::message(
                400,
                "Organization member already exists in this organization",
            ));
        }
        let shown = call
            .state
            .organizations
            .get(&organization)
            .map(|found| found.display_name.as_str());
        let detail = format!("{} is already a member of {}", user.username, shown.unwrap_or_default());
        return Err(Answer::detail(400, "User is already an organization member", detail));
    }
    call.state.insert_member(organization, user.id);
    call.created("organization_member", format!("{organization}/{}", user.id));
    let note = Note::new("organization_member", "create", user.id, &user.username).within(organization);
    call.note = Some(note);
    noted(call, organization, user.id);
    answer(call, organization, user.id)
}

/// The system user may be put into an organization, and is shown nowhere (recording 25).
fn add_system_user(call: &mut Call<'_>, organization: Uuid) -> Outcome {
    if !call.rights.member_write(organization) {
        return Err(Answer::not_found());
    }
    call.state.insert_member(organization, PREBUILDS_USER);
    call.created("organization_member", format!("{organization}/{PREBUILDS_USER}"));
    let note = Note::new("organization_member", "create", PREBUILDS_USER, "prebuilds");
    call.note = Some(note.within(organization));
    noted(call, organization, PREBUILDS_USER);
    answer(call, organization, PREBUILDS_USER)
}

fn remove(call: &mut Call<'_>) -> Outcome {
    let member = call.member()?;
    let (organization, user) = (member.organization_id, member.user_id);
    note(call, "delete", organization, user);
    if user == call.me {
        return Err(Answer::message(400, "cannot remove self from an organization"));
    }
    if !call.rights.member_write(organization) {
        return Err(Answer::not_found());
    }
    call.state.remove_member(organization, user);
    call.deleted("organization_member", format!("{organization}/{user}"));
    Ok(Answer::empty(204))
}

fn set_roles(call: &mut Call<'_>) -> Outcome {
    let (organization, user) = if call.state.traits().roles_of_unseen_members {
        let organization = call.organization()?;
        let user = call.state.find_user(call.param("user"), call.me).map(|user| user.id);
        let member = user.and_then(|user| call.state.members.get(&(organization, user)));
        (organization, member.ok_or_else(Answer::not_found)?.user_id)
    } else {
        let member = call.member()?;
        (member.organization_id, member.user_id)
    };
    note(call, "write", organization, user);
    if user == call.me {
        return Err(Answer::detail(
            400,
            "You cannot change your own organization roles.",
            "Another user with the appropriate permissions must change your roles.",
        ));
    }
    let from_provider = call
        .state
        .users
        .get(&user)
        .is_some_and(|user| user.login_type == "oidc");
    if from_provider && call.state.role_sync_is_on(organization) {
        let detail = "'User Role Field' is set in the organization settings. Ask an administrator to adjust or disable these \
                      settings.";
        return Err(Answer::detail(400, call.state.traits().role_sync_refusal, detail));
    }
    let roles = call.fields("UpdateRoles")?.strings("roles")?;
    for role in &roles {
        if role.contains(':') {
            return Err(Answer::message(
                400,
                format!("attempt to assign a role {role:?}, remove the ':<organization_id> suffix"),
            ));
        }
        if call.state.organization_role(organization, role).is_none() {
            return Err(Answer::message(
                400,
                format!("\"{role}:{organization}\" is not a supported role"),
            ));
        }
    }
    let previous = call
        .state
        .members
        .get(&(organization, user))
        .map(|found| found.roles.clone())
        .unwrap_or_default();
    if !call.rights.member_write(organization) {
        return Err(call.forbidden());
    }
    let given = roles.iter().filter(|role| !previous.contains(role));
    let taken = previous.iter().filter(|role| !roles.contains(role));
    let mut changed = given.chain(taken);
    if let Some(role) = changed.find(|role| !call.rights.may_assign_organization_role(organization, role)) {
        return Err(not_assignable(call, organization, role));
    }
    call.state.set_member_roles(organization, user, roles);
    noted(call, organization, user);
    call.updated("organization_member", format!("{organization}/{user}"));
    answer(call, organization, user)
}

/// The newer servers call a custom role by another name here than by its own (recording 26).
fn not_assignable(call: &Call<'_>, organization: Uuid, role: &str) -> Answer {
    let custom = call.state.custom_role(organization, role).is_some();
    let shown = if custom { "custom-organization-role" } else { role };
    Answer::message(400, format!("not authorized to assign role \"{shown}:{organization}\""))
}

fn note(call: &mut Call<'_>, action: &'static str, organization: Uuid, user: Uuid) {
    let Some(member) = call.state.members.get(&(organization, user)) else {
        return;
    };
    let name = call
        .state
        .users
        .get(&user)
        .map(|user| user.username.as_str())
        .unwrap_or_default();
    let watched = call.state.audited_member(member);
    call.note = Some(
        Note::new("organization_member", action, user, name)
            .within(organization)
            .before(watched),
    );
}

fn noted(call: &mut Call<'_>, organization: Uuid, user: Uuid) {
    if let Some(member) = call.state.members.get(&(organization, user)) {
        call.noted_after(call.state.audited_member(member));
    }
}

fn quota(call: &mut Call<'_>) -> Outcome {
    let organization = call.organization()?;
    let user = call.user()?.id;
    Ok(quota_json(call, organization, user))
}

fn quota_of_default(call: &mut Call<'_>) -> Outcome {
    let user = call.user()?.id;
    Ok(quota_json(call, call.state.default_organization(), user))
}

/// Without the feature there is no budget (recording 20).
fn quota_json(call: &mut Call<'_>, organization: Uuid, user: Uuid) -> Answer {
    let budget = if call.state.feature_enabled("template_rbac") {
        call.state.budget(organization, user)
    } else {
        -1
    };
    Answer::json(200, &json!({ "credits_consumed": 0, "budget": budget }))
}

fn answer(call: &Call<'_>, organization: Uuid, user: Uuid) -> Outcome {
    let member = call
        .state
        .members
        .get(&(organization, user))
        .ok_or_else(Answer::not_found)?;
    Ok(Answer::json(200, &call.state.member_shown(member)))
}
