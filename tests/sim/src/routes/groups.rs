//! Groups.

use serde_json::json;
use uuid::Uuid;

use crate::answer::{Answer, Outcome, RBAC_FORBIDDEN};
use crate::audit::Note;
use crate::router::{Call, Gate, Route};
use crate::state::{Group, GroupChange, MemberOrder};
use crate::validate::{self, Checks};

const GROUP: &str = "/api/v2/groups/{group}";
const IN_ORGANIZATION: &str = "/api/v2/organizations/{organization}/groups";
const FIRST: Gate = Gate::First("template_rbac");
const THEN: Gate = Gate::Then("template_rbac");

pub(super) static ROUTES: &[Route] = &[
    Route::get("/api/v2/groups", list).gate(FIRST),
    Route::get(GROUP, get).gate(FIRST),
    Route::patch(GROUP, patch).gate(FIRST),
    Route::delete(GROUP, delete).gate(FIRST),
    Route::get("/api/v2/groups/{group}/members", members)
        .gate(FIRST)
        .newer(),
    Route::get(IN_ORGANIZATION, list_in_organization).gate(THEN),
    Route::post(IN_ORGANIZATION, create).gate(THEN),
    Route::get("/api/v2/organizations/{organization}/groups/{groupName}", get_by_name).gate(THEN),
    Route::get("/api/v2/organizations/{organization}/groups/{groupName}/*", below_name).gate(THEN),
];

fn list(call: &mut Call<'_>) -> Outcome {
    let unknown = call
        .query
        .iter()
        .find(|(key, _)| !matches!(key.as_str(), "organization" | "has_member" | "group_ids"));
    if let Some((key, _)) = unknown {
        let detail = format!("{key:?} is not a valid query param");
        return Err(Answer::validations(
            400,
            "Query parameters have invalid values.",
            &[(key, detail)],
        ));
    }
    let organization = match call.query("organization") {
        None => None,
        Some(named) => Some(
            call.state
                .find_organization(named)
                .map(|found| found.id)
                .ok_or_else(Answer::not_found)?,
        ),
    };
    let member = match call.query("has_member") {
        None => None,
        Some(named) => Some(
            call.state
                .find_user(named, call.me)
                .map(|user| user.id)
                .ok_or_else(Answer::not_found)?,
        ),
    };
    let ids: Option<Vec<&str>> = call.query("group_ids").map(|ids| ids.split(',').collect());
    let mut groups = call.state.groups_of(organization);
    groups.retain(|group| {
        member.is_none_or(|id| call.state.group_members(group).iter().any(|user| user.id == id))
            && ids
                .as_ref()
                .is_none_or(|ids| ids.contains(&group.id.to_string().as_str()))
    });
    Ok(listed(call, &groups))
}

fn list_in_organization(call: &mut Call<'_>) -> Outcome {
    let organization = call.organization()?;
    Ok(listed(call, &call.state.groups_of(Some(organization))))
}

fn listed(call: &Call<'_>, groups: &[&Group]) -> Answer {
    let readable = groups.iter().filter(|group| call.rights.may_read(group));
    let body: Vec<_> = readable
        .map(|group| call.state.group_shown(&call.rights, group, MemberOrder::Table))
        .collect();
    Answer::json(200, &body).taking(call.state.time_to_list(body.len()))
}

fn readable<'a>(call: &'a Call<'_>, group: Option<&'a Group>) -> Result<&'a Group, Answer> {
    group
        .filter(|group| call.rights.may_read(group))
        .ok_or_else(Answer::not_found)
}

fn in_path<'a>(call: &'a Call<'_>) -> Result<&'a Group, Answer> {
    let id = call.uuid("group")?;
    readable(call, call.state.groups.get(&id))
}

fn get(call: &mut Call<'_>) -> Outcome {
    let group = in_path(call)?;
    let without = call.state.traits().exclude_members && call.query("exclude_members") == Some("true");
    let order = if without { MemberOrder::None } else { MemberOrder::Table };
    Ok(Answer::json(200, &call.state.group_shown(&call.rights, group, order)))
}

fn get_by_name(call: &mut Call<'_>) -> Outcome {
    let organization = call.organization()?;
    let group = readable(call, call.state.group_by_name(organization, call.param("groupName")))?;
    Ok(Answer::json(
        200,
        &call.state.group_shown(&call.rights, group, MemberOrder::Table),
    ))
}

