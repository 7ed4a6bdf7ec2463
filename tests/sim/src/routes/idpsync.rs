//! IdP sync: of organizations (one object a deployment), groups and roles (one each an organization).

use serde_json::Value;
use uuid::Uuid;

use crate::answer::{Answer, Outcome};
use crate::audit::{Fields as Watched, Note, SETTINGS_ID};
use crate::json::{self, Fields, decode_uuid};
use crate::router::{Call, Route};
use crate::state::{GroupSync, Mapping, OrganizationSync, RoleSync, change_mapping};
use crate::validate;

const SITE: &str = "/api/v2/settings/idpsync/organization";
const GROUPS: &str = "/api/v2/organizations/{organization}/settings/idpsync/groups";
const ROLES: &str = "/api/v2/organizations/{organization}/settings/idpsync/roles";

pub(super) static ROUTES: &[Route] = &[
    Route::get(SITE, get_site).newer(),
    Route::patch(SITE, patch_site).newer(),
    Route::patch("/api/v2/settings/idpsync/organization/config", patch_site_config).newer(),
    Route::patch("/api/v2/settings/idpsync/organization/mapping", patch_site_mapping).newer(),
    Route::get("/api/v2/settings/idpsync/available-fields", available_fields).newer(),
    Route::get("/api/v2/settings/idpsync/field-values", field_values).newer(),
    Route::get(GROUPS, get_groups),
    Route::patch(GROUPS, patch_groups),
    Route::patch(
        "/api/v2/organizations/{organization}/settings/idpsync/groups/config",
        patch_groups_config,
    )
    .newer(),
    Route::patch(
        "/api/v2/organizations/{organization}/settings/idpsync/groups/mapping",
        patch_groups_mapping,
    )
    .newer(),
    Route::get(ROLES, get_roles),
    Route::patch(ROLES, patch_roles),
    Route::patch(
        "/api/v2/organizations/{organization}/settings/idpsync/roles/config",
        patch_roles_config,
    )
    .newer(),
    Route::patch(
        "/api/v2/organizations/{organization}/settings/idpsync/roles/mapping",
        patch_roles_mapping,
    )
    .newer(),
];

/// The `mapping` of a full object; ids in it must be UUIDs where `ids` says so, but need not exist (recording 06).
fn mapping(fields: &Fields, ids: bool) -> Result<Option<Mapping>, Answer> {
    if fields.get("mapping").is_none() {
        return Ok(None);
    }
    let mut mapping = Mapping::new();
    let given = fields.object("mapping", "map[string][]string")?;
    for (claim, gets) in given.entries() {
        let gets = match gets {
            Value::Null => None,
            Value::Array(_) => {
                let gets = given.strings(claim)?;
                if ids {
                    for id in &gets {
                        decode_uuid(id)?;
                    }
                }
                Some(gets)
            }
            _ => {
                return Err(json::invalid(
                    "json: cannot unmarshal into Go struct field mapping of type []string",
                ));
            }
        };
        mapping.insert(claim.clone(), gets);
    }
    Ok(Some(mapping))
}

/// The pairs of a mapping change.
fn pairs(fields: &Fields, name: &str, ids: bool) -> Result<Vec<(String, String)>, Answer> {
    let mut pairs = Vec::new();
    for pair in fields.objects(name, "IDPSyncMapping")?.unwrap_or_default() {
        let (given, gets) = (pair.string("given")?, pair.string("gets")?);
        if ids {
            decode_uuid(&gets)?;
        }
        pairs.push((given, gets));
    }
    Ok(pairs)
}

fn change(call: &Call<'_>, mapping: &mut Option<Mapping>, ids: bool) -> Result<(), Answer> {
    let fields = call.fields("PatchIDPSyncMappingRequest")?;
    change_mapping(mapping, &pairs(&fields, "add", ids)?, &pairs(&fields, "remove", ids)?);
    Ok(())
}

fn keep(settings: &Value) -> Watched {
    settings.as_object().cloned().unwrap_or_default()
}

fn watched_site(call: &Call<'_>, sync: &OrganizationSync) -> Watched {
    let mut watched = keep(&sync.json(call.profile()));
    if let Some(assign_default) = watched.remove("organization_assign_default") {
        watched.insert("assign_default".to_owned(), assign_default);
    }
    watched
}

