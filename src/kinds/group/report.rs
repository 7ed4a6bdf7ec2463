//! What the status of a group says of its members.

use super::people::{self, REMEMBERED, SHOWN, Wanted};
use super::{Desired, Observed};
use crate::api::{GroupStatus, NoteType};
use crate::engine::Note;
use crate::kinds::field::few;

/// Writes what is known of members into the status, and says what there is to say of them.
pub(super) fn members(desired: &Desired, observed: &Observed, status: &mut GroupStatus) -> Vec<Note> {
    let wanted = desired.members.as_ref();
    let is_empty = observed.group.members.is_empty();
    record(wanted, observed, status);
    status.members_managed = wanted.is_some() || (status.members_managed && !is_empty);
    let mut notes = match wanted {
        Some(wanted) => notes(wanted, status),
        None => Vec::new(),
    };
    if status.members_managed && wanted.is_none() {
        let message = "members was managed and is not any more, so the present members stay: apply members: [] to remove \
                       them (with memberPolicy: AtLeast only those whom this object added beside others)";
        notes.push(Note::new(NoteType::MembersUnmanaged, message));
    }
    let names = wanted.and_then(moved_message);
    let moved: Vec<String> = desired.organization.moved.clone().into_iter().chain(names).collect();
    if !moved.is_empty() {
        notes.push(Note::new(NoteType::NameMoved, moved.join("; ")));
    }
    notes
}

/// Writes what is known of members into the status.
pub(super) fn record(wanted: Option<&Wanted>, observed: &Observed, status: &mut GroupStatus) {
    let none = Wanted::default();
    let (pending, ids) = wanted.map_or((&none.pending, &none.ids), |wanted| (&wanted.pending, &wanted.ids));
    status.pending_members = pending.iter().take(SHOWN).cloned().collect();
    status.pending_member_count = i64::try_from(pending.len()).ok().filter(|count| *count > 0);
    status.member_ids = ids.iter().map(|(name, id)| (name.clone(), id.to_string())).collect();
    let mut all = people::added(status);
    match wanted {
        Some(wanted) if wanted.exact => all.clear(),
        Some(wanted) => all.retain(|id| wanted.wants(*id) || people::holds(observed, *id)),
        None => all.retain(|id| people::holds(observed, *id)),
    }
    status.added_members = all.iter().map(ToString::to_string).collect();
}

/// What to say of those who are waited for.
pub(super) fn pending_message(pending: &[String]) -> String {
    format!(
        "not in the organization yet, added as soon as they are: {}",
        few(pending)
    )
}

/// What to say of names that lead to somebody else by now.
fn moved_message(wanted: &Wanted) -> Option<String> {
    let names = (!wanted.moved.is_empty()).then(|| few(&wanted.moved))?;
    Some(format!(
        "members keep to whom they named at first: {names}; name them as they are called now, or by id (a name that is \
         taken off the list and added again means who has it then)"
    ))
}

/// What there is to say of members that are managed.
fn notes(wanted: &Wanted, status: &GroupStatus) -> Vec<Note> {
    let mut notes = Vec::new();
    if !wanted.pending.is_empty() {
        notes.push(Note::new(NoteType::MembersPending, pending_message(&wanted.pending)));
    }
    if status.added_members.len() >= REMEMBERED {
        let message = format!(
            "this object remembers {REMEMBERED} members that it added, and no more: whoever it added beyond that stays when the \
             list does not name them any more; remove them in Coder, or set memberPolicy: Exact"
        );
        notes.push(Note::new(NoteType::MembersStay, message));
    }
    if wanted.overridden {
        let message = "group sync is on in this organization: the identity provider overwrites the groups of its users \
                       when they sign in; leave members unmanaged, or switch group sync off";
        notes.push(Note::new(NoteType::MembersOverridden, message));
    }
    notes
}
