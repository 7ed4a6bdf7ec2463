//! What the status says of the access to a template.

use std::collections::BTreeMap;
use std::fmt;

use super::{Desired, GROUPS, Observed, USERS};
use crate::api::{NoteType, TemplateAccessStatus, TemplateRole};
use crate::coder::UserId;
use crate::engine::{Error, Note, Reason, Report};
use crate::kinds::field::few;
use crate::kinds::unmanaged::{self, managed};

/// The status names at most this many people who are waited for.
const PENDING: usize = 100;

/// Writes what is known into the status, and says what is worth saying.
pub(super) fn report(desired: &Desired, observed: &Observed, status: &mut TemplateAccessStatus) -> Report {
    let access = &observed.access;
    note_place(desired, observed, status);
    status.user_count = i64::try_from(access.users.len()).ok();
    status.group_count = i64::try_from(access.groups.len()).ok();
    status.user_ids.clone_from(&desired.people.ids);
    status.group_ids.clone_from(&desired.circles.ids);
    let mut report = Report::default();
    let mut note = |type_, message: String| report.notes.push(Note::new(type_, message));
    (status.pending_users, status.hidden_users) = (Vec::new(), BTreeMap::new());
    if let Some(wanted) = &desired.users {
        let given = status.given_users.iter().filter_map(|id| id.parse().ok()).collect();
        status.given_users = texts(wanted.still(given, &access.users));
        status.pending_users = wanted.pending.iter().take(PENDING).cloned().collect();
        let was_given = |who: &UserId, role: &TemplateRole| {
            wanted.hidden.get(who) == Some(role) || observed.hidden.get(who) == Some(role)
        };
        let hidden = wanted.not_shown(&access.users).into_iter();
        let hidden = hidden.filter(|(who, role)| was_given(who, role));
        status.hidden_users = hidden.map(|(who, role)| (who.to_string(), role)).collect();
        if !wanted.pending.is_empty() {
            let names = few(&wanted.pending);
            note(
                NoteType::UsersPending,
                format!("not in the organization yet, given their roles as soon as they are: {names}"),
            );
        }
    }
    if let Some(wanted) = &desired.groups {
        let given = status.given_groups.iter().filter_map(|id| id.parse().ok()).collect();
        status.given_groups = texts(wanted.still(given, &access.groups));
    }
    let moved = [
        desired.organization.moved.clone(),
        desired.moved.clone(),
        desired.people.moved_message(USERS, "people"),
        desired.circles.moved_message(GROUPS, "groups"),
    ];
    let moved: Vec<String> = moved.into_iter().flatten().collect();
    if !moved.is_empty() {
        note(NoteType::NameMoved, moved.join("; "));
    }
    let lists = [(USERS, desired.users.is_some()), (GROUPS, desired.groups.is_some())];
    let left = status.managed.iter().filter(|name| lists.contains(&(name, false)));
    let left: Vec<String> = left.cloned().collect();
    report.notes.extend(unmanaged::note(&left, "{}"));
    let missing = desired.groups.as_ref().map(|wanted| &wanted.pending);
    report.unmet = missing.filter(|missing| !missing.is_empty()).map(|missing| {
        let names = few(missing);
        let message = format!("groups are not there yet, and no group loses its role until they are: {names}");
        Error::waiting(Reason::DependencyNotReady, message)
    });
    report
}

/// Writes down where it is and what is managed.
pub(super) fn note_place(desired: &Desired, observed: &Observed, status: &mut TemplateAccessStatus) {
    status.place = desired.organization.found();
    status.id = Some(observed.template.id.to_string());
    status.template = Some(observed.template.name.clone());
    let access = &observed.access;
    let lists = [
        (USERS, desired.users.is_some(), access.users.is_empty()),
        (GROUPS, desired.groups.is_some(), access.groups.is_empty()),
    ];
    status.managed = managed(&status.managed, &lists);
}

pub(super) fn texts<T: fmt::Display>(ids: impl IntoIterator<Item = T>) -> Vec<String> {
    ids.into_iter().map(|id| id.to_string()).collect()
}