/// Settings that were never written have no mapping at all.
fn watched_groups(call: &Call<'_>, sync: Option<&GroupSync>) -> Watched {
    sync.map(|sync| keep(&sync.json(call.profile()))).unwrap_or_default()
}

fn watched_roles(call: &Call<'_>, sync: Option<&RoleSync>) -> Watched {
    sync.map(|sync| keep(&sync.json(call.profile()))).unwrap_or_default()
}

/// Noted before anything is looked at: refused and unreadable changes are entries too (recording 14).
fn note_settings(call: &mut Call<'_>, kind: &'static str, target: &str, organization: Uuid, before: Watched) {
    if call.state.traits().audit_of_settings {
        call.note = Some(
            Note::new(kind, "write", SETTINGS_ID, target)
                .within(organization)
                .before(before),
        );
    }
}

fn note_site(call: &mut Call<'_>) {
    let before = watched_site(call, &call.state.organization_sync);
    note_settings(
        call,
        "idp_sync_settings_organization",
        "Organization Sync",
        Uuid::nil(),
        before,
    );
}

fn note_groups(call: &mut Call<'_>) -> Result<(), Answer> {
    let organization = call.organization()?;
    let before = watched_groups(call, call.state.group_sync.get(&organization));
    note_settings(
        call,
        "idp_sync_settings_group",
        "Organization Group Sync",
        organization,
        before,
    );
    Ok(())
}

fn note_roles(call: &mut Call<'_>) -> Result<(), Answer> {
    let organization = call.organization()?;
    let before = watched_roles(call, call.state.role_sync.get(&organization));
    note_settings(
        call,
        "idp_sync_settings_role",
        "Organization Role Sync",
        organization,
        before,
    );
    Ok(())
}

fn site(call: &Call<'_>) -> Result<(), Answer> {
    if call.rights.site_idp_sync() {
        Ok(())
    } else {
        Err(call.forbidden())
    }
}

fn in_organization(call: &Call<'_>) -> Result<Uuid, Answer> {
    let organization = call.organization()?;
    if call.rights.idp_sync(organization) {
        Ok(organization)
    } else {
        Err(call.forbidden())
    }
}

fn available_fields(call: &mut Call<'_>) -> Outcome {
    site(call)?;
    // As long as nobody has signed in nothing is known, and that is `null` (recording 06).
    Ok(Answer::json(200, &call.state.seen_claims()))
}

fn field_values(call: &mut Call<'_>) -> Outcome {
    site(call)?;
    let claim = call.query("claimField").unwrap_or_default();
    Ok(Answer::json(200, &call.state.seen_values(claim)))
}

fn get_site(call: &mut Call<'_>) -> Outcome {
    site(call)?;
    Ok(Answer::json(200, &call.state.organization_sync.json(call.profile())))
}

fn set_site(call: &mut Call<'_>, sync: OrganizationSync) -> Answer {
    let answer = Answer::json(200, &sync.json(call.profile()));
    let watched = watched_site(call, &sync);
    call.noted_after(watched);
    call.state.organization_sync = sync;
    call.updated("idp_sync_settings_organization", call.state.deployment_id);
    answer
}

fn patch_site(call: &mut Call<'_>) -> Outcome {
    note_site(call);
    site(call)?;
    let fields = call.fields("OrganizationSyncSettings")?;
    let sync = OrganizationSync {
        field: fields.string("field")?,
        mapping: mapping(&fields, true)?,
        assign_default: fields.boolean("organization_assign_default")?,
    };
    Ok(set_site(call, sync))
}

fn patch_site_config(call: &mut Call<'_>) -> Outcome {
    note_site(call);
    site(call)?;
    let fields = call.fields("PatchOrganizationIDPSyncConfigRequest")?;
    let sync = OrganizationSync {
        field: fields.string("field")?,
        assign_default: fields.boolean("assign_default")?,
        mapping: call.state.organization_sync.mapping.clone(),
    };
    Ok(set_site(call, sync))
}

fn patch_site_mapping(call: &mut Call<'_>) -> Outcome {
    note_site(call);
    site(call)?;
    let mut sync = call.state.organization_sync.clone();
    change(call, &mut sync.mapping, true)?;
    Ok(set_site(call, sync))
}

fn groups_of(call: &Call<'_>, organization: Uuid) -> GroupSync {
    call.state.group_sync.get(&organization).cloned().unwrap_or_default()
}