/// The group in a path is looked up before it shows that the path leads nowhere (recording 21).
fn below_name(call: &mut Call<'_>) -> Outcome {
    if call.param("groupName").is_empty() && call.state.traits().empty_group_name_is_400 {
        return Err(Answer::message(400, "Missing group name in URL"));
    }
    get_by_name(call)?;
    Err(Answer::route_not_found())
}

fn members(call: &mut Call<'_>) -> Outcome {
    let group = in_path(call)?;
    let (limit, offset) = call.page();
    let all = call.rights.group_members_read(group.organization_id);
    let wanted = call.query("q").unwrap_or_default().to_lowercase();
    let mut users = call.state.group_members(group);
    users.retain(|user| (all || user.id == call.me) && user.username.to_lowercase().contains(&wanted));
    users.sort_by_key(|user| user.username.to_lowercase());
    let page: Vec<_> = users
        .iter()
        .skip(offset)
        .take(limit)
        .map(|user| call.state.reduced_user(user))
        .collect();
    let page = Some(page).filter(|page| !page.is_empty());
    Ok(Answer::json(200, &json!({ "users": page, "count": users.len() })))
}

fn name_rule(call: &Call<'_>) -> fn(&str) -> bool {
    if call.state.traits().verbose_users {
        validate::short_group_name
    } else {
        validate::group_name
    }
}

/// The API takes any integer and keeps 32 bits of it.
#[allow(clippy::cast_possible_truncation, reason = "the real server truncates")]
fn quota(allowance: i64) -> i32 {
    allowance as i32
}

fn create(call: &mut Call<'_>) -> Outcome {
    let organization = call.organization()?;
    let fields = call.fields("CreateGroupRequest")?;
    let (name, display_name) = (fields.string("name")?, fields.string("display_name")?);
    let (avatar_url, allowance) = (
        fields.string("avatar_url")?,
        fields.opt_int("quota_allowance")?.unwrap_or_default(),
    );
    Checks::new()
        .required_tag("name", "group_name", &name, name_rule(call))
        .optional_tag(
            "display_name",
            "group_display_name",
            &display_name,
            validate::display_name,
        )
        .done()?;
    if name == "Everyone" {
        let detail = format!("{name:?} is a reserved group name");
        return Err(Answer::validations(400, "Invalid group name.", &[("name", detail)]));
    }
    if !call.rights.group_write(organization) {
        return Err(Answer::internal_forbidden());
    }
    if call.state.group_by_name(organization, &name).is_some() {
        let fields = [("name", "Group names must be unique".to_owned())];
        return Err(Answer::validations(
            409,
            format!("A group named {name:?} already exists."),
            &fields,
        ));
    }
    let id = call
        .state
        .insert_group(organization, &name, &display_name, &avatar_url, quota(allowance));
    call.created("group", id);
    if let Some(group) = call.state.groups.get(&id) {
        let watched = call.state.audited_group(group);
        call.note = Some(
            Note::new("group", "create", id, &name)
                .within(organization)
                .after(watched),
        );
    }
    answer(call, 201, id, MemberOrder::Table)
}

fn patch(call: &mut Call<'_>) -> Outcome {
    let group = in_path(call)?.clone();
    let fields = call.fields("PatchGroupRequest")?;
    let name = fields.string("name")?;
    let display_name = fields.opt_string("display_name")?;
    Checks::new()
        .optional_tag("name", "group_name", &name, name_rule(call))
        .optional_tag(
            "display_name",
            "group_display_name",
            display_name.as_deref().unwrap_or_default(),
            validate::display_name,
        )
        .done()?;
    let (add, remove) = (fields.strings("add_users")?, fields.strings("remove_users")?);
    let name = Some(name).filter(|name| !name.is_empty() && *name != group.name);
    if group.id == group.organization_id {
        refuse_for_everyone(
            name.as_deref(),
            display_name.as_deref(),
            !add.is_empty() || !remove.is_empty(),
        )?;
    }
    let watched = call.state.audited_group(&group);
    let note = Note::new("group", "write", group.id, &group.name).within(group.organization_id);
    call.note = Some(note.before(watched));
    let (add, remove) = (user_ids(&add)?, user_ids(&remove)?);
    if !call.state.all_are_members(group.organization_id, &add)
        || !call.state.all_are_members(group.organization_id, &remove)
    {
        // The text names the group where it means the organization (recording 04).
        return Err(Answer::message(
            400,
            format!("User must be a member of organization {:?}", group.name),
        ));
    }
    if let Some(name) = &name
        && call.state.group_by_name(group.organization_id, name).is_some()
    {
        return Err(Answer::message(
            409,
            format!("A group with name {name:?} already exists."),
        ));
    }
    if !call.rights.group_write(group.organization_id) {
        return Err(forbidden());
    }
    let quota_allowance = fields.opt_int("quota_allowance")?.map(quota);
    let avatar_url = fields.opt_string("avatar_url")?;
    let change = GroupChange {
        name,
        display_name,
        avatar_url,
        quota_allowance,
        add,
        remove,
    };
    if let Err(user) = call.state.change_group(group.id, change) {
        return Err(Answer::detail(
            400,
            "Cannot add the same user to a group twice!",
            format!(
                "execute transaction: insert group member \"{user}\": pq: duplicate key value violates unique constraint \
                 \"group_members_user_id_group_id_key\""
            ),
        ));
    }
    call.updated("group", group.id);
    if let Some(group) = call.state.groups.get(&group.id) {
        call.noted_after(call.state.audited_group(group));
    }
    if call.state.traits().patched_group_needs_organization && !call.rights.organization_read(group.organization_id) {
        return Ok(error_and_answer(call, group.id));
    }
    let by_username = call.state.traits().patched_group_by_username;
    answer(
        call,
        200,
        group.id,
        if by_username {
            MemberOrder::Username
        } else {
            MemberOrder::Table
        },
    )
}

