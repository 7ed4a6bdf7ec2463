//! A section of the settings: read, or refused for a reason of its own.

use std::fmt;
use std::future::Future;

use crate::coder::Class;
use crate::engine::{Cx, Error, Reason};

/// What is read by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Section {
    Appearance,
    Notifications,
    Methods,
    Prebuilds,
    Health,
}

impl Section {
    /// The licensed feature without which the server answers and what it says is not so: it shows the initial values, and
    /// takes others (recording 20).
    fn feature(self) -> Option<&'static str> {
        (self == Self::Appearance).then_some("appearance")
    }

    /// Since which version there is one.
    fn since(self) -> &'static str {
        match self {
            Self::Prebuilds => "v2.25",
            Self::Appearance | Self::Notifications | Self::Methods | Self::Health => "v2.16",
        }
    }
}

/// As in the spec.
impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Appearance => "appearance",
            Self::Notifications | Self::Methods => "notifications",
            Self::Prebuilds => "prebuilds",
            Self::Health => "health",
        })
    }
}

/// What became of reading a section.
#[derive(Clone, Debug)]
pub(super) enum Part<T> {
    /// It was not asked for.
    Unread,
    /// It is this.
    Held(T),
    /// It is not to be had.
    Refused(Refusal),
}

/// Why a section is not to be had.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    reason: Reason,
    message: String,
    /// Whether something will come that ends it.
    waits: bool,
}

impl Refusal {
    /// A human must change something.
    pub(super) fn terminal(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            waits: false,
        }
    }

    /// What an error says of a section; none when it says nothing of that one in particular.
    fn of(section: Section, error: &Error) -> Option<Self> {
        let because = |reason, why: String| Some(Self::terminal(reason, format!("{section}: {why}")));
        match error.coder()?.class() {
            Class::NotEntitled => Some(Self::unlicensed(section, error.to_string())),
            Class::Unsupported => because(Reason::Unsupported, format!("needs Coder {} or later", section.since())),
            // Who may not read it is told so, or that there is none.
            Class::Forbidden | Class::Absent => because(
                Reason::Forbidden,
                "only an Owner sees it: use an Owner's token".to_owned(),
            ),
            _ => None,
        }
    }

    fn unlicensed(section: Section, why: impl fmt::Display) -> Self {
        Self {
            reason: Reason::NotEntitled,
            message: format!("{section}: {why}"),
            waits: true,
        }
    }
}

impl<T> Part<T> {
    /// Reads it, if it is asked for and the licence gives it.
    pub(super) async fn read(
        cx: &Cx<'_>,
        section: Option<Section>,
        read: impl Future<Output = Result<Option<T>, Error>>,
    ) -> Result<Self, Error> {
        let Some(section) = section else {
            return Ok(Self::Unread);
        };
        if let Some(feature) = section.feature()
            && !cx.connection.features.contains(feature)
        {
            return Ok(Self::Refused(Refusal::unlicensed(
                section,
                format!("the licence lacks {feature}"),
            )));
        }
        match read.await {
            Ok(Some(held)) => Ok(Self::Held(held)),
            Ok(None) => Ok(Self::Unread),
            Err(error) => Refusal::of(section, &error).map(Self::Refused).ok_or(error),
        }
    }

    /// What it is.
    pub(super) fn held(&self) -> Option<&T> {
        match self {
            Self::Held(held) => Some(held),
            Self::Unread | Self::Refused(_) => None,
        }
    }

    /// Why it is not to be had.
    pub(super) fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            Self::Unread | Self::Held(_) => None,
        }
    }
}

/// What all refusals together mean: one that takes a human counts before those that end by themselves.
pub(super) fn unmet<'a>(refusals: impl Iterator<Item = &'a Refusal>) -> Option<Error> {
    let refusals: Vec<&Refusal> = refusals.collect();
    let first = refusals.iter().find(|refusal| !refusal.waits).or(refusals.first())?;
    let messages: Vec<&str> = refusals.iter().map(|refusal| &*refusal.message).collect();
    let message = messages.join("; ");
    Some(if first.waits {
        Error::waiting(first.reason, message)
    } else {
        Error::terminal(first.reason, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Disposition;

    #[test]
    fn what_takes_a_human_counts_before_what_ends_by_itself() {
        let unlicensed = Refusal::unlicensed(Section::Appearance, "the licence lacks appearance");
        let hidden = Refusal::terminal(Reason::Forbidden, "health: only an Owner sees it");
        let both = unmet([&unlicensed, &hidden].into_iter()).unwrap();
        assert_eq!(
            (both.reason(), both.disposition()),
            (Reason::Forbidden, Disposition::Terminal)
        );
        assert!(both.to_string().contains("appearance") && both.to_string().contains("health"));
        let one = unmet([&unlicensed].into_iter()).unwrap();
        assert_eq!(one.disposition(), Disposition::Waiting);
        assert!(unmet(std::iter::empty()).is_none());
    }
}
