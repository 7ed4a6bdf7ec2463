//! What an entry of the audit log says about which collection.
//!
//! Not every change is in the log. What it leaves out (recording 14): workspace sharing, a proxy's health, and before
//! the servers of 2026 the settings of group sync. Their collections are not [`Collection::AUDITED`] and keep the short
//! sweep.

use std::collections::BTreeSet;

use super::group::Groups;
use super::license::Licenses;
use super::members::Members;
use super::organization::Organizations;
use super::workspace_proxy::Proxies;
use crate::coder::{AuditEntry, OrganizationId, UserId};
use crate::mirror::feed::audit::Touch;
use crate::mirror::{Collection, Mirror};

/// What is to be looked at again because of an entry. Refused calls are none of the caller's.
pub(super) fn touches(mirror: &Mirror, entry: &AuditEntry) -> Vec<Touch> {
    let object = entry.resource_id.to_string();
    match entry.resource_type.as_str() {
        "organization" => organization(mirror, entry),
        "group" => entry
            .organization()
            .map(|within| item(&Groups(within), object))
            .into_iter()
            .collect(),
        "organization_member" => {
            let Some(within) = entry.organization() else {
                return Vec::new();
            };
            // Who leaves an organization leaves its groups, without an entry for them.
            let mut touches = groups_of(mirror, within, UserId(entry.resource_id));
            touches.insert(0, all(&Members(within)));
            touches
        }
        "license" => vec![all(&Licenses)],
        "workspace_proxy" => vec![all(&Proxies)],
        "user" => user(mirror, entry),
        "idp_sync_settings_group" => entry
            .organization()
            .map(|within| all(&super::group::GroupSync(within)))
            .into_iter()
            .collect(),
        _ => Vec::new(),
    }
}

/// A deleted organization takes everything in it along.
fn organization(mirror: &Mirror, entry: &AuditEntry) -> Vec<Touch> {
    let mut touches = vec![all(&Organizations)];
    if entry.action == "delete" {
        let suffix = format!("/{}", entry.resource_id);
        let within = mirror.collections().into_iter().filter(|id| id.ends_with(&suffix));
        touches.extend(within.map(|collection| Touch { collection, item: None }));
    }
    touches
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
            touches.push(all(&Members(within)));
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
        .map(|group| item(&Groups(within), group.id.to_string()))
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

fn all(collection: &impl Collection) -> Touch {
    Touch {
        collection: collection.id(),
        item: None,
    }
}

fn item(collection: &impl Collection, key: String) -> Touch {
    Touch {
        collection: collection.id(),
        item: Some(key),
    }
}
