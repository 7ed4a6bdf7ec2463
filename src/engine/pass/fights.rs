//! Fights: the same field of an object, set back again and again after changes of the same user.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

use crate::api::{NoteType, Reference};
use crate::engine::pass::drift::{Attributed, WHOLE};
use crate::engine::remote::Note;

/// This often within [`PERIOD`] is still no fight.
const TOLERATED: usize = 3;
/// How far back corrections count.
const PERIOD: SignedDuration = SignedDuration::from_hours(1);

/// The corrections of the last hour, by object. In memory: after a restart a fight has to show itself again.
#[derive(Default)]
pub struct Fights(Mutex<HashMap<Reference, Vec<Correction>>>);

struct Correction {
    at: Timestamp,
    dispute: Dispute,
}

/// The field that was set back, and whose change it was.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Dispute {
    field: &'static str,
    author: Option<String>,
}

impl fmt::Display for Dispute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = if self.field == WHOLE { "the object" } else { self.field };
        let author = self.author.as_deref().unwrap_or("somebody");
        write!(f, "{field} by {author}")
    }
}

impl Fights {
    /// Nothing was set back.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// This was set back just now.
    pub(in crate::engine) fn corrected(&self, who: &Reference, what: &Attributed, now: Timestamp) {
        let corrections = what.0.iter().map(|(deviation, author)| Correction {
            at: now,
            dispute: Dispute {
                field: deviation.field,
                author: author.as_ref().map(|author| author.name.clone()),
            },
        });
        self.lock().entry(who.clone()).or_default().extend(corrections);
    }

    /// What there is to say of an object that is fought over, and when that will be worth a new look.
    pub(in crate::engine) fn standing(&self, who: &Reference, now: Timestamp) -> Option<(Note, Timestamp)> {
        let mut fights = self.lock();
        let corrections = fights.get_mut(who)?;
        corrections.retain(|correction| correction.at + PERIOD > now);
        let Some(oldest) = corrections.first().map(|first| first.at) else {
            fights.remove(who);
            return None;
        };
        let times = |dispute: &Dispute| corrections.iter().filter(|one| one.dispute == *dispute).count();
        let mut disputes: Vec<&Dispute> = corrections.iter().map(|correction| &correction.dispute).collect();
        disputes.sort_unstable();
        disputes.dedup();
        disputes.retain(|dispute| times(dispute) > TOLERATED);
        if disputes.is_empty() {
            return None;
        }
        let disputes: Vec<String> = disputes.into_iter().map(ToString::to_string).collect();
        let message = format!(
            "changed and set back more than {TOLERATED} times within an hour: {}; let only one of the two manage it, or \
             set mode: Observe",
            disputes.join(", ")
        );
        Some((Note::new(NoteType::DriftRepeats, message), oldest + PERIOD))
    }

    /// The object is gone.
    pub(in crate::engine) fn forget(&self, who: &Reference) {
        self.lock().remove(who);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Reference, Vec<Correction>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::ObjectKey;
    use crate::engine::Deviation;
    use crate::mirror::{Author, Fields};

    fn change(field: &'static str, by: &str) -> Attributed {
        let deviation = Deviation {
            field,
            text: String::new(),
        };
        let author = Author {
            name: by.to_owned(),
            at: Timestamp::UNIX_EPOCH,
            fields: Fields::All,
        };
        Attributed::new(vec![deviation], &[author])
    }

    #[test]
    fn the_fourth_time_within_an_hour_is_a_fight_until_the_first_is_an_hour_old() {
        let fights = Fights::default();
        let me = Reference {
            kind: "K",
            key: ObjectKey::new("ns", "a"),
        };
        let start = Timestamp::UNIX_EPOCH;
        let minute = |minute: i64| start + SignedDuration::from_mins(minute);
        let strike = |field: &'static str, by: &str, at: i64| {
            fights.corrected(&me, &change(field, by), minute(at));
        };
        for at in [0, 10, 20] {
            strike("name", "bob", at);
            strike("name", "carl", at);
        }
        assert!(fights.standing(&me, minute(25)).is_none(), "three times each");
        strike("members", "bob", 30);
        assert!(fights.standing(&me, minute(30)).is_none(), "another field");
        strike("name", "bob", 30);
        let (note, until) = fights.standing(&me, minute(30)).unwrap();
        assert_eq!(note.type_, NoteType::DriftRepeats);
        assert!(note.message.contains("hour: name by bob;"), "{}", note.message);
        assert_eq!(until, minute(60));
        assert!(fights.standing(&me, minute(60)).is_none());
        fights.forget(&me);
        assert!(fights.standing(&me, minute(31)).is_none());
    }
}
