//! Changes of users: profile, site roles, status, password.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use uuid::Uuid;

use super::users::{answer, note, noted};
use crate::answer::{Answer, Outcome, RBAC_FORBIDDEN};
use crate::router::{Access, Call, Route};
use crate::state::{UserStatus, site_role};
use crate::validate::{self, Checks};

pub(super) static ROUTES: &[Route] = &[
    Route::put("/api/v2/users/{user}/profile", profile),
    Route::get("/api/v2/users/roles", site_roles),
    Route::get("/api/v2/users/{user}/roles", get_roles),
    Route::put("/api/v2/users/{user}/roles", roles),
    Route::put("/api/v2/users/{user}/status/suspend", suspend),
    Route::put("/api/v2/users/{user}/status/activate", activate),
    Route::put("/api/v2/users/{user}/password", password).access(Access::FewToken),
];

fn profile(call: &mut Call<'_>) -> Outcome {
    let id = call.user()?.id;
    note(call, "write", id);
    let fields = call.fields("UpdateUserProfileRequest")?;
    let (username, name) = (fields.string("username")?, fields.string("name")?);
    let avatar_url = fields.string("avatar_url")?;
    Checks::new()
        .required_tag("username", "username", &username, validate::name)
        .optional_tag("name", "user_real_name", &name, validate::real_name)
        .done()?;
    if id != call.me && !call.rights.user_write() {
        return Err(Answer::not_found());
    }
    if call.state.user_by_name(&username).is_some_and(|other| other.id != id) && !is_deleted(call, id) {
        return Err(Answer::json(
            409,
            &json!({
                "message": "A user with this username already exists.",
                "validations": [{ "field": "username", "detail": "This username is already in use." }],
            }),
        ));
    }
    let now = call.state.now();
    let takes_pictures = call.state.traits().profile_has_picture;
    call.state.edit_user(id, |user| {
        user.username = username;
        user.name = name;
        // The picture of who comes from an identity provider is the provider's (recording 22).
        if takes_pictures && !matches!(user.login_type.as_str(), "oidc" | "github") {
            user.avatar_url = avatar_url;
        }
        user.updated_at = now;
    });
    call.updated("user", id);
    noted(call, id);
    answer(call, 200, id)
}

fn is_deleted(call: &Call<'_>, id: Uuid) -> bool {
    call.state.users.get(&id).is_some_and(|user| user.deleted)
}

fn site_roles(call: &mut Call<'_>) -> Outcome {
    let mut roles: Vec<Value> = call.profile().site_roles().to_vec();
    for role in &mut roles {
        let name = role.get("name").and_then(Value::as_str).unwrap_or_default();
        let assignable = call.rights.may_assign_site_role(name);
        if let Some(object) = role.as_object_mut() {
            object.insert("assignable".to_owned(), json!(assignable));
        }
    }
    Ok(Answer::json(200, &roles))
}

fn get_roles(call: &mut Call<'_>) -> Outcome {
    let user = call.user()?;
    let members = call.state.members.of_user(user.id);
    let organizations: BTreeMap<Uuid, &[String]> = members
        .map(|member| (member.organization_id, member.roles.as_slice()))
        .collect();
    Ok(Answer::json(
        200,
        &json!({ "roles": user.roles, "organization_roles": organizations }),
    ))
}

/// Whether the caller may give and take these site roles.
pub(super) fn may_assign<'a>(call: &Call<'_>, roles: impl Iterator<Item = &'a String>) -> Result<(), Answer> {
    for role in roles {
        if site_role(role).is_none() {
            return Err(Answer::message(400, format!("{role:?} is not a supported role")));
        }
        if !call.rights.may_assign_site_role(role) {
            return Err(Answer::message(400, format!("not authorized to assign role {role:?}")));
        }
    }
    Ok(())
}

fn roles(call: &mut Call<'_>) -> Outcome {
    let user = call.user()?;
    let (id, before) = (user.id, user.roles.clone());
    note(call, "write", id);
    if id == call.me {
        return Err(Answer::message(400, "You cannot change your own roles."));
    }
    let mut roles = call.fields("UpdateRoles")?.strings("roles")?;
    if let Some(unknown) = roles.iter().find(|role| site_role(role).is_none()) {
        return Err(Answer::message(400, format!("{unknown:?} is not a supported role")));
    }
    roles.sort();
    roles.dedup();
    if !call.rights.user_write() {
        return Err(call.forbidden());
    }
    let given = roles.iter().filter(|role| !before.contains(role));
    let taken = before.iter().filter(|role| !roles.contains(role));
    may_assign(call, given.chain(taken))?;
    call.state.edit_user(id, |user| user.roles = roles);
    call.updated("user", id);
    noted(call, id);
    answer(call, 200, id)
}

fn suspend(call: &mut Call<'_>) -> Outcome {
    let user = call.user()?;
    let (id, owner) = (user.id, user.roles.iter().any(|role| role == "owner"));
    note(call, "write", id);
    if id == call.me {
        return Err(Answer::message(400, "You cannot suspend yourself."));
    }
    if owner {
        return Err(Answer::message(
            400,
            "You cannot suspend a user with the \"owner\" role. You must remove the role first.",
        ));
    }
    set_status(call, id, UserStatus::Suspended)
}

fn activate(call: &mut Call<'_>) -> Outcome {
    let id = call.user()?.id;
    note(call, "write", id);
    set_status(call, id, UserStatus::Active)
}

fn set_status(call: &mut Call<'_>, id: Uuid, status: UserStatus) -> Outcome {
    if !call.rights.user_write() {
        return Err(Answer::not_found());
    }
    call.state.set_user_status(id, status);
    call.updated("user", id);
    noted(call, id);
    answer(call, 200, id)
}

/// A new password ends all sessions and tokens of its user (recording 24).
fn password(call: &mut Call<'_>) -> Outcome {
    let user = call.user()?.clone();
    note(call, "write", user.id);
    let fields = call.fields("UpdateUserPasswordRequest")?;
    let (old, wanted) = (fields.string("old_password")?, fields.string("password")?);
    if user.id != call.me && !call.rights.user_write() {
        return Err(call.forbidden());
    }
    if user.login_type != "password" {
        return Err(Answer::message(
            400,
            "Users without password login type cannot change their password.",
        ));
    }
    validate::password(&wanted)
        .map_err(|detail| Answer::validations(400, "Invalid password.", &[("password", detail)]))?;
    if user.id == call.me && old != user.password {
        let problem = "Old password is incorrect.".to_owned();
        return Err(Answer::validations(400, problem.clone(), &[("old_password", problem)]));
    }
    let protected = user.id != call.me && user.roles.iter().any(|role| role == "owner");
    if protected && !call.rights.is_owner() && call.state.traits().user_admin_sets_passwords {
        return Err(Answer::message(400, "Only owners can change the password of an owner."));
    }
    if user.password == wanted {
        return Err(Answer::message(400, "New password cannot match old password."));
    }
    if user.id != call.me && !call.rights.is_owner() && !call.state.traits().user_admin_sets_passwords {
        let detail = format!("execute transaction: delete api keys by user ID: {RBAC_FORBIDDEN}");
        return Err(Answer::detail(500, "Internal error updating user's password.", detail));
    }
    call.state.edit_user(user.id, |user| user.password = wanted);
    call.state.api_keys.retain(|_, key| key.user != user.id);
    call.updated("user", user.id);
    noted(call, user.id);
    Ok(Answer::empty(204))
}
