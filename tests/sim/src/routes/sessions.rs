//! The first user, and signing in.

use serde_json::json;
use uuid::Uuid;

use crate::answer::{Answer, Outcome};
use crate::audit::Note;
use crate::router::{Access, Call, Route};
use crate::state::{NewApiKey, NewUser, State, UserStatus};
use crate::validate::{self, Checks};

pub(super) static ROUTES: &[Route] = &[
    Route::get("/api/v2/users/first", has_first_user).access(Access::Anyone),
    Route::post("/api/v2/users/first", create_first_user).access(Access::Anyone),
    Route::post("/api/v2/users/login", login).access(Access::Login),
];

fn has_first_user(call: &mut Call<'_>) -> Outcome {
    if call.state.users.is_empty() {
        return Err(Answer::message(404, "The initial user has not been created!"));
    }
    Ok(Answer::message(200, "The initial user has already been created!"))
}

fn create_first_user(call: &mut Call<'_>) -> Outcome {
    let fields = call.fields("CreateFirstUserRequest")?;
    let (email, username) = (fields.string("email")?, fields.string("username")?);
    let (name, password) = (fields.string("name")?, fields.string("password")?);
    Checks::new()
        .required_tag("email", "email", &email, validate::email)
        .required_tag("username", "username", &username, validate::name)
        .required("password", &password)
        .done()?;
    if !call.state.users.is_empty() {
        return Err(Answer::message(409, "The initial user has already been created."));
    }
    let id = insert_first_user(call.state, username, email, name, password);
    call.created("user", id);
    let organization = call.state.default_organization();
    Ok(Answer::json(
        201,
        &json!({ "user_id": id, "organization_id": organization }),
    ))
}

/// Makes the first user: an owner, member of the default organization.
pub(crate) fn insert_first_user(
    state: &mut State,
    username: String,
    email: String,
    name: String,
    password: String,
) -> uuid::Uuid {
    let counted = state.traits().first_user_counted;
    if !counted {
        state.refresh_entitlements();
    }
    let id = state.insert_user(NewUser {
        username,
        email,
        name,
        login_type: "password".to_owned(),
        password,
        status: UserStatus::Active,
        service_account: false,
        organizations: vec![state.default_organization()],
    });
    state.edit_user(id, |user| user.roles = vec!["owner".to_owned()]);
    if counted {
        state.refresh_entitlements();
    }
    id
}

fn login(call: &mut Call<'_>) -> Outcome {
    let fields = call.fields("LoginWithPasswordRequest")?;
    let (email, password) = (fields.string("email")?, fields.string("password")?);
    Checks::new()
        .required_tag("email", "email", &email, validate::email)
        .required("password", &password)
        .done()?;
    let user = call.state.user_by_email(&email);
    let user = user.filter(|user| user.login_type == "password" && user.password == password);
    let known = call.state.user_by_email(&email).map(|user| user.id);
    let found = user.map(|user| (user.id, user.status));
    if let Some(id) = known {
        // Whoever tries to sign in is the one the log names; a refusal is about no object.
        call.me = id;
        call.note = Some(Note::new("api_key", "login", Uuid::nil(), ""));
    }
    let Some((id, status)) = found else {
        return Err(Answer::message(401, "Incorrect email or password."));
    };
    match status {
        UserStatus::Suspended => {
            return Err(Answer::message(
                401,
                "Your account is suspended. Contact an admin to reactivate your account.",
            ));
        }
        UserStatus::Dormant => {
            let (now, seen) = (call.state.now(), call.state.traits().sign_in_is_seen);
            call.state.activate_user(id);
            call.state.edit_user(id, |user| {
                user.updated_at = now;
                user.last_seen_at = if seen { Some(now) } else { user.last_seen_at };
            });
        }
        UserStatus::Active => {}
    }
    let token = call.state.insert_api_key(id, NewApiKey::session("password"));
    call.note = Some(Note::new("api_key", "login", id, ""));
    Ok(Answer::json(201, &json!({ "session_token": token })))
}
