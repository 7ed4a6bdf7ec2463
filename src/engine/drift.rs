//! What somebody else made of an object: said once, with who it was, and noticed when it happens again and again.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

use super::remote::Note;
use crate::api::Reference;
use crate::mirror::Author;

/// Type of the condition that says that an object is fought over.
pub const DRIFT_REPEATS: &str = "DriftRepeats";
/// This often within [`PERIOD`] is still no fight.
const TOLERATED: usize = 3;
/// How far back corrections count.
const PERIOD: SignedDuration = SignedDuration::from_hours(1);
/// The field of a [`Deviation`] that is the whole object.
const WHOLE: &str = "";

/// One field that is not what the spec says, as somebody else's doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deviation {
    /// The field of the spec; empty for the whole object.
    pub field: &'static str,
    /// What became of it, from what the spec says: `quotaAllowance 20 → 99`.
    pub text: String,
}

impl Deviation {
    /// The object is gone.
    #[must_use]
    pub fn deleted() -> Self {
        Self {
            field: WHOLE,
            text: "deleted".to_owned(),
        }
    }

    /// Who of these did it: the last who changed this field, as far as they say which.
    fn author<'a>(&self, authors: &'a [Author]) -> Option<&'a Author> {
        authors
            .iter()
            .filter(|author| self.field == WHOLE || author.changed(self.field))
            .max_by_key(|author| author.at)
    }
}

/// Deviations, each with who made it.
pub(super) struct Attributed(Vec<(Deviation, Option<Author>)>);

impl Attributed {
    /// Finds the author of each.
    pub(super) fn new(deviations: Vec<Deviation>, authors: &[Author]) -> Self {
        let pairs = deviations.into_iter().map(|deviation| {
            let author = deviation.author(authors).cloned();
            (deviation, author)
        });
        Self(pairs.collect())
    }

    /// Adds what is nobody's doing.
    pub(super) fn and_unattributed(mut self, texts: Vec<String>) -> Self {
        let pairs = texts.into_iter().map(|text| (Deviation { field: WHOLE, text }, None));
        self.0.extend(pairs);
        self
    }

    /// Whether any author is known.
    pub(super) fn names_anybody(&self) -> bool {
        self.0.iter().any(|(_, author)| author.is_some())
    }

    /// Whether that text says the same, whoever it names.
    pub(super) fn is_said_by(&self, text: &str) -> bool {
        let mut rest = text;
        for (deviation, _) in &self.0 {
            let start = ["; ", ", "].iter().find_map(|separator| rest.strip_prefix(separator));
            let Some(after) = start.unwrap_or(rest).strip_prefix(&*deviation.text) else {
                return false;
            };
            rest = match after.strip_prefix(" by ") {
                Some(named) => named.trim_start_matches(|letter| !";, ".contains(letter)),
                None => after,
            };
        }
        rest.is_empty()
    }

    /// For an event: `quotaAllowance 20 → 99, name "a" → "b" by bob at 10:03 UTC; members -ann by carl at 10:04 UTC`.
    pub(super) fn with_times(&self) -> String {
        self.text(|author| format!(" by {} at {}", author.name, author.at.strftime("%H:%M UTC")))
    }

    /// For a condition, which must not change while its cause does not: the same without times.
    pub(super) fn without_times(&self) -> String {
        self.text(|author| format!(" by {}", author.name))
    }

    /// Neighbours of one author are named together.
    fn text(&self, by: impl Fn(&Author) -> String) -> String {
        let suffix = |author: &Option<Author>| author.as_ref().map(&by).unwrap_or_default();
        let groups = self.0.chunk_by(|(_, one), (_, next)| suffix(one) == suffix(next));
        let lines = groups.map(|group| {
            let texts: Vec<&str> = group.iter().map(|(deviation, _)| &*deviation.text).collect();
            let by = group.first().map(|(_, author)| suffix(author)).unwrap_or_default();
            format!("{}{by}", texts.join(", "))
        });
        lines.collect::<Vec<_>>().join("; ")
    }
}

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
    /// This was set back just now.
    pub(super) fn corrected(&self, who: &Reference, what: &Attributed, now: Timestamp) {
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
    pub(super) fn standing(&self, who: &Reference, now: Timestamp) -> Option<(Note, Timestamp)> {
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
        Some((Note::new(DRIFT_REPEATS, message), oldest + PERIOD))
    }

    /// The object is gone.
    pub(super) fn forget(&self, who: &Reference) {
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
    use crate::mirror::Fields;

    fn author(name: &str, minute: i8, fields: Fields) -> Author {
        let at = jiff::civil::date(2026, 1, 1).at(10, minute, 0, 0).in_tz("UTC").unwrap();
        Author {
            name: name.to_owned(),
            at: at.timestamp(),
            fields,
        }
    }

    fn deviation(field: &'static str, text: &str) -> Deviation {
        Deviation {
            field,
            text: format!("{field} {text}"),
        }
    }

    fn named(fields: &[&str]) -> Fields {
        Fields::Named(fields.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn each_field_is_the_doing_of_who_changed_it_last() {
        let authors = [
            author("bob", 3, named(&["quotaAllowance", "name"])),
            author("carl", 4, named(&["members"])),
            author("dora", 1, named(&["name"])),
        ];
        let what = vec![
            deviation("name", "\"a\" → \"b\""),
            deviation("quotaAllowance", "20 → 99"),
            deviation("members", "-ann"),
            deviation("avatarURL", "\"\" → \"x\""),
        ];
        let what = Attributed::new(what, &authors);
        assert_eq!(
            what.with_times(),
            "name \"a\" → \"b\", quotaAllowance 20 → 99 by bob at 10:03 UTC; members -ann by carl at 10:04 UTC; \
             avatarURL \"\" → \"x\""
        );
        assert_eq!(
            what.without_times(),
            "name \"a\" → \"b\", quotaAllowance 20 → 99 by bob; members -ann by carl; avatarURL \"\" → \"x\""
        );
    }

    #[test]
    fn a_text_that_names_authors_says_the_same_as_one_that_does_not() {
        let what = || {
            vec![
                deviation("name", "1 → 2"),
                deviation("icon", "3 → 4"),
                deviation("members", "-ann"),
            ]
        };
        let known = Attributed::new(
            what(),
            &[
                author("bob", 1, named(&["name"])),
                author("carl", 1, named(&["members"])),
            ],
        );
        let unknown = Attributed::new(what(), &[]);
        assert!(known.names_anybody() && !unknown.names_anybody());
        for told in [known.without_times(), unknown.without_times()] {
            assert!(unknown.is_said_by(&told), "{told}");
            assert!(!unknown.is_said_by(&format!("{told}, more")), "{told}");
        }
        assert!(!Attributed::new(what()[1..].to_vec(), &[]).is_said_by(&known.without_times()));
    }

    #[test]
    fn who_changed_the_object_as_a_whole_changed_every_field() {
        let what = Attributed::new(
            vec![deviation("members", "-ann"), Deviation::deleted()],
            &[author("bob", 3, Fields::All)],
        );
        assert_eq!(what.without_times(), "members -ann, deleted by bob");
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
            let what = Attributed::new(vec![deviation(field, "")], &[author(by, 0, Fields::All)]);
            fights.corrected(&me, &what, minute(at));
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
        assert_eq!(note.type_, DRIFT_REPEATS);
        assert!(note.message.contains("hour: name by bob;"), "{}", note.message);
        assert_eq!(until, minute(60));
        assert!(fights.standing(&me, minute(60)).is_none());
        fights.forget(&me);
        assert!(fights.standing(&me, minute(31)).is_none());
    }
}
