//! The first user, signing in, and tokens.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::answer::{Answer, Outcome};
use crate::audit::{Note, Record};
use crate::router::{Access, Call, Route};
use crate::state::{NewUser, State, User, UserStatus, audited_user};
use crate::validate::{self, Checks};

pub(super) static ROUTES: &[Route] = &[
    Route::get("/api/v2/users/first", has_first_user).access(Access::Anyone),
    Route::post("/api/v2/users/first", create_first_user).access(Access::Anyone),
    Route::post("/api/v2/users/login", login).access(Access::Login),
    Route::post("/api/v2/users/{user}/keys/tokens", create_token),
];

/// How long a session, or a token without a lifetime, is good for.
const DAYS: SignedDuration = SignedDuration::from_hours(7 * 24);

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
    let Some(user) = user else {
        return Err(Answer::message(401, "Incorrect email or password."));
    };
    let (id, status) = (user.id, user.status);
    match status {
        UserStatus::Suspended => {
            return Err(Answer::message(
                401,
                "Your account is suspended. Contact an admin to reactivate your account.",
            ));
        }
        UserStatus::Dormant => {
            let before = user.clone();
            let (now, seen) = (call.state.now(), call.state.traits().sign_in_is_seen);
            call.state.edit_user(id, |user| {
                user.status = UserStatus::Active;
                user.updated_at = now;
                user.last_seen_at = if seen { Some(now) } else { user.last_seen_at };
            });
            log_activation(call.state, &before);
        }
        UserStatus::Active => {}
    }
    let token = call.state.insert_api_key(id, None, later(call.state.now(), DAYS));
    // Whoever signs in is the one the log names.
    call.me = id;
    call.note = Some(Note::new("api_key", "login", id, ""));
    Ok(Answer::json(201, &json!({ "session_token": token })))
}

/// The server makes an entry of its own, in the user's name, when a dormant user becomes active.
fn log_activation(state: &mut State, before: &User) {
    if !state.traits().audit_of_activation || !state.feature_enabled("audit_log") {
        return;
    }
    let Some(user) = state.users.get(&before.id) else {
        return;
    };
    let note = Note::new("user", "write", user.id, &user.username);
    let note = note.before(audited_user(before)).after(audited_user(user));
    let record = Record::of(note, user.id, 200, state.now(), "127.0.0.1".to_owned(), String::new());
    state.audit_log.write(record);
}

fn create_token(call: &mut Call<'_>) -> Outcome {
    let user = call.user()?.id;
    let fields = call.fields("CreateTokenRequest")?;
    let name = fields.string("token_name")?;
    let lifetime = fields
        .opt_int("lifetime")?
        .filter(|lifetime| *lifetime > 0)
        .map_or(DAYS, SignedDuration::from_nanos);
    // Only an owner makes tokens for others.
    if user != call.me && !call.rights.is_owner() {
        return Err(call.forbidden());
    }
    let mut keys = call.state.api_keys.values();
    if keys.any(|key| key.user == user && !name.is_empty() && key.name.as_deref() == Some(&name)) {
        return Err(Answer::json(
            409,
            &json!({
                "message": format!("A token with name {name:?} already exists."),
                "validations": [{ "field": "name", "detail": "This value is already in use and should be unique." }],
            }),
        ));
    }
    let name = if name.is_empty() {
        crate::state::random_name()
    } else {
        name
    };
    let token = call
        .state
        .insert_api_key(user, Some(name), later(call.state.now(), lifetime));
    call.created("api_key", token.split('-').next().unwrap_or_default());
    Ok(Answer::json(201, &json!({ "key": token })))
}

fn later(now: Timestamp, by: SignedDuration) -> Timestamp {
    now.saturating_add(by).unwrap_or(Timestamp::MAX)
}
