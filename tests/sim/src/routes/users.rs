//! Users.

use serde_json::json;
use uuid::Uuid;

use crate::answer::{Answer, Outcome};
use crate::audit::Note;
use crate::router::{Call, Route};
use crate::state::{NewUser, User, UserStatus, audited_user, site_role};
use crate::validate::{self, Checks};

const USER: &str = "/api/v2/users/{user}";

pub(super) static ROUTES: &[Route] = &[
    Route::get("/api/v2/users", list),
    Route::post("/api/v2/users", create),
    Route::get(USER, get),
    Route::delete(USER, delete),
    Route::put("/api/v2/users/{user}/profile", profile),
    Route::put("/api/v2/users/{user}/roles", roles),
    Route::put("/api/v2/users/{user}/status/suspend", suspend),
    Route::put("/api/v2/users/{user}/status/activate", activate),
    Route::put("/api/v2/users/{user}/password", password),
];

fn list(call: &mut Call<'_>) -> Outcome {
    let (limit, offset) = call.page();
    let terms: Vec<String> = call
        .query("q")
        .unwrap_or_default()
        .split_whitespace()
        .map(str::to_lowercase)
        .collect();
    let mut users: Vec<&User> = call
        .state
        .users
        .values()
        .filter(|user| !user.deleted && call.rights.user_read(user.id))
        .filter(|user| terms.iter().all(|term| found_by(user, term)))
        .collect();
    users.sort_by_key(|user| user.username.to_lowercase());
    let page: Vec<_> = users
        .iter()
        .skip(offset)
        .take(limit)
        .map(|user| call.state.user_shown(user))
        .collect();
    Ok(Answer::json(200, &json!({ "users": page, "count": users.len() })))
}

/// A search term with a key looks at that field, one without at the name and the mail address.
fn found_by(user: &User, term: &str) -> bool {
    match term.split_once(':') {
        Some(("status", value)) => user.status.name() == value,
        Some(("login_type", value)) => user.login_type == value,
        Some(("role", value)) => user.roles.iter().any(|role| role == value),
        Some(("email", value)) => user.email.to_lowercase() == value,
        Some(("service_account", value)) => user.service_account.to_string() == value,
        _ => user.username.to_lowercase().contains(term) || user.email.to_lowercase().contains(term),
    }
}

fn get(call: &mut Call<'_>) -> Outcome {
    let id = call.user()?.id;
    answer(call, 200, id)
}

fn create(call: &mut Call<'_>) -> Outcome {
    let fields = call.fields("CreateUserRequestWithOrgs")?;
    let (email, username) = (fields.string("email")?, fields.string("username")?);
    let (name, password) = (fields.string("name")?, fields.string("password")?);
    let service_account = fields.boolean("service_account")? && call.state.traits().unknown_user_is_404;
    let mut checks = Checks::new();
    if !service_account {
        checks = checks.required_tag("email", "email", &email, validate::email);
    }
    checks
        .required_tag("username", "username", &username, validate::name)
        .optional_tag("name", "user_real_name", &name, validate::real_name)
        .done()?;
    if !call.rights.user_write() {
        return Err(Answer::message(403, "You are not authorized to create users."));
    }
    let organizations = organizations(call, &fields)?;
    let login_type = match fields.string("login_type")? {
        given if !given.is_empty() => given,
        _ if service_account => "none".to_owned(),
        _ => "password".to_owned(),
    };
    check_login(call, &login_type, &password, service_account)?;
    if call.state.user_by_name(&username).is_some() || call.state.user_by_email(&email).is_some() {
        return Err(Answer::message(409, "User already exists."));
    }
    let status = match fields.string("user_status")?.as_str() {
        "active" => UserStatus::Active,
        "suspended" => UserStatus::Suspended,
        _ => UserStatus::Dormant,
    };
    let name = name.trim().to_owned();
    let new = NewUser {
        username,
        email,
        name,
        login_type,
        password,
        status,
        service_account,
        organizations,
    };
    let id = call.state.insert_user(new);
    call.created("user", id);
    note(call, "create", id);
    if let Some(note) = &mut call.note {
        note.after = std::mem::take(&mut note.before);
    }
    answer(call, 201, id)
}

fn organizations(call: &Call<'_>, fields: &crate::json::Fields) -> Result<Vec<Uuid>, Answer> {
    let wanted = fields.uuids("organization_ids")?;
    if wanted.is_empty() {
        return Err(Answer::json(
            400,
            &json!({
                "message": "No organization specified to place the user as a member of. It is required to specify at \
                            least one organization id to place the user in.",
                "detail": "required at least 1 value for the array 'organization_ids'",
                "validations": [{ "field": "organization_ids", "detail": "Missing values, this cannot be empty" }],
            }),
        ));
    }
    let mut found = Vec::new();
    for id in wanted {
        let organization = call.state.find_organization(&id.to_string());
        let organization = organization.filter(|organization| call.rights.organization_read(organization.id));
        let Some(organization) = organization else {
            return Err(Answer::message(
                404,
                format!("Organization does not exist with the provided id \"{id}\"."),
            ));
        };
        found.push(organization.id);
    }
    Ok(found)
}

