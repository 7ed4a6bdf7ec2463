//! Whom a list of members means, who is a member because of it, and what the status keeps of both.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::Observed;
use crate::api::{GroupStatus, ObjectStatus};
use crate::coder::{OrganizationId, UserId};
use crate::engine::{Cx, Error};
use crate::lists::{GroupSync, MemberItem, Members, Roster, SETTING};
use crate::mirror::Interest;

/// The status remembers at most this many users: of those that names led to, and of those that were added.
pub(super) const REMEMBERED: usize = 1000;
/// The names that are remembered have at most this many bytes together with their ids: a status has to be stored beside a spec
/// with thousands of long ones.
pub(super) const REMEMBERED_BYTES: usize = 128 << 10;
/// The status names at most this many who are waited for.
pub(super) const SHOWN: usize = 100;

/// Who shall be a member.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Whether others are removed.
    pub(super) exact: bool,
    /// Those who can be added, by id, with their names.
    pub(super) users: BTreeMap<UserId, String>,
    /// Those who are not in the organization yet, as the spec names them.
    pub(super) pending: Vec<String>,
    /// Whether the user that owns prebuilt workspaces is among them.
    pub(super) prebuilds: bool,
    /// Whether members come from the identity provider as well.
    pub(super) overridden: bool,
    /// Whom the names of the spec led to.
    pub(super) ids: BTreeMap<String, UserId>,
    /// How many bytes that takes.
    pub(super) remembered: usize,
    /// What there is to say of names that lead to somebody else, or to nobody, by now.
    pub(super) moved: Vec<String>,
    /// Whom this object added beside others.
    pub(super) added: BTreeSet<UserId>,
}

/// What earlier passes learned of members.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    ids: BTreeMap<String, UserId>,
    added: BTreeSet<UserId>,
}

impl Memory {
    /// What the status of a group in that organization says. What it says of a group that is not this object's, or of one
    /// in an organization that is gone, is no memory.
    pub(super) fn of(status: Option<&GroupStatus>, organization: OrganizationId) -> Self {
        let mine = |status: &&GroupStatus| {
            status.common().origin.is_some()
                && status.organization_id.as_ref().and_then(|id| id.parse().ok()) == Some(organization)
        };
        let Some(status) = status.filter(mine) else {
            return Self::default();
        };
        let ids = status.member_ids.iter();
        Self {
            ids: ids
                .filter_map(|(name, id)| Some((name.clone(), user_id(id)?)))
                .collect(),
            added: added(status),
        }
    }
}

/// The members of an organization, by all that somebody may be called; none of it has a case in Coder.
struct Directory<'a> {
    ids: HashMap<UserId, &'a MemberItem>,
    names: HashMap<String, &'a MemberItem>,
    emails: HashMap<String, &'a MemberItem>,
}

impl<'a> Directory<'a> {
    fn new(members: impl Iterator<Item = &'a MemberItem>) -> Self {
        let mut directory = Self {
            ids: HashMap::new(),
            names: HashMap::new(),
            emails: HashMap::new(),
        };
        for member in members {
            directory.ids.insert(member.id, member);
            directory.names.insert(member.username.to_ascii_lowercase(), member);
            directory.emails.insert(member.email.to_ascii_lowercase(), member);
        }
        directory
    }

    fn by_name(&self, name: &str) -> Option<&'a MemberItem> {
        let known = if name.contains('@') { &self.emails } else { &self.names };
        known.get(&name.to_ascii_lowercase()).copied()
    }
}