fn get_groups(call: &mut Call<'_>) -> Outcome {
    let organization = in_organization(call)?;
    Ok(Answer::json(200, &groups_of(call, organization).json(call.profile())))
}

fn set_groups(call: &mut Call<'_>, organization: Uuid, sync: GroupSync) -> Answer {
    let answer = Answer::json(200, &sync.json(call.profile()));
    let watched = watched_groups(call, Some(&sync));
    call.noted_after(watched);
    call.state.group_sync.insert(organization, sync);
    call.updated("idp_sync_settings_group", organization);
    answer
}

fn regex_filter(fields: &Fields) -> Result<Option<String>, Answer> {
    let pattern = fields.opt_string("regex_filter")?;
    if let Some(pattern) = &pattern {
        validate::pattern(pattern).map_err(json::invalid)?;
    }
    Ok(pattern)
}

fn patch_groups(call: &mut Call<'_>) -> Outcome {
    note_groups(call)?;
    let organization = in_organization(call)?;
    let fields = call.fields("GroupSyncSettings")?;
    let sync = GroupSync {
        field: fields.string("field")?,
        mapping: mapping(&fields, true)?,
        regex_filter: regex_filter(&fields)?,
        auto_create: fields.boolean("auto_create_missing_groups")?,
    };
    if fields
        .get("legacy_group_name_mapping")
        .and_then(Value::as_object)
        .is_some_and(|legacy| !legacy.is_empty())
    {
        return Err(Answer::json(
            400,
            &serde_json::json!({
                "message": "Unexpected field 'legacy_group_name_mapping'. Field not allowed, set to null or remove it.",
                "detail": "legacy_group_name_mapping is deprecated, use mapping instead",
                "validations": [{ "field": "legacy_group_name_mapping", "detail": "field is not allowed" }],
            }),
        ));
    }
    Ok(set_groups(call, organization, sync))
}

fn patch_groups_config(call: &mut Call<'_>) -> Outcome {
    note_groups(call)?;
    let organization = in_organization(call)?;
    let fields = call.fields("PatchGroupIDPSyncConfigRequest")?;
    let sync = GroupSync {
        field: fields.string("field")?,
        regex_filter: regex_filter(&fields)?,
        auto_create: fields.boolean("auto_create_missing_groups")?,
        mapping: groups_of(call, organization).mapping,
    };
    Ok(set_groups(call, organization, sync))
}

fn patch_groups_mapping(call: &mut Call<'_>) -> Outcome {
    note_groups(call)?;
    let organization = in_organization(call)?;
    let mut sync = groups_of(call, organization);
    change(call, &mut sync.mapping, true)?;
    Ok(set_groups(call, organization, sync))
}

fn roles_of(call: &Call<'_>, organization: Uuid) -> RoleSync {
    call.state.role_sync.get(&organization).cloned().unwrap_or_default()
}

fn get_roles(call: &mut Call<'_>) -> Outcome {
    let organization = in_organization(call)?;
    Ok(Answer::json(200, &roles_of(call, organization).json(call.profile())))
}

fn set_roles(call: &mut Call<'_>, organization: Uuid, sync: RoleSync) -> Answer {
    let answer = Answer::json(200, &sync.json(call.profile()));
    let watched = watched_roles(call, Some(&sync));
    call.noted_after(watched);
    call.state.role_sync.insert(organization, sync);
    call.updated("idp_sync_settings_role", organization);
    answer
}

fn patch_roles(call: &mut Call<'_>) -> Outcome {
    note_roles(call)?;
    let organization = in_organization(call)?;
    let fields = call.fields("RoleSyncSettings")?;
    let sync = RoleSync {
        field: fields.string("field")?,
        mapping: mapping(&fields, false)?,
    };
    Ok(set_roles(call, organization, sync))
}

fn patch_roles_config(call: &mut Call<'_>) -> Outcome {
    note_roles(call)?;
    let organization = in_organization(call)?;
    let field = call.fields("PatchRoleIDPSyncConfigRequest")?.string("field")?;
    let sync = RoleSync {
        field,
        mapping: roles_of(call, organization).mapping,
    };
    Ok(set_roles(call, organization, sync))
}

fn patch_roles_mapping(call: &mut Call<'_>) -> Outcome {
    note_roles(call)?;
    let organization = in_organization(call)?;
    let mut sync = roles_of(call, organization);
    change(call, &mut sync.mapping, false)?;
    Ok(set_roles(call, organization, sync))
}