/// What the older server writes when it may not read the organization of a group it has changed: both bodies, in the order
/// of its own fields.
fn error_and_answer(call: &Call<'_>, id: Uuid) -> Answer {
    let group = call.state.groups.get(&id);
    let body = group.map(|group| json!(call.state.group_shown(&call.rights, group, MemberOrder::Username)));
    let order = [
        "id",
        "name",
        "display_name",
        "organization_id",
        "members",
        "total_member_count",
        "avatar_url",
        "quota_allowance",
        "source",
    ];
    let body = body.unwrap_or_default();
    let fields = order
        .iter()
        .filter_map(|name| body.get(*name).map(|value| format!("{name:?}:{value}")));
    let fields: Vec<String> = fields.collect();
    let refusal = format!("{{\"message\":\"An internal server error occurred.\",\"detail\":{RBAC_FORBIDDEN:?}}}");
    // The organization that could not be read has no name.
    let nameless = "\"organization_name\":\"\",\"organization_display_name\":\"\"";
    let text = format!("{refusal}\n{{{},{nameless}}}\n", fields.join(","));
    Answer::text(500, "application/json; charset=utf-8", &text)
}

fn forbidden() -> Answer {
    let detail = format!("execute transaction: update group by ID: {RBAC_FORBIDDEN}");
    Answer::detail(400, "Failed to add or remove non-existent group member", detail)
}

fn refuse_for_everyone(name: Option<&str>, display_name: Option<&str>, users: bool) -> Result<(), Answer> {
    if name.is_some() {
        return Err(Answer::message(400, "Cannot rename the \"Everyone\" group!"));
    }
    if display_name.is_some_and(|name| !name.is_empty()) {
        return Err(Answer::message(
            400,
            "Cannot update the Display Name for the \"Everyone\" group!",
        ));
    }
    if users {
        return Err(Answer::message(
            403,
            "Cannot add or remove users from the \"Everyone\" group!",
        ));
    }
    Ok(())
}

fn user_ids(users: &[String]) -> Result<Vec<Uuid>, Answer> {
    let parse = |user: &String| {
        Uuid::try_parse(user).map_err(|_| Answer::message(400, format!("ID {user:?} must be a valid user UUID.")))
    };
    users.iter().map(parse).collect()
}

fn delete(call: &mut Call<'_>) -> Outcome {
    let group = in_path(call)?.clone();
    let id = group.id;
    if id == group.organization_id {
        return Err(Answer::message(
            400,
            "\"Everyone\" is a reserved group and cannot be deleted!",
        ));
    }
    let watched = call.state.audited_group(&group);
    let note = Note::new("group", "delete", id, &group.name).within(group.organization_id);
    call.note = Some(note.before(watched));
    if !call.rights.group_write(group.organization_id) {
        return Err(Answer::internal_forbidden());
    }
    call.state.groups.remove(id);
    call.deleted("group", id);
    Ok(Answer::message(200, "Successfully deleted group!"))
}

fn answer(call: &Call<'_>, status: u16, id: Uuid, order: MemberOrder) -> Outcome {
    let group = call.state.groups.get(&id).ok_or_else(Answer::not_found)?;
    Ok(Answer::json(
        status,
        &call.state.group_shown(&call.rights, group, order),
    ))
}
