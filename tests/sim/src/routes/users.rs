//! Users.

use serde_json::json;
use uuid::Uuid;

use super::user_changes::may_assign;
use crate::answer::{Answer, Outcome};
use crate::audit::Note;
use crate::router::{Call, Route};
use crate::state::{NewUser, User, UserStatus, audited_user};
use crate::validate::{self, Checks};

const USER: &str = "/api/v2/users/{user}";

pub(super) static ROUTES: &[Route] = &[
    Route::get("/api/v2/users", list),
    Route::post("/api/v2/users", create),
    Route::get(USER, get),
    Route::delete(USER, delete),
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
    let newer = call.state.traits().unknown_user_is_404;
    let (email, username) = (fields.string("email")?, fields.string("username")?);
    let (name, password) = (fields.string("name")?, fields.string("password")?);
    let service_account = newer && fields.boolean("service_account")?;
    let mut checks = Checks::new();
    if email.is_empty() && newer {
        checks = checks.tag("email", "required_unless", "", service_account);
    } else {
        checks = checks.required_tag("email", "email", &email, validate::email);
    }
    checks
        .required_tag("username", "username", &username, validate::name)
        .optional_tag("name", "user_real_name", &name, validate::real_name)
        .done()?;
    let organizations = organizations(call, &fields)?;
    if !call.rights.user_write() {
        return Err(Answer::message(403, "You are not authorized to create users."));
    }
    let login_type = fields.string("login_type")?;
    let login_type = if service_account {
        check_service_account(call, &email, &password, &login_type)?;
        "none".to_owned()
    } else {
        let login_type = if login_type.is_empty() {
            "password".to_owned()
        } else {
            login_type
        };
        check_login(call, &login_type, &password)?;
        login_type
    };
    if call.state.user_by_name(&username).is_some() || call.state.user_by_email(&email).is_some() {
        return Err(Answer::message(409, "User already exists."));
    }
    let status = match fields.string("user_status")?.as_str() {
        "active" if newer => UserStatus::Active,
        "suspended" if newer => UserStatus::Suspended,
        _ => UserStatus::Dormant,
    };
    let roles = if newer { fields.strings("roles")? } else { Vec::new() };
    may_assign(call, roles.iter())?;
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
    call.state.edit_user(id, |user| user.roles = roles);
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

fn check_service_account(call: &mut Call<'_>, email: &str, password: &str, login_type: &str) -> Result<(), Answer> {
    let problem = if !call.state.feature_enabled("service_accounts") {
        return Err(Answer::not_entitled("service_accounts"));
    } else if !email.is_empty() {
        "Email cannot be set for service accounts."
    } else if !password.is_empty() {
        "Password cannot be set for service accounts."
    } else if !matches!(login_type, "" | "none") {
        "Service accounts must use login type 'none'."
    } else {
        return Ok(());
    };
    Err(Answer::message(400, problem))
}

fn check_login(call: &Call<'_>, login_type: &str, password: &str) -> Result<(), Answer> {
    match login_type {
        "password" => validate::password(password).map_err(|detail| {
            let message = if call.state.traits().verbose_users {
                "Password not strong enough!"
            } else {
                "Password is invalid"
            };
            Answer::validations(400, message, &[("password", detail)])
        }),
        _ if !password.is_empty() => Err(Answer::message(
            400,
            format!("Password cannot be set for non-password ({login_type:?}) authentication."),
        )),
        "oidc" if call.state.process.configuration.identity_provider => Ok(()),
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

pub(super) fn note(call: &mut Call<'_>, action: &'static str, id: Uuid) {
    if let Some(user) = call.state.users.get(&id) {
        call.note = Some(Note::new("user", action, id, &user.username).before(audited_user(user)));
    }
}

/// Notes what a user is now: the log calls it by the name it has then.
pub(super) fn noted(call: &mut Call<'_>, id: Uuid) {
    if let Some(user) = call.state.users.get(&id) {
        if let Some(note) = &mut call.note {
            note.target.clone_from(&user.username);
        }
        call.noted_after(audited_user(user));
    }
}

pub(super) fn answer(call: &Call<'_>, status: u16, id: Uuid) -> Outcome {
    let user = call.state.users.get(&id).ok_or_else(Answer::not_found)?;
    Ok(Answer::json(status, &call.state.user_shown(user)))
}
