//! When a value that Coder shows once is issued anew, and when the one before it goes: one rule for all kinds that write
//! such values into Secrets. It is pure; what the Secret holds is found out by [`engine::issued`](crate::engine::issued).

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::{DurationString, Rotation, SecretKeyRef, TokenSecret, annotation};
use crate::engine::cluster::output::Place;
use crate::engine::issued::{Issued, Previous};
use crate::engine::{Deviation, Error, Reason};

/// How long the one before goes on working, unless the spec says otherwise.
const OVERLAP: SignedDuration = SignedDuration::from_hours(1);
/// How long one is left that nobody seems to use: what reads a Secret reads it every minute or so.
const SETTLING: SignedDuration = SignedDuration::from_mins(5);

/// What spec and status say of it.
#[derive(Clone, Debug)]
pub struct Terms {
    /// The value of the annotation that asks for a new one.
    pub(super) rotate: Option<String>,
    /// The value of it that was acted upon before.
    pub(super) handled: Option<String>,
    /// Whether there is to be one without anybody asking: not for what was taken over.
    pub(super) expected: bool,
    /// How long after its issue it is replaced.
    pub(super) every: Option<SignedDuration>,
    /// How long the one before goes on working.
    pub(super) overlap: SignedDuration,
    /// What time it is.
    pub(super) now: Timestamp,
}

/// What the status remembers.
#[derive(Clone, Copy, Debug)]
pub struct Past<'a> {
    /// Whether something in Coder is held.
    pub(super) held: bool,
    /// Whether this object made it, or may have.
    pub(super) made: bool,
    /// Whether one was ever issued for this object.
    pub(super) issued: bool,
    /// The value of the annotation that was acted upon.
    pub(super) handled: Option<&'a String>,
}

/// Why a new one is issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// There was none yet.
    First,
    /// Somebody asked for it.
    Asked,
    /// It has been used for as long as the spec says.
    Due,
    /// The Secret does not hold it any more.
    Lost,
    /// Somebody else ended it in Coder.
    Ended,
    /// It cannot be changed, and the spec now says that it shall be another.
    Other(&'static str),
}

/// How it is called.
#[derive(Clone, Copy, Debug)]
pub struct Words {
    /// The field of the spec that says where it goes.
    pub(super) field: &'static str,
    /// The value.
    pub(super) noun: &'static str,
    /// What a new one means to who uses it.
    pub(super) means: &'static str,
}

impl Terms {
    /// Reads them.
    pub(super) fn new(
        rotate: Option<&String>,
        rotation: Option<&Rotation>,
        past: Past<'_>,
        now: Timestamp,
    ) -> Result<Self, Error> {
        // What the annotation says while something is taken over was said to somebody before.
        let handled = if past.held || past.made {
            past.handled.cloned()
        } else {
            rotate.cloned()
        };
        let of = |field: &str, text: Option<&DurationString>| text.map(|text| length(field, text)).transpose();
        Ok(Self {
            rotate: rotate.cloned(),
            handled,
            expected: past.made || past.issued,
            every: of("every", rotation.and_then(|rotation| rotation.every.as_ref()))?,
            overlap: of("overlap", rotation.and_then(|rotation| rotation.overlap.as_ref()))?.unwrap_or(OVERLAP),
            now,
        })
    }

    /// Whether the annotation asks for another one than this.
    pub(super) fn asks(&self, held: Option<&Issued>) -> bool {
        self.rotate.is_some() && self.rotate != self.handled && held.is_none_or(|held| held.rotate != self.rotate)
    }

    /// Whether a new one is to be issued, and why.
    pub(super) fn why(&self, held: Option<&Issued>) -> Option<Why> {
        match held {
            None if self.expected => Some(Why::Lost),
            _ if self.asks(held) => Some(Why::Asked),
            Some(held) => self.due(held).filter(|due| *due <= self.now).map(|_| Why::Due),
            None => None,
        }
    }

