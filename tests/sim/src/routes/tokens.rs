//! API tokens.

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::answer::{Answer, Outcome, RBAC_FORBIDDEN};
use crate::audit::Note;
use crate::json::Fields;
use crate::router::{Call, Route};
use crate::state::{ApiKey, NewApiKey, User, key_id};

const TOKENS: &str = "/api/v2/users/{user}/keys/tokens";
const KEY: &str = "/api/v2/users/{user}/keys/{keyid}";
/// What a scope that may be asked for is about.
const PUBLIC: [&str; 8] = [
    "api_key",
    "file",
    "organization",
    "task",
    "template",
    "user",
    "user_secret",
    "workspace",
];
/// A hundred years.
const MAXIMUM: SignedDuration = SignedDuration::from_hours(876_600);
/// An owner's token in newer servers.
const OWNERS_MAXIMUM: SignedDuration = SignedDuration::from_hours(168);

pub(super) static ROUTES: &[Route] = &[
    Route::get(TOKENS, list),
    Route::post(TOKENS, create),
    Route::get("/api/v2/users/{user}/keys/tokens/tokenconfig", limits),
    Route::get("/api/v2/users/{user}/keys/tokens/{keyname}", by_name),
    Route::get(KEY, by_id),
    Route::delete(KEY, delete),
];

fn maximum(call: &Call<'_>, user: &User) -> SignedDuration {
    let owner = user.roles.iter().any(|role| role == "owner");
    if owner && call.state.traits().owners_tokens_end_soon {
        OWNERS_MAXIMUM
    } else {
        MAXIMUM
    }
}

fn limits(call: &mut Call<'_>) -> Outcome {
    let nanoseconds = maximum(call, call.user()?).as_nanos();
    Ok(Answer::json(
        200,
        &json!({ "max_token_lifetime": i64::try_from(nanoseconds).ok() }),
    ))
}

/// Whether a key may be seen and deleted: one's own, and all by an owner.
fn readable(call: &Call<'_>, key: &ApiKey) -> bool {
    key.user == call.me || call.rights.is_owner()
}

fn list(call: &mut Call<'_>) -> Outcome {
    let user = call.user()?.id;
    let asked = |name| call.query(name) == Some("true");
    let all = asked("include_all");
    let expired = asked("include_expired") || !call.state.traits().expired_tokens_hidden;
    let now = call.state.now();
    let keys = call.state.api_keys.values();
    let mut keys: Vec<&ApiKey> = keys
        .filter(|key| key.login_type == "token" && (all || key.user == user))
        .filter(|key| readable(call, key) && (expired || key.expires_at > now))
        .collect();
    keys.sort_by_key(|key| key.seq);
    let shown = keys.into_iter().map(|key| {
        let mut body = call.state.api_key_json(key);
        let name = call.state.users.get(&key.user).map(|user| user.username.as_str());
        if let Some(object) = body.as_object_mut() {
            object.insert("username".to_owned(), json!(name));
        }
        body
    });
    let shown: Vec<Value> = shown.collect();
    Ok(Answer::json(200, &Some(shown).filter(|shown| !shown.is_empty())))
}

/// What a token may be used for, as the newer server reads it; the older one knows only the word `scope`.
fn scopes(call: &Call<'_>, fields: &Fields) -> Result<Vec<String>, Answer> {
    let word = match fields.string("scope")?.as_str() {
        "application_connect" => "coder:application_connect",
        _ => "coder:all",
    };
    let wanted = fields.strings("scopes")?;
    if wanted.is_empty() || !call.state.traits().token_scopes {
        return Ok(vec![word.to_owned()]);
    }
    let known = |scope: &String| match scope.split_once(':') {
        Some(("coder", what)) => matches!(what, "all" | "application_connect"),
        Some((resource, action)) => PUBLIC.contains(&resource) && !action.is_empty(),
        None => false,
    };
    match wanted.iter().find(|scope| !known(scope)) {
        Some(unknown) => Err(Answer::detail(
            400,
            "Failed to create API key.",
            format!("invalid or unsupported API key scope: {unknown:?}"),
        )),
        None => Ok(wanted),
    }
}

