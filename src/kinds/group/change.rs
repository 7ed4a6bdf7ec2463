//! The calls that change a group, and how they read.

use std::fmt;
use std::sync::Arc;

use super::people::{Wanted, pending_count};
use crate::api::{CoderGroup, GroupStatus};
use crate::coder::{CreateGroup, UpdateGroup, UserId};
use crate::engine::{self, Deviation};
use crate::kinds::field::{Differences, Update};
use crate::lists::Roster;

/// One call adds and removes at most this many members: what it costs the server grows with them.
pub(super) const SLICE: usize = 500;

/// One call.
#[derive(Clone, Debug)]
pub enum Change {
    /// `POST /organizations/{id}/groups`.
    Create(CreateGroup),
    /// `PATCH /groups/{id}`.
    Update(Update<UpdateGroup>),
    /// `PATCH /groups/{id}`, members only: a refusal of these must not undo the rest.
    Members(Slice),
    /// The same for the user that owns prebuilt workspaces.
    Prebuilds(bool),
}

/// Some of the members that are missing, and of those that are too many.
#[derive(Clone, Debug)]
pub struct Slice {
    /// Who is missing.
    pub(super) add: Vec<UserId>,
    /// Who is too many.
    pub(super) remove: Vec<UserId>,
    /// Whether the status will say that this object added them.
    additive: bool,
    /// All that this is a slice of, in words.
    whole: Arc<Whole>,
}

#[derive(Debug)]
struct Whole {
    add: Vec<String>,
    remove: Vec<String>,
}

/// The calls that make the members those who are wanted.
pub(super) fn of_members(wanted: &Wanted, held: &Roster) -> Vec<Change> {
    let (add, remove) = wanted.differences(held);
    let whole = Arc::new(Whole {
        add: add.values().cloned().collect(),
        remove: remove.values().cloned().collect(),
    });
    let removals = remove.keys().map(|id| (*id, false));
    let all: Vec<(UserId, bool)> = removals.chain(add.keys().map(|id| (*id, true))).collect();
    let some = |users: &[(UserId, bool)], wanted: bool| {
        let users = users.iter().filter(|(_, add)| *add == wanted);
        users.map(|(id, _)| *id).collect()
    };
    all.chunks(SLICE)
        .map(|users| {
            Change::Members(Slice {
                add: some(users, true),
                remove: some(users, false),
                additive: !wanted.exact,
                whole: Arc::clone(&whole),
            })
        })
        .collect()
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create(request) => write!(f, "create group {}", request.name),
            Self::Update(_) | Self::Members(_) | Self::Prebuilds(_) => self.differences().fmt(f),
        }
    }
}

impl engine::remote::Change<CoderGroup> for Change {
    fn creates(&self) -> bool {
        matches!(self, Self::Create(_))
    }

    fn looks_first(&self) -> bool {
        matches!(self, Self::Members(slice) if slice.additive && !slice.add.is_empty())
    }

    fn deviations(&self, before: &GroupStatus) -> Vec<Deviation> {
        match self {
            Self::Create(_) => vec![Deviation::deleted()],
            // Those who were waited for have come; that is nobody's doing.
            Self::Members(slice) if slice.whole.remove.is_empty() && slice.whole.add.len() <= pending_count(before) => {
                Vec::new()
            }
            // Nobody can see it: what differs is the spec.
            Self::Prebuilds(_) => Vec::new(),
            Self::Update(_) | Self::Members(_) => self.differences().deviations(),
        }
    }
}

impl Change {
    /// What is sent to a group that is there.
    pub(super) fn request(&self) -> Option<UpdateGroup> {
        let members = |add_users, remove_users| UpdateGroup {
            add_users,
            remove_users,
            ..UpdateGroup::default()
        };
        let prebuilds = || vec![UserId::PREBUILDS];
        match self {
            Self::Create(_) => None,
            Self::Update(update) => Some(update.request.clone()),
            Self::Members(slice) => Some(members(slice.add.clone(), slice.remove.clone())),
            Self::Prebuilds(true) => Some(members(prebuilds(), Vec::new())),
            Self::Prebuilds(false) => Some(members(Vec::new(), prebuilds())),
        }
    }

    fn differences(&self) -> Differences {
        let differences = Differences::default();
        let prebuilds = || vec!["prebuilds".to_owned()];
        match self {
            Self::Create(_) => differences,
            Self::Update(update) => update.differences().clone(),
            Self::Members(slice) => differences.list("members", slice.whole.add.clone(), slice.whole.remove.clone()),
            Self::Prebuilds(true) => differences.list("members", prebuilds(), Vec::new()),
            Self::Prebuilds(false) => differences.list("members", Vec::new(), prebuilds()),
        }
    }
}