    /// When it is to be replaced.
    fn due(&self, held: &Issued) -> Option<Timestamp> {
        later(held.at?, self.every?)
    }

    /// Until when the one goes on working that is replaced now.
    pub(super) fn retire_at(&self) -> Timestamp {
        later(self.now, self.overlap).unwrap_or(Timestamp::MAX)
    }

    /// Whether the one before is to go. `used`: whether somebody still uses it, where Coder shows that.
    pub(super) fn is_over(&self, previous: &Previous, held: Option<&Issued>, used: Option<bool>) -> bool {
        previous.retire_at <= self.now
            || (used == Some(false) && settled(held).is_some_and(|settled| settled <= self.now))
    }

    /// When the next of all this happens.
    pub(super) fn look_again(
        &self,
        held: Option<&Issued>,
        previous: Option<&Previous>,
        used: Option<bool>,
    ) -> Option<Timestamp> {
        let due = held.and_then(|held| self.due(held));
        let retired = previous.map(|previous| previous.retire_at);
        let unused = previous.filter(|_| used == Some(false)).and_then(|_| settled(held));
        [due, retired, unused].into_iter().flatten().min()
    }

    /// What of the annotation is acted upon now, for the status.
    pub(super) fn note_handled(&self, held: Option<&Issued>, status: &mut Option<String>) {
        if self.rotate.is_some() && !self.asks(held) {
            status.clone_from(&self.rotate);
        }
    }
}

impl Why {
    /// What is done.
    pub(super) fn describe(self, words: Words) -> String {
        let Words { noun, means, .. } = words;
        match self {
            Self::First => format!("issue a {noun}"),
            Self::Asked => format!("issue a new {noun} as asked: {means}"),
            Self::Due => format!("issue a new {noun}, it was due: {means}"),
            Self::Lost => format!("issue a new {noun}, the Secret had lost it: {means}"),
            Self::Ended => format!("issue a new {noun}, the one in the Secret was ended in Coder: {means}"),
            Self::Other(field) => format!("issue a new {noun} for other {field}: {means}"),
        }
    }

    /// What somebody did that makes it necessary.
    pub(super) fn deviation(self, words: Words) -> Option<Deviation> {
        let Words { field, noun, means } = words;
        let text = match self {
            Self::First | Self::Asked | Self::Due | Self::Other(_) => return None,
            Self::Lost => format!("{field} lost its {noun} ({means})"),
            Self::Ended => format!("{field} holds a {noun} that was ended in Coder ({means})"),
        };
        Some(Deviation { field, text })
    }
}

/// Where it was before, by the status, if the spec now says another place.
pub(super) fn moved_from(was: Option<&TokenSecret>, place: &Place) -> Option<Place> {
    let was = was.map(|was| Place {
        name: was.name.clone(),
        key: was.key.clone(),
    });
    was.filter(|was| was != place)
}

/// Where the spec wants it; `key` is the key within the Secret unless the spec names one.
pub(super) fn place(wanted: &SecretKeyRef, key: &str) -> Place {
    Place {
        name: wanted.name.clone(),
        key: wanted.key_or(key).to_owned(),
    }
}

/// Writes into the status when the one in the Secret was issued for this object, and where it is.
pub(super) fn note_kept(held: Option<&Issued>, place: &Place, at: &mut Option<Time>, kept: &mut Option<TokenSecret>) {
    let Some(held) = held else { return };
    *at = held.at.filter(|_| held.for_us).and_then(in_seconds);
    if held.settled {
        let Place { name, key } = place.clone();
        *kept = Some(TokenSecret { name, key });
    }
}

/// The Secrets that hold it: where it shall be, and where the status says that it is.
pub(super) fn secret_names<'a>(wanted: Option<&'a SecretKeyRef>, was: Option<&'a TokenSecret>) -> Vec<&'a str> {
    let names = [wanted.map(|wanted| &*wanted.name), was.map(|was| &*was.name)];
    names.into_iter().flatten().collect()
}