fn lifetime(call: &Call<'_>, fields: &Fields, user: &User) -> Result<Option<SignedDuration>, Answer> {
    let refuse = |detail: String| {
        Err(Answer::detail(
            400,
            "Failed to validate create API key request.",
            detail,
        ))
    };
    let Some(wanted) = fields.opt_int("lifetime")?.filter(|wanted| *wanted != 0) else {
        return Ok(None);
    };
    let (wanted, most) = (SignedDuration::from_nanos(wanted), maximum(call, user));
    if wanted.is_negative() {
        return refuse("lifetime must be positive number greater than 0".to_owned());
    }
    if wanted > most {
        let most = if call.state.traits().token_scopes {
            format!("{}h0m0s", most.as_hours())
        } else {
            most.as_nanos().to_string()
        };
        return refuse(format!("lifetime must be less than {most}"));
    }
    Ok(Some(wanted))
}

fn create(call: &mut Call<'_>) -> Outcome {
    let user = call.user()?;
    let id = user.id;
    let fields = call.fields("CreateTokenRequest")?;
    let name = fields.string("token_name")?;
    let lifetime = lifetime(call, &fields, user)?;
    let scopes = scopes(call, &fields)?;
    // Only an owner makes tokens for others.
    if id != call.me && !call.rights.is_owner() {
        let detail = format!("insert API key: {RBAC_FORBIDDEN}");
        return Err(Answer::detail(500, "Failed to create API key.", detail));
    }
    if call.state.users.get(&id).is_some_and(|user| user.deleted) {
        let detail = "insert API key: pq: Cannot create API key for deleted user";
        return Err(Answer::detail(500, "Failed to create API key.", detail));
    }
    let mut keys = call.state.api_keys.values();
    if keys.any(|key| key.user == id && !name.is_empty() && key.name == name) {
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
    let new = NewApiKey {
        scopes,
        lifetime,
        ..NewApiKey::token(name.clone())
    };
    let token = call.state.insert_api_key(id, new);
    call.created("api_key", key_id(&token));
    if let Some(key) = call.state.api_keys.get(key_id(&token)) {
        let watched = call.state.audited_api_key(key);
        call.note = Some(Note::new("api_key", "create", id, &name).after(watched));
    }
    Ok(Answer::json(201, &json!({ "key": token })))
}

fn by_name(call: &mut Call<'_>) -> Outcome {
    let user = call.user()?.id;
    let name = call.param("keyname");
    let mut keys = call.state.api_keys.values();
    let key = keys.find(|key| key.user == user && key.login_type == "token" && key.name == name);
    shown(call, key)
}

/// The user in the path does not matter (recording 23).
fn by_id(call: &mut Call<'_>) -> Outcome {
    call.user()?;
    shown(call, call.state.api_keys.get(call.param("keyid")))
}

fn shown(call: &Call<'_>, key: Option<&ApiKey>) -> Outcome {
    let key = key.filter(|key| readable(call, key)).ok_or_else(Answer::not_found)?;
    Ok(Answer::json(200, &call.state.api_key_json(key)))
}

fn delete(call: &mut Call<'_>) -> Outcome {
    call.user()?;
    let key = call.state.api_keys.get(call.param("keyid"));
    let key = key.filter(|key| readable(call, key)).ok_or_else(Answer::not_found)?;
    let (id, watched) = (key.id.clone(), call.state.audited_api_key(key));
    let note = Note::new("api_key", "delete", key.user, &key.name).before(watched);
    call.note = Some(note.after(crate::audit::Fields::new()));
    call.state.api_keys.remove(&id);
    call.deleted("api_key", id);
    Ok(Answer::empty(204))
}
