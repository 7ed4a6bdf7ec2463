//! The calls that change a membership, and how they read.

use std::collections::BTreeSet;
use std::fmt;

use super::ROLES;
use crate::api::{CoderOrganizationMember, OrganizationMemberStatus};
use crate::engine::{self, Deviation};
use crate::kinds::field::Differences;

/// One call.
#[derive(Debug)]
pub enum Change {
    /// `POST /organizations/{id}/members/{user}`.
    Add(String),
    /// `PUT /organizations/{id}/members/{user}/roles`.
    SetRoles {
        /// All of them.
        to: BTreeSet<String>,
        /// Those that the member does not have.
        more: Vec<String>,
        /// Those that the member has and shall not.
        fewer: Vec<String>,
    },
}

impl Change {
    fn differences(&self) -> Differences {
        match self {
            Self::Add(_) => Differences::default(),
            Self::SetRoles { more, fewer, .. } => Differences::default().list(ROLES, more.clone(), fewer.clone()),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Add(name) => write!(f, "add member {name}"),
            Self::SetRoles { .. } => self.differences().fmt(f),
        }
    }
}

impl engine::remote::Change<CoderOrganizationMember> for Change {
    fn creates(&self) -> bool {
        matches!(self, Self::Add(_))
    }

    fn deviations(&self, before: &OrganizationMemberStatus) -> Vec<Deviation> {
        match self {
            Self::Add(_) => vec![Deviation::deleted()],
            // Roles that were waited for have come; that is nobody's doing.
            Self::SetRoles { more, fewer, .. }
                if fewer.is_empty() && more.iter().all(|role| before.pending_roles.contains(role)) =>
            {
                Vec::new()
            }
            Self::SetRoles { .. } => self.differences().deviations(),
        }
    }
}