/// In whole seconds, as a status shows it.
pub(super) fn in_seconds(at: Timestamp) -> Option<Time> {
    Timestamp::from_second(at.as_second()).ok().map(Time)
}

/// When whoever uses what the Secret held before has read it again.
fn settled(held: Option<&Issued>) -> Option<Timestamp> {
    later(held?.at?, SETTLING)
}

fn later(at: Timestamp, by: SignedDuration) -> Option<Timestamp> {
    at.checked_add(by).ok()
}

fn length(field: &str, text: &DurationString) -> Result<SignedDuration, Error> {
    let invalid =
        |error: &dyn std::fmt::Display| Error::terminal(Reason::InvalidSpec, format!("spec.rotation.{field}: {error}"));
    let length: Duration = text.parse().map_err(|error| invalid(&error))?;
    SignedDuration::try_from(length).map_err(|error| invalid(&error))
}

/// What to say of what was taken over without its value.
pub(super) fn not_issued(noun: &str) -> String {
    format!(
        "taken over: its {noun} is known only to whoever created it; the annotation {} issues a new one, and the old one \
         goes when rotation.overlap is over",
        annotation::ROTATE
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: SignedDuration = SignedDuration::from_mins(1);

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_second(minutes * 60).unwrap()
    }

    fn terms(now: i64) -> Terms {
        Terms {
            rotate: None,
            handled: None,
            expected: true,
            every: Some(MINUTE * 60),
            overlap: MINUTE * 10,
            now: at(now),
        }
    }

    fn held() -> Issued {
        Issued {
            at: Some(at(0)),
            ..Issued::default()
        }
    }

    #[test]
    fn it_is_issued_when_it_is_lost_or_due_or_asked_for() {
        assert_eq!(terms(0).why(None), Some(Why::Lost));
        assert_eq!(terms(59).why(Some(&held())), None);
        assert_eq!(terms(60).why(Some(&held())), Some(Why::Due));
        let asked = Terms {
            rotate: Some("2".into()),
            ..terms(0)
        };
        assert_eq!(asked.why(Some(&held())), Some(Why::Asked));
        let done = Issued {
            rotate: Some("2".into()),
            ..held()
        };
        assert_eq!(asked.why(Some(&done)), None);
        let never = Terms {
            every: None,
            ..terms(60_000)
        };
        assert_eq!(never.why(Some(&held())), None);
    }

    #[test]
    fn of_what_was_taken_over_none_is_issued_unasked() {
        let past = Past {
            held: false,
            made: false,
            issued: false,
            handled: None,
        };
        let rotate = "1".to_owned();
        let first = Terms::new(Some(&rotate), None, past, at(0)).unwrap();
        assert_eq!(first.why(None), None, "the annotation was there before");
        let handled = Some(&rotate);
        let later = Past {
            held: true,
            handled,
            ..past
        };
        let again = "2".to_owned();
        let asked = Terms::new(Some(&again), None, later, at(0)).unwrap();
        assert_eq!(asked.why(None), Some(Why::Asked));
    }

    #[test]
    fn the_one_before_goes_when_its_time_is_over_or_nobody_uses_it() {
        let previous = Previous {
            id: "old".into(),
            retire_at: at(10),
        };
        let over = |now, used| terms(now).is_over(&previous, Some(&held()), used);
        assert!(!over(9, None) && !over(9, Some(true)) && over(10, Some(true)));
        assert!(!over(4, Some(false)) && over(5, Some(false)));
        let next = |used| terms(0).look_again(Some(&held()), Some(&previous), used);
        assert_eq!(next(None), Some(at(10)));
        assert_eq!(next(Some(false)), Some(at(5)));
        assert_eq!(terms(0).look_again(Some(&held()), None, None), Some(at(60)));
    }
}
