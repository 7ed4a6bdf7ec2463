//! What the status of a provisioner key says.

use super::keep::{in_the_way, why};
use super::{Desired, Observed};
use crate::api::{FoundOrganization, NoteType, PreviousCredential, ProvisionerKeyStatus};
use crate::engine::{Note, Report};
use crate::kinds::issued::{in_seconds, not_issued, note_kept};

/// Writes the facts into the status, and says what else is worth saying.
pub(super) fn report(desired: &Desired, observed: &Observed, status: &mut ProvisionerKeyStatus) -> Report {
    let Observed { pair, held, .. } = observed;
    let (current, held) = (pair.current.as_ref(), held.as_ref());
    status.id = current.map(|key| key.id.to_string());
    status.name = Some(current.map_or_else(|| observed.name.clone(), |key| key.name.clone()));
    status.place = FoundOrganization {
        organization_id: Some(observed.organization.to_string()),
        organization: Some(observed.within.clone()),
    };
    status.daemons = i64::try_from(pair.ours().map(|key| key.daemons).sum::<usize>()).ok();
    status.issuing = None;
    status.previous_key = pair.previous.as_ref().and_then(|(key, previous)| {
        Some(PreviousCredential {
            id: previous.id.clone(),
            name: Some(key.name.clone()),
            retire_at: in_seconds(previous.retire_at)?,
        })
    });
    note_kept(
        held,
        &desired.home.place,
        &mut status.key_issued_at,
        &mut status.key_secret,
    );
    desired.terms.note_handled(held, &mut status.last_handled_rotate);
    let mut report = Report::default();
    report.notes.extend(desired.organization.moved_note());
    let wanted = why(desired, observed);
    if held.is_none() && wanted.is_none() {
        report
            .notes
            .push(Note::new(NoteType::SecretNotIssued, not_issued("key")));
    }
    report.unmet = pair
        .foreign
        .as_ref()
        .filter(|_| wanted.is_some())
        .map(|key| in_the_way(&key.name));
    let (key, previous) = pair.previous.as_ref().map(|(key, previous)| (key, previous)).unzip();
    report.look_again = desired.terms.look_again(held, previous, key.map(|key| key.daemons > 0));
    report
}
