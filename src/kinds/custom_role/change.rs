//! The calls that change a custom role, and how they and its permissions read.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::api::{CoderCustomRole, CustomRoleStatus};
use crate::coder::{CustomRole, Permission};
use crate::engine::{self, Deviation};
use crate::kinds::field::Differences;

/// One call.
#[derive(Debug)]
pub enum Change {
    /// `POST /organizations/{id}/members/roles`.
    Create(CustomRole),
    /// `PUT /organizations/{id}/members/roles`.
    Update(CustomRole, Differences),
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create(role) => write!(f, "create role {}", role.name),
            Self::Update(_, differences) => differences.fmt(f),
        }
    }
}

impl engine::remote::Change<CoderCustomRole> for Change {
    fn creates(&self) -> bool {
        matches!(self, Self::Create(_))
    }

    /// It also writes what the spec leaves open, as it was seen.
    fn looks_first(&self) -> bool {
        matches!(self, Self::Update(..))
    }

    fn deviations(&self, _: &CustomRoleStatus) -> Vec<Deviation> {
        match self {
            Self::Create(_) => vec![Deviation::deleted()],
            Self::Update(_, differences) => differences.deviations(),
        }
    }
}

pub(super) fn asked(permissions: &BTreeMap<String, Vec<String>>) -> BTreeSet<Permission> {
    let pairs = permissions
        .iter()
        .flat_map(|(resource, actions)| actions.iter().map(move |action| (resource, action)));
    pairs.map(|(resource, action)| permission(resource, action)).collect()
}

pub(super) fn permission(resource: &str, action: &str) -> Permission {
    Permission {
        resource_type: resource.to_owned(),
        action: action.to_owned(),
        negate: false,
    }
}

pub(super) fn text(permission: &Permission) -> String {
    let not = if permission.negate { "not " } else { "" };
    format!("{not}{}.{}", permission.resource_type, permission.action)
}

pub(super) fn read(text: &str) -> Option<Permission> {
    let (resource, action) = text.split_once('.')?;
    Some(permission(resource, action))
}
