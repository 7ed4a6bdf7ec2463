//! From the verdict of a pass to the conditions, as kstatus, Argo CD and `kubectl wait` read them.
//!
//! `Ready` is always there. `Reconciling` (work goes on, or waits) and `Stalled` (a human must act) are there only while
//! true and never together. `Synced` tells whether Coder equalled the spec at the last look. All else is information.

use std::borrow::Cow;

use k8s_controller::conditions::ConditionStatus::{self, False, True, Unknown};
use k8s_controller::conditions::{DesiredCondition, remove, set};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::api::NoteType;
use crate::engine::error::{Disposition, Error, Reason};
use crate::engine::remote::Note;

/// Whether Coder is as declared, at the last look.
pub const READY: &str = "Ready";
/// Whether Coder equalled the spec at the last look.
pub const SYNCED: &str = "Synced";
/// Work goes on, or waits for something.
pub const RECONCILING: &str = "Reconciling";
/// A human must change something.
pub const STALLED: &str = "Stalled";
/// Observe mode: Coder differs.
pub const DRIFT_DETECTED: &str = "DriftDetected";
/// Suspend mode.
pub const SUSPENDED: &str = "Suspended";
/// The object is to go and cannot yet.
pub const DELETION_BLOCKED: &str = "DeletionBlocked";
/// False while something that the spec points at is missing.
pub const REFERENCES_RESOLVED: &str = "ReferencesResolved";

/// The conditions that say how an object is; all others of ours are notes.
const OWN: [&str; 8] = [
    READY,
    SYNCED,
    RECONCILING,
    STALLED,
    DRIFT_DETECTED,
    SUSPENDED,
    DELETION_BLOCKED,
    REFERENCES_RESOLVED,
];

/// Whether this operator writes conditions of that type. All others are other writers': whoever read them would write
/// them as well, and claim them, or take them away again and again.
#[must_use]
pub fn is_ours(type_: &str) -> bool {
    OWN.contains(&type_) || type_.parse::<NoteType>().is_ok()
}

/// The longest message of a condition, in bytes. The API server refuses more than 32 KiB, and with it the whole status.
pub const MESSAGE_MAX: usize = 4096;

/// The text, cut to at most `max` bytes with a count of what was cut.
#[must_use]
pub fn cut(text: &str, max: usize) -> Cow<'_, str> {
    if text.len() <= max {
        return Cow::Borrowed(text);
    }
    // Room for the longest count.
    let end = text.floor_char_boundary(max.saturating_sub(32));
    let (kept, rest) = text.split_at(end);
    Cow::Owned(format!("{kept} … ({} bytes more)", rest.len()))
}

