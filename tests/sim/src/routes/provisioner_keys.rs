//! Provisioner keys and daemons.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::answer::{Answer, Outcome};
use crate::clock::rfc3339;
use crate::router::{Access, Call, Gate, Route};
use crate::state::ProvisionerKey;

const KEYS: &str = "/api/v2/organizations/{organization}/provisionerkeys";

pub(super) static ROUTES: &[Route] = &[
    Route::get(KEYS, list).gate(Gate::ProvisionerKeys),
    Route::post(KEYS, create).gate(Gate::ProvisionerKeys),
    Route::get("/api/v2/organizations/{organization}/provisionerkeys/daemons", by_key).gate(Gate::ProvisionerKeys),
    Route::delete(
        "/api/v2/organizations/{organization}/provisionerkeys/{provisionerkey}",
        delete,
    )
    .gate(Gate::ProvisionerKeys),
    Route::delete(
        "/api/v2/organizations/{organization}/provisionerkeys/{provisionerkey}/*",
        below_key,
    )
    .gate(Gate::ProvisionerKeys),
    Route::get("/api/v2/provisionerkeys/{provisionerkey}", by_itself)
        .access(Access::Anyone)
        .newer(),
    Route::get("/api/v2/organizations/{organization}/provisionerdaemons", daemons).gate(Gate::ProvisionerDaemons),
];

/// Daemons that signed in as a user hang on a key that every deployment has (recording 07).
const USER_AUTH_KEY: Uuid = Uuid::from_u128(2);
const RESERVED: [&str; 3] = ["built-in", "user-auth", "psk"];

fn key_json(key: &ProvisionerKey) -> Value {
    json!({
        "id": key.id,
        "created_at": rfc3339(key.created_at),
        "organization": key.organization_id,
        "name": key.name,
        "tags": key.tags,
    })
}

/// The keys that the caller may see; who may see none gets none, and no refusal (recording 27).
fn keys_of<'a>(call: &'a Call<'_>, organization: Uuid) -> Vec<&'a ProvisionerKey> {
    let keys = call.state.provisioner_keys.iter();
    let sees = call.rights.provisioner_key_read(organization);
    let mut keys: Vec<_> = keys.filter(|key| sees && key.organization_id == organization).collect();
    if call.state.traits().provisioner_keys_by_name {
        keys.sort_by_key(|key| &key.name);
    }
    keys
}

fn list(call: &mut Call<'_>) -> Outcome {
    let organization = call.organization()?;
    let keys: Vec<Value> = keys_of(call, organization).into_iter().map(key_json).collect();
    Ok(Answer::json(200, &Value::Array(keys)))
}

fn create(call: &mut Call<'_>) -> Outcome {
    let organization = call.organization()?;
    let fields = call.fields("CreateProvisionerKeyRequest")?;
    let name = fields.string("name")?;
    let given = fields.object("tags", "map[string]string")?;
    let mut tags = BTreeMap::new();
    for (tag, _) in given.entries() {
        tags.insert(tag.clone(), given.string(tag)?);
    }
    let problem = if name.is_empty() {
        Some("Name is required".to_owned())
    } else if name.len() > 64 {
        Some("Name must be at most 64 characters".to_owned())
    } else if RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(&name)) {
        Some(format!("Name cannot be reserved name '{name}'"))
    } else {
        None
    };
    if let Some(problem) = problem {
        return Err(Answer::validations(400, problem.clone(), &[("name", problem)]));
    }
    if !call.rights.provisioner_key_write(organization) {
        return Err(Answer::internal_forbidden());
    }
    let mut keys = call.state.provisioner_keys.iter();
    if keys.any(|key| key.organization_id == organization && key.name.eq_ignore_ascii_case(&name)) {
        let message = format!("Provisioner key with name '{name}' already exists in organization");
        return Err(Answer::message(409, message));
    }
    let key = call.state.insert_provisioner_key(organization, &name, tags);
    call.created("provisioner_key", key.id);
    Ok(Answer::json(201, &json!({ "key": key.key })))
}

fn by_key(call: &mut Call<'_>) -> Outcome {
    let organization = call.organization()?;
    let keys = keys_of(call, organization).into_iter();
    let daemons = |key: &ProvisionerKey| -> Vec<Value> {
        let daemon = |id| json!({ "id": id, "organization_id": organization, "key_id": key.id, "status": "idle" });
        key.daemons.iter().map(daemon).collect()
    };
    let mut body: Vec<Value> = keys
        .map(|key| json!({ "key": key_json(key), "daemons": daemons(key) }))
        .collect();
    if call.state.traits().user_auth_key {
        body.push(json!({
            "key": {
                "id": USER_AUTH_KEY,
                "created_at": "0001-01-01T00:00:00Z",
                "organization": organization,
                "name": "user-auth",
                "tags": {},
            },
            "daemons": [],
        }));
    }
    Ok(Answer::json(200, &Value::Array(body)))
}

fn daemons(call: &mut Call<'_>) -> Outcome {
    let organization = call.organization()?;
    if !call.rights.provisioner_daemon_read(organization) {
        return Err(Answer::not_found());
    }
    Ok(Answer::json(200, &json!([])))
}

fn delete(call: &mut Call<'_>) -> Outcome {
    let organization = call.organization()?;
    let name = call.param("provisionerkey").to_lowercase();
    let id = keys_of(call, organization)
        .into_iter()
        .find(|key| key.name == name)
        .map(|key| key.id)
        .ok_or_else(Answer::not_found)?;
    if !call.rights.provisioner_key_write(organization) {
        return Err(Answer::internal_forbidden());
    }
    call.state.provisioner_keys.retain(|key| key.id != id);
    call.deleted("provisioner_key", id);
    Ok(Answer::empty_json(204))
}

/// The key in a path is looked up before it shows that the path leads nowhere (recording 27).
fn below_key(call: &mut Call<'_>) -> Outcome {
    let organization = call.organization()?;
    let name = call.param("provisionerkey").to_lowercase();
    if keys_of(call, organization).iter().any(|key| key.name == name) {
        return Err(Answer::route_not_found());
    }
    Err(Answer::not_found())
}

/// Whoever has a key may look at it.
fn by_itself(call: &mut Call<'_>) -> Outcome {
    let shown = call.header("coder-provisioner-daemon-key").unwrap_or_default();
    let key = call.state.provisioner_keys.iter().find(|key| key.key == shown);
    let key = key.ok_or_else(|| Answer::message(401, "provisioner daemon key invalid"))?;
    Ok(Answer::json(200, &key_json(key)))
}
