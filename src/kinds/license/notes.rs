//! What there is to say of a licence beyond that it is there.

use std::time::Duration;

use jiff::Timestamp;

use super::renewal::{self, Around};
use super::{Desired, Observed};
use crate::api::NoteType;
use crate::coder::{Entitlements, LicenseClaims};
use crate::engine::{Note, Report};

/// `Expiring` says it, and when it was asked to.
const EXPIRES: &str = "Your license expires in";

/// All of it, and when there may be more.
pub(super) fn of(desired: &Desired, observed: &Observed, now: Timestamp) -> Report {
    let mut report = Report::default();
    let mut say = |(note, look_again): (Option<Note>, Option<Timestamp>)| {
        report.notes.extend(note);
        report.look_again = report.look_again.into_iter().chain(look_again).min();
    };
    say(beginning(&desired.claims, now));
    say(expiry(&desired.claims, desired.warning, now));
    say((complaints(&observed.entitlements), None));
    say(pending(desired, observed, now));
    say((unproven(observed), None));
    report
}

fn beginning(claims: &LicenseClaims, now: Timestamp) -> (Option<Note>, Option<Timestamp>) {
    let Some(from) = claims.nbf().filter(|from| *from > now) else {
        return (None, None);
    };
    let message = format!("Coder took the licence; it gives nothing before {from}");
    (Some(Note::new(NoteType::NotValidYet, message)), Some(from))
}

fn expiry(claims: &LicenseClaims, warning: Duration, now: Timestamp) -> (Option<Note>, Option<Timestamp>) {
    let Some(expires) = claims.license_expires() else {
        return (None, None);
    };
    let warn_at = expires - warning;
    if now < warn_at {
        return (None, Some(warn_at));
    }
    if now < expires {
        let message = format!("the licence expires at {expires}: put a new one into the Secret");
        return (Some(Note::new(NoteType::Expiring, message)), Some(expires));
    }
    let ends = claims.exp();
    let features = ends.map_or_else(String::new, |ends| {
        let end = if ends > now { "end" } else { "ended" };
        format!("; its features {end} at {ends}")
    });
    let message = format!("the licence expired at {expires}{features}: put a new one into the Secret");
    (
        Some(Note::new(NoteType::Expiring, message)),
        ends.filter(|ends| *ends > now),
    )
}

/// Coder speaks of all licences together and does not say which one it means.
fn complaints(entitlements: &Entitlements) -> Option<Note> {
    let complaints = entitlements.complaints();
    let complaints: Vec<&str> = complaints
        .into_iter()
        .filter(|text| !text.starts_with(EXPIRES))
        .collect();
    (!complaints.is_empty()).then(|| {
        Note::new(
            NoteType::LicenseWarning,
            format!("Coder says: {}", complaints.join(" ")),
        )
    })
}

/// Which of the replaced ones stay for the time being, and why.
fn pending(desired: &Desired, observed: &Observed, now: Timestamp) -> (Option<Note>, Option<Timestamp>) {
    let around = Around {
        entitlements: &observed.entitlements,
        deployment: desired.deployment,
        now,
    };
    let (mut said, mut look_again) = (Vec::new(), None);
    for old in &observed.superseded {
        let lacks = renewal::lacks(&desired.claims, &old.claims, around);
        if lacks.is_empty() {
            continue;
        }
        let at = renewal::look_again(&lacks, &old.claims, now);
        look_again = look_again.into_iter().chain(at).min();
        let why: Vec<String> = lacks.iter().map(ToString::to_string).collect();
        said.push(format!(
            "licence {} stays until licence {} gives what it gives: {}",
            old.id,
            observed.license.id,
            why.join("; ")
        ));
    }
    if said.is_empty() {
        return (None, look_again);
    }
    let message = format!(
        "{}. To have it removed earlier, remove it in Coder; to go back, put it into the Secret again",
        said.join(". ")
    );
    (Some(Note::new(NoteType::RenewalPending, message)), look_again)
}

fn unproven(observed: &Observed) -> Option<Note> {
    let left = observed.unproven.as_ref()?;
    let message = format!(
        "licence {} may be one that this one replaced: an earlier version of the operator noted its number only, which \
         proves nothing, so it stays. Remove it in Coder if it is not needed",
        left.id
    );
    Some(Note::new(NoteType::ReplacedLicenseLeft, message))
}