fn check_login(call: &mut Call<'_>, login_type: &str, password: &str, service_account: bool) -> Result<(), Answer> {
    if service_account {
        if !call.state.feature_enabled("service_accounts") {
            return Err(Answer::not_entitled("service_accounts"));
        }
        if !password.is_empty() || login_type != "none" {
            return Err(Answer::message(
                400,
                "Service accounts cannot have a password or a login type.",
            ));
        }
        return Ok(());
    }
    match login_type {
        "password" if !validate::password(password) => {
            let message = if call.state.traits().verbose_users {
                "Password not strong enough!"
            } else {
                "Password is invalid"
            };
            let detail = "insecure password, try including more special characters, using lowercase letters, using \
                          uppercase letters, using numbers or using a longer password";
            Err(Answer::validations(400, message, &[("password", detail.to_owned())]))
        }
        "password" => Ok(()),
        _ if !password.is_empty() => Err(Answer::message(
            400,
            "Password cannot be set for non-password authentication.",
        )),
        "oidc" => Err(Answer::message(
            400,
            "You must configure OIDC before creating OIDC users.",
        )),
        "none" | "github" => Ok(()),
        other => Err(Answer::message(
            400,
            format!("Unsupported login type {other:?} for manually creating new users."),
        )),
    }
}

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
    if call.state.user_by_name(&username).is_some_and(|other| other.id != id) {
        return Err(Answer::json(
            409,
            &json!({
                "message": "A user with this username already exists.",
                "validations": [{ "field": "username", "detail": "This value is already in use and should be unique." }],
            }),
        ));
    }
    let now = call.state.now();
    call.state.edit_user(id, |user| {
        user.username = username;
        user.name = name;
        user.avatar_url = avatar_url;
        user.updated_at = now;
    });
    call.updated("user", id);
    noted(call, id);
    answer(call, 200, id)
}

fn roles(call: &mut Call<'_>) -> Outcome {
    let user = call.user()?;
    let (id, before) = (user.id, user.roles.clone());
    note(call, "write", id);
    if id == call.me {
        return Err(Answer::message(400, "You cannot change your own roles."));
    }
    let mut roles = call.fields("UpdateRoles")?.strings("roles")?;
    for role in &roles {
        if site_role(role).is_none() && role != "member" {
            return Err(Answer::message(400, format!("{role:?} is not a supported role")));
        }
    }
    roles.retain(|role| role != "member");
    roles.sort();
    roles.dedup();
    let mut changed = roles
        .iter()
        .filter(|role| !before.contains(role))
        .chain(before.iter().filter(|role| !roles.contains(role)));
    if !call.rights.user_write() || !changed.all(|role| call.rights.may_assign_site_role(role)) {
        return Err(call.forbidden());
    }
    call.state.edit_user(id, |user| user.roles = roles);
    call.updated("user", id);
    noted(call, id);
    answer(call, 200, id)
}

fn suspend(call: &mut Call<'_>) -> Outcome {
    let user = call.user()?;
    if user.id == call.me {
        return Err(Answer::message(400, "You cannot suspend yourself."));
    }
    if user.roles.iter().any(|role| role == "owner") {
        return Err(Answer::message(
            400,
            "You cannot suspend a user with the \"owner\" role. You must remove the role first.",
        ));
    }
    set_status(call, UserStatus::Suspended)
}

fn activate(call: &mut Call<'_>) -> Outcome {
    set_status(call, UserStatus::Active)
}

fn set_status(call: &mut Call<'_>, status: UserStatus) -> Outcome {
    let id = call.user()?.id;
    note(call, "write", id);
    if !call.rights.user_write() {
        return Err(Answer::not_found());
    }
    call.state.set_user_status(id, status);
    call.updated("user", id);
    noted(call, id);
    answer(call, 200, id)
}

fn password(call: &mut Call<'_>) -> Outcome {
    let user = call.user()?.clone();
    let wanted = call.fields("UpdateUserPasswordRequest")?.string("password")?;
    if user.id != call.me && !call.rights.user_write() {
        return Err(call.forbidden());
    }
    if user.login_type != "password" {
        return Err(Answer::message(
            400,
            "Users without password login type cannot change their password.",
        ));
    }
    if !validate::password(&wanted) {
        let detail = "insecure password".to_owned();
        return Err(Answer::validations(400, "Invalid password.", &[("password", detail)]));
    }
    if user.password == wanted {
        return Err(Answer::message(400, "New password cannot match old password."));
    }
    call.state.edit_user(user.id, |user| user.password = wanted);
    call.updated("user", user.id);
    Ok(Answer::empty(204))
}

fn delete(call: &mut Call<'_>) -> Outcome {
    let user = call.user()?;
    let (id, workspaces) = (user.id, user.workspaces);
    note(call, "delete", id);
    if id == call.me {
        return Err(Answer::message(403, "You cannot delete yourself!"));
    }
    if !call.rights.user_write() {
        return Err(call.forbidden());
    }
    if workspaces > 0 {
        return Err(Answer::message(
            417,
            "You cannot delete a user that has workspaces. Delete their workspaces and try again!",
        ));
    }
    call.state.delete_user(id);
    call.deleted("user", id);
    noted(call, id);
    Ok(Answer::message(200, "User has been deleted!"))
}

fn note(call: &mut Call<'_>, action: &'static str, id: Uuid) {
    if let Some(user) = call.state.users.get(&id) {
        call.note = Some(Note::new("user", action, id, &user.username).before(audited_user(user)));
    }
}

fn noted(call: &mut Call<'_>, id: Uuid) {
    if let Some(user) = call.state.users.get(&id) {
        call.noted_after(audited_user(user));
    }
}

fn answer(call: &Call<'_>, status: u16, id: Uuid) -> Outcome {
    let user = call.state.users.get(&id).ok_or_else(Answer::not_found)?;
    Ok(Answer::json(status, &call.state.user_shown(user)))
}
