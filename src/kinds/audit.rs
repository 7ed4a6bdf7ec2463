//! What an entry of the audit log says about which collection.

use std::collections::BTreeSet;

use super::group::{GroupSync, Groups};
use super::license::Licenses;
use super::members::Members;
use super::organization::{Organizations, Sharing};
use super::workspace_proxy::Proxies;
use crate::coder::{AuditEntry, OrganizationId, UserId};
use crate::mirror::feed::Touch;
use crate::mirror::{Collection, Fields, Mirror};

/// Collections with changes that are not in the log of every server (recording 14): they keep the short sweep.
const UNRECORDED: [&str; 3] = [
    // The settings of workspace sharing are written without an entry.
    Sharing::NAME,
    // A proxy's health is nobody's doing.
    Proxies::NAME,
    // The settings of group sync have entries only on the servers of 2026.
    GroupSync::NAME,
];

/// Whether the log of every server names every change of that collection that matters. [`touches`] knows its entries.
pub(super) fn covers<C: Collection>() -> bool {
    !UNRECORDED.contains(&C::NAME)
}

/// What is to be looked at again because of an entry. Refused calls are none of the caller's.
pub(super) fn touches(mirror: &Mirror, entry: &AuditEntry) -> Vec<Touch> {
    let object = entry.resource_id.to_string();
    let within = entry.organization();
    match (entry.resource_type.as_str(), within) {
        ("organization", _) => organization(mirror, entry),
        ("group", Some(within)) => vec![item(&Groups(within), object, fields(entry))],
        ("organization_member", Some(within)) => {
            // Who leaves an organization leaves its groups, without an entry for them.
            let mut touches = groups_of(mirror, within, UserId(entry.resource_id));
            touches.insert(0, item(&Members(within), object, fields(entry)));
            touches
        }
        ("idp_sync_settings_group", Some(within)) => vec![whole(&GroupSync(within), fields(entry))],
        ("workspace_proxy", _) => vec![item(&Proxies, object, fields(entry))],
        ("license", _) => license(mirror, entry),
        ("user", _) => user(mirror, entry),
        _ => Vec::new(),
    }
}

/// A deleted organization takes everything in it along.
fn organization(mirror: &Mirror, entry: &AuditEntry) -> Vec<Touch> {
    let mut touches = vec![item(&Organizations, entry.resource_id.to_string(), fields(entry))];
    if entry.action == "delete" {
        let suffix = format!("/{}", entry.resource_id);
        let within = mirror.collections().into_iter().filter(|id| id.ends_with(&suffix));
        touches.extend(within.map(|collection| Touch {
            collection,
            item: None,
            fields: Fields::All,
        }));
    }
    touches
}

/// What happens while a licence is missing leaves no entries, but that it came or went does: everything may differ.
fn license(mirror: &Mirror, entry: &AuditEntry) -> Vec<Touch> {
    let uuid = entry.resource_id.to_string();
    let known = mirror.peek(&Licenses);
    let number = known
        .as_ref()
        .and_then(|known| known.iter().find(|license| license.uuid.as_ref() == Some(&uuid)))
        .map(Licenses::key);
    let license = Touch {
        collection: Licenses.id(),
        item: number,
        fields: fields(entry),
    };
    let others = mirror.collections().into_iter().filter(|id| *id != Licenses.id());
    let others = others.map(|collection| Touch {
        collection,
        item: None,
        fields: Fields::none(),
    });
    [license].into_iter().chain(others).collect()
}

/// A user's name, status or end shows wherever it is a member.
fn user(mirror: &Mirror, entry: &AuditEntry) -> Vec<Touch> {
    let user = UserId(entry.resource_id);
    let mut touches = Vec::new();
    for within in organizations(mirror) {
        let is_member = mirror
            .peek(&Members(within))
            .is_some_and(|members| members.get(&user.to_string()).is_some());
        if is_member {
            touches.push(item(&Members(within), user.to_string(), Fields::All));
        }
        touches.extend(groups_of(mirror, within, user));
    }
    touches
}

/// The groups of an organization that a user was in when they were last looked at.
fn groups_of(mirror: &Mirror, within: OrganizationId, user: UserId) -> Vec<Touch> {
    let Some(groups) = mirror.peek(&Groups(within)) else {
        return Vec::new();
    };
    let with_user = groups.iter().filter(|group| group.members.contains_key(&user));
    with_user
        .map(|group| item(&Groups(within), group.id.to_string(), Fields::named(["members"])))
        .collect()
}

/// The organizations of which anything is known.
fn organizations(mirror: &Mirror) -> BTreeSet<OrganizationId> {
    mirror
        .collections()
        .iter()
        .filter_map(|id| id.split_once('/')?.1.parse().ok())
        .collect()
}

/// Which fields of the specs a change of the object itself concerns.
fn fields(entry: &AuditEntry) -> Fields {
    if entry.action != "write" {
        return Fields::All;
    }
    // The quota of the group Everyone, whose id is the organization's, is the organization's field.
    let everyone = entry.organization().is_some_and(|within| within.0 == entry.resource_id);
    Fields::named(entry.diff.keys().map(|logged| match logged.as_str() {
        "display_name" => "displayName",
        "avatar_url" => "avatarURL",
        "quota_allowance" if everyone => "everyoneQuotaAllowance",
        "quota_allowance" => "quotaAllowance",
        other => other,
    }))
}

fn whole(collection: &impl Collection, fields: Fields) -> Touch {
    Touch {
        collection: collection.id(),
        item: None,
        fields,
    }
}

fn item(collection: &impl Collection, key: String, fields: Fields) -> Touch {
    Touch {
        item: Some(key),
        ..whole(collection, fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(action: &str, id: u128, within: u128, diff: &[&str]) -> AuditEntry {
        let diff: serde_json::Map<_, _> = diff
            .iter()
            .map(|field| ((*field).to_owned(), serde_json::json!({ "old": 1, "new": 2 })))
            .collect();
        let body = serde_json::json!({
            "id": uuid::Uuid::nil(), "time": "2026-01-01T00:00:00Z", "resource_type": "group", "action": action,
            "resource_id": uuid::Uuid::from_u128(id), "organization_id": uuid::Uuid::from_u128(within), "diff": diff,
        });
        serde_json::from_value(body).unwrap()
    }

    #[test]
    fn the_fields_of_an_entry_are_called_as_the_specs_call_them() {
        let logged = ["quota_allowance", "display_name", "avatar_url", "members"];
        let write = fields(&entry("write", 1, 2, &logged));
        assert_eq!(
            write,
            Fields::named(["quotaAllowance", "displayName", "avatarURL", "members"])
        );
        let everyone = fields(&entry("write", 2, 2, &["quota_allowance"]));
        assert_eq!(everyone, Fields::named(["everyoneQuotaAllowance"]));
        assert_eq!(fields(&entry("delete", 1, 2, &logged)), Fields::All);
    }

    #[test]
    fn what_the_log_leaves_out_keeps_the_short_sweep() {
        assert!(Groups::is_audited() && Members::is_audited());
        assert!(Licenses::is_audited() && Organizations::is_audited());
        assert!(!Sharing::is_audited() && !Proxies::is_audited() && !GroupSync::is_audited());
    }
}