impl Wanted {
    /// Finds those whom `names` means among the members of an organization. Whom a name led to once, it means for ever.
    pub(super) fn among<'a>(
        members: impl Iterator<Item = &'a MemberItem>,
        names: &[String],
        exact: bool,
        memory: Memory,
    ) -> Self {
        let directory = Directory::new(members);
        let mut wanted = Self {
            exact,
            added: memory.added,
            ..Self::default()
        };
        // Those that are remembered already are not displaced by new ones.
        let in_spec: HashSet<&String> = names.iter().collect();
        wanted.ids = memory.ids;
        wanted.ids.retain(|name, _| in_spec.contains(name));
        wanted.remembered = wanted.ids.keys().map(|name| bytes(name)).sum();
        let mut met = HashSet::new();
        for name in names {
            if met.insert(name.to_ascii_lowercase()) {
                wanted.look_for(name, &directory);
            }
        }
        wanted
    }

    fn look_for(&mut self, name: &str, directory: &Directory<'_>) {
        let found = if let Some(id) = user_id(name) {
            if id == UserId::PREBUILDS {
                self.prebuilds = true;
                return;
            }
            directory.ids.get(&id).copied()
        } else {
            self.by_name(name, directory)
        };
        match found {
            Some(member) => {
                self.users.insert(member.id, member.username.clone());
            }
            None => self.pending.push(name.to_owned()),
        }
    }

    fn by_name<'a>(&mut self, name: &str, directory: &Directory<'a>) -> Option<&'a MemberItem> {
        let bearer = directory.by_name(name);
        let Some(meant) = self.ids.get(name).copied() else {
            if let Some(bearer) = bearer
                && self.ids.len() < REMEMBERED
                && self.remembered + bytes(name) <= REMEMBERED_BYTES
            {
                self.remembered += bytes(name);
                self.ids.insert(name.to_owned(), bearer.id);
            }
            return bearer;
        };
        if bearer.is_some_and(|bearer| bearer.id == meant) {
            return bearer;
        }
        let meant = directory.ids.get(&meant).copied();
        let moved = match (meant, bearer) {
            (Some(meant), None) => Some(format!("{name} is {} now", called(meant, name))),
            (Some(meant), Some(_)) => Some(format!(
                "{name} is {} now, and who has the name {name} now is somebody else and is not added",
                called(meant, name)
            )),
            (None, Some(_)) => Some(format!(
                "{name} is not in the organization any more, and who has the name now is somebody else and is not added"
            )),
            (None, None) => None,
        };
        self.moved.extend(moved);
        meant
    }

    /// Who is missing and who is too many.
    pub(super) fn differences(&self, held: &Roster) -> (BTreeMap<UserId, String>, BTreeMap<UserId, String>) {
        let missing = self.users.iter().filter(|(id, _)| !held.contains_key(id));
        let surplus = held
            .iter()
            .filter(|(id, _)| !self.users.contains_key(id) && (self.exact || self.added.contains(id)));
        (
            missing.map(|(id, name)| (*id, name.clone())).collect(),
            surplus.map(|(id, name)| (id, name.to_owned())).collect(),
        )
    }

    /// Whether the user that owns prebuilt workspaces is to be added or removed.
    pub(super) fn prebuilds_change(&self, there: bool) -> Option<bool> {
        let removable = self.exact || self.added.contains(&UserId::PREBUILDS);
        (self.prebuilds != there && (self.prebuilds || removable)).then_some(self.prebuilds)
    }

    /// Writes down whom the next calls add beside others: only they are taken away again. Whoever was a member before is
    /// somebody else's.
    pub(super) fn note_added(&self, observed: &Observed, status: &mut GroupStatus) {
        if self.exact {
            return;
        }
        let mut all = added(status);
        all.retain(|id| self.wants(*id) || holds(observed, *id));
        let prebuilds = self.prebuilds.then_some(UserId::PREBUILDS);
        for id in self.users.keys().copied().chain(prebuilds) {
            if all.len() >= REMEMBERED {
                break;
            }
            if !holds(observed, id) {
                all.insert(id);
            }
        }
        status.added_members = all.iter().map(ToString::to_string).collect();
    }

    pub(super) fn wants(&self, id: UserId) -> bool {
        self.users.contains_key(&id) || (id == UserId::PREBUILDS && self.prebuilds)
    }
}

/// How many were waited for.
pub(super) fn pending_count(status: &GroupStatus) -> usize {
    let counted = status
        .pending_member_count
        .and_then(|count| usize::try_from(count).ok());
    counted.unwrap_or(status.pending_members.len())
}

pub(super) fn added(status: &GroupStatus) -> BTreeSet<UserId> {
    status.added_members.iter().filter_map(|id| user_id(id)).collect()
}

pub(super) fn holds(observed: &Observed, id: UserId) -> bool {
    observed.group.members.contains_key(&id) || (id == UserId::PREBUILDS && observed.prebuilds)
}

fn user_id(text: &str) -> Option<UserId> {
    text.parse().ok()
}

/// What a name takes in the status, with the id that it led to.
fn bytes(name: &str) -> usize {
    name.len() + uuid::fmt::Hyphenated::LENGTH
}

/// What `member` is called, in the manner of `name`.
fn called<'a>(member: &'a MemberItem, name: &str) -> &'a str {
    if name.contains('@') {
        &member.email
    } else {
        &member.username
    }
}

/// Finds the users that the spec names among the members of the organization.
pub(super) async fn wanted(
    cx: &Cx<'_>,
    organization: OrganizationId,
    names: &[String],
    exact: bool,
    memory: Memory,
) -> Result<Wanted, Error> {
    let members = cx.list(&Members(organization), Interest::Any).await?;
    let mut wanted = Wanted::among(members.iter(), names, exact, memory);
    wanted.overridden = match cx.get(&GroupSync::of(organization), SETTING).await {
        Ok(settings) => settings.is_some_and(|settings| settings.is_on()),
        // Not everybody may read it, and old servers do not have it: then there is nothing to warn of.
        Err(error) if error.coder().is_some_and(|error| !error.is_transient()) => false,
        Err(error) => return Err(error),
    };
    Ok(wanted)
}