/// How a pass ended.
#[derive(Debug)]
pub enum Verdict<'a> {
    /// Coder equals the spec.
    InSync,
    /// Observe mode: it was read; the differences, if there are any.
    Observed {
        /// One line a difference.
        drift: Option<String>,
    },
    /// Suspend mode.
    Suspended,
    /// A part of the spec could not be carried out; the rest was.
    Unmet(&'a Error),
    /// It did not get that far.
    Failed(&'a Error),
    /// It is to be deleted and cannot be yet.
    DeletionBlocked(&'a Error),
}

/// Writes the verdict into the conditions of an object of that generation.
pub fn conclude(conditions: &mut Vec<Condition>, generation: Option<i64>, verdict: &Verdict<'_>) {
    let mut put = |type_: &str, status: ConditionStatus, reason: Reason, message: &str| {
        let message = cut(message, MESSAGE_MAX);
        let desired = DesiredCondition::new(type_, status, reason.as_str(), &*message).observed_generation(generation);
        let _ = set(conditions, desired);
    };
    let mut keep: Vec<&str> = vec![READY, SYNCED];
    match verdict {
        Verdict::InSync => {
            put(READY, True, Reason::InSync, "Coder equals the spec");
            put(SYNCED, True, Reason::InSync, "Coder equals the spec");
        }
        Verdict::Observed { drift: None } => {
            put(READY, True, Reason::Observed, "read; mode Observe writes nothing");
            put(SYNCED, True, Reason::InSync, "Coder equals the spec");
        }
        Verdict::Observed { drift: Some(drift) } => {
            put(READY, True, Reason::Observed, "read; mode Observe writes nothing");
            put(SYNCED, False, Reason::DriftDetected, drift);
            put(DRIFT_DETECTED, True, Reason::DriftDetected, drift);
            keep.push(DRIFT_DETECTED);
        }
        Verdict::Suspended => {
            put(
                SUSPENDED,
                True,
                Reason::Suspended,
                "mode is Suspend: nothing is read or written",
            );
            keep.extend([SUSPENDED, DRIFT_DETECTED]);
        }
        Verdict::Failed(error) | Verdict::Unmet(error) => {
            let (reason, message) = (error.reason(), error.to_string());
            let synced = if matches!(verdict, Verdict::Unmet(_)) {
                False
            } else {
                Unknown
            };
            put(READY, False, reason, &message);
            put(SYNCED, synced, reason, &message);
            let progress = if matches!(error.disposition(), Disposition::Terminal | Disposition::Lasting) {
                STALLED
            } else {
                RECONCILING
            };
            put(progress, True, reason, &message);
            keep.push(progress);
            if matches!(reason, Reason::DependencyNotReady | Reason::SecretNotFound) {
                put(REFERENCES_RESOLVED, False, reason, &message);
                keep.push(REFERENCES_RESOLVED);
            }
        }
        Verdict::DeletionBlocked(error) => {
            let (reason, message) = (error.reason(), error.to_string());
            put(READY, False, reason, &message);
            put(DELETION_BLOCKED, True, reason, &message);
            keep.push(DELETION_BLOCKED);
        }
    }
    if matches!(verdict, Verdict::Suspended) {
        suspended_ready(conditions, generation);
    }
    conditions.retain(|condition| keep.contains(&&*condition.type_) || !OWN.contains(&&*condition.type_));
}

/// A suspended object keeps its last `Ready`; one that was never looked at counts as done, because tools that wait for
/// a whole release would wait for it for ever.
fn suspended_ready(conditions: &mut Vec<Condition>, generation: Option<i64>) {
    if let Some(ready) = conditions.iter_mut().find(|condition| condition.type_ == READY) {
        ready.observed_generation = generation;
        return;
    }
    let message = "suspended before it was looked at for the first time";
    let ready = DesiredCondition::new(READY, True, Reason::Suspended.as_str(), message);
    let _ = set(conditions, ready.observed_generation(generation));
}

/// Sets the informational conditions of a kind to exactly these. Answers with those that were not there before.
pub fn note(conditions: &mut Vec<Condition>, generation: Option<i64>, notes: &[Note]) -> Vec<Note> {
    let stale: Vec<String> = conditions
        .iter()
        .map(|condition| condition.type_.clone())
        .filter(|type_| !OWN.contains(&&**type_) && !notes.iter().any(|note| note.type_.as_str() == *type_))
        .collect();
    for type_ in stale {
        remove(conditions, &type_);
    }
    let mut new = Vec::new();
    for note in notes {
        let message = cut(&note.message, MESSAGE_MAX);
        let before = conditions
            .iter()
            .find(|condition| condition.type_ == note.type_.as_str())
            .cloned();
        if before.is_none_or(|before| before.message != message) {
            new.push(note.clone());
        }
        let desired = DesiredCondition::new(note.type_.as_str(), True, note.type_.as_str(), &*message);
        let _ = set(conditions, desired.observed_generation(generation));
    }
    new
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_cut_between_letters_and_says_how_much_is_missing() {
        assert_eq!(cut("short", 64), "short");
        let long = "ä".repeat(40_000);
        let message = cut(&long, MESSAGE_MAX);
        assert!(message.len() <= MESSAGE_MAX, "{}", message.len());
        assert!(message.ends_with(" bytes more)"), "{message}");
    }

    fn conditions(verdicts: &[Verdict<'_>]) -> Vec<(String, String)> {
        let mut conditions = Vec::new();
        for verdict in verdicts {
            conclude(&mut conditions, Some(1), verdict);
        }
        let mut shown: Vec<_> = conditions
            .into_iter()
            .map(|condition| (condition.type_, condition.status))
            .collect();
        shown.sort();
        shown
    }

    fn pair(type_: &str, status: &str) -> (String, String) {
        (type_.to_owned(), status.to_owned())
    }

    #[test]
    fn reconciling_and_stalled_are_never_there_together() {
        let waiting = Error::waiting(Reason::InstanceNotReady, "x");
        let terminal = Error::terminal(Reason::AlreadyExists, "x");
        let after = conditions(&[Verdict::Failed(&waiting), Verdict::Failed(&terminal)]);
        assert_eq!(
            after,
            [
                pair("Ready", "False"),
                pair("Stalled", "True"),
                pair("Synced", "Unknown")
            ]
        );
        let after = conditions(&[Verdict::Failed(&terminal), Verdict::Failed(&waiting)]);
        assert_eq!(
            after,
            [
                pair("Ready", "False"),
                pair("Reconciling", "True"),
                pair("Synced", "Unknown")
            ]
        );
        let after = conditions(&[Verdict::Failed(&terminal), Verdict::InSync]);
        assert_eq!(after, [pair("Ready", "True"), pair("Synced", "True")]);
    }

    #[test]
    fn a_suspended_object_keeps_its_ready_and_drops_the_rest() {
        let terminal = Error::terminal(Reason::AlreadyExists, "x");
        let after = conditions(&[Verdict::Failed(&terminal), Verdict::Suspended]);
        assert_eq!(
            after,
            [
                pair("Ready", "False"),
                pair("Suspended", "True"),
                pair("Synced", "Unknown")
            ]
        );
        assert_eq!(
            conditions(&[Verdict::Suspended]),
            [pair("Ready", "True"), pair("Suspended", "True")]
        );
    }

    #[test]
    fn a_second_conclusion_changes_nothing() {
        let mut once = Vec::new();
        conclude(&mut once, Some(1), &Verdict::InSync);
        let mut twice = once.clone();
        conclude(&mut twice, Some(1), &Verdict::InSync);
        assert_eq!(once, twice);
    }

    #[test]
    fn notes_are_exact_and_new_ones_are_told() {
        let mut conditions = Vec::new();
        conclude(&mut conditions, Some(1), &Verdict::InSync);
        let pending = Note::new(NoteType::MembersPending, "ann");
        assert_eq!(
            note(&mut conditions, Some(1), std::slice::from_ref(&pending)),
            std::slice::from_ref(&pending)
        );
        assert!(note(&mut conditions, Some(1), std::slice::from_ref(&pending)).is_empty());
        assert!(note(&mut conditions, Some(1), &[]).is_empty());
        assert!(conditions.iter().all(|condition| condition.type_ != "MembersPending"));
    }
}
